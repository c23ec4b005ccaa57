"""Which store keeps a journal: what lies in the data directory says so, and the settings must agree."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from helm.contracts.errors import Invalid

NAMES: Final = {"segments": "journal", "sqlite": "journal.sqlite"}
"""Each store's name in the settings, and what its journal is called in the data directory."""


def journal_path(directory: Path, store: str) -> Path:
    """Return where the journal lies that `store` keeps. Raises Invalid where another store's lies there."""
    others = [name for name in NAMES if name != store and os.path.lexists(directory / NAMES[name])]
    path = directory / NAMES[store]
    if not others:
        return path
    if os.path.lexists(path):
        what = f"two journals, {' and '.join(sorted(NAMES.values()))}: nobody can say which one counts"
        raise Invalid(what, str(directory), "take out the one that is not this installation's")
    [other] = others
    hint = f'set journal = "{other}" in helm.toml: a journal stays in the store that it was begun in'
    raise Invalid(f"the journal here is kept by {other}, not by {store}", str(directory / NAMES[other]), hint)
