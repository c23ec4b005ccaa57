"""helm trust: the keys are listed, added, rotated and revoked, in a directory or in a running kernel."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.keys import keyfile
from actors.opening import open_kernel
from actors.policy_file import read_signed
from helm.crypto.domains import KeyPurpose
from helm.trust.event import from_body
from helm.trust.registry import fold
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm

WHY = ("--reason", "a drill")


def trust(made: Made, *words: str, **environment: str) -> Ended:
    return helm("trust", *words, *made.option, **environment)


def statuses(made: Made, *words: str) -> dict[str, str]:
    told = trust(made, "keys", "--json", *words).json()
    return {key["key_id"]: key["status"] for key in told["keys"]}


def test_a_new_directory_has_the_keys_of_its_genesis(made: Made) -> None:
    told = trust(made, "events", "--json").json()
    assert told["events"][0]["event"]["purpose"] == "trust-admin"
    assert set(statuses(made).values()) == {"ACTIVE"}
    assert trust(made, "events").code == trust(made, "keys").code == trust(made, "snapshot").code == 0


def test_an_added_key_counts_and_a_revoked_one_never_again(made: Made, tmp_path: Path) -> None:
    path = tmp_path / "alice.pem"
    added = trust(made, "add", "approval", "--new-key", str(path), "--json", *WHY).json()
    assert keyfile.read(path, KeyPurpose.APPROVAL).key_id == added["key_id"]
    assert statuses(made)[added["key_id"]] == "ACTIVE"
    assert trust(made, "revoke", added["key_id"], *WHY).code == 0
    assert statuses(made)[added["key_id"]] == "REVOKED"
    assert statuses(made, "--at-lamport", str(added["lamport"]))[added["key_id"]] == "ACTIVE"
    again = trust(made, "add", "approval", "--public-key", added["public_key"], *WHY)
    assert again.code == 1
    assert "never added again" in again.err


def test_the_snapshot_is_the_fold_of_the_listed_events(made: Made, tmp_path: Path) -> None:
    trust(made, "add", "approval", "--new-key", str(tmp_path / "a.pem"), *WHY)
    rows = trust(made, "events", "--json").json()["events"]
    history = [({**row["event"]}, row["lamport"]) for row in rows]
    for body, _ in history:
        del body["event_hash"]
    folded = fold(((from_body(body), lamport) for body, lamport in history), made.log_id)
    assert trust(made, "snapshot", "--json").json() == folded.snapshot()


async def receipts(made: Made) -> None:
    place = Installation.open(made.path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", principal="agent")
        assert answer.allowed


def test_receipts_of_a_rotated_key_go_on_verifying_and_the_next_are_by_the_new_one(made: Made, tmp_path: Path) -> None:
    trio.run(receipts, made)
    old = made.place().execution_key().key_id
    told = trust(made, "rotate", "execution", "--json", *WHY).json()
    assert made.place().execution_key().key_id == told["key_id"] != old
    trio.run(receipts, made)
    pack = tmp_path / "p.tar"
    where = ("--session", "default", "-o", str(pack))
    assert helm("evidence", "export", *where, *made.option).code == 0
    assert helm("verify", str(pack), "--log-id", made.log_id).code == 0


def test_a_rotation_that_a_crash_cut_short_is_ended_by_saying_it_again(made: Made) -> None:
    new = made.place().next_key(KeyPurpose.EXECUTION)
    kept = (made.path / "keys" / "execution.pem").read_bytes()
    first = trust(made, "rotate", "execution", "--json", *WHY).json()
    assert first["key_id"] == new.key_id  # the key that was made is the one that is taken
    (made.path / "keys" / "execution.pem").rename(made.path / "keys" / "execution.next.pem")
    (made.path / "keys" / "execution.pem").write_bytes(kept)
    (made.path / "keys" / "execution.pem").chmod(0o600)
    height = len(trust(made, "events", "--json").json()["events"])
    assert trust(made, "rotate", "execution", *WHY).code == 0
    assert len(trust(made, "events", "--json").json()["events"]) == height
    trio.run(receipts, made)


def test_the_only_pen_and_the_last_admin_are_not_revoked(made: Made) -> None:
    for key in (made.place().execution_key(), made.place().trust_admin_key()):
        refused = trust(made, "revoke", key.key_id, *WHY)
        assert refused.code == 1
        assert "rotate it" in refused.err
    trio.run(receipts, made)


def test_a_policy_counts_only_while_its_key_does(made: Made) -> None:
    assert trust(made, "rotate", "policy", *WHY).code == 0
    place = made.place()
    assert "rotated" in helm("policy", "check", str(place.policy_path), *made.option).out
    assert helm("policy", "sign", str(place.policy_path), *made.option).code == 0
    trio.run(receipts, made)


def test_what_names_no_key_is_refused(made: Made) -> None:
    assert trust(made, "add", "approval", *WHY).code == 2
    assert trust(made, "add", "approval", "--public-key", "00" * 32, *WHY).code == 1
    assert trust(made, "revoke", "key_0", *WHY).code == 1
    assert trust(made, "rotate", "everything", *WHY).code == 2
    assert trust(made, "snapshot", "--at-lamport", "0").code == 1


async def test_the_receipt_signing_key_is_not_rotated_beside_a_kernel_and_no_server_is_named_for_it(made: Made) -> None:
    async with open_kernel(made.path, policy=None):
        ended = await trio.to_thread.run_sync(partial(trust, made, "rotate", "execution", *WHY))
    assert (ended.code, "--server" in ended.err) == (1, False)
    assert "Stop that kernel" in ended.err


async def test_a_running_kernel_takes_the_event_and_is_read_back(made: Made, tmp_path: Path) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())

        async def ask(*words: str, key: str = made.admin_key) -> Ended:
            asked = partial(trust, made, *words, "--server", door.address.url, "--json", HELM_API_KEY=key)
            return await trio.to_thread.run_sync(asked)

        refused = await ask("rotate", "emergency", *WHY, key=made.tenant_key)
        assert (refused.code, "HELM_ADMIN_KEY" in refused.err) == (1, True)
        rotated = (await ask("rotate", "emergency", *WHY)).json()
        assert place.emergency_key().key_id == rotated["key_id"]
        pen = await ask("rotate", "execution", *WHY)
        assert (pen.code, pen.err.count("stop the kernel"), "HELM_ADMIN_KEY" in pen.err) == (1, 1, False)
        snapshot = (await ask("snapshot")).json()
        assert kernel.parts.state.registry is not None
        assert snapshot == kernel.parts.state.registry.snapshot()
        before = (await ask("snapshot", "--at-lamport", "6")).json()
        assert (before["height"], before["lamport"]) == (6, 6)
        door.close()
        await door.ended.wait()
    assert json.loads(trust(made, "snapshot", "--json").out) == snapshot


def test_a_role_is_given_and_taken_and_both_stand_in_the_log(made: Made) -> None:
    key_id = made.place().approval_key().key_id

    def roles() -> list[str]:
        [key] = [one for one in helm("trust", "keys", "--json", *made.option).json()["keys"] if one["key_id"] == key_id]
        return [one["role"] for one in key["roles"] if one["revoked"] is None]

    why = ("--reason", "a drill", *made.option)
    assert helm("trust", "grant", key_id, "payments", *why).code == 0
    assert roles() == ["payments"]
    assert "payments" in helm("trust", "keys", *made.option).out
    twice = helm("trust", "grant", key_id, "payments", *why)
    assert (twice.code, "has already the role" in twice.err) == (1, True)
    assert helm("trust", "grant", key_id, "Payments!", *why).code == 1
    assert helm("trust", "withdraw", key_id, "payments", *why).code == 0
    assert roles() == []
    assert "ROLE_REVOKED payments" in helm("trust", "events", *made.option).out
    assert helm("trust", "withdraw", "key_unknown", "payments", *why).code == 1
