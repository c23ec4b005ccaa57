"""Lines that are too many for one file: cut into shards in one way, and read back a shard at a time.

A shard ends with its last line of SHARD_LINES, or with the line with which it reaches SHARD_BYTES. So the same lines
make the same files, whoever writes them holds one shard, and so does whoever reads them (T4).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.evidence.layout import shard_path
from helm.evidence.spool import InMemory, Part, put

SHARD_LINES: Final = 1024
"""Most lines of a shard: a power of two, as a tree over them is cut."""

SHARD_BYTES: Final = 16 * 1024 * 1024
"""A shard that has come to so many bytes is not begun another line in: facts may be long (T4)."""

MAX_SHARD_BYTES: Final = 2 * SHARD_BYTES
"""Longest shard: no line is longer than SHARD_BYTES (T4)."""

CHANGED: Final = "the pack was changed, or made from a log that was"


@attrs.define
class Cutting:
    """Lines on their way into shards. `write` puts the content of one shard away."""

    folder: str
    write: Callable[[bytes], Part]
    files: dict[str, Part] = attrs.field(factory=dict, init=False, repr=False)
    _lines: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False)

    def add(self, line: bytes) -> None:
        """Put the next line. Raises Invalid for one that no shard can hold."""
        if len(line) >= SHARD_BYTES:
            raise Invalid(f"a line of {len(line)} bytes, more than {SHARD_BYTES}", self.folder, "it fits into no pack")
        self._lines.append(line)
        self._size += len(line) + 1
        if is_full(len(self._lines), self._size):
            self._close()

    def done(self) -> dict[str, Part]:
        """Return every shard by its path."""
        if self._lines:
            self._close()
        return self.files

    def _close(self) -> None:
        content = b"\n".join([*self._lines, b""])
        self.files[shard_path(self.folder, len(self.files))] = self.write(content)
        self._lines, self._size = [], 0


def is_full(lines: int, size: int) -> bool:
    """Tell whether a shard ends here."""
    return lines >= SHARD_LINES or size >= SHARD_BYTES


@attrs.define
class Lines:
    """The lines of a folder of shards, one after the other; of each shard, what is read is read once."""

    members: Mapping[str, bytes] = attrs.field(repr=False)
    folder: str
    path: str = attrs.field(default="", init=False)
    """The shard of the last line."""
    opened: Callable[[str, list[bytes]], None] = attrs.field(default=lambda path, lines: None, repr=False)
    """Told of each shard and of its lines, before the first of them is taken."""
    shards: int = attrs.field(default=0, init=False)
    """How many were begun."""
    at: int = attrs.field(default=0, init=False)
    """The number of the last line in its shard, from 1 on."""
    _lines: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _is_full: bool = attrs.field(default=True, init=False)

    def take(self) -> bytes:
        """Return the next line. Raises Invalid where there is none, or where a shard is not cut as it must be."""
        if self.at == len(self._lines):
            self._open()
        line = self._lines[self.at]
        self.at += 1
        return line

    @property
    def where(self) -> str:
        """The place of the last line."""
        return f"{self.path} line {self.at}"

    @property
    def has_more(self) -> bool:
        """Whether there is another line."""
        return self.at < len(self._lines) or shard_path(self.folder, self.shards) in self.members

    def check_end(self) -> None:
        """Raise Invalid where there is another line."""
        if self.has_more:
            self.take()
            raise Invalid("nothing in the pack gives a reason for this line", self.where, CHANGED)

    def rest(self) -> Iterator[bytes]:
        """Yield every line that was not taken yet."""
        while self.has_more:
            if self.at == len(self._lines):
                self._open()
            for line in self._lines[self.at :]:
                self.at += 1
                yield line

    def _open(self) -> None:
        path = shard_path(self.folder, self.shards)
        if path not in self.members:
            raise Invalid("a line is missing behind the last one of this folder", path, CHANGED)
        if not self._is_full:
            raise Invalid("stands behind a shard that is not full", path, CHANGED)
        self._lines, self._is_full = cut(self.members[path], path)
        self.path, self.at = path, 0
        self.shards += 1
        self.opened(path, self._lines)


def cut(raw: bytes, path: str) -> tuple[list[bytes], bool]:
    """Return the lines of a shard, and whether it is full. Raises Invalid unless it ends where a shard must."""
    if len(raw) > MAX_SHARD_BYTES or not raw.endswith(b"\n"):
        raise Invalid("is too long for a shard, or its last line is cut off", path, CHANGED)
    lines = raw.split(b"\n", SHARD_LINES)  # and no more: a shard may be nothing but the ends of lines (T4)
    if lines.pop() or len(raw) - len(lines[-1]) - 1 >= SHARD_BYTES:
        raise Invalid("goes on where a shard must end", path, CHANGED)
    return lines, is_full(len(lines), len(raw))


def lines_of(members: Mapping[str, bytes], folder: str) -> Iterator[bytes]:
    """Yield every line of a folder of shards. Raises Invalid."""
    return Lines(members, folder).rest()


def shards_of(folder: str, lines: Iterable[bytes]) -> dict[str, bytes]:
    """Return lines as the shards of a folder, by path."""
    spool = InMemory()
    cutting = Cutting(folder, lambda content: put(spool, content))
    for line in lines:
        cutting.add(line)
    return {path: b"".join(part.pieces()) for path, part in cutting.done().items()}


def paths_of(members: Mapping[str, bytes], folder: str) -> list[str]:
    """Return the paths of the shards of a folder, as far as they follow each other."""
    found: list[str] = []
    while (path := shard_path(folder, len(found))) in members:
        found.append(path)
    return found
