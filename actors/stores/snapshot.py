"""What a surface came to at one row of the journal, as the databases keep it beside the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import attrs


@attrs.frozen
class Snapshot:
    """One row of boundary_surface_snapshots: `state` is canonical JSON, `state_hash` its hash."""

    surface: str
    upto_seq: int
    format: int
    state: str
    state_hash: str


@runtime_checkable
class Keeper(Protocol):
    """A book that keeps snapshots beside its rows. Errors are those of the disk."""

    def snapshots(self) -> list[Snapshot]:
        """Return what was kept."""

    def keep(self, snapshots: Sequence[Snapshot]) -> None:
        """Put these in the place of all that was kept."""
