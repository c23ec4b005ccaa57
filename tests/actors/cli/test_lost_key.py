"""helm trust rotate --lost: a key that is gone is replaced by the administrators' word, and by nothing less."""

from __future__ import annotations

import json
import shlex
import shutil
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.keys import keyfile
from actors.keys.trust_file import TrustFile
from actors.opening import break_ground, open_journal, open_kernel, run_kernel
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from actors.stores.glance import glance
from actors.trust_log import registry_of
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.trust.event import EventKind, KeyChange, TrustEvent, sign_event
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.puppet import Hold, Puppet
from tests.actors.stores.tampering import tampered

WHY = ("--reason", "the disk is gone")


def key_file(made: Made, purpose: str = "execution") -> Path:
    return made.path / "keys" / f"{purpose}.pem"


def lose(made: Made, purpose: str = "execution") -> str:
    """Take a key's file away, and return the key's name."""
    key_id = made.place().key(KeyPurpose(purpose)).key_id
    key_file(made, purpose).unlink()
    return key_id


def replaced(made: Made, lost: str, *words: str, purpose: str = "execution", **environment: str) -> Ended:
    return helm("trust", "rotate", purpose, "--lost", lost, *WHY, *words, *made.option, **environment)


def log_of(made: Made) -> str:
    """Return every act in the log."""
    return helm("audit", "list", "--json", *made.option).out


def keys_in(made: Made) -> set[str]:
    return {path.name for path in (made.path / "keys").iterdir()}


async def use(made: Made) -> str:
    """Make a call; return the name of the key that signed its receipt."""
    place = made.place()
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
        assert answer.allowed
        return answer.receipt.content.key_id


def test_no_kernel_starts_without_its_key_and_it_says_what_to_do(used: Made) -> None:
    lost = lose(used)
    refused = helm("serve", "--port", "0", "--json", *used.option)
    assert refused.code == 1
    command = f'helm trust rotate execution --lost {lost} --reason "why"'
    assert command in refused.failure()["hint"]
    assert "runbook" in refused.failure()["hint"]
    (found,) = [one for one in helm("doctor", "--json", *used.option).json() if one["check"] == "key files"]
    assert command in found["hint"]
    words = shlex.split(command)
    assert helm(*words[1:], *used.option).code == 0
    assert trio.run(use, used) != lost


def test_where_the_log_names_no_key_the_hint_says_who_does(used: Made) -> None:
    lose(used)
    with tampered(used.place().journal_path) as rows:
        rows[1] = rows[1].replace(b'"lamport":1', b'"lamport":9', 1)
    refused = helm("serve", "--port", "0", "--json", *used.option)
    assert (refused.code, "--lost KEY_ID --reason" in refused.failure()["hint"]) == (1, True)
    assert "helm trust keys" in refused.failure()["hint"]


def test_what_no_rotation_helps_against_is_not_called_lost(used: Made) -> None:
    key_file(used).chmod(0o644)
    refused = helm("serve", "--port", "0", "--json", *used.option).failure()
    assert ("lets others at the key" in refused["message"], "--lost" in refused["hint"]) == (True, False)
    key_file(used).chmod(0o600)
    key_file(used, "trust-admin").unlink()
    refused = helm("trust", "rotate", "trust-admin", "--json", *WHY, *used.option).failure()
    assert ("cannot be opened" in refused["message"], "--lost" in refused["hint"]) == (True, False)


def test_a_lost_key_is_replaced_and_everything_goes_on(used: Made, tmp_path: Path) -> None:
    lost = lose(used)
    ended = replaced(used, lost, "--json")
    assert ended.code == 0, ended.err
    told, registry = ended.json(), registry_of(used.place())
    assert trio.run(use, used) == told["key_id"] == used.place().execution_key().key_id
    assert keys_in(used) >= {"execution.pem"}
    assert "execution.next.pem" not in keys_in(used)
    assert registry.keys[lost].replaced_by == told["key_id"]
    assert registry.keys[lost].body()["rotated"] == {"height": told["height"], "lamport": told["lamport"]}
    for session in ("s1", "s"):  # before, and after
        pack = tmp_path / f"{session}.tar"
        assert helm("evidence", "export", "--session", session, "-o", str(pack), *used.option).code == 0
        assert helm("verify", str(pack), "--log-id", used.log_id).code == 0
    assert helm("receipts", "verify", *used.option).code == 0
    assert helm("doctor", "--deep", *used.option).code == 0
    assert helm("trust", "revoke", lost, *WHY, *used.option).code == 0
    assert trio.run(use, used) == told["key_id"]


