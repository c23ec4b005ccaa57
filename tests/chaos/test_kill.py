"""SIGKILL at random moments: it may cost an answer, never the evidence.

A child process governs calls as fast as it can. Its tool writes each effect into a file of its own, and the process
says which receipts it has shown. After each kill the journal must know of all of it, and a restart must seal what is
open.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from helm.contracts.verdict import Status
from tests.actors.kit import House, Log
from tests.warm.python import python

PATIENCE = 10
"""How many times as many processes are killed at most, where a busy machine lets none of them come to a success."""

LONGEST_S = 0.4
"""How long a child lives after it began to open its kernel: the start takes a fifth of it, sometimes all."""


@attrs.define
class Victim:
    """One installation, and what its killed processes said and did."""

    house: House
    effects: Path
    shown: dict[str, str] = attrs.field(factory=dict)
    """Receipts that callers saw, each with its call's idempotency key."""
    kills: int = 0

    def kill_after(self, seconds: float) -> None:
        """Run a child, and kill it `seconds` after it began to open its kernel."""
        command = [*python(), "-m", "tests.chaos.load", str(self.house.path), str(self.effects)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"opening\n"
            time.sleep(seconds)  # the moment of the kill is what is tested
            child.kill()
            said = child.stdout.read().decode()
            assert child.wait() == -9, said
        self._note(said)

    def kill_once_shown(self, count: int) -> None:
        """Run a child, and kill it once it has shown so many receipts, however long that takes."""
        command = [*python(), "-m", "tests.chaos.load", str(self.house.path), str(self.effects)]
        said = ""
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            while said.count("shown rcpt_") < count:
                line = child.stdout.readline()
                assert line, said
                said += line
            child.kill()
            said += child.stdout.read()
            assert child.wait() == -9, said
        self._note(said)

    def _note(self, said: str) -> None:
        words = [line.split() for line in said.splitlines() if line.startswith("shown rcpt_")]
        self.shown |= {receipt_id: key for _, receipt_id, key in words}
        self.kills += 1

    def dispatched(self) -> list[tuple[str, str]]:
        """Return decision id and idempotency key of every effect that happened."""
        if not self.effects.exists():
            return []
        decisions = [line.split() for line in self.effects.read_text().splitlines()]
        return [(decision, key) for decision, key in decisions]

    async def check(self) -> Log:
        """Assert what must hold right after a kill, and what must hold after the next start; return the log."""
        effects = self.dispatched()
        decisions = {decision for decision, _ in effects}
        assert len(decisions) == len(effects)  # none was dispatched twice
        keys = [key for _, key in effects if key != "-"]
        assert len(keys) == len(set(keys))
        (await self.house.glance_real()).check(shown=self.shown.keys(), dispatched=decisions)
        async with self.house.kernel(ground=await self.house.real_ground(), policy=None):
            pass  # it has folded and verified all of it, and sealed what was open
        log = await self.house.glance_real()
        log.check_all_sealed(shown=self.shown.keys(), dispatched=decisions)
        self._check_keys(log)
        return log

    def _check_keys(self, log: Log) -> None:
        """Assert that every key has one answer for ever, once something may have been done for it."""
        answers: dict[str, set[str]] = {}
        for receipt_id, key in self.shown.items():
            if key != "-" and log.receipts[receipt_id]["status"] != Status.NOT_DISPATCHED:
                answers.setdefault(key, set()).add(receipt_id)
        assert all(len(receipt_ids) == 1 for receipt_ids in answers.values())


def moments(seed: int) -> Iterator[float]:
    """Yield random moments, the same ones each time."""
    luck = random.Random(seed)
    while True:
        yield luck.uniform(0.0, LONGEST_S)


def slay(house: House, tmp_path: Path, seed: int, kills: int) -> Log:
    """Kill one process after another on the same installation, and check after each."""
    victim, when = Victim(house, tmp_path / "effects"), moments(seed)
    log: Log | None = None
    while victim.kills < kills or (not (log and log.statuses()[Status.SUCCESS]) and victim.kills < PATIENCE * kills):
        victim.kill_after(next(when))
        log = trio.run(victim.check)
    assert log is not None
    return log


def test_a_killed_process_loses_answers_but_never_the_evidence(house: House, tmp_path: Path) -> None:
    log = slay(house, tmp_path, seed=1, kills=4)
    assert log.statuses()[Status.SUCCESS] > 0


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2, 12))
def test_fifty_killed_processes_lose_answers_but_never_the_evidence(house: House, tmp_path: Path, seed: int) -> None:
    log = slay(house, tmp_path, seed=seed, kills=5)
    assert sum(log.statuses().values()) > 0
