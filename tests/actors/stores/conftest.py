"""Every promise of the journal port is kept by every store."""

from pathlib import Path

import pytest

from tests.actors.stores.journals import FILES, STORES, Store
from tests.counterparts import postgres


@pytest.fixture(params=STORES.values(), ids=list(STORES))
def store(request: pytest.FixtureRequest) -> Store:
    """The store that is tested."""
    found: Store = request.param
    if found.in_database and not postgres.is_here():
        pytest.skip(postgres.HOW)
    return found


@pytest.fixture(params=FILES.values(), ids=list(FILES))
def file_store(request: pytest.FixtureRequest) -> Store:
    """A store whose journal is files, for promises about files."""
    found: Store = request.param
    return found


@pytest.fixture(autouse=True)
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have rows alone go the loop's way, however slow the machine is; of pauses `test_writer.py` tells."""
    monkeypatch.setattr("actors.stores.writer.SOUND_S", 60.0)


@pytest.fixture
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the journal lies, in a directory of its own."""
    name = "store" if "store" in request.fixturenames else "file_store"
    store: Store = request.getfixturevalue(name)
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / store.name