def test_whoever_finds_the_lost_key_signs_nothing_with_it(used: Made) -> None:
    found = key_file(used).read_bytes()
    lost = lose(used)
    assert replaced(used, lost).code == 0
    key_file(used).write_bytes(found)
    before = log_of(used)
    with pytest.raises(Invalid, match="was rotated at lamport"):
        trio.run(use, used)
    assert log_of(used) == before
    registry = registry_of(used.place())
    ended = registry.keys[lost].rotated
    assert ended is not None
    assert registry.require(lost, KeyPurpose.EXECUTION, ended.lamport - 1).key_id == lost
    with pytest.raises(Invalid, match="was rotated"):
        registry.require(lost, KeyPurpose.EXECUTION, ended.lamport)


def test_a_key_that_was_lost_before_the_first_start_is_replaced_too(made: Made) -> None:
    lost = lose(made)
    assert replaced(made, lost).code == 0
    assert trio.run(use, made) == made.place().execution_key().key_id != lost


def test_without_the_administrators_key_nothing_is_replaced(used: Made) -> None:
    lost, before = lose(used), log_of(used)
    key_file(used, "trust-admin").rename(used.path / "admin.pem")
    refused = replaced(used, lost)
    assert refused.code == 1
    assert "trust-admin.pem" in refused.err
    keyfile.write_new(key_file(used, "trust-admin"), KeyPurpose.TRUST_ADMIN)  # a stranger's
    refused = replaced(used, lost)
    assert (refused.code, "may not sign trust events" in refused.err) == (1, True)
    assert log_of(used) == before
    with pytest.raises(Invalid, match="cannot be opened"):
        trio.run(use, used)


@pytest.mark.parametrize("purpose", ["approval", "policy", "trust-admin"])
def test_a_key_for_something_else_is_not_replaced_by_one_for_receipts(used: Made, purpose: str) -> None:
    lose(used)
    before, other = log_of(used), used.place().key(KeyPurpose(purpose)).key_id
    refused = replaced(used, other)
    assert (refused.code, f"is for {purpose}, not for execution" in refused.err) == (1, True)
    assert (log_of(used), "execution.next.pem" in keys_in(used)) == (before, False)


def test_a_key_that_nobody_added_is_not_replaced(used: Made) -> None:
    lose(used)
    before = log_of(used)
    assert replaced(used, "key_" + "0" * 32).code == 1
    assert (log_of(used), "execution.next.pem" in keys_in(used)) == (before, False)


def test_a_key_that_is_there_and_counts_is_not_lost(used: Made, tmp_path: Path) -> None:
    before, here = log_of(used), used.place().execution_key().key_id
    other = helm("trust", "add", "execution", "--new-key", str(tmp_path / "o.pem"), "--json", *WHY, *used.option).json()
    before = log_of(used)
    for lost in (here, other["key_id"]):
        refused = replaced(used, lost)
        assert (refused.code, "is there, and counts" in refused.err) == (1, True)
    assert (log_of(used), used.place().execution_key().key_id) == (before, here)


def test_a_key_that_does_not_count_any_more_is_not_replaced(used: Made) -> None:
    first = used.place().execution_key().key_id
    assert helm("trust", "rotate", "execution", *WHY, *used.option).code == 0
    lose(used)
    before = log_of(used)
    refused = replaced(used, first)
    assert (refused.code, "does not count any more" in refused.err) == (1, True)
    assert log_of(used) == before


