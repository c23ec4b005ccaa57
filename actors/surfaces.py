"""The snapshots of surfaces that a database keeps beside its rows: believed by nobody, held to what the rows say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from actors.registry_file import RegistryFile
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

    @classmethod
    def of(cls, kept: Iterable[Snapshot]) -> Watch:
        """Return what watches for these; those of another format say nothing to this HELM."""
        due: dict[int, list[Snapshot]] = {}
        for one in kept:
            if one.format == FORMAT:
                due.setdefault(one.upto_seq, []).append(one)
        return cls(due)

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


async def watch_of(journal: Journal, registry: RegistryFile | None) -> Watch:
    """Return what watches a fold of this journal. Raises Invalid, JournalFailed."""
    kept = [] if registry is None else registry.snapshots()
    if isinstance(journal, StoredJournal):
        kept += await journal.snapshots()
    return Watch.of(kept)


def check(kept: list[Snapshot], state: Refold) -> None:
    """Raise Invalid, naming the surface, unless what was kept is what the rows come to."""
    told = surfaces_of(state)
    for one in kept:
        found = told.get(one.surface)
        if found is None or one.state.encode() != found or one.state_hash != sha256(found):
            what = f"the snapshot of {one.surface} at row {one.upto_seq} is not what the rows come to"
            raise Invalid(what, WHERE, HINT)


async def keep(journal: Journal, state: Refold, registry: RegistryFile | None) -> None:
    """Keep what a fold of all rows came to, where there is a place for it. Raises Invalid, JournalFailed."""
    if not journal.head:
        return
    made = snapshots_of(state, journal.head)
    if registry is not None:
        registry.keep(made)
    if isinstance(journal, StoredJournal):
        await journal.keep(made)


def snapshots_of(state: Refold, upto_seq: int) -> list[Snapshot]:
    """Return the snapshots of every surface."""
    return [Snapshot(name, upto_seq, FORMAT, told.decode(), sha256(told)) for name, told in surfaces_of(state).items()]
