"""A cell's thread has its guests one after the other, goes when nobody needs it, and is there again for the next."""

from __future__ import annotations

import threading
import time

import pytest

from actors.connectors import guest_thread
from actors.connectors.guest_thread import GuestThread

PATIENCE_S = 60


class Work:
    """Something to do that notes where it was done."""

    def __init__(self) -> None:
        self.where = 0
        self.is_done = threading.Event()

    def __call__(self) -> None:
        self.where = threading.get_ident()
        self.is_done.set()

    def done_by(self, thread: GuestThread) -> int:
        """Return which thread did it."""
        thread.begin(self)
        assert self.is_done.wait(PATIENCE_S)
        return self.where


def wait_until_gone(thread: GuestThread) -> None:
    until = time.monotonic() + PATIENCE_S
    while thread._is_there:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_one_thread_has_one_guest_after_the_other() -> None:
    thread = GuestThread()
    assert len({Work().done_by(thread) for _ in range(20)}) == 1
    assert threading.get_ident() != Work().done_by(thread)


def test_a_thread_that_nobody_needs_goes_and_another_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_thread, "IDLE_S", 0.001)
    thread, before = GuestThread(), threading.active_count()
    Work().done_by(thread)
    wait_until_gone(thread)
    until = time.monotonic() + PATIENCE_S
    while threading.active_count() > before:
        assert time.monotonic() < until
        time.sleep(0.001)
    Work().done_by(thread)


def test_a_guest_that_comes_as_the_thread_goes_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guest_thread, "IDLE_S", 0.0001)
    thread = GuestThread()
    for number in range(1_000):
        Work().done_by(thread)
        time.sleep(0.00005 * (number % 5))


def test_a_guest_that_comes_at_the_last_moment_is_had_by_the_thread_that_was_going() -> None:
    thread, work = GuestThread(), Work()
    thread._is_there = True
    thread.begin(work)
    assert not thread._goes()
    assert thread._is_there
    assert thread._goes()
    assert not thread._is_there


def test_what_was_done_is_not_kept() -> None:
    thread, work = GuestThread(), Work()
    work.done_by(thread)
    Work().done_by(thread)
    assert thread._work is None