async def test_while_a_gateway_runs_its_key_is_not_replaced(used: Made) -> None:
    place = Installation.open(used.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        lost, before = lose(used), log_of(used)
        here = await trio.to_thread.run_sync(partial(replaced, used, lost))
        assert (here.code, "another kernel" in here.err) == (1, True), here.err
        asked = partial(replaced, used, lost, "--server", door.address.url, HELM_ADMIN_KEY=used.admin_key)
        there = await trio.to_thread.run_sync(asked)
        assert (there.code, "stop the kernel" in there.err) == (1, True), there.err
        assert log_of(used) == before
        answer = await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", session="s")
        assert answer.receipt.content.key_id == lost
        door.close()
        await door.ended.wait()
    assert (await trio.to_thread.run_sync(partial(replaced, used, lost))).code == 0


def test_a_replacement_that_a_crash_cut_short_is_ended_by_saying_it_again(used: Made) -> None:
    lost = lose(used)
    told = replaced(used, lost, "--json").json()
    key_file(used).rename(key_file(used, "execution.next"))  # as if it had not been put in its place
    before = log_of(used)
    assert replaced(used, lost).code == 0
    assert log_of(used) == before
    assert trio.run(use, used) == told["key_id"]


def test_what_was_under_way_when_the_key_was_lost_is_sealed_by_the_new_one(used: Made, tmp_path: Path) -> None:
    crashed = attrs.evolve(used, path=tmp_path / "crashed")

    async def crash() -> None:
        place, hold = used.place(), Hold()
        puppet = Puppet(hold)
        async with (
            run_kernel(
                await break_ground(place), policy=read_signed(place.policy_path), connectors={"files": puppet}
            ) as kernel,
            trio.open_nursery() as nursery,
        ):
            call = partial(kernel.call, tenant="default", session="under-way")
            nursery.start_soon(call, "files.read", {"path": "public/readme.txt"})
            await puppet.began.wait()
            shutil.copytree(used.path, crashed.path, ignore=shutil.ignore_patterns("*.sock"))
            hold.let_go()

    trio.run(crash)
    lost = lose(crashed)
    told = replaced(crashed, lost, "--json").json()
    listed = helm("receipts", "list", "--session", "under-way", "--json", *crashed.option)
    [receipt] = [row for row in listed.json() if row["session_id"] == "under-way"]
    assert (receipt["status"], receipt["key_id"]) == ("INDETERMINATE", told["key_id"])
    assert helm("receipts", "verify", *crashed.option).code == 0


def test_one_of_two_administrators_replaces_nothing(tmp_path: Path) -> None:
    begun = helm("init", str(tmp_path / "data"), "--admins", "2-of-3", "--json").json()
    made = Made(tmp_path / "data", begun["tenant_key"], begun["admin_key"], begun["log_id"])
    trio.run(use, made)
    lost, file = lose(made), tmp_path / "event.json"
    alone = replaced(made, lost)
    assert (alone.code, "1 of 2 administrators" in alone.err) == (1, True)
    assert replaced(made, lost, "--out", str(file)).code == 0
    assert helm("trust", "apply", str(file), *made.option).code == 1
    assert helm("trust", "sign", str(file), "--key", str(key_file(made, "trust-admin-2"))).code == 0
    assert helm("trust", "apply", str(file), *made.option).code == 0
    assert trio.run(use, made) == made.place().execution_key().key_id != lost


def test_another_key_than_the_one_for_receipts_is_replaced_in_a_running_log(used: Made) -> None:
    lost = lose(used, "policy")
    assert "--lost" in helm("policy", "sign", str(used.place().policy_path), *used.option).err
    assert replaced(used, lost, purpose="policy").code == 0
    assert helm("policy", "sign", str(used.place().policy_path), *used.option).code == 0
    trio.run(use, used)


# --- Events that others made


def change(lost: str, new: Signer, **other: str) -> KeyChange:
    """Say that a new execution key takes the place of another."""
    said = {"kind": EventKind.KEY_ROTATED.value, "replaces": lost, **other}
    about = {"key_id": new.key_id, "public_key": new.public_key, "purpose": new.purpose.value}
    return KeyChange(reason="a drill", **about, **said)


def signed(made: Made, change: KeyChange, by: Signer) -> TrustEvent:
    """Sign a change at the log's next place."""
    return sign_event(change, registry_of(made.place()).place, SystemClock().now_ms(), by)


@pytest.mark.parametrize("case", ["a rotation to a key elsewhere", "an addition of the key that waits"])
def test_only_a_rotation_to_the_key_that_waits_puts_it_in_place(used: Made, tmp_path: Path, case: str) -> None:
    place, file = used.place(), tmp_path / "event.json"
    here, waits = place.evidence_key(), place.next_key(KeyPurpose.EVIDENCE)
    if case == "a rotation to a key elsewhere":
        made = change(here.key_id, keyfile.write_new(tmp_path / "elsewhere.pem", KeyPurpose.EVIDENCE))
    else:
        made = change("", waits, kind=EventKind.KEY_ADDED.value)
    TrustFile(place.log_id, (signed(used, made, place.trust_admin_key()),)).write(file)
    assert helm("trust", "apply", str(file), *used.option).code == 0
    assert (place.evidence_key().key_id, place.next_key(KeyPurpose.EVIDENCE).key_id) == (here.key_id, waits.key_id)


def test_a_rotation_to_an_execution_key_elsewhere_does_not_lock_this_directory_out(used: Made, tmp_path: Path) -> None:
    place, file = used.place(), tmp_path / "event.json"
    elsewhere = keyfile.write_new(tmp_path / "elsewhere.pem", KeyPurpose.EXECUTION)
    made = change(place.execution_key().key_id, elsewhere)
    TrustFile(place.log_id, (signed(used, made, place.trust_admin_key()),)).write(file)
    refused = helm("trust", "apply", str(file), *used.option)
    assert (refused.code, "where the new key is" in refused.err) == (1, True)
    assert "KEY_ROTATED" not in log_of(used)
    trio.run(use, used)


async def begin(made: Made, event: TrustEvent) -> None:
    async with run_kernel(await break_ground(made.place(), event), policy=None, connectors={}):
        pass


def test_a_kernel_does_not_begin_with_a_strangers_word_for_its_key(used: Made, tmp_path: Path) -> None:
    lost, before = lose(used), log_of(used)
    new = used.place().next_key(KeyPurpose.EXECUTION)
    stranger = keyfile.write_new(tmp_path / "stranger.pem", KeyPurpose.TRUST_ADMIN)
    with pytest.raises(Invalid, match="may not sign trust events"):
        trio.run(begin, used, signed(used, change(lost, new), stranger))
    assert log_of(used) == before


def test_a_kernel_does_not_begin_with_the_word_for_another_key_than_its_own(used: Made, tmp_path: Path) -> None:
    lost, before = lose(used), log_of(used)
    used.place().next_key(KeyPurpose.EXECUTION)
    other = keyfile.write_new(tmp_path / "other.pem", KeyPurpose.EXECUTION)
    with pytest.raises(Invalid, match="no trust event ever added"):
        trio.run(begin, used, signed(used, change(lost, other), used.place().trust_admin_key()))
    assert log_of(used) == before


def test_the_new_key_in_the_old_ones_place_counts_for_nothing_without_the_administrators_word(used: Made) -> None:
    lose(used)
    keyfile.write_new(key_file(used), KeyPurpose.EXECUTION)
    before = log_of(used)
    with pytest.raises(Invalid, match="no trust event ever added"):
        trio.run(use, used)
    assert log_of(used) == before


# --- What waits to be the next key, and is not


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_waiting_key_that_was_added_by_itself_does_not_pass_for_the_old_ones_replacement(
    used: Made, *, is_lost: bool
) -> None:
    place = used.place()
    old, waits = place.execution_key().key_id, place.next_key(KeyPurpose.EXECUTION)
    added = helm("trust", "add", "execution", "--public-key", waits.public_key, *WHY, *used.option)
    assert added.code == 0, added.err
    if is_lost:
        lose(used)
    kept, before = keys_in(used), log_of(used)
    refused = replaced(used, old) if is_lost else helm("trust", "rotate", "execution", *WHY, *used.option)
    assert (refused.code, "take execution.next away" in refused.err) == (1, True), refused.err
    assert (keys_in(used), log_of(used)) == (kept, before)
    assert registry_of(used.place()).keys[old].is_active
    key_file(used, "execution.next").unlink()  # as it says
    assert (replaced(used, old) if is_lost else helm("trust", "rotate", "execution", *WHY, *used.option)).code == 0
    assert not registry_of(used.place()).keys[old].is_active
    assert trio.run(use, used) == used.place().execution_key().key_id != waits.key_id


def test_after_a_crash_the_key_that_waits_may_be_named_as_the_one_that_is_missing(used: Made) -> None:
    lost = lose(used)
    told = replaced(used, lost, "--json").json()
    key_file(used).rename(key_file(used, "execution.next"))
    assert replaced(used, told["key_id"]).code == 0
    assert trio.run(use, used) == told["key_id"]


def test_a_key_for_something_else_that_was_made_to_look_like_the_next_one_is_not_put_in_place(used: Made) -> None:
    here, other = used.place().execution_key().key_id, key_file(used, "evidence").read_bytes()
    path = key_file(used, "execution.next")
    path.write_bytes(other.replace(b"Purpose: evidence", b"Purpose: execution"))
    path.chmod(0o600)
    before = log_of(used)
    refused = helm("trust", "rotate", "execution", *WHY, *used.option)
    assert (refused.code, "is for evidence, not for execution" in refused.err) == (1, True), refused.err
    assert (used.place().execution_key().key_id, log_of(used)) == (here, before)


def test_a_waiting_key_that_was_revoked_is_not_put_in_place(used: Made) -> None:
    here, waits = used.place().execution_key().key_id, used.place().next_key(KeyPurpose.EXECUTION)
    assert helm("trust", "add", "execution", "--public-key", waits.public_key, *WHY, *used.option).code == 0
    assert helm("trust", "revoke", waits.key_id, *WHY, *used.option).code == 0
    refused = helm("trust", "rotate", "execution", *WHY, *used.option)
    assert refused.code == 1
    assert used.place().execution_key().key_id == here


def test_a_key_that_waits_in_anothers_place_does_not_pass_for_the_lost_ones_replacement(
    used: Made, tmp_path: Path
) -> None:
    words = ("trust", "add", "execution", "--new-key", str(tmp_path / "second.pem"), "--json")
    second = helm(*words, *WHY, *used.option).json()["key_id"]
    assert replaced(used, lose(used)).code == 0
    key_file(used).rename(key_file(used, "execution.next"))
    refused = replaced(used, second)
    assert (refused.code, "not in the other's place" in refused.err) == (1, True), refused.err
    assert registry_of(used.place()).keys[second].is_active
    assert "execution.pem" not in keys_in(used)


def rows_before(made: Made, target: Path, kinds: str) -> None:
    """Make the directory once more, with the log up to what says `kinds`, as a kill right behind it leaves it."""
    shutil.copytree(made.path, target, ignore=shutil.ignore_patterns("journal*", "index*", "surfaces*"))
    with glance(made.place().journal_at) as journal:
        rows = [row for _, row in journal.page(1, journal.head())]
    [last] = [number for number, row in enumerate(rows) if kinds.encode() in row]

    async def write() -> None:
        journal = await open_journal(Installation.open(target), free_space_reserve=0)
        await journal.append(rows[: last + 1])
        await journal.aclose()

    trio.run(write)


def test_a_kill_right_behind_the_administrators_word_leaves_a_log_that_goes_on(used: Made, tmp_path: Path) -> None:
    lost = lose(used)
    told = replaced(used, lost, "--json").json()
    killed = attrs.evolve(used, path=tmp_path / "killed")
    rows_before(used, killed.path, '"KEY_ROTATED"')
    key_file(killed).rename(key_file(killed, "execution.next"))
    assert lamport_of(killed) == told["lamport"]
    with pytest.raises(Invalid, match="cannot be opened"):
        trio.run(use, killed)
    again = replaced(killed, lost, "--json")
    assert (again.code, again.json()["lamport"], lamport_of(killed)) == (0, told["lamport"], told["lamport"])
    assert trio.run(use, killed) == told["key_id"]
    assert helm("receipts", "verify", *killed.option).code == 0
    assert helm("doctor", "--deep", *killed.option).code == 0


def lamport_of(made: Made) -> int:
    """Return where the log of a directory ends."""
    with glance(made.place().journal_at) as journal:
        [(_, row)] = journal.page(journal.head(), journal.head())
    return int(json.loads(row)["node"]["lamport"])
