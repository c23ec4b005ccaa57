"""A clock and randomness that are the same in every run: what a guest gets that needs some, and none real (T4)."""

from __future__ import annotations

import attrs

from helm.crypto.hashing import sha256

STEP_NS = 1_000_000


@attrs.define
class FixedClock:
    """A clock that begins at 0 and goes on by a millisecond whenever it is read, so that nobody waits in vain."""

    now_ns: int = 0

    def __call__(self, _: int) -> int:
        self.now_ns += STEP_NS
        return self.now_ns


@attrs.define
class FixedBytes:
    """Bytes that follow from the arguments, and look like chance to whoever needs nothing secret."""

    seed: str
    drawn: int = 0

    def __call__(self, size: int) -> bytes:
        drawn = b""
        while len(drawn) < size:
            self.drawn += 1
            drawn += bytes.fromhex(sha256(f"{self.seed} {self.drawn}".encode()).removeprefix("sha256:"))
        return drawn[:size]
