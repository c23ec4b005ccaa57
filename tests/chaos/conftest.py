"""An installation of its own for every disaster, on each store for those that say so."""

from pathlib import Path

import pytest

from tests.actors.kit import House
from tests.actors.on_stores import choose, house_on


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Let a test choose its stores."""
    choose(metafunc)


@pytest.fixture
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    """A fresh installation, with a simulated disk beside the real one."""
    return house_on(request, tmp_path)
