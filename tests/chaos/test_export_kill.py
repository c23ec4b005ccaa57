"""SIGKILL while a pack is written: a whole pack or nothing stands under its name, and the next export is the same.

The first test kills from outside, at moments spread over the whole run. The second lets the process kill itself at each
thing that it does to the file system, from the first byte of the pack on, so that none of these moments is missed.
"""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import attrs
import pytest
import trio

from tests.actors.cli.shell import helm
from tests.actors.kit import House
from tests.warm.python import python

CALLS = 150
KILLS = 30
TRIES = 400
"""How often at most a process is started to be killed: on a busy machine many end before."""

KILLED = -9


async def fill(house: House) -> None:
    """Leave a journal of some calls on the real disk."""
    async with house.kernel(ground=await house.real_ground()) as kernel:
        for number in range(CALLS):
            await kernel.call(("read", "nope", "asking")[number % 3], {"n": number}, session=f"s{number % 5}")


@attrs.define
class Exporter:
    """One installation whose export is killed again and again, and the bytes that it has to become."""

    house: House
    folder: Path
    whole: bytes = b""
    spent_s: float = 0.0

    @property
    def pack(self) -> Path:
        return self.folder / "it.tar"

    def words(self, *more: str) -> list[str]:
        """Return what is typed behind `helm`."""
        asked = ["evidence", "export", "--whole", "-o", str(self.pack), "--data-dir", str(self.house.path)]
        return [*asked, *more]

    def start(self, *program: str) -> subprocess.Popen[bytes]:
        """Start an export, and return once it has begun to read."""
        line = [*python(), *program, *self.words()]
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert process.stderr.readline().startswith(b"reading ")
        return process

    def learn(self) -> None:
        """Export once without being killed: the bytes, and how long it takes."""
        with self.start("-m", "actors.cli.main") as process:
            began = time.monotonic()
            assert process.wait() == 0
            self.spent_s = time.monotonic() - began
        self.whole = self.pack.read_bytes()
        self.pack.unlink()

    def check(self) -> None:
        """Assert what must hold after a kill, and that the next export is what it would have been."""
        if self.pack.exists():
            assert self.pack.read_bytes() == self.whole
        ended = helm(*self.words("--force"))
        assert ended.code == 0, ended.err
        assert self.pack.read_bytes() == self.whole
        self.pack.unlink()
        assert {path.name[:8] for path in self.folder.iterdir()} <= {".it.tar."}  # of killed ones, in nobody's way


@pytest.fixture
def exporter(house: House, tmp_path: Path) -> Exporter:
    """Return an installation with calls in it, exported once."""
    trio.run(fill, house)
    (tmp_path / "packs").mkdir()
    exporter = Exporter(house, tmp_path / "packs")
    exporter.learn()
    exporter.check()
    return exporter


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_export_that_is_killed_leaves_a_whole_pack_or_none(exporter: Exporter) -> None:
    kills, luck = 0, random.Random(1)
    for number in range(TRIES):
        with exporter.start("-m", "actors.cli.main") as process:
            assert process.stderr is not None
            longest = exporter.spent_s * (1 - number / TRIES)  # a machine that grew faster still has its kills
            time.sleep(luck.uniform(0.0, longest))  # the moment of the kill is what is tested
            process.kill()
            process.stderr.read()  # until it is gone, and not only whoever stands for it
            kills += process.wait() == KILLED
        exporter.check()
        if kills == KILLS:
            return
    raise AssertionError(f"only {kills} were killed while they ran")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_export_that_is_killed_at_each_of_its_steps_leaves_a_whole_pack_or_none(exporter: Exporter) -> None:
    steps = 0
    while True:
        with exporter.start("-m", "tests.chaos.dying_export", str(steps + 1)) as process:
            assert process.stderr is not None
            process.stderr.read()
            code = process.wait()
        exporter.check()
        if code == 0:
            break
        assert code == KILLED
        steps += 1
    assert steps >= 4  # the file is opened, renamed, its folder opened, its old name looked for: at the least
