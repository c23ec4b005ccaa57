"""Many signatures at once: a thread beside the loop takes what the loop has not come to yet.

libsodium works without the interpreter's lock, so two threads that do nothing but sign are hardly in each other's way;
one that signs while the loop computes waits for the lock longer than a signature takes. Nobody waits for the other: an
Ed25519 signature is the same whoever makes it (RFC 8032 section 5.1.6), so what the thread has begun and not finished
is signed once more.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import attrs

from helm.crypto.ed25519 import Signer as Pen

FEW = 8
"""So many messages are signed by the loop alone: to wake the thread costs as much as two signatures."""

END_S = 1.0
"""How long the end waits for the thread, which is at its last signature at most."""


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@attrs.define(eq=False)
class Batch:
    """Messages to be signed under one domain, and the signatures that are there, "" for the others."""

    domain: bytes
    signatures: list[str]
    _left: Iterator[tuple[int, bytes]]
    """What nobody has taken: the interpreter's lock lets one thread at a time take from it."""

    @classmethod
    def of(cls, domain: bytes, messages: Sequence[bytes]) -> Self:
        """Return a batch of which nothing is signed."""
        return cls(domain, [""] * len(messages), iter(enumerate(messages)))

    def sign(self, pen: Pen) -> None:
        """Sign message after message until none is left that nobody has taken."""
        for place, message in self._left:
            self.signatures[place] = pen.sign(self.domain, message)


@attrs.define(eq=False)
class SideBySide:
    """A pen in two hands: the loop's, and those of a thread that is there from the first large batch to the end."""

    pen: Pen = attrs.field(repr=False)
    few: int = attrs.field(factory=lambda: FEW if processors() > 1 else sys.maxsize)
    _thread: threading.Thread | None = attrs.field(default=None, init=False)
    _inbox: queue.SimpleQueue[Batch | None] = attrs.field(factory=queue.SimpleQueue, init=False)
    _is_free: bool = attrs.field(default=True, init=False)
    """Whether the thread is done with the last batch. Once something has ended it, it never is again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join(END_S)

    def sign(self, domain: bytes, messages: Sequence[bytes]) -> list[str]:
        """Return the signature of each message. Raises whatever the pen raises."""
        if len(messages) < self.few or not self._is_free:
            return [self.pen.sign(domain, message) for message in messages]
        batch = Batch.of(domain, messages)
        self._share(batch)
        batch.sign(self.pen)
        pairs = zip(batch.signatures, messages, strict=True)
        return [signature or self.pen.sign(domain, message) for signature, message in pairs]

    def _share(self, batch: Batch) -> None:
        self._is_free = False
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="second pen", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the system gives no more threads: the loop signs alone, as it always can
            self._thread = thread
        self._inbox.put(batch)

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            batch.sign(self.pen)
            self._is_free = True
