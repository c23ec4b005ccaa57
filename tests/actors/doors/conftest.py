"""What the doors' tests share: an installation, and a street before its door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copytree

import pytest

from actors.installation import Installation
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House


@pytest.fixture(scope="session")
def first_house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """One installation, of which every test gets a copy: keys and genesis take the disk's time once."""
    return House.build(tmp_path_factory.mktemp("house"))


@pytest.fixture
def house(first_house: House, tmp_path: Path) -> House:
    """A fresh installation."""
    path = tmp_path / "data"
    copytree(first_house.path, path)
    return House(path, Installation.open(path), type(first_house.clock)(), type(first_house.disk)())


@pytest.fixture
async def street(house: House) -> AsyncIterator[Street]:
    """An open door before a kernel with the test policy, whose tools answer {"n": 1}."""
    async with open_street(house) as street:
        yield street
