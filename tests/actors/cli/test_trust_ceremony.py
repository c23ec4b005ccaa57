"""helm trust sign, helm trust apply: a log that several administrators keep, none of whom changes a key alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.trust.ceremony import signers
from actors.installation import Installation
from actors.keys import keyfile
from actors.keys.trust_file import TrustFile, read_trust_file
from actors.opening import open_kernel
from actors.policy_file import read_signed
from helm.crypto.domains import KeyPurpose
from helm.trust.event import to_body
from tests.actors.cli.shell import Ended, helm

WHY = ("--reason", "a drill")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A data directory that three keep, of whom two must sign. All keys are still in it."""
    path = tmp_path / "data"
    assert helm("init", str(path), "--admins", "2-of-3", "--json").code == 0
    return path


def admin(path: Path, number: int) -> str:
    return str(path / "keys" / ("trust-admin.pem" if number == 1 else f"trust-admin-{number}.pem"))


def trust(path: Path, *words: str) -> Ended:
    return helm("trust", *words, "--data-dir", str(path))


def proposed(path: Path, tmp_path: Path) -> Path:
    """An event that the first administrator signed."""
    file = tmp_path / "event.json"
    words = ("add", "approval", "--new-key", str(tmp_path / "new.pem"), "--out", str(file), *WHY)
    assert trust(path, *words).code == 0
    return file


def snapshot(path: Path) -> Any:
    return trust(path, "snapshot", "--json").json()


def rewrite(file: Path, **edits: Any) -> None:
    """Edit the one event of a file."""
    body = json.loads(file.read_text())
    body["events"][0] |= edits
    file.write_text(json.dumps(body))


