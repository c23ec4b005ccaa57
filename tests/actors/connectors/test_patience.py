"""The loop stands still for short guests, for a moment, and never for one after the other without going round."""

from __future__ import annotations

import threading
from typing import cast

import pytest
import trio

from actors.connectors.patience import PATIENCE_S, Patience


class Unfinished:
    """A guest that outlasts the loop's patience, whatever that is: it notes how long it was waited for, and when."""

    def __init__(self, rounds: Rounds) -> None:
        self.rounds = rounds
        self.timeouts_s: list[float] = []
        self.when: list[int] = []

    def acquire(self, timeout: float) -> bool:
        self.timeouts_s.append(timeout)
        self.when.append(self.rounds.count)
        return threading.Event().wait(timeout)

    @property
    def lock(self) -> threading.Lock:
        return cast("threading.Lock", self)


class Rounds(trio.abc.Instrument):
    """Counts how often the loop has looked at what else there is."""

    count = 0

    def before_io_wait(self, _: float) -> None:
        self.count += 1


@pytest.fixture
async def rounds() -> Rounds:
    one = Rounds()
    trio.lowlevel.add_instrument(one)
    return one


async def test_a_guest_that_is_over_is_not_waited_for(rounds: Rounds) -> None:
    over, before = threading.Lock(), rounds.count
    assert await Patience().wait(over)
    assert over.locked()
    assert rounds.count == before


async def test_one_guest_holds_the_loop_for_its_moment_only(rounds: Rounds) -> None:
    spins = Unfinished(rounds)
    assert not await Patience().wait(spins.lock)
    assert spins.timeouts_s == [PATIENCE_S]
    assert PATIENCE_S < 0.003


async def test_between_one_guest_and_the_next_the_loop_goes_round(rounds: Rounds) -> None:
    spins, one = Unfinished(rounds), Patience()
    for _ in range(5):
        assert not await one.wait(spins.lock)
    assert len(set(spins.when)) == 5


async def test_of_a_crowd_one_guest_is_waited_for_in_each_round(rounds: Rounds) -> None:
    spins, one = Unfinished(rounds), Patience()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(one.wait, spins.lock)
    assert len(spins.when) == len(set(spins.when))


async def test_after_a_long_guest_none_is_waited_for_until_one_was_short(rounds: Rounds) -> None:
    one, over = Patience(), threading.Lock()
    one.learn(PATIENCE_S * 2)
    assert not await one.wait(over)
    assert not over.locked()
    one.learn(PATIENCE_S / 2)
    assert await one.wait(over)
