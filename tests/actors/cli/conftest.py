"""Data directories for commands: one that is new, and one in which calls were made."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from tests.actors.cli.shell import helm


@attrs.frozen
class Made:
    """A data directory, and the keys that were shown when it was made."""

    path: Path
    tenant_key: str
    admin_key: str
    log_id: str

    @property
    def option(self) -> tuple[str, str]:
        """The option that names it."""
        return ("--data-dir", str(self.path))

    def place(self) -> Installation:
        """Open it."""
        return Installation.open(self.path)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Return what `helm init` makes."""
    ended = helm("init", str(tmp_path / "data"), "--json")
    assert ended.code == 0
    told = json.loads(ended.out)
    return Made(Path(told["data_dir"]), told["tenant_key"], told["admin_key"], told["log_id"])


@pytest.fixture
def used(made: Made) -> Made:
    """Return a data directory with the receipts of three calls: ALLOW, DENY, ESCALATE."""
    trio.run(partial(use, made))
    return made


async def use(made: Made) -> None:
    place = Installation.open(made.path)
    async with open_kernel(place, policy=read_signed(place.policy_path), clock=SystemClock()) as kernel:
        for tool, path in (
            ("files.read", "public/readme.txt"),
            ("files.read", "private/salaries.txt"),
            ("files.read_private", "private/salaries.txt"),
        ):
            await kernel.call(tool, {"path": path}, tenant="default", principal="agent", session="s1")