async def use(path: Path) -> None:
    place = Installation.open(path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", principal="agent")
        assert answer.allowed


def test_two_of_three_add_a_key(shared: Path, tmp_path: Path) -> None:
    file = proposed(shared, tmp_path)
    before = snapshot(shared)
    assert before["threshold"] == 2
    assert helm("trust", "sign", str(file), "--key", admin(shared, 3)).code == 0
    assert trust(shared, "apply", str(file)).code == 0
    assert len(snapshot(shared)["keys"]) == len(before["keys"]) + 1


def test_one_of_three_changes_nothing(shared: Path, tmp_path: Path) -> None:
    before = snapshot(shared)
    alone = trust(shared, "add", "approval", "--new-key", str(tmp_path / "a.pem"), *WHY)
    assert alone.code == 1
    assert "1 of 2 administrators have signed it" in alone.err
    file = proposed(shared, tmp_path)
    assert trust(shared, "apply", str(file)).code == 1
    assert snapshot(shared) == before


def test_one_administrator_who_signs_twice_is_one_administrator(shared: Path, tmp_path: Path) -> None:
    file = proposed(shared, tmp_path)
    for _ in range(2):
        twice = helm("trust", "sign", str(file), "--key", admin(shared, 1))
        assert twice.code == 1
        assert "signed it already" in twice.err
    event = to_body(read_trust_file(file).events[0])
    rewrite(file, cosignatures={event["signed_by"]: event["signature"]})
    assert "signs an event once" in trust(shared, "apply", str(file)).err


def test_a_signature_under_another_administrators_name_counts_for_nothing(shared: Path, tmp_path: Path) -> None:
    file = proposed(shared, tmp_path)
    event = to_body(read_trust_file(file).events[0])
    names = [key["key_id"] for key in snapshot(shared)["keys"] if key["purpose"] == "trust-admin"]
    name = next(name for name in names if name != event["signed_by"])
    rewrite(file, cosignatures={name: event["signature"]})
    assert trust(shared, "apply", str(file)).code == 1


def test_a_stranger_signs_in_vain(shared: Path, tmp_path: Path) -> None:
    file, stranger = proposed(shared, tmp_path), tmp_path / "stranger.pem"
    assert helm("trust", "key", str(stranger)).code == 0
    assert helm("trust", "sign", str(file), "--key", str(stranger)).code == 0
    refused = trust(shared, "apply", str(file))
    assert refused.code == 1
    assert "may not sign trust events" in refused.err


@pytest.mark.parametrize("edits", [{"reason": "another"}, {"purpose": "emergency"}, {"height": 9}])
def test_an_event_that_was_edited_after_a_signature_is_refused(
    shared: Path, tmp_path: Path, edits: Mapping[str, Any]
) -> None:
    file = proposed(shared, tmp_path)
    helm("trust", "sign", str(file), "--key", admin(shared, 2))
    rewrite(file, **edits)
    assert trust(shared, "apply", str(file)).code == 1


def test_a_threshold_is_never_lowered(shared: Path, tmp_path: Path) -> None:
    file = proposed(shared, tmp_path)
    keepers = json.loads((shared / "genesis.json").read_text())["events"][0]["keepers"]
    helm("trust", "sign", str(file), "--key", admin(shared, 2))
    rewrite(file, keepers=keepers | {"threshold": 1})
    refused = trust(shared, "apply", str(file))
    assert refused.code == 1
    assert "how many must sign" in refused.err
    lowered = json.loads((shared / "genesis.json").read_text())
    lowered["events"][0]["keepers"]["threshold"] = 1
    (shared / "genesis.json").write_text(json.dumps(lowered))
    assert "does not follow" in trust(shared, "keys").err


def test_as_many_administrators_stay_as_must_sign(shared: Path, tmp_path: Path) -> None:
    admins = [key["key_id"] for key in snapshot(shared)["keys"] if key["purpose"] == "trust-admin"]
    mine = Installation.open(shared).trust_admin_key().key_id
    gone, stays = sorted(name for name in admins if name != mine)
    number = {keyfile.read(Path(admin(shared, n)), KeyPurpose.TRUST_ADMIN).key_id: n for n in (2, 3)}
    file = tmp_path / "revocation.json"
    assert trust(shared, "revoke", gone, "--out", str(file), *WHY).code == 0
    assert helm("trust", "sign", str(file), "--key", admin(shared, number[stays])).code == 0
    assert trust(shared, "apply", str(file)).code == 0
    file.unlink()
    assert trust(shared, "revoke", stays, "--out", str(file), *WHY).code == 0
    helm("trust", "sign", str(file), "--key", admin(shared, number[stays]))
    refused = trust(shared, "apply", str(file))
    assert refused.code == 1
    assert "last trust-admin keys" in refused.err


def test_a_revoked_administrators_signature_counts_no_more(shared: Path, tmp_path: Path) -> None:
    mine = Installation.open(shared).trust_admin_key().key_id
    second, third = (keyfile.read(Path(admin(shared, n)), KeyPurpose.TRUST_ADMIN).key_id for n in (2, 3))
    assert mine not in (second, third)
    revocation = tmp_path / "revocation.json"
    assert trust(shared, "revoke", second, "--out", str(revocation), *WHY).code == 0
    helm("trust", "sign", str(revocation), "--key", admin(shared, 3))
    assert trust(shared, "apply", str(revocation)).code == 0
    file = proposed(shared, tmp_path)
    helm("trust", "sign", str(file), "--key", admin(shared, 2))
    assert "may not sign trust events" in trust(shared, "apply", str(file)).err


def test_a_rotation_that_two_signed_puts_the_key_in_its_place(shared: Path, tmp_path: Path) -> None:
    trio.run(use, shared)
    old, file = Installation.open(shared).execution_key().key_id, tmp_path / "rotation.json"
    assert trust(shared, "rotate", "execution", "--out", str(file), *WHY).code == 0
    assert Installation.open(shared).execution_key().key_id == old
    helm("trust", "sign", str(file), "--key", admin(shared, 2))
    assert trust(shared, "apply", str(file)).code == 0
    assert Installation.open(shared).execution_key().key_id != old
    trio.run(use, shared)
    pack, log_id = tmp_path / "p.tar", Installation.open(shared).log_id
    where = ("--session", "default", "-o", str(pack), "--data-dir", str(shared))
    assert helm("evidence", "export", *where).code == 0
    assert helm("verify", str(pack), "--log-id", log_id).code == 0
    check_with_script(pack, log_id, tmp_path)


def check_with_script(pack: Path, log_id: str, tmp_path: Path) -> None:
    """Verify a pack with the standard library's script that it carries, in a process of its own."""
    import subprocess
    import sys

    from actors.evidence.export import replay_script

    script = tmp_path / "verify.py"
    script.write_bytes(replay_script())
    line = [sys.executable, str(script), str(pack), "--log-id", log_id]
    ended = subprocess.run(line, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_genesis_is_signed_by_administrators_whose_keys_are_elsewhere(tmp_path: Path) -> None:
    data, keys = tmp_path / "data", [tmp_path / "alice.pem", tmp_path / "bob.pem"]
    public = [helm("trust", "key", str(key), "--json").json()["public_key"] for key in keys]
    others = [word for key in public for word in ("--admin-key", key)]
    begun = helm("init", str(data), "--admins", "2-of-3", *others, "--json")
    draft = begun.json()["draft"]
    assert helm("trust", "keys", "--data-dir", str(data)).code == 1  # nothing is opened that not all agreed to
    assert helm("trust", "sign", draft, "--key", str(keys[0])).code == 0
    early = trust(data, "apply", draft)
    assert early.code == 1
    assert "not all of the 3 administrators" in early.err
    assert helm("trust", "sign", draft, "--key", str(keys[1])).code == 0
    assert len(signers(read_trust_file(Path(draft)))) == 3
    assert trust(data, "apply", draft).code == 0
    assert not Path(draft).exists()
    assert snapshot(data)["threshold"] == 2
    trio.run(use, data)


def test_a_draft_of_another_log_completes_nothing(shared: Path, tmp_path: Path) -> None:
    data, alice = tmp_path / "another", tmp_path / "alice.pem"
    public = helm("trust", "key", str(alice), "--json").json()["public_key"]
    assert helm("init", str(data), "--admins", "2-of-2", "--admin-key", public).code == 0
    other = tmp_path / "other.json"
    genesis = read_trust_file(shared / "genesis.json")
    TrustFile(genesis.log_id, genesis.events).write(other)
    assert "not of" in trust(data, "apply", str(other)).err
    assert not (data / "genesis.json").exists()


@pytest.mark.parametrize("admins", ["0-of-3", "3-of-2", "1-of-1", "two-of-three", "2-of-300"])
def test_what_cannot_keep_a_log_is_refused(tmp_path: Path, admins: str) -> None:
    assert helm("init", str(tmp_path / "d"), "--admins", admins).code != 0
    assert not (tmp_path / "d" / "genesis.json").exists()
