"""The one hash of the house: SHA-256, written `sha256:` and 64 lower-case hex digits."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256 as sha2

PREFIX = "sha256:"

ID_DIGITS = 32
"""Hex digits of a hash that stand in an id. 128 bits name a thing; only the full hash is ever trusted."""

ID = slice(len(PREFIX), len(PREFIX) + ID_DIGITS)


def digest(data: bytes) -> bytes:
    """Return the 32 raw bytes of the hash, for what is hashed again before anyone reads it."""
    return sha2(data).digest()


def digests(before: bytes, data: Iterable[bytes]) -> list[bytes]:
    """Return the raw hash of each of `data` behind the same first bytes, for trees that grow by many at a time."""
    return [sha2(before + one).digest() for one in data]


def digests_of_pairs(before: bytes, hashes: list[bytes]) -> list[bytes]:
    """Return the raw hash of each two of an even number of hashes behind the same first bytes: a level of a tree."""
    return [sha2(before + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]


def sha256(data: bytes) -> str:
    """Return the written hash of `data`."""
    return PREFIX + sha2(data).hexdigest()


def sha256_of(pieces: Iterable[bytes]) -> str:
    """Return the written hash of what comes piece by piece."""
    running = sha2()
    for piece in pieces:
        running.update(piece)
    return PREFIX + running.hexdigest()


def hash_in(domain: bytes, data: bytes) -> str:
    """Return the written hash of `data` under its context line: no hash of one kind is one of another."""
    return PREFIX + sha2(domain + data).hexdigest()


def content_id(prefix: str, digest: str) -> str:
    """Return the id, such as `dec_` and 32 hex digits, of the content whose written hash is `digest`."""
    return prefix + digest[ID]


class Hasher:
    """The hash of what comes in pieces."""

    def __init__(self) -> None:
        self._state = sha2()

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._state.update(piece)

    def written(self) -> str:
        """Return the written hash of all pieces so far."""
        return PREFIX + self._state.hexdigest()
