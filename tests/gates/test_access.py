"""Which class of keys opens each route is written a second time, by hand: no row changes its class unseen."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

from helm.surfaces.route import Access, Route
from helm.surfaces.table import TABLE

HOW = "tests/gates/access.toml says who may ask what: is the row right, or the file?"


def written() -> dict[str, Any]:
    """Return the names of rows by class, as they are written by hand."""
    said = tomllib.loads(Path(__file__).with_name("access.toml").read_text(encoding="utf-8"))
    return {name: sorted(rows) for name, rows in said.items()}


def classes(rows: list[Route]) -> dict[str, Any]:
    """Return the names of rows by class, as the table has them."""
    found = {access.value: [row.name for row in rows if row.access is access] for access in Access}
    return {name: sorted(names) for name, names in found.items()}


def test_every_row_opens_to_the_class_that_is_written_beside_this_gate() -> None:
    assert classes([*TABLE.values()]) == written(), HOW


@pytest.mark.parametrize("name", ["issue_key", "execute_tool", "list_receipts", "approve_approval", "healthz"])
def test_a_row_whose_class_was_changed_is_seen(name: str) -> None:
    for access in set(Access) - {TABLE[name].access}:
        changed = {**TABLE, name: attrs.evolve(TABLE[name], access=access)}
        assert classes([*changed.values()]) != written()
