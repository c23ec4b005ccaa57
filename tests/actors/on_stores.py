"""The store that a test runs on: memory behind a simulated disk, a SQLite file, or a PostgreSQL database.

A test that is marked `every_store` runs on all three, but for one that chooses its store itself, and one that is
marked `of_files` on a database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from tests.actors.kit import House
from tests.counterparts import postgres

MEMORY: Final = "memory"

FILES: Final[list[Any]] = [MEMORY, pytest.param("sqlite", marks=[pytest.mark.slow, pytest.mark.long])]
"""Memory is the quick one: what a journal promises has tests of its own, on every store. Segments stand behind it
wherever a test asks for the real disk. SQLite waits for `just stores`; the database does not, for it is the odd one."""

DATABASES: Final[list[Any]] = [
    pytest.param(
        "postgresql", marks=[pytest.mark.slow, pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)]
    ),
]


def choose(metafunc: pytest.Metafunc) -> None:
    """Have a test run on the stores that it is marked for."""
    marked, asked = metafunc.definition.get_closest_marker, metafunc.fixturenames
    if marked("every_store") is not None and "house" in asked and "store" not in asked:
        stores = FILES if marked("of_files") is not None else FILES + DATABASES
        metafunc.parametrize("house", stores, indirect=True)


def house_on(request: pytest.FixtureRequest, path: Path) -> House:
    """Return a fresh installation, with a simulated disk beside the real one, on the store that was chosen."""
    house = House.build(path)
    store = getattr(request, "param", MEMORY)
    if store != MEMORY:
        house.keep_rows_in(store)
    return house
