"""Which class of keys opens each route is written a second time, by hand: no row changes its class unseen."""

from __future__ import annotations

import tomllib
from pathlib import Path

from helm.surfaces.route import Access
from helm.surfaces.table import TABLE

HOW = "tests/gates/access.toml says who may ask what: is the row right, or the file?"


def test_every_row_opens_to_the_class_that_is_written_beside_this_gate() -> None:
    written = tomllib.loads(Path(__file__).with_name("access.toml").read_text(encoding="utf-8"))
    found = {access.value: sorted(name for name, row in TABLE.items() if row.access is access) for access in Access}
    assert {name: sorted(rows) for name, rows in written.items()} == found, HOW
