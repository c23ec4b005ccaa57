"""A backup: the rows of a journal up to one of them, verified as they are copied, and what they are opened with.

The journal only grows: its rows up to any one are a consistent copy, whichever store keeps them, whoever writes on.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Final

from actors.installation import BEARER_FILE, CONFIG_FILE, GENESIS_FILE, Installation
from actors.process import durable
from actors.process.clock import Clock
from actors.recovery import read_entry
from actors.stores.glance import Glance, glance
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.evidence.backup import DATA, MANIFEST, PATH, ROWS, BackedFile, Backup, told_of, write_manifest
from helm.evidence.refold import Refold
from helm.proofgraph.checkpoint import SealedCheckpoint

PAGE: Final = 256
"""Rows read at a time: a kernel that tidies its journal never waits for more."""

CHUNK_BYTES: Final = 1024 * 1024
PRIVATE: Final = 0o700

Seen = Callable[[int, int], None]
"""Told (rows done, rows there)."""

Row = tuple[int, bytes]


def unseen(done: int, total: int) -> None:
    """Tell nobody."""


def back_up(place: Installation, target: Path, *, clock: Clock, with_keys: bool = False, seen: Seen = unseen) -> Backup:
    """Write a backup of an installation to the new directory `target`, and return what it says. Raises Invalid.

    It is there whole and verified under its name, or not at all. A kernel may run meanwhile.
    """
    if os.path.lexists(target):
        raise Invalid("something is there already", str(target), "name another directory: no backup is written over")
    pen = place.key(KeyPurpose.EVIDENCE)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    try:
        draft.mkdir(mode=PRIVATE)
        files = list(copy_files(place, draft, with_keys=with_keys))
        file, entries, state = copy_rows(place, draft / ROWS, seen)
        backup = Backup(
            **told_of(state),
            created_at_ms=clock.now_ms(),
            entries=entries,
            files=tuple(sorted([file, *files], key=lambda one: one.path)),
            holds_keys=with_keys,
            key_id=pen.key_id,
            store=place.journal_path.name,
        )
        durable.write_new(draft / MANIFEST, write_manifest(backup, pen))
        for directory, _, _ in os.walk(draft):
            durable.sync_directory(Path(directory))
        draft.rename(target)
        durable.sync_directory(target.parent)
    except OSError as problem:
        raise Invalid(f"the backup cannot be written: {problem.strerror}", str(target), "is there room?") from problem
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return backup


def copy_rows(place: Installation, path: Path, seen: Seen) -> tuple[BackedFile, int, Refold]:
    """Write every durable row to a file, verified; return the file, how many they are, and what they come to."""
    with glance(place.journal_at) as journal, new_file(path) as out:
        head, size, digest = journal.head(), 0, hashlib.sha256()

        def written() -> Iterator[Row]:
            nonlocal size
            for seq, body in rows_of(journal, head):
                line = body + b"\n"
                out.write(line)
                digest.update(line)
                size += len(line)
                yield seq, body

        state = fold(written(), place.log_id, head, seen)
        out.flush()
        os.fsync(out.fileno())
    return BackedFile(hash=f"sha256:{digest.hexdigest()}", path=ROWS, size=size), head, state


def rows_of(journal: Glance, head: int) -> Iterator[Row]:
    """Yield the rows of a journal up to number `head`. Raises Invalid."""
    done = 0
    while page := journal.page(done + 1, min(PAGE, head - done)):
        yield from page
        done = page[-1][0]


def fold(
    rows: Iterable[Row],
    log_id: str,
    total: int,
    seen: Seen = unseen,
    note: Callable[[SealedCheckpoint], None] = lambda sealed: None,
) -> Refold:
    """Return what rows come to, each verified from the pinned genesis on; tell `note` of each checkpoint.

    Raises Invalid naming the first that does not follow.
    """
    state = Refold(log_id)
    for done, (seq, body) in enumerate(rows, start=1):
        if seq != done:
            raise Invalid(f"entry {seq} stands where {done} should", f"journal entry {seq}", "a row is missing")
        taken = state.take(read_entry(body, seq), f"journal entry {seq}")
        if taken.checkpoint is not None:
            note(taken.checkpoint)
        seen(done, total)
    return state


def copy_files(place: Installation, draft: Path, *, with_keys: bool) -> Iterator[BackedFile]:
    """Copy what the journal is opened and governed with; yield each file."""
    for path in sorted(wanted(place, with_keys=with_keys)):
        name = DATA + path.relative_to(place.path).as_posix()
        if PATH.fullmatch(name) is None:
            raise Invalid("no backup holds a file of such a name", str(path), "rename it, or take it away")
        digest, size = copy_file(path, draft, name)
        yield BackedFile(hash=digest, path=name, size=size)


def wanted(place: Installation, *, with_keys: bool) -> Iterator[Path]:
    """Yield the files that go into a backup: those that HELM knows, and no others, because secrets lie about."""
    from actors.plugging import MODULES

    named = [GENESIS_FILE, CONFIG_FILE, BEARER_FILE, place.config.proxy_prices]
    single = [place.path / name for name in named if name] + [place.policy_path, place.policy_signature_path]
    folders = [place.overlays_path, place.path / MODULES, *([place.path / "keys"] if with_keys else [])]
    inside = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    for path in (*single, *inside):
        if path.is_file() and not path.is_symlink() and is_inside(path, place.path) and not is_hidden(path):
            yield path


def is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a path leads into a folder and not out again: a setting may name a file beside it (T8)."""
    return path.is_relative_to(folder) and ".." not in path.relative_to(folder).parts


def is_hidden(path: Path) -> bool:
    """Tell whether a file is one that is being written."""
    return path.name.startswith(".")


def copy_file(source: Path, root: Path, name: str) -> tuple[str, int]:
    """Copy one file to `name` below `root`, its folders with it; return its hash and size. Raises OSError."""
    for folder in reversed(PurePosixPath(name).parents[:-1]):
        (root / folder).mkdir(mode=PRIVATE, exist_ok=True)
    size, digest = 0, hashlib.sha256()
    with source.open("rb") as content, new_file(root / name) as out:
        while chunk := content.read(CHUNK_BYTES):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    return f"sha256:{digest.hexdigest()}", size


def new_file(path: Path) -> IO[bytes]:
    """Open a file of mode 0600 that was not there. Raises OSError."""
    return os.fdopen(os.open(path, durable.FLAGS, durable.MODE), "wb")
