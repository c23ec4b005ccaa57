"""Which idempotency keys were certainly never used: a filter that never calls one new that was (T6).

Nearly every key is new, and is spared the look-up in a thread. A key that is not certainly new is looked up: the filter
errs that way alone, some times in a thousand. It lasts as long as its kernel; the next start fills it anew from the
journal.
"""

from __future__ import annotations

from typing import Final

import attrs

FIRST_KEYS: Final = 65_536
"""What the first layer holds; each one after it holds twice as many."""

BITS_PER_KEY: Final = 16
PLACES: Final = 6
"""Bits that a key sets: with sixteen bits for each key, one new key in a thousand finds all of its own set."""


@attrs.define(eq=False)
class Layer:
    """A Bloom filter of one size."""

    keys: int
    """How many it is made for."""
    held: int = attrs.field(default=0, init=False)
    _bits: bytearray = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._bits = bytearray(self.keys * BITS_PER_KEY // 8)

    def add(self, key: int) -> None:
        """Hold a key from here on."""
        place, step, last = self._course(key)
        for _ in range(PLACES):
            self._bits[place >> 3] |= 1 << (place & 7)
            place = place + step & last
        self.held += 1

    def may_hold(self, key: int) -> bool:
        """Tell whether a key was added, or looks as if."""
        place, step, last = self._course(key)
        for _ in range(PLACES):
            if not self._bits[place >> 3] >> (place & 7) & 1:
                return False
            place = place + step & last
        return True

    def _course(self, key: int) -> tuple[int, int, int]:
        """Return a key's first place, how far it is from each to the next, and the last place there is."""
        last = self.keys * BITS_PER_KEY - 1
        return key & last, key >> 32 | 1, last


@attrs.define(eq=False)
class Claims:
    """Every claim that was made since the log began: two bytes for each."""

    _layers: list[Layer] = attrs.field(factory=lambda: [Layer(FIRST_KEYS)], init=False)

    def make(self, claim: str) -> bool:
        """Note that a claim is made, and tell whether it may have been made before."""
        key = hash(claim) & 0xFFFFFFFFFFFFFFFF
        if any(layer.may_hold(key) for layer in self._layers):
            return True
        if self._layers[-1].held >= self._layers[-1].keys:
            self._layers.append(Layer(self._layers[-1].keys * 2))
        self._layers[-1].add(key)
        return False
