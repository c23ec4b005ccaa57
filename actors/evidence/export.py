"""Export: reads sessions out of the log, and makes their pack, verified as a stranger would."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from importlib.resources import files
from pathlib import Path
from typing import IO

import trio

from actors.evidence.pack_file import PackFile
from actors.library import PAGE, Library
from actors.process import durable
from actors.stores.glance import Glance
from helm.crypto.canonical import reread
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.gathered import Entry
from helm.evidence.pack import PackMaterial, log_of, written
from helm.evidence.proven import Helpers
from helm.evidence.report import Subject
from helm.evidence.scope import RANGE
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, subject

SCRIPT = "standalone.py.txt"


async def export_session(
    library: Library, selection: Selection, pen: Pen, path: Path, *, redact_facts: bool = False
) -> Subject:
    """Write the pack that the empty `selection` is for to `path`; return what it is about.

    `pen` holds an evidence key. Raises Invalid where nothing is known of it, and where the log does not verify.
    """
    await select(library, selection)
    material = PackMaterial(selection=selection, script=replay_script(), redact_facts=redact_facts)
    return await trio.to_thread.run_sync(write_pack, material, pen, path)


async def select(library: Library, selection: Selection) -> None:
    """Read the log as it stands now into `selection`: once, and once more where that does not say everything."""
    head = library.journal.head
    if selection.scope.kind == RANGE:
        await feed(library, head, selection.look)
    await feed(library, head, selection.take)
    missing = selection.missing()
    if missing:
        await feed(library, head, lambda entry: selection.locate(entry, missing))


async def feed(library: Library, head: int, take: Callable[[Entry], None]) -> None:
    """Hand over every entry up to number `head`, in order."""
    async with aclosing(entries(library, head)) as found:
        async for entry in found:
            take(entry)


async def entries(library: Library, head: int) -> AsyncGenerator[Entry, None]:
    """Yield every entry up to number `head`, in order, a page at a time."""
    after = 0
    while page := await library.entries(after, head):
        for seq, entry in page:
            after = seq
            yield entry


Seen = Callable[[int, int], None]
"""Told how many entries were read, and of how many."""


def unseen(done: int, total: int) -> None:
    """Tell nobody."""


def glance_over(journal: Glance, selection: Selection, seen: Seen = unseen) -> None:
    """Read the log as it stands now, likewise, with a look at the journal of a kernel that may run. Raises Invalid."""
    head = journal.head()
    if selection.scope.kind == RANGE:
        for entry in glanced(journal, head, seen):
            selection.look(entry)
    for entry in glanced(journal, head, seen):
        selection.take(entry)
    missing = selection.missing()
    if missing:
        for entry in glanced(journal, head, seen):
            selection.locate(entry, missing)


def glanced(journal: Glance, head: int, seen: Seen) -> Iterator[Entry]:
    """Yield every entry up to number `head`, in order."""
    done = 0
    while page := journal.page(done + 1, min(PAGE, head - done)):
        for seq, body in page:
            done = seq
            yield reread(body)
        seen(done, head)


def write_pack(material: PackMaterial, pen: Pen, path: Path, helpers: Helpers | None = None) -> Subject:
    """Make a pack and write it whole or not at all. Raises Invalid. Blocks."""
    with durable.replacing(path) as file:
        return write_into(file, material, pen, helpers)


def write_into(file: IO[bytes], material: PackMaterial, pen: Pen, helpers: Helpers | None = None) -> Subject:
    """Write a pack to an empty file that nobody else writes, and verify what stands there as a stranger would.

    Raises Invalid: then what is in the file is no pack. Blocks.
    """
    for piece in written(material, pen):
        file.write(piece)
    file.flush()
    root = TrustRoot(log_id=log_of(material))
    return subject(check_pack(PackFile(file), root, helpers, keep=False))


def replay_script() -> bytes:
    """Return the replay script of this program."""
    return (files("helm") / "evidence" / SCRIPT).read_bytes()
