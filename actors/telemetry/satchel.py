"""The satchel: what waits, bounded, for a thread that carries it away. Whoever puts something in never waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")


@attrs.define(eq=False)
class Satchel(Generic[T]):
    """A bounded queue before one daemon thread, which keeps no process alive."""

    name: str
    """The thread's."""
    room: int
    """What waits at most; more is refused, and for its owner to count (T4)."""
    batch: int
    """What is carried in one go; so much of it wakes the thread."""
    last_words_s: float
    """How long the end of the program waits for the last of it."""
    _waiting: deque[T] = attrs.field(factory=deque, init=False, repr=False)
    _wake: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _is_closing: bool = attrs.field(default=False, init=False)

    def put(self, one: T) -> bool:
        """Take one thing in, or return that there is no room for it."""
        waiting = len(self._waiting)
        if waiting >= self.room:
            return False
        self._waiting.append(one)
        if waiting + 1 == self.batch:
            self._wake.set()
        return True

    @contextmanager
    def carried(self, carry: Callable[[], None]) -> Iterator[None]:
        """Have `carry` run in its thread for as long as the body runs, and at most the last words longer."""
        thread = threading.Thread(target=carry, name=self.name, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_closing = True
            self._wake.set()
            thread.join(self.last_words_s)

    def wait(self, seconds: float) -> bool:
        """Wait for a batch, for the end, or as long as this; return whether what waits now is the last there is."""
        self._wake.wait(seconds)
        self._wake.clear()
        return self._is_closing

    def batches(self) -> Iterator[list[T]]:
        """Yield what waits, oldest first, until nothing does."""
        while self._waiting:
            yield [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
