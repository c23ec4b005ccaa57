"""The one table of the HTTP surface: a route that is not in it is not mounted, and none in it is left out.

A new route is a row in `rows/`, a handler under the row's name in `actors/doors/app.py`, and a line in docs/http.md.
Then `python -m conformance.schemas` writes the document and the client anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from helm.surfaces.route import Route
from helm.surfaces.rows.authority import ASKING, DELEGATING, KEYS, LAYERS, RELATIONS, STOPPING
from helm.surfaces.rows.bearers import BEARERS
from helm.surfaces.rows.calls import CALLS, STATE
from helm.surfaces.rows.conformance import OF_CONFORMANCE
from helm.surfaces.rows.documents import DOCUMENTS
from helm.surfaces.rows.envelopes import WRAPPED
from helm.surfaces.rows.operating import OF_AUDIT, OF_CONNECTORS, OF_IDENTITY, OF_MCP, OF_SANDBOX, OF_SESSIONS
from helm.surfaces.rows.packs import PACKS
from helm.surfaces.rows.receipts import SEALED
from helm.surfaces.rows.telemetry import BESIDE


def table(*groups: tuple[Route, ...]) -> Mapping[str, Route]:
    """Return the rows by name. Raises ValueError for a name, or a method of a path, that stands twice."""
    rows = [row for group in groups for row in group]
    if len({row.name for row in rows}) < len(rows) or len({(row.method, row.path) for row in rows}) < len(rows):
        raise ValueError("two rows of one name, or of one method and path")
    return MappingProxyType({row.name: row for row in rows})


TABLE: Final = table(
    STATE,
    CALLS,
    SEALED,
    PACKS,
    WRAPPED,
    ASKING,
    DELEGATING,
    LAYERS,
    RELATIONS,
    KEYS,
    STOPPING,
    OF_SESSIONS,
    OF_IDENTITY,
    OF_SANDBOX,
    OF_MCP,
    OF_CONNECTORS,
    OF_AUDIT,
    OF_CONFORMANCE,
    BESIDE,
    DOCUMENTS,
    BEARERS,
)
