"""helm supply: what others say of software, verified from files."""

import json
from pathlib import Path
from typing import Final

import pytest

from helm.crypto.dsse import written_envelope
from tests.actors.cli.shell import helm
from tests.helm.supply import builds, logs
from tests.helm.supply.keys import ed25519

LOG: Final = logs.Log(ed25519(1))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with all that the commands take."""
    answer = LOG.answer(logs.hashedrekord())
    (tmp_path / "entry.json").write_text(json.dumps(answer), encoding="utf-8")
    (tmp_path / "log.pub").write_text(LOG.key.pem, encoding="ascii")
    (tmp_path / "signer.pub").write_text(logs.SIGNER.pem, encoding="ascii")
    (tmp_path / "tool").write_bytes(logs.ARTIFACT)
    (tmp_path / "tool.wasm").write_bytes(builds.ARTIFACT)
    (tmp_path / "policy.toml").write_text(builds.POLICY, encoding="utf-8")
    (tmp_path / "provenance.json").write_bytes(builds.signed(builds.statement()))
    return tmp_path


def _rekor(place: Path, *more: str) -> tuple[str, ...]:
    return (
        "supply",
        "verify-rekor",
        str(place / "entry.json"),
        "--log",
        logs.NAME,
        "--log-key",
        str(place / "log.pub"),
        *more,
    )


def _slsa(place: Path, *more: str) -> tuple[str, ...]:
    given = ("--policy", str(place / "policy.toml"), "--artifact", str(place / "tool.wasm"))
    return ("supply", "verify-slsa", str(place / "provenance.json"), *given, *more)


def test_an_entry_is_verified_by_numbered_checks(place: Path) -> None:
    given = ("--artifact", str(place / "tool"), "--signer-key", str(place / "signer.pub"))
    ended = helm(*_rekor(place, *given))
    assert (ended.code, ended.err) == (0, "")
    assert " 4 " in ended.out
    assert "checkpoint" in ended.out
    assert "VERIFIED" in ended.out
    body = helm(*_rekor(place, *given), "--json").json()
    assert body["verified"] is True
    assert [one["number"] for one in body["checks"]] == list(range(1, 9))
    assert body["about"]["log"] == logs.NAME


def test_an_entry_about_something_else_ends_with_1_and_says_which_check(place: Path) -> None:
    ended = helm(*_rekor(place, "--artifact", str(place / "tool.wasm")))
    assert ended.code == 1
    assert "NOT VERIFIED by check 8, subject" in ended.out
    body = helm(*_rekor(place, "--artifact", str(place / "tool.wasm")), "--json").json()
    assert (body["verified"], body["about"]) == (False, {})


def test_an_envelope_is_looked_up_in_a_bundle(place: Path) -> None:
    signed = logs.envelope(b"{}")
    (place / "envelope.json").write_bytes(written_envelope(signed))
    whole = logs.bundle(LOG.answer(logs.dsse(signed)), signed)
    (place / "entry.json").write_text(json.dumps(whole), encoding="utf-8")
    assert helm(*_rekor(place, "--envelope", str(place / "envelope.json"))).code == 0
    assert helm(*_rekor(place)).code == 0


def test_provenance_is_verified_by_numbered_checks(place: Path) -> None:
    ended = helm(*_slsa(place))
    assert (ended.code, ended.err) == (0, "")
    assert builds.BUILDER in ended.out
    body = helm(*_slsa(place), "--json").json()
    assert body["about"]["repository"] == builds.REPOSITORY


def test_an_empty_policy_takes_nothing(place: Path) -> None:
    (place / "policy.toml").write_text('version = "helm.provenance-policy/1"\n', encoding="utf-8")
    ended = helm(*_slsa(place))
    assert ended.code == 1
    assert "an empty allowlist allows nothing" in ended.out
    assert "NOT VERIFIED by check 1, policy" in ended.out


def test_what_a_file_says_does_not_paint_the_terminal(place: Path) -> None:
    body = builds.statement()
    body["predicate"]["runDetails"]["builder"]["id"] = "\x1b[2J" + builds.BUILDER
    (place / "provenance.json").write_bytes(builds.signed(body))
    ended = helm(*_slsa(place))
    assert ended.code == 1
    assert "\x1b[2J" not in ended.out


@pytest.mark.parametrize("missing", ["entry.json", "log.pub", "tool"])
def test_a_file_that_is_not_there_is_named(place: Path, missing: str) -> None:
    (place / missing).unlink()
    ended = helm(*_rekor(place, "--artifact", str(place / "tool")))
    assert ended.code == 1
    assert missing in ended.err


def test_a_key_that_is_none_is_refused(place: Path) -> None:
    (place / "log.pub").write_bytes(b"\xff" * 100)
    assert helm(*_rekor(place, "--artifact", str(place / "tool"))).code == 1
    (place / "log.pub").write_bytes(b"x" * 100_000)
    assert "more than" in helm(*_rekor(place, "--artifact", str(place / "tool"))).err


def test_trust_must_be_brought(place: Path) -> None:
    assert helm("supply", "verify-rekor", str(place / "entry.json")).code == 2
    assert helm("supply", "verify-slsa", str(place / "provenance.json")).code == 2
    assert helm("supply").code == 2
