"""An export holds a few words of each receipt, however long the log is (T4)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.actors.kit import House

FEW, MANY = 6_000, 16_000
MOST_KIB = 1.0
"""Of resident memory for each receipt of some 10 KiB, once there is a whole shard of each folder."""


async def call_often(house: House, count: int) -> None:
    """Write a log of so many calls to the disk."""
    ground = await house.real_ground()
    async with house.kernel(ground=ground) as kernel, trio.open_nursery() as nursery:
        for worker in range(10):
            nursery.start_soon(calls, kernel, f"s{worker}", count // 10)


async def calls(kernel: object, session: str, count: int) -> None:
    for number in range(count):
        await kernel.call("read", {"n": number}, session=session)  # type: ignore[attr-defined]


MEASURED = """
import atexit, pathlib, re, sys
told = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", told.read_text())[1]))
from actors.cli.main import main
sys.exit(main())
"""
"""The program, which tells at its end what it held: what the kernel tells of a child counts its parent's memory too."""


def peak_kib(place: Path, pack: Path) -> int:
    """Return the most memory that an export of the whole log held."""
    line = [sys.executable, "-c", MEASURED, "evidence", "export", "--whole", "-o", str(pack), "--data-dir", str(place)]
    ended = subprocess.run(line, capture_output=True, text=True, check=True)
    return int(ended.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_export_holds_a_few_words_of_each_receipt(tmp_path: Path) -> None:
    peaks = []
    for count in (FEW, MANY):
        house = House.build(tmp_path / str(count))
        trio.run(call_often, house, count)
        peaks.append(peak_kib(house.path, tmp_path / f"{count}.tar"))
    assert (peaks[1] - peaks[0]) / (MANY - FEW) < MOST_KIB, peaks
