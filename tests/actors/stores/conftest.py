"""Every promise of the journal port is kept by every store."""

from pathlib import Path

import pytest

from tests.actors.stores.journals import STORES, Store


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest) -> Store:
    """The store that is tested."""
    found: Store = request.param
    return found


@pytest.fixture
def path(tmp_path: Path, store: Store) -> Path:
    """Where the journal lies, in a directory of its own."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / store.name
