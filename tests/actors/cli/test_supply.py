"""helm supply: what others say of software, verified from files."""

import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Final

import pytest

from helm.crypto.dsse import written_envelope
from tests.actors.cli.shell import helm
from tests.helm.supply import builds, logs
from tests.helm.supply.keys import ed25519
from tests.helm.supply.repositories import CONTENT, NAME, Repository

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


AT: Final = ("--at", "2030-01-01T00:00:00Z")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a TUF repository as a directory, with its one target behind its hash."""
    return _written(tmp_path / "repository", Repository().publish())


def _written(place: Path, whole: Repository) -> Path:
    (place / "metadata").mkdir(parents=True, exist_ok=True)
    (place / "targets" / "team").mkdir(parents=True, exist_ok=True)
    for name, raw in whole.files.items():
        (place / "metadata" / name).write_bytes(raw)
    (place / "root.json").write_bytes(whole.files["1.root.json"])
    (place / "targets" / "team" / f"{hashlib.sha256(CONTENT).hexdigest()}.tool.wasm").write_bytes(CONTENT)
    return place


def _tuf(repository: Path, *more: str) -> tuple[str, ...]:
    return ("supply", "verify-tuf", str(repository), "--root", str(repository / "root.json"), *AT, *more)


def test_a_repository_is_verified_by_numbered_checks(repository: Path) -> None:
    ended = helm(*_tuf(repository, "--target", NAME))
    assert (ended.code, ended.err) == (0, "")
    assert "VERIFIED" in ended.out
    body = helm(*_tuf(repository, "--target", NAME), "--json").json()
    assert [one["number"] for one in body["checks"]] == list(range(1, 10))
    assert body["about"]["targets"][NAME] == {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    assert helm(*_tuf(repository, "--metadata-only")).code == 0


def test_a_file_elsewhere_is_compared_too(repository: Path) -> None:
    copy = repository / "copy"
    copy.write_bytes(CONTENT)
    assert helm(*_tuf(repository, "--file", NAME, str(copy))).code == 0
    copy.write_bytes(CONTENT + b".")
    ended = helm(*_tuf(repository, "--file", NAME, str(copy)))
    assert ended.code == 1
    assert "NOT VERIFIED by check 9, files" in ended.out


def test_the_machine_s_own_time_decides_where_none_is_given(tmp_path: Path) -> None:
    whole = Repository()
    for signed in (whole.root, whole.timestamp):
        signed.expires = signed.expires.replace(year=2001)
    whole.publish_root()
    place = _written(tmp_path / "old", whole.publish())
    words = [word for word in _tuf(place, "--metadata-only") if word not in AT]
    ended = helm(*words)
    assert ended.code == 1
    assert "NOT VERIFIED by check 3, current" in ended.out


def test_what_was_seen_is_remembered_and_an_older_state_refused(repository: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    old = {path.name: path.read_bytes() for path in (repository / "metadata").iterdir()}
    newer = _written(tmp_path / "newer", Repository().publish().advance())
    remembering = ("--metadata-only", "--state", str(state))
    assert helm(*_tuf(repository, *remembering)).code == 0
    first = state.read_bytes()
    assert helm(*_tuf(newer, *remembering)).code == 0
    assert state.read_bytes() != first
    seen = state.read_bytes()
    ended = helm(*_tuf(repository, *remembering))
    assert (ended.code, "check 8, memory" in ended.out) == (1, True)
    assert state.read_bytes() == seen
    assert old["timestamp.json"] == (repository / "metadata" / "timestamp.json").read_bytes()


def test_a_memory_that_is_empty_is_not_taken_for_none(repository: Path, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_bytes(b"")
    assert helm(*_tuf(repository, "--metadata-only", "--state", str(state))).code == 1
    assert state.read_bytes() == b""


def test_two_at_once_do_not_share_a_memory(repository: Path, tmp_path: Path) -> None:
    lock = os.open(tmp_path / "state.json.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        ended = helm(*_tuf(repository, "--metadata-only", "--state", str(tmp_path / "state.json")))
    finally:
        os.close(lock)
    assert (ended.code, "cannot be locked" in ended.err) == (1, True)
    assert helm(*_tuf(repository, "--metadata-only", "--state", str(tmp_path / "state.json"))).code == 0


def test_links_lead_nowhere(repository: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes((repository / "metadata" / "timestamp.json").read_bytes())
    (repository / "metadata" / "timestamp.json").unlink()
    (repository / "metadata" / "timestamp.json").symlink_to(outside)
    ended = helm(*_tuf(repository, "--metadata-only"))
    assert (ended.code, "timestamp.json" in ended.err) == (1, True)


@pytest.mark.parametrize("folder", ["metadata", "targets", "targets/team"])
def test_a_folder_that_is_a_link_is_not_entered(repository: Path, tmp_path: Path, folder: str) -> None:
    (repository / folder).rename(tmp_path / "moved")
    (repository / folder).symlink_to(tmp_path / "moved")
    assert helm(*_tuf(repository, "--target", NAME)).code == 1


def test_a_target_that_is_a_link_or_a_pipe_is_not_read(repository: Path) -> None:
    [file] = (repository / "targets" / "team").iterdir()
    file.rename(repository / "elsewhere")
    file.symlink_to(repository / "elsewhere")
    assert helm(*_tuf(repository, "--target", NAME)).code == 1
    file.unlink()
    os.mkfifo(file)
    ended = helm(*_tuf(repository, "--target", NAME))
    assert (ended.code, "no regular file" in ended.err) == (1, True)


@pytest.mark.parametrize("name", ["../metadata/timestamp.json", "/etc/passwd", "team/../team/tool.wasm", ""])
def test_a_target_s_name_leads_nowhere_else(repository: Path, name: str) -> None:
    ended = helm(*_tuf(repository, "--target", name))
    assert (ended.code, "is not the name of a target" in ended.err) == (1, True)


def test_a_repository_must_be_told_what_is_asked_of_it(repository: Path) -> None:
    assert helm(*_tuf(repository)).code == 2
    assert helm(*_tuf(repository, "--metadata-only", "--target", NAME)).code == 2
    assert helm(*_tuf(repository, "--target", NAME, "--target", NAME)).code == 2
    assert helm("supply", "verify-tuf", str(repository), "--metadata-only").code == 2
    assert helm(*_tuf(repository, "--metadata-only", "--at", "2030-01-01")).code == 2
    assert helm(*_tuf(repository / "nowhere", "--metadata-only")).code == 1
