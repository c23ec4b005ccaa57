"""helm backup, helm restore: what comes back is what was there, all of it proved, or nothing comes back."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.backups.making import back_up
from actors.commands.checkpoints import TakeCheckpoint
from actors.installation import Installation
from actors.keys import keyfile
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from actors.stores.glance import glance
from helm.crypto.domains import KeyPurpose
from helm.database import Database
from helm.evidence.backup import read_manifest, write_manifest
from helm.proofgraph.checkpoint import Cause
from tests.actors.cli.conftest import Made, use
from tests.actors.cli.shell import Ended, helm
from tests.actors.stores.tampering import tampered
from tests.counterparts import postgres
from tests.counterparts.postgres import database_of


def rows_of(at: Path | Database) -> list[tuple[int, bytes]]:
    with glance(at) as journal:
        return journal.page(1, journal.head())


async def checkpointed(made: Made) -> None:
    """Make three more calls, and take a checkpoint."""
    place = Installation.open(made.path)
    async with open_kernel(place, policy=read_signed(place.policy_path), clock=SystemClock()) as kernel:
        for _ in range(3):
            await kernel.call("files.read", {"path": "public/readme.txt"}, tenant="default", principal="agent")
        await kernel.command(TakeCheckpoint(Cause.DEMAND))


@pytest.fixture
def backup(used: Made, tmp_path: Path) -> Path:
    """A backup of a log with a checkpoint in it."""
    trio.run(checkpointed, used)
    return taken(used, tmp_path / "backup")


def taken(made: Made, target: Path, *words: str) -> Path:
    ended = helm("backup", str(target), *made.option, *words)
    assert ended.code == 0, ended.err
    return target


def restored(backup: Path, target: Path, *words: str, **environment: str) -> Ended:
    return helm("restore", str(backup), "--data-dir", str(target), *words, **environment)


def witness_of(made: Made, target: Path, *words: str) -> Path:
    """Keep a checkpoint elsewhere."""
    target.write_text(helm("checkpoint", "show", "latest", *made.option, *words).out)
    return target


def test_what_is_restored_is_what_was_there_and_goes_on(used: Made, backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    ended = restored(backup, target, "--keys", str(used.path / "keys"), "--log-id", used.log_id)
    assert ended.code == 0, ended.err
    assert "approvals that were used count as unused" in ended.err
    assert rows_of(target / "journal") == rows_of(used.path / "journal")
    shutil.copytree(used.path / "files", target / "files")  # the tools' own
    again = attrs.evolve(used, path=target)
    with pytest.raises(Exception, match="helm restore --accept"):
        trio.run(use, again)
    assert helm("restore", "--accept", *again.option).code == 0
    trio.run(use, again)
    verified = helm("receipts", "verify", "--json", *again.option)
    assert (
        verified.json()["kernel_epoch"] == helm("receipts", "verify", "--json", *used.option).json()["kernel_epoch"] + 1
    )
    assert helm("restore", "--accept", *again.option).code == 1


@pytest.mark.parametrize("store", ["sqlite", "segments"])
def test_a_backup_is_restored_to_another_store(used: Made, tmp_path: Path, store: str) -> None:
    backup = taken(used, tmp_path / "backup", "--with-keys")
    target = tmp_path / "new"
    assert restored(backup, target, HELM_JOURNAL=store).code == 0
    name = "journal.sqlite" if store == "sqlite" else "journal"
    assert rows_of(target / name) == rows_of(used.path / "journal")


@pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)
def test_a_backup_is_restored_to_a_database_and_back(used: Made, tmp_path: Path) -> None:
    database = database_of(tmp_path)
    one = taken(used, tmp_path / "one", "--with-keys")
    ended = restored(one, tmp_path / "new", DATABASE_URL=database.url)
    assert ended.code == 0, ended.err
    assert rows_of(database) == rows_of(used.path / "journal")
    ended = helm("backup", str(tmp_path / "two"), "--data-dir", str(tmp_path / "new"), DATABASE_URL=database.url)
    assert ended.code == 0, ended.err
    assert restored(tmp_path / "two", tmp_path / "newer").code == 0
    assert rows_of(tmp_path / "newer" / "journal") == rows_of(database)
    refused = restored(one, tmp_path / "third", DATABASE_URL=database.url)
    assert refused.code == 1
    assert "a journal is in this database already" in refused.err
    assert not (tmp_path / "third").exists()


async def back_up_meanwhile(made: Made, target: Path) -> None:
    """Take a backup while calls are made."""
    place = Installation.open(made.path)
    signed = read_signed(place.policy_path)
    async with open_kernel(place, policy=signed, clock=SystemClock()) as kernel, trio.open_nursery() as nursery:
        call = partial(kernel.call, "files.read", {"path": "public/readme.txt"}, tenant="default", principal="agent")
        for _ in range(20):
            nursery.start_soon(call)
        await trio.to_thread.run_sync(partial(back_up, place, target, clock=SystemClock(), with_keys=True))


def test_a_backup_beside_a_running_kernel_is_whole(used: Made, tmp_path: Path) -> None:
    trio.run(back_up_meanwhile, used, tmp_path / "backup")
    assert restored(tmp_path / "backup", tmp_path / "new").code == 0


def test_private_keys_are_not_in_a_backup_that_nobody_asked_for_them(used: Made, backup: Path, tmp_path: Path) -> None:
    text = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
    assert b"PRIVATE KEY" not in text
    assert {path.stat().st_mode & 0o077 for path in backup.rglob("*")} == {0}
    asked = taken(used, tmp_path / "with", "--with-keys")
    assert (asked / "data" / "keys" / "execution.pem").read_bytes() == (
        used.path / "keys" / "execution.pem"
    ).read_bytes()


def test_a_setting_that_leads_out_of_the_data_directory_writes_nothing_beside_the_backup(
    used: Made, tmp_path: Path
) -> None:
    config, target = used.path / "helm.toml", tmp_path / "deep" / "backup"
    outside = used.path.parent.parent / "elsewhere.toml"
    outside.write_text("# prices")
    target.parent.mkdir()
    config.write_text('proxy_prices = "../../elsewhere.toml"\n' + config.read_text())
    taken(used, target)
    assert {path.name for path in target.parent.iterdir()} == {"backup"}
    assert not list(target.rglob("elsewhere.toml"))


def test_a_file_that_no_backup_can_hold_is_named_and_nothing_is_left(used: Made, tmp_path: Path) -> None:
    (used.path / "overlays").mkdir(exist_ok=True)
    (used.path / "overlays" / "our own.toml").write_text("")
    ended = helm("backup", str(tmp_path / "backup"), *used.option)
    assert ended.code == 1
    assert "our own.toml" in ended.err
    assert not (tmp_path / "backup").exists()


def test_no_backup_is_written_over(used: Made, backup: Path) -> None:
    before = (backup / "manifest.json").read_bytes()
    assert helm("backup", str(backup), *used.option).code == 1
    assert (backup / "manifest.json").read_bytes() == before


def test_a_damaged_journal_is_not_backed_up_and_leaves_nothing(used: Made, tmp_path: Path) -> None:
    with tampered(used.path / "journal") as rows:
        rows[9] = rows[9].replace(b"agent", b"bgent")
    ended = helm("backup", str(tmp_path / "backup"), *used.option)
    assert ended.code == 1
    assert "journal entry" in ended.err
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(backup: Path, rows: int) -> None:
    """Take the last rows away."""
    path = backup / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-rows]))


def tear(backup: Path) -> None:
    path = backup / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-40])


def cut_and_relist(backup: Path) -> None:
    """Take the last row away, and write sizes and hashes anew: all but the signature."""
    cut(backup, 1)
    relist(backup)


def relist(backup: Path) -> None:
    from hashlib import sha256

    said, signature = read_manifest((backup / "manifest.json").read_bytes())
    files = []
    for file in said.files:
        content = (backup / file.path).read_bytes()
        files.append(attrs.evolve(file, hash=f"sha256:{sha256(content).hexdigest()}", size=len(content)))
    lines = len((backup / "journal.jsonl").read_bytes().splitlines())
    body = attrs.evolve(said, files=tuple(files), entries=lines)

    class Parrot:
        key_id = said.key_id

        def sign(self, domain: bytes, message: bytes) -> str:
            return signature

    (backup / "manifest.json").write_bytes(write_manifest(body, Parrot()))  # type: ignore[arg-type]


def edit_policy_and_relist(backup: Path) -> None:
    path = backup / "data" / "policy.toml"
    path.write_text(path.read_text() + "\n# more\n")
    relist(backup)


def bring_a_stranger(backup: Path) -> None:
    (backup / "data" / "more.toml").write_text("x = 1")


def bring_a_link(backup: Path) -> None:
    path = backup / "data" / "policy.toml"
    path.rename(backup.with_name("moved"))
    path.symlink_to(backup.with_name("moved"))


def lead_out(backup: Path) -> None:
    path = backup / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"data/bearer.json", b"data/../../x.js"))


ATTACKS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flipped bit in a row": (lambda backup: flip(backup / "journal.jsonl"), "does not hash"),
    "a flipped bit in the policy": (lambda backup: flip(backup / "data" / "policy.toml"), "does not hash"),
    "a flipped bit in the manifest": (lambda backup: flip(backup / "manifest.json"), "manifest"),
    "no manifest": (lambda backup: (backup / "manifest.json").unlink(), "cannot be read"),
    "no rows": (lambda backup: (backup / "journal.jsonl").unlink(), "is missing"),
    "a torn end": (tear, "size"),
    "last rows gone": (partial(cut, rows=2), "size"),
    "last rows gone, and the manifest with them": (cut_and_relist, "not"),
    "an edited policy, and the manifest with it": (edit_policy_and_relist, "signature"),
    "a file that is not listed": (bring_a_stranger, "not in the manifest"),
    "a file that is a link": (bring_a_link, "cannot be read"),
    "a path that leads out": (lead_out, "no file of a backup"),
}


@pytest.mark.parametrize(("attack", "said"), ATTACKS.values(), ids=ATTACKS)
def test_a_backup_that_was_changed_restores_nothing(
    backup: Path, tmp_path: Path, attack: Callable[[Path], None], said: str
) -> None:
    attack(backup)
    ended = restored(backup, tmp_path / "new")
    assert ended.code == 1
    assert said in ended.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("words", [(), ("--json",), ("--note",)], ids=["", "document", "note"])
def test_a_backup_that_is_older_than_what_was_witnessed_is_refused(
    used: Made, backup: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    words = words or ("--json",)
    then = witness_of(used, tmp_path / "then", *words)
    assert restored(backup, tmp_path / "new", "--check", "--witness", str(then)).code == 0
    trio.run(checkpointed, used)
    now = witness_of(used, tmp_path / "now", *words)
    ended = restored(backup, tmp_path / "new", "--witness", str(then), "--witness", str(now))
    assert ended.code == 1
    assert "were witnessed" in ended.err and "it is older" in ended.err
    assert not (tmp_path / "new").exists()
    assert restored(taken(used, tmp_path / "newer"), tmp_path / "new", "--witness", str(now)).code == 0


def test_a_witness_that_was_edited_or_is_of_another_log_proves_nothing(
    used: Made, backup: Path, tmp_path: Path
) -> None:
    kept = witness_of(used, tmp_path / "kept", "--json")
    said = json.loads(kept.read_text())
    said["checkpoint"]["receipts_size"] -= 1
    kept.write_text(json.dumps(said))
    assert restored(backup, tmp_path / "new", "--witness", str(kept)).code == 1
    helm("init", str(tmp_path / "other"))
    other = Made(tmp_path / "other", "", "", "")
    trio.run(checkpointed, other)
    for words in (("--json",), ("--note",)):
        alien = witness_of(other, tmp_path / "alien", *words)
        ended = restored(backup, tmp_path / "new", "--witness", str(alien))
        assert (ended.code, "no key of this log" in ended.err or "log's key" in ended.err) == (1, True), ended.err


def test_a_log_that_forked_since_the_witness_is_refused(used: Made, backup: Path, tmp_path: Path) -> None:
    target = tmp_path / "new"
    assert restored(backup, target, "--keys", str(used.path / "keys")).code == 0
    shutil.copytree(used.path / "files", target / "files")
    fork = attrs.evolve(used, path=target)
    helm("restore", "--accept", *fork.option)
    trio.run(checkpointed, used)
    trio.run(checkpointed, fork)
    witness = witness_of(used, tmp_path / "witness", "--json")
    ended = restored(taken(fork, tmp_path / "forked"), tmp_path / "newer", "--witness", str(witness))
    assert ended.code == 1
    assert "another history" in ended.err


def test_a_backup_of_another_log_than_the_pinned_one_is_refused(backup: Path, tmp_path: Path) -> None:
    ended = restored(backup, tmp_path / "new", "--log-id", f"sha256:{'0' * 64}")
    assert ended.code == 1
    assert "is it a backup of this log?" in ended.err


def test_nothing_is_restored_over_an_installation(used: Made, backup: Path) -> None:
    before = rows_of(used.path / "journal")
    ended = restored(backup, used.path)
    assert ended.code == 1
    assert "not empty" in ended.err
    assert rows_of(used.path / "journal") == before


def test_keys_of_another_installation_are_refused_and_nothing_stays(backup: Path, tmp_path: Path) -> None:
    helm("init", str(tmp_path / "other"))
    (tmp_path / "new").mkdir(mode=0o700)
    ended = restored(backup, tmp_path / "new", "--keys", str(tmp_path / "other" / "keys"))
    assert ended.code == 1
    assert "no trust event ever added this key" in ended.err
    assert list((tmp_path / "new").iterdir()) == []


def test_a_folder_without_keys_restores_nothing(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("keys are in the safe")
    ended = restored(backup, tmp_path / "new", "--keys", str(tmp_path / "empty"))
    assert (ended.code, "no key file is there" in ended.err) == (1, True)
    assert not (tmp_path / "new").exists()


def trust(made: Made, *words: str) -> None:
    ended = helm("trust", *words, "--reason", "a drill", *made.option)
    assert ended.code == 0, ended.err


def test_keys_that_do_not_count_any_more_keep_nobody_from_those_that_do(used: Made, tmp_path: Path) -> None:
    keys, target, again = used.path / "keys", tmp_path / "new", attrs.evolve(used, path=tmp_path / "new")
    trust(used, "add", "approval", "--new-key", str(keys / "alice.pem"))
    trust(used, "add", "approval", "--new-key", str(keys / "bob.pem"))
    trust(used, "revoke", keyfile.read(keys / "bob.pem", KeyPurpose.APPROVAL).key_id)
    trust(used, "revoke", used.place().approval_key().key_id)
    shutil.copy(keys / "policy.pem", keys / "policy-old.pem")
    trust(used, "rotate", "policy")
    assert helm("policy", "sign", str(used.place().policy_path), *used.option).code == 0
    keyfile.write_new(keys / "evidence.next.pem", KeyPurpose.EVIDENCE)
    (keys / "notes.pem").write_text("not a key")
    (keys / "link.pem").symlink_to(keys / "alice.pem")
    (keys / "notes.txt").write_text("where the copies are")
    backup = taken(used, tmp_path / "backup")

    ended = restored(backup, target, "--keys", str(keys), "--json")
    assert ended.code == 0, ended.err
    aside = ended.json()["keys_left_aside"]
    assert {name: why.partition(" at lamport")[0] for name, why in aside.items()} == {
        "approval.pem": "the key was revoked",
        "bob.pem": "the key was revoked",
        "evidence.next.pem": "no trust event ever added this key",
        "link.pem": "it is a link, and none is followed",
        "notes.pem": "its first line does not say what the key is for",
        "policy-old.pem": "the key was rotated",
    }
    assert ended.json()["keys_missing"] == ["approval"]
    for name in aside:
        assert f"left aside: {name}: " in ended.err
    assert {path.name for path in (target / "keys").iterdir()} == {
        "alice.pem",
        "delegation.pem",
        "emergency.pem",
        "evidence.pem",
        "execution.pem",
        "policy.pem",
        "trust-admin.pem",
    }
    assert (keys / "approval.pem").exists()  # the folder is the user's
    assert helm("restore", "--accept", *again.option).code == 0
    shutil.copytree(used.path / "files", target / "files")
    trio.run(use, again)


def test_a_backup_with_keys_leaves_those_aside_that_do_not_count(used: Made, tmp_path: Path) -> None:
    trust(used, "revoke", used.place().approval_key().key_id)
    backup = taken(used, tmp_path / "backup", "--with-keys")
    ended = restored(backup, tmp_path / "new")
    assert ended.code == 0, ended.err
    assert "left aside: approval.pem: the key was revoked" in ended.err
    assert "keys left aside  approval.pem" in ended.out
    assert not (tmp_path / "new" / "keys" / "approval.pem").exists()
    twice = restored(backup, tmp_path / "third", "--keys", str(used.path / "keys"))
    assert (twice.code, "holds its keys itself" in twice.err) == (1, True)


def test_a_backup_that_holds_a_few_of_the_keys_is_restored_with_those(used: Made, tmp_path: Path) -> None:
    trust(used, "revoke", used.place().approval_key().key_id)
    keys = used.path / "keys"
    keys.rename(tmp_path / "kept")
    keys.mkdir(mode=0o700)
    shutil.copy(tmp_path / "kept" / "approval.pem", keys)
    shutil.copy(tmp_path / "kept" / "evidence.pem", keys)  # it signs the backup
    backup = taken(used, tmp_path / "backup", "--with-keys")
    ended = restored(backup, tmp_path / "new", "--json")
    assert ended.code == 0, ended.err
    assert set(ended.json()["keys_left_aside"]) == {"approval.pem"}
    assert [path.name for path in (tmp_path / "new" / "keys").iterdir()] == ["evidence.pem"]
    assert "no key for trust-admin, execution, policy, emergency, approval, delegation came along" in ended.err


def test_a_restore_without_keys_says_where_to_put_them(backup: Path, tmp_path: Path) -> None:
    ended = restored(backup, tmp_path / "new")
    assert ended.code == 0, ended.err
    assert "the backup holds no keys: copy yours" in ended.err
    assert "came along" not in ended.err


def test_a_reference_counts_by_the_key_that_it_names_without_its_token(
    used: Made, backup: Path, tmp_path: Path
) -> None:
    keys = tmp_path / "references"
    keys.mkdir()
    execution = used.place().execution_key().public_key
    stranger = keyfile.write_new(tmp_path / "stranger.pem", KeyPurpose.POLICY).public_key
    for name, public in (("execution", execution), ("policy", stranger), ("evidence", "00"), ("approval", execution)):
        lines = f"HELM-Key-Purpose: {name}\nHELM-Token-Object: 00\nHELM-Public-Key: {public}\n"
        (keys / f"{name}.token").write_text(lines)
    ended = restored(backup, tmp_path / "new", "--keys", str(keys), "--json")
    assert ended.code == 0, ended.err
    assert set(ended.json()["keys_left_aside"]) == {"approval.token", "evidence.token", "policy.token"}
    assert [path.name for path in (tmp_path / "new" / "keys").iterdir()] == ["execution.token"]


def test_a_key_under_the_name_of_another_purpose_is_left_aside(used: Made, backup: Path, tmp_path: Path) -> None:
    keys = used.path / "keys"
    shutil.copy(keys / "approval.pem", keys / "execution.pem")
    ended = restored(backup, tmp_path / "new", "--keys", str(keys))
    assert ended.code == 0, ended.err
    assert "left aside: execution.pem: the key is not marked as one for execution" in ended.err
    assert "helm trust rotate execution --lost" in ended.err


def test_keys_that_are_younger_than_the_backup_are_left_aside_and_the_log_goes_on_without(
    used: Made, backup: Path, tmp_path: Path
) -> None:
    lost, again = used.place().execution_key().key_id, attrs.evolve(used, path=tmp_path / "new")
    trust(used, "rotate", "execution")  # after the backup: the disk that had its key is gone, and so is the old key
    ended = restored(backup, again.path, "--keys", str(used.path / "keys"), "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["keys_left_aside"] == {"execution.pem": "no trust event ever added this key"}
    assert ended.json()["keys_missing"] == ["execution"]
    early = helm("trust", "rotate", "execution", "--lost", lost, "--reason", "a drill", *again.option)
    assert (early.code, "helm restore --accept" in early.err) == (1, True)
    assert helm("restore", "--accept", *again.option).code == 0
    trust(again, "rotate", "execution", "--lost", lost)
    shutil.copytree(used.path / "files", again.path / "files")
    trio.run(use, again)


def test_a_check_restores_nothing(backup: Path, tmp_path: Path) -> None:
    ended = restored(backup, tmp_path / "new", "--check", "--json")
    assert (ended.code, ended.json()["verified"], ended.json()["restored_to"]) == (0, True, "")
    assert not (tmp_path / "new").exists()


def test_a_restore_without_a_backup_is_a_usage_error(tmp_path: Path) -> None:
    assert helm("restore", "--data-dir", str(tmp_path / "new")).code == 2


def test_what_is_longer_than_any_key_is_not_copied(used: Made, backup: Path, tmp_path: Path) -> None:
    big = used.path / "keys" / "big.pem"
    with big.open("wb") as file:
        file.truncate(1 << 24)  # as it might be 1 << 40: a copy of that would fill the disk
    ended = restored(backup, tmp_path / "new", "--keys", str(used.path / "keys"), "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["keys_left_aside"] == {"big.pem": "it is longer than any key"}


def test_a_key_files_name_does_not_paint_the_terminal(used: Made, backup: Path, tmp_path: Path) -> None:
    (used.path / "keys" / "\x1b[2Jverified\n.pem").write_text("no key")
    ended = restored(backup, tmp_path / "new", "--keys", str(used.path / "keys"))
    assert (ended.code, "\\x1b[2Jverified\\n.pem" in ended.out) == (0, True)
    assert "\x1b[2J" not in ended.out + ended.err


def test_a_reference_is_no_key_where_no_token_is_set(used: Made, backup: Path, tmp_path: Path) -> None:
    keys = tmp_path / "references"
    keys.mkdir()
    public = used.place().execution_key().public_key
    lines = f"HELM-Key-Purpose: execution\nHELM-Token-Object: 00\nHELM-Public-Key: {public}\n"
    (keys / "execution.token").write_text(lines)
    ended = restored(backup, tmp_path / "files", "--keys", str(keys), "--json")
    assert (ended.json()["keys_left_aside"], "execution" in ended.json()["keys_missing"]) == ({}, True)
    assert "no kernel starts without the execution key" in ended.err
    token = {"HELM_PKCS11_MODULE": str(tmp_path / "none.so"), "HELM_PKCS11_TOKEN": "helm", "HELM_PKCS11_PIN": "1234"}
    shutil.copy(used.path / "keys" / "policy.pem", keys)
    ended = restored(backup, tmp_path / "token", "--keys", str(keys), "--json", **token)
    assert ("execution" in ended.json()["keys_missing"], "policy" in ended.json()["keys_missing"]) == (False, True)


def test_a_name_in_no_encoding_ends_no_restore(used: Made, backup: Path, tmp_path: Path) -> None:
    (used.path / "keys" / os.fsdecode(b"\xff.pem")).write_text("no key")
    for words in ((), ("--json",)):
        ended = restored(backup, tmp_path / f"new{len(words)}", "--keys", str(used.path / "keys"), *words)
        assert (ended.code, "udcff.pem" in ended.out) == (0, True), ended.err
