"""Export: reads sessions out of the log, and makes their pack, verified as a stranger would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from importlib.resources import files
from pathlib import Path

import trio

from actors import durable
from actors.library import PAGE, Library
from actors.stores.glance import Glance
from helm.crypto.canonical import reread
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.pack import PackMaterial, build, log_of
from helm.evidence.proven import Helpers
from helm.evidence.report import Subject
from helm.evidence.scope import RANGE
from helm.evidence.selection import Entry, Selection
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
        async for entry in entries(library, head):
            selection.look(entry)
    async for entry in entries(library, head):
        selection.take(entry)
    missing = selection.missing()
    if missing:
        async for entry in entries(library, head):
            selection.locate(entry, missing)


async def entries(library: Library, head: int) -> AsyncIterator[Entry]:
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
    raw, about = make_pack(material, pen, helpers)
    durable.replace(path, raw)
    return about


def make_pack(material: PackMaterial, pen: Pen, helpers: Helpers | None = None) -> tuple[bytes, Subject]:
    """Return a pack, verified as a stranger would, and what it is about. Raises Invalid. Blocks."""
    raw = build(material, pen)
    return raw, subject(check_pack(raw, TrustRoot(log_id=log_of(material)), helpers))


def replay_script() -> bytes:
    """Return the replay script of this program."""
    return (files("helm") / "evidence" / SCRIPT).read_bytes()
