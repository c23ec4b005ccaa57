"""Which store keeps a journal: what lies in the data directory says so, and the settings must agree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from helm.contracts.errors import Invalid

POSTGRESQL: Final = "postgresql"
NAMES: Final = {"segments": "journal", "sqlite": "journal.sqlite", POSTGRESQL: "journal.postgresql"}
"""Each store's name, and what its journal is called in the data directory: of PostgreSQL's, a note lies there."""


def journal_path(directory: Path, store: str) -> Path:
    """Return where the journal lies that `store` keeps. Raises Invalid where another store's lies there."""
    found = [name for name in NAMES if os.path.lexists(directory / NAMES[name])]
    if len(found) > 1:
        names = " and ".join(sorted(NAMES[name] for name in found))
        what = f"{len(found)} journals, {names}: nobody can say which one counts"
        raise Invalid(what, str(directory), "take out what is not this installation's")
    if found in ([], [store]):
        return directory / NAMES[store]
    [other] = found
    hint = f"{how_to_name(other)}: a journal stays in the store that it was begun in"
    raise Invalid(f"the journal here is kept by {other}, not by {store}", str(directory / NAMES[other]), hint)


def how_to_name(store: str) -> str:
    """Say which setting names a store."""
    if store == POSTGRESQL:
        return "set DATABASE_URL to the database that keeps it"
    return f'set journal = "{store}" in helm.toml, and no DATABASE_URL'
