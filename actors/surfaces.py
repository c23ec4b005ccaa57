"""The snapshots of surfaces that a database keeps beside its rows: believed by nobody, held to what the rows say."""

from __future__ import annotations

from typing import Final

import attrs

from actors.stores.journal import StoredJournal
from actors.stores.port import Journal
from actors.stores.snapshot import Snapshot
from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.evidence.refold import Refold
from helm.evidence.surfaces import FORMAT, surfaces_of

WHERE: Final = "boundary_surface_snapshots"
HINT: Final = (
    "the rows of the journal are the truth: restore it from a backup where they were changed; the snapshots themselves "
    "may be deleted at any time"
)


@attrs.define
class Watch:
    """Compares the fold with what was kept, when it comes to the row that this was kept at."""

    kept: dict[int, list[Snapshot]] = attrs.field(factory=dict)

    def look(self, state: Refold, seq: int) -> None:
        """Compare, where anything was kept at this row. Raises Invalid."""
        due = self.kept.pop(seq, None)
        if due is not None:
            check(due, state)

    def end(self) -> None:
        """Raise Invalid where something was kept at a row that is not there: the journal lost its end."""
        if self.kept:
            what = f"they were kept at row {max(self.kept)}, and the journal ends before it"
            raise Invalid(what, WHERE, HINT)


async def watch_of(journal: Journal) -> Watch:
    """Return what watches a fold of this journal. Raises JournalFailed."""
    kept: dict[int, list[Snapshot]] = {}
    if isinstance(journal, StoredJournal):
        for one in await journal.snapshots():
            if one.format == FORMAT:
                kept.setdefault(one.upto_seq, []).append(one)
    return Watch(kept)


def check(kept: list[Snapshot], state: Refold) -> None:
    """Raise Invalid, naming the surface, unless what was kept is what the rows come to."""
    told = surfaces_of(state)
    for one in kept:
        found = told.get(one.surface)
        if found is None or one.state.encode() != found or one.state_hash != sha256(found):
            what = f"the snapshot of {one.surface} at row {one.upto_seq} is not what the rows come to"
            raise Invalid(what, WHERE, HINT)


async def keep(journal: Journal, state: Refold) -> None:
    """Keep what a fold of all rows of a journal came to, where its store has room for that. Raises JournalFailed."""
    if isinstance(journal, StoredJournal) and journal.head:
        await journal.keep(snapshots_of(state, journal.head))


def snapshots_of(state: Refold, upto_seq: int) -> list[Snapshot]:
    """Return the snapshots of every surface."""
    return [Snapshot(name, upto_seq, FORMAT, told.decode(), sha256(told)) for name, told in surfaces_of(state).items()]
