"""A proved backup made into an installation again, in an empty place only.

What was written is read back from its store and folded again before anybody hears that it is done. A kernel does not
start on it before an operator has accepted what no check can see: that something came after the backup.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import trio

from actors.backups.making import PRIVATE, Row, Seen, copy_file, fold, rows_of, unseen
from actors.backups.proof import CHANGED, Proved, lines_of
from actors.backups.restored_keys import OTHERS, TakenKeys, copy_keys, keep_what_counts
from actors.founding import how_to_empty
from actors.installation import (
    CONFIG_FILE,
    GENESIS_FILE,
    RESTORED_FILE,
    Installation,
    read_genesis,
    read_text,
)
from actors.opening import open_journal
from actors.process import durable
from actors.process.clock import Clock
from actors.stores.glance import glance
from actors.stores.postgres.glance import has_journal
from helm.config import NOTHING, read_config
from helm.contracts.errors import Invalid
from helm.evidence.backup import DATA, ROWS, check_log
from helm.evidence.refold import Refold

BATCH_ROWS: Final = 256
BATCH_BYTES: Final = 8 * 1024 * 1024
"""What is appended at a time: rows are as long as callers made them (T4)."""


def restore(
    proved: Proved,
    target: Path,
    *,
    clock: Clock,
    keys: Path | None = None,
    environment: Mapping[str, str] = NOTHING,
    seen: Seen = unseen,
) -> TakenKeys:
    """Make a new installation of a backup that was proved. Raises Invalid; what was begun is then taken away.

    The genesis is written last: a directory without it is half made, and is never opened. `keys` is a directory of key
    files, where the backup holds none. Return what became of the key files.
    """
    if keys is not None and proved.backup.holds_keys:
        raise Invalid("the backup holds its keys itself", str(keys), "leave --keys out")
    check_empty(target)
    made = not target.exists()
    place = prospect(proved, target, environment)
    try:
        write_files(proved, target)
        taken = take_keys(keys, place, proved.state)
        trio.run(write_rows, proved, place)
        check_same(proved, read_back(place, proved.backup.entries, seen))
        durable.replace(target / RESTORED_FILE, note_of(proved, clock))
        durable.replace(target / GENESIS_FILE, (proved.path / DATA / GENESIS_FILE).read_bytes())
    except BaseException:
        if place.config.database is None:
            clear(target, itself=made)
        raise
    return taken


def check_empty(target: Path) -> None:
    """Raise Invalid unless nothing is at `target`, or an empty directory."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise Invalid("not a directory", str(target), "name a new directory")
    if target.is_dir() and any(target.iterdir()):
        raise Invalid("the directory is not empty", str(target), how_to_empty(target))


def prospect(proved: Proved, target: Path, environment: Mapping[str, str]) -> Installation:
    """Return the installation that is to be, before it is there. Raises Invalid where its database is not empty."""
    source = proved.path / DATA
    log_id, genesis = read_genesis(source / GENESIS_FILE)
    text = read_text(source / CONFIG_FILE)
    config = read_config(text, CONFIG_FILE, environment=environment, flags={"data_dir": str(target)})
    if config.database is not None and has_journal(config.database):
        hint = "name an empty database in DATABASE_URL: a journal is restored beside the old one, never over it"
        raise Invalid("a journal is in this database already", str(config.database), hint)
    return Installation(path=target, config=config, log_id=log_id, genesis=genesis)


def write_files(proved: Proved, target: Path) -> None:
    """Copy everything but the rows and the genesis."""
    target.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    target.chmod(PRIVATE)
    (target / "keys").mkdir(mode=PRIVATE)
    for file in proved.backup.files:
        if file.path not in (ROWS, f"{DATA}{GENESIS_FILE}"):
            name = file.path.removeprefix(DATA)
            if copy_file(proved.path / file.path, target, name) != (file.hash, file.size):
                raise Invalid("was changed while it was read", file.path, CHANGED)


def take_keys(keys: Path | None, place: Installation, state: Refold) -> TakenKeys:
    """Copy the key files of another directory, and keep those that count; likewise those that the backup holds.

    Raises Invalid where the other directory has none that counts: it is another log's.
    """
    uncopied = copy_keys(keys, place.path) if keys is not None else {}
    registry, folder = state.registry or place.registry(), place.path / "keys"
    taken = keep_what_counts(folder, registry, state.graph.lamport + 1, in_token=bool(place.config.pkcs11_module))
    taken = attrs.evolve(taken, left_aside={**uncopied, **taken.left_aside})
    if keys is not None and not any(folder.iterdir()):
        why = "; ".join(f"{name}: {what}" for name, what in taken.left_aside.items())
        raise Invalid(f"none of the keys counts in this log: {why}", str(keys), OTHERS)
    return taken


async def write_rows(proved: Proved, place: Installation) -> None:
    """Begin the journal with the rows of the backup. Raises Invalid, JournalFailed."""
    journal = await open_journal(place, free_space_reserve=place.config.free_space_reserve_bytes)
    try:
        if journal.head:
            raise Invalid("a journal was begun there meanwhile", str(place.journal_at), "name an empty place")
        with (proved.path / ROWS).open("rb") as file:
            for batch in batches(lines_of(file)):
                await journal.append(batch)
    finally:
        with trio.CancelScope(shield=True):
            await journal.aclose()


def batches(rows: Iterator[Row]) -> Iterator[list[bytes]]:
    """Yield the rows, some at a time."""
    batch: list[bytes] = []
    size = 0
    for _, body in rows:
        batch.append(body)
        size += len(body)
        if len(batch) == BATCH_ROWS or size > BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def read_back(place: Installation, entries: int, seen: Seen) -> tuple[int, Refold]:
    """Return how many rows the new journal holds, and what they come to. Raises Invalid."""
    with glance(place.journal_at) as journal:
        head = journal.head()
        return head, fold(rows_of(journal, head), place.log_id, entries, seen)


def check_same(proved: Proved, found: tuple[int, Refold]) -> None:
    entries, state = found
    check_log(proved.backup, entries, state)


def note_of(proved: Proved, clock: Clock) -> bytes:
    """Return what is noted beside a restored installation."""
    backup = proved.backup
    told: dict[str, Any] = {
        "backup_created_at_ms": backup.created_at_ms,
        "checkpoint_hash": backup.checkpoint_hash,
        "entries": backup.entries,
        "kernel_epoch": backup.kernel_epoch,
        "lamport": backup.lamport,
        "log_id": backup.log_id,
        "restored_at_ms": clock.now_ms(),
    }
    return (json.dumps(told, indent=2) + "\n").encode()


def accept(place: Installation) -> dict[str, Any]:
    """Let kernels start on what was restored; return what was noted. Raises Invalid where nothing is to be accepted."""
    path = place.path / RESTORED_FILE
    if not path.exists():
        raise Invalid("nothing here waits to be accepted", str(path), "is it the right data directory?")
    told: dict[str, Any] = json.loads(read_text(path))
    durable.replace(place.path / f"restored-{told['restored_at_ms']}.json", path.read_bytes())
    path.unlink()
    durable.sync_directory(place.path)
    return told


def clear(target: Path, *, itself: bool) -> None:
    """Take away what a restore that failed has written."""
    for path in target.iterdir() if target.is_dir() else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if itself and target.is_dir():
        target.rmdir()
