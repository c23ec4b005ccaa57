"""What the doors' tests share: an installation, and a street before its door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A fresh installation."""
    return House.build(tmp_path)


@pytest.fixture
async def street(house: House) -> AsyncIterator[Street]:
    """An open door before a kernel with the test policy, whose tools answer {"n": 1}."""
    async with open_street(house) as street:
        yield street
