"""Many signatures at once are the ones that a pen alone would make, whatever becomes of the thread beside the loop."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

import pytest

from actors.keys.side_by_side import FEW, SideBySide
from helm.crypto.domains import MANIFEST, RECEIPT, KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import SigningKey

KEY = SigningKey.from_seed(b"k" * 32, KeyPurpose.EXECUTION)
PATIENCE_S = 10


class Pen:
    """The key, and what happens in the thread before each of its signatures."""

    key_id, purpose, public_key = KEY.key_id, KEY.purpose, KEY.public_key

    def __init__(self, in_thread: Callable[[], object] = lambda: None, in_loop: Callable[[], object] = lambda: None):
        self._in_thread, self._in_loop = in_thread, in_loop
        self.loop = threading.current_thread()

    def sign(self, domain: bytes, message: bytes) -> str:
        (self._in_loop if threading.current_thread() is self.loop else self._in_thread)()
        return KEY.sign(domain, message)


def messages(count: int) -> list[bytes]:
    return [b"message %d" % number for number in range(count)]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        os.sched_yield()


def alone(count: int) -> list[str]:
    return [KEY.sign(RECEIPT, message) for message in messages(count)]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "second pen"]


@pytest.mark.parametrize("count", [0, 1, FEW - 1, FEW, 64, 500])
def test_each_message_has_its_own_signature(count: int) -> None:
    with SideBySide(KEY, few=FEW) as pens:
        for _ in range(3):
            assert pens.sign(RECEIPT, messages(count)) == alone(count)


def test_both_sign() -> None:
    begun = threading.Event()
    with SideBySide(Pen(in_thread=begun.set, in_loop=lambda: begun.wait(PATIENCE_S)), few=FEW) as pens:
        assert pens.sign(RECEIPT, messages(FEW)) == alone(FEW)
        assert begun.is_set()
        assert len(threads()) == 1


def test_the_thread_is_there_for_the_next_batch_too() -> None:
    begun = threading.Event()
    with SideBySide(Pen(in_thread=begun.set, in_loop=lambda: begun.wait(PATIENCE_S)), few=FEW) as pens:
        for _ in range(3):
            assert pens.sign(RECEIPT, messages(FEW)) == alone(FEW)
            assert begun.is_set()
            wait_until(lambda: pens._is_free)
            begun.clear()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not say who may run where")
def test_where_there_is_one_processor_the_loop_signs_alone() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert SideBySide(KEY).few == sys.maxsize
    finally:
        os.sched_setaffinity(0, allowed)
    assert SideBySide(KEY).few == (FEW if len(allowed) > 1 else sys.maxsize)


def test_nobody_waits_for_a_thread_that_does_not_come_back() -> None:
    begun, let_go = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        let_go.wait(PATIENCE_S)

    with SideBySide(Pen(in_thread=hang, in_loop=lambda: begun.wait(PATIENCE_S)), few=FEW) as pens:
        for _ in range(50):
            assert pens.sign(RECEIPT, messages(FEW)) == alone(FEW)
        assert pens._inbox.empty()  # nothing piles up before it either
        let_go.set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_leaves_all_of_it_to_the_loop() -> None:
    begun = threading.Event()

    def fail() -> None:
        begun.set()
        raise MemoryError

    with SideBySide(Pen(in_thread=fail, in_loop=lambda: begun.wait(PATIENCE_S)), few=FEW) as pens:
        for _ in range(3):
            assert pens.sign(RECEIPT, messages(FEW)) == alone(FEW)


def test_where_no_thread_can_be_had_the_loop_signs_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        asked.append(thread.name)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with SideBySide(KEY, few=FEW) as pens:
        for _ in range(3):
            assert pens.sign(RECEIPT, messages(FEW)) == alone(FEW)
    assert asked == ["second pen"]


def test_what_a_pen_refuses_is_refused_to_whoever_asks() -> None:
    with SideBySide(KEY, few=sys.maxsize) as pens, pytest.raises(PurposeMismatch):
        pens.sign(MANIFEST, messages(1))


def test_few_messages_and_a_single_processor_need_no_thread() -> None:
    with SideBySide(KEY, few=FEW) as pens, SideBySide(KEY, few=sys.maxsize) as only:
        assert pens.sign(RECEIPT, messages(FEW - 1)) == alone(FEW - 1)
        assert only.sign(RECEIPT, messages(64)) == alone(64)
        assert threads() == []


def test_the_thread_ends_with_its_signer() -> None:
    with SideBySide(KEY, few=FEW) as pens:
        pens.sign(RECEIPT, messages(FEW))
        assert len(threads()) == 1
    wait_until(lambda: threads() == [])
