"""Where the parts of a pack are put until it is written: in memory, or in a file of the caller's.

A log is longer than memory. What is held of each part is where it lies, how long it is, and its hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

import attrs

from helm.crypto.hashing import Hasher, sha256

PIECE: Final = 1024 * 1024
"""How much of a part is held at once while it is copied (T4)."""


class Spool(Protocol):
    """Somewhere to put bytes behind one another."""

    def put(self, content: bytes) -> int:
        """Put bytes behind those that are there; return where they begin."""

    def get(self, at: int, size: int) -> bytes:
        """Return so many bytes from there on."""


class Part(NamedTuple):
    """A part that lies in a spool."""

    spool: Spool
    at: int
    size: int
    hash: str

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes, a piece at a time."""
        for begin in range(0, self.size, PIECE):
            yield self.spool.get(self.at + begin, min(PIECE, self.size - begin))


@attrs.define
class InMemory:
    """A spool for what is small, or is in memory anyway."""

    _held: bytearray = attrs.field(factory=bytearray, init=False, repr=False)

    def put(self, content: bytes) -> int:
        """Put bytes behind those that are there; return where they begin."""
        at = len(self._held)
        self._held += content
        return at

    def get(self, at: int, size: int) -> bytes:
        """Return so many bytes from there on."""
        return bytes(self._held[at : at + size])


@attrs.define
class Growing:
    """One part that grows, in a spool where nothing else is put."""

    spool: Spool
    size: int = attrs.field(default=0, init=False)
    _hasher: Hasher = attrs.field(factory=Hasher, init=False, repr=False)

    def add(self, content: bytes) -> None:
        """Put the next bytes of the part."""
        self.spool.put(content)
        self._hasher.add(content)
        self.size += len(content)

    def part(self) -> Part:
        """Return the whole part."""
        return Part(self.spool, 0, self.size, self._hasher.written())


def put(spool: Spool, content: bytes) -> Part:
    """Put a part that is whole."""
    return Part(spool, spool.put(content), len(content), sha256(content))
