"""helm evidence envelope: what is made is found again, and nothing is signed that does not hold."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.doors.serve import serve
from actors.evidence.envelopes import MAX_ENVELOPES
from actors.installation import Installation
from actors.keys.bearer import BearerKeys, KeyClass
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from helm.config import Config
from helm.evidence.envelopes.kinds import EXPERIMENTAL, SUFFIXES, EnvelopeKind
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm

KINDS = [kind.value for kind in EnvelopeKind]


def exported(made: Made, tmp_path: Path, *words: str, name: str = "pack.tar") -> Path:
    pack = tmp_path / name
    ended = helm("evidence", "export", "--session", "s1", "-o", str(pack), *words, *made.option)
    assert ended.code == 0, ended.err
    return pack


def envelope(made: Made, *words: str) -> Ended:
    return helm("evidence", "envelope", *words, *made.option)


def key_of(made: Made) -> tuple[str, str]:
    return ("--evidence-key", made.place().evidence_key().public_key)


def listed(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = envelope(made, "list", "--json").json()["envelopes"]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_envelope_beside_a_pack_is_verified_by_a_stranger(used: Made, tmp_path: Path, kind: str) -> None:
    pack = exported(used, tmp_path, "--envelope", kind, "--experimental")
    file = Path(f"{pack}{SUFFIXES[EnvelopeKind(kind)]}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    words = ("evidence", "envelope", "verify", str(file), *key_of(used), "--experimental", "--json")
    alone = helm(*words)
    assert (alone.code, alone.json()["proved"]) == (0, "signature")
    whole = helm(*words, "--evidence", str(pack), "--log-id", used.log_id)
    assert (whole.code, whole.json()["proved"]) == (0, "native")
    assert [check["state"] for check in whole.json()["checks"]].count("not made") == 1  # no manifest came with it


def test_an_experimental_kind_is_refused_before_anything_is_written(used: Made, tmp_path: Path) -> None:
    for kind in sorted(kind.value for kind in EXPERIMENTAL):
        words = ("evidence", "export", "--session", "s1", "-o", str(tmp_path / "p.tar"), "--envelope", kind)
        ended = helm(*words, *used.option)
        assert (ended.code, "--experimental" in ended.err) == (1, True)
        assert envelope(used, "create", "--receipt", "rcpt_00", "--envelope", kind).code == 1
    assert list(tmp_path.glob("p.tar*")) == [] and listed(used) == []


def test_what_is_made_survives_the_invocation(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    made = envelope(used, "create", str(pack), "--envelope", "dsse", "--json").json()
    again = envelope(used, "create", str(pack), "--envelope", "dsse", "--json").json()
    assert made == again and listed(used) == [made["manifest"]]
    name = made["manifest"]["manifest_id"]
    assert name in envelope(used, "list").out
    out = tmp_path / "out.json"
    assert envelope(used, "get", name, "-o", str(out)).code == 0
    assert out.read_bytes() == base64.b64decode(made["envelope"])
    assert envelope(used, "get", name, "-o", str(out)).code == 1
    payload = json.loads(envelope(used, "payload", name).out)
    assert payload["authoritative"] is False and made["manifest"]["native_authority"] is True
    told = envelope(used, "verify", name, "--evidence", str(pack), "--json")
    assert (told.code, told.json()["proved"]) == (0, "native")
    assert {check["state"] for check in told.json()["checks"]} == {"held"}
    [file] = (used.path / "envelopes").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_receipts_and_checkpoints_are_wrapped_by_name_and_as_files(used: Made, tmp_path: Path) -> None:
    receipt = helm("receipts", "list", "--json", *used.option).json()[0]
    shown = tmp_path / "receipt.json"
    shown.write_text(helm("receipts", "show", receipt["receipt_id"], "--json", *used.option).out)
    by_name = envelope(used, "create", "--receipt", receipt["receipt_id"], "--envelope", "jws", "--json").json()
    assert envelope(used, "create", str(shown), "--envelope", "jws", "--json").json() == by_name
    assert by_name["manifest"]["subject"] == receipt["receipt_id"]
    assert helm("checkpoint", "now", *used.option).code == 0
    shown.write_text(helm("checkpoint", "show", "--json", *used.option).out)
    by_name = envelope(used, "create", "--checkpoint", "latest", "--envelope", "in-toto", "--json").json()
    assert envelope(used, "create", str(shown), "--envelope", "in-toto", "--json").json() == by_name
    name = by_name["manifest"]["manifest_id"]
    told = envelope(used, "verify", name, "--evidence", str(shown), "--json")
    assert told.json()["proved"] == "native"
    assert envelope(used, "create", "--checkpoint", "9", "--envelope", "dsse").code == 1
    assert envelope(used, "create", "--receipt", "rcpt_" + "0" * 32, "--envelope", "dsse").code == 1


def test_nothing_is_signed_that_does_not_hold(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    raw = pack.read_bytes()
    pack.write_bytes(raw.replace(b'"reason":""', b'"reason":" "', 1))
    assert envelope(used, "create", str(pack), "--envelope", "dsse").code == 1
    receipt = helm("receipts", "list", "--json", *used.option).json()[0]
    forged = tmp_path / "forged.json"
    for change in ({"tool": "other"}, {"signature": "0" * 128}, {"version": "2"}):
        forged.write_text(json.dumps(receipt | change))
        assert envelope(used, "create", str(forged), "--envelope", "dsse").code == 1
    forged.write_text("{")
    assert envelope(used, "create", str(forged), "--envelope", "dsse").code == 1
    assert listed(used) == []


def test_evidence_of_another_log_is_not_signed(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    other = str(tmp_path / "other")
    assert helm("init", other).code == 0
    ended = helm("evidence", "envelope", "create", str(pack), "--envelope", "dsse", "--data-dir", other)
    assert (ended.code, "pinned" in ended.err) == (1, True), ended.err
    receipt = tmp_path / "receipt.json"
    receipt.write_text(json.dumps(helm("receipts", "list", "--json", *used.option).json()[0]))
    ended = helm("evidence", "envelope", "create", str(receipt), "--envelope", "dsse", "--data-dir", other)
    assert (ended.code, "another log" in ended.err) == (1, True)


def test_an_envelope_of_another_log_or_a_revoked_key_is_refused(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path, "--envelope", "sigstore")
    file = f"{pack}.sigstore.json"
    assert envelope(used, "verify", file).code == 0
    other = str(tmp_path / "other")
    assert helm("init", other).code == 0
    refused = helm("evidence", "envelope", "verify", file, "--json", "--data-dir", other)
    assert (refused.code, refused.json()["verified"]) == (1, False)
    key_id = used.place().evidence_key().key_id
    rotated = helm("trust", "rotate", "evidence", "--reason", "yearly", *used.option)
    assert rotated.code == 0, rotated.err
    assert envelope(used, "verify", file).code == 0
    revoked = helm("trust", "revoke", key_id, "--reason", "stolen", *used.option)
    assert revoked.code == 0, revoked.err
    told = envelope(used, "verify", file)
    assert (told.code, "revoked" in told.out, "NOT VERIFIED" in told.out) == (1, True, True)


def test_a_key_that_does_not_count_signs_nothing(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    key_id = used.place().evidence_key().key_id
    assert helm("trust", "revoke", key_id, "--reason", "stolen", *used.option).code == 0
    ended = envelope(used, "create", str(pack), "--envelope", "dsse")
    assert (ended.code, "no evidence key" in ended.err) == (1, True)


def test_an_edited_file_of_the_store_is_named_and_not_told(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path)
    for kind in ("dsse", "jws"):
        assert envelope(used, "create", str(pack), "--envelope", kind).code == 0
    one, other = sorted((used.path / "envelopes").iterdir())
    whole = one.read_bytes()
    body = json.loads(whole)
    spoilt = (
        whole[:-1],
        json.dumps(body | {"manifest": body["manifest"] | {"subject": "rcpt_x"}}).encode(),
        json.dumps(body | {"envelope": ""}).encode(),
        json.dumps({"envelope": body["envelope"]}).encode(),
        b"[]",
        other.read_bytes(),
        b"x" * 500_000,
    )
    for raw in spoilt:
        one.write_bytes(raw)
        for words in (("list",), ("get", one.stem), ("verify", one.stem), ("payload", one.stem)):
            ended = envelope(used, *words)
            assert (ended.code, one.name in ended.err, ended.out) == (1, True, "")
    one.write_bytes(whole)
    (one.parent / ".env_leftover.json.0011").write_bytes(b"half")
    (one.parent / "env_odd.json").write_bytes(b"")
    assert len(listed(used)) == 2


def test_a_full_store_takes_no_more(used: Made, tmp_path: Path) -> None:
    pack, folder = exported(used, tmp_path), used.path / "envelopes"
    folder.mkdir()
    for number in range(MAX_ENVELOPES):
        (folder / f"env_{number:032x}.json").touch()
    ended = envelope(used, "create", str(pack), "--envelope", "dsse")
    assert (ended.code, f"there are {MAX_ENVELOPES}" in ended.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("create", "--envelope", "dsse"), 2),
        (("create", "pack.tar", "--receipt", "r", "--envelope", "dsse"), 2),
        (("create", "pack.tar", "--envelope", "pgp"), 2),
        (("create", "pack.tar"), 2),
        (("create", "no-such-file", "--envelope", "dsse"), 1),
        (("get", "env_" + "0" * 32), 1),
        (("get", "../genesis"), 1),
        (("payload", "env_x"), 1),
        (("verify", "no-such-file"), 1),
        (("verify", "env_" + "0" * 32), 1),
        (("list", "--server", "http://127.0.0.1:1"), 1),
        (("create", "pack.tar", "--envelope", "dsse", "--server", "http://127.0.0.1:1"), 1),
        (("verify", "env_" + "0" * 32, "--log-id", "x", "--server", "http://127.0.0.1:1"), 2),
    ],
)
def test_what_cannot_be_done_is_said(used: Made, words: tuple[str, ...], code: int) -> None:
    ended = envelope(used, *words)
    assert ended.code == code and ended.out == ""
    with_json = envelope(used, *words, *(() if words[0] == "payload" else ("--json",)))
    assert with_json.code == code
    assert words[0] == "payload" or {"op", "message", "hint", "code"} <= with_json.failure().keys()


def test_odd_keys_pins_and_manifests_are_refused(used: Made, tmp_path: Path) -> None:
    pack = exported(used, tmp_path, "--envelope", "dsse")
    file = f"{pack}.dsse.json"
    for key in ("00", "zz", "0" * 64):
        assert helm("evidence", "envelope", "verify", file, "--evidence-key", key).code == 1
    assert envelope(used, "verify", file, "--log-id", "x").code == 1
    manifest = tmp_path / "manifest.json"
    shown = envelope(used, "get", listed(used)[0]["manifest_id"], "--json")
    manifest.write_text(shown.out)
    held = envelope(used, "verify", file, "--manifest", str(manifest), "--json").json()
    assert held["checks"][5]["state"] == "held"
    manifest.write_text(json.dumps(shown.json()["manifest"] | {"subject": "x"}))
    assert envelope(used, "verify", file, "--manifest", str(manifest)).code == 1
    manifest.write_text("{")
    assert envelope(used, "verify", file, "--manifest", str(manifest)).code == 1
    # Evidence that cannot be read is the evidence check's to refuse, whoever is trusted.
    manifest.write_bytes(b"")
    assert envelope(used, "verify", file, "--evidence", str(manifest)).code == 1


@asynccontextmanager
async def running(made: Made, tmp_path: Path) -> AsyncIterator[Any]:
    place = Installation.open(made.path)
    keys = BearerKeys(tmp_path / "keys.json", ())
    admin = keys.issue(KeyClass.ADMIN, "", "operator", at_ms=0)
    async with open_kernel(place, policy=read_signed(place.policy_path), clock=SystemClock()) as kernel:
        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0), keys))

        async def ask(*words: str) -> Ended:
            url = f"http://127.0.0.1:{door.address.port}"
            whole = partial(helm, "evidence", "envelope", *words, "--server", url, *made.option, HELM_API_KEY=admin)
            return await trio.to_thread.run_sync(whole)

        yield ask


async def test_a_running_kernel_makes_and_verifies_them_over_http(used: Made, tmp_path: Path) -> None:
    receipts = await trio.to_thread.run_sync(partial(helm, "receipts", "list", "--json", *used.option))
    receipt_id = receipts.json()[0]["receipt_id"]
    out = tmp_path / "out.dsse.json"
    async with running(used, tmp_path) as ask:
        made = (await ask("create", "--receipt", receipt_id, "--envelope", "dsse", "-o", str(out), "--json")).json()
        name = made["manifest"]["manifest_id"]
        assert (await ask("list", "--json")).json() == {"envelopes": [made["manifest"]]}
        assert (await ask("get", name, "--json")).json() == made
        assert json.loads((await ask("payload", name)).out)["subject"] == receipt_id
        told = await ask("verify", name, "--json")
        assert (told.code, told.json()["proved"]) == (0, "native")
        assert (await ask("create", "--checkpoint", "7", "--envelope", "dsse")).code == 1
        assert (await ask("create", "--receipt", receipt_id, "--envelope", "cose")).code == 1
        assert (await ask("get", "env_" + "0" * 32)).code == 1
    here = await trio.to_thread.run_sync(partial(envelope, used, "verify", str(out), "--json"))
    assert here.json()["proved"] == "signature"
    assert await trio.to_thread.run_sync(listed, used) == [made["manifest"]]
