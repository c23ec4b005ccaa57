"""What a surface came to at one row of the journal, as the databases keep it beside the rows."""

from __future__ import annotations

import attrs


@attrs.frozen
class Snapshot:
    """One row of boundary_surface_snapshots: `state` is canonical JSON, `state_hash` its hash."""

    surface: str
    upto_seq: int
    format: int
    state: str
    state_hash: str
