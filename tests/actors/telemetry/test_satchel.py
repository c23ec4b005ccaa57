"""A satchel: whoever carries is woken when there is something to carry, sleeps otherwise, and is told of the end."""

from __future__ import annotations

from time import monotonic

from actors.telemetry.satchel import Satchel

SOON_S = 60.0
LATER_S = 3600.0


def test_the_end_wakes_whoever_waits_for_more() -> None:
    satchel, told = Satchel[int]("satchel", 8, 8, SOON_S), list[bool]()
    with satchel.carried(lambda: told.append(satchel.wait(LATER_S))):
        pass
    assert told == [True]


def test_whoever_was_woken_once_sleeps_again() -> None:
    """A thread that is woken for ever by one batch takes a core for as long as the program runs (T4)."""
    satchel = Satchel[int]("satchel", 8, 2, SOON_S)
    assert (satchel.put(1), satchel.put(2)) == (True, True)
    assert satchel.wait(LATER_S) is False
    assert list(satchel.batches()) == [[1, 2]]
    before = monotonic()
    assert satchel.wait(0.2) is False
    assert monotonic() - before > 0.1


def test_what_does_not_fit_is_refused_and_what_is_carried_makes_room() -> None:
    satchel = Satchel[int]("satchel", 3, 2, SOON_S)
    assert [satchel.put(one) for one in range(5)] == [True, True, True, False, False]
    assert list(satchel.batches()) == [[0, 1], [2]]
    assert satchel.put(5)
