"""An installation of its own for every disaster."""

from pathlib import Path

import pytest

from tests.actors.kit import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A fresh installation, with a simulated disk beside the real one."""
    return House.build(tmp_path)
