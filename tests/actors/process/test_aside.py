"""Errands in processes of their own: what they began ends with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import trio

from actors.process import aside
from actors.process.aside import Bound

LINGERING = "tests.actors.lingering"
SOON_S = 60.0
ROOMY = Bound(wall_s=SOON_S, memory_mib=2048)


def runs(pid: int) -> bool:
    """Tell whether a process runs: one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def begun(told: Path) -> int:
    """Return the process that an errand says it began, 0 as long as it says none."""
    return int(told.read_text()) if told.exists() else 0


async def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    while not holds():  # noqa: ASYNC110 - another process rings no bell
        await trio.sleep(0.02)


async def test_whoever_hangs_up_leaves_no_server_of_an_errand_behind(tmp_path: Path) -> None:
    """A run that its asker leaves, again and again, would otherwise fill the machine with servers (T4)."""
    told = tmp_path / "told"
    with trio.fail_after(SOON_S), TemporaryFile() as nothing:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(aside.run, LINGERING, {"told": str(told)}, nothing, ROOMY)
            await until(partial(begun, told))
            child = begun(told)
            assert runs(child)
            nursery.cancel_scope.cancel()
        await until(lambda: not runs(child))
