"""A copy of one door's receipts in a file of lines, which says what the journal says or stops the start (T9.3).

The journal is the evidence; the file is for tools that read lines. So it is compared with the journal byte for byte,
and what it lacks at its end is written again: a crash, or a hand, may take lines from its end and nothing else.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import attrs
import trio

from actors.process import durable
from actors.stores.port import Journal
from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes, reread

FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
PAGE = 256
POLL_S = 0.25
OTHERS = 0o077

HINT = "it was changed: move the file away, and a new one is written from the journal"


@attrs.define(eq=False)
class ReceiptFile:
    """The open file, and how far it has come."""

    path: Path
    door: str
    journal: Journal
    _file: io.BufferedRandom = attrs.field(repr=False)
    _after: int = 0
    lines: int = 0
    completed: int = 0
    """Lines that the file lacked when it was opened."""
    torn: bool = False
    """Whether it then ended within a line."""

    @classmethod
    async def open(cls, path: Path, door: str, journal: Journal) -> ReceiptFile:
        """Open or make the file, and bring it level with the journal. Raises Invalid where it tells another story."""
        file = await trio.to_thread.run_sync(open_private, path)
        copy = cls(path, door, journal, file)
        try:
            await copy._compare()
        except BaseException:
            file.close()
            raise
        return copy

    async def follow(self) -> NoReturn:
        """Copy receipts as they become durable, for ever.

        It takes a breath after each page that was not full: a copy must not race the journal for the disk.
        """
        while True:
            if await self._copy_page() < PAGE:
                await trio.sleep(POLL_S)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    async def _copy_page(self) -> int:
        """Copy what one page of the journal holds; return how many entries were looked at."""
        before = self._after
        lines = await self._next_page()
        if lines:
            await trio.to_thread.run_sync(append, self._file, lines)
            self.lines += len(lines)
        return self._after - before

    async def _compare(self) -> None:
        while (lines := await self._next_page()) is not None:
            known = await trio.to_thread.run_sync(self._agree, lines) if not self.completed else 0
            self.lines += known
            if known < len(lines):
                await trio.to_thread.run_sync(append, self._file, lines[known:])
                self.completed += len(lines) - known
                self.lines += len(lines) - known
        if not self.completed and self._file.read(1):
            raise Invalid("it is in the file and not in the journal", f"{self.path}:{self.lines + 1}", HINT)

    def _agree(self, lines: Sequence[bytes]) -> int:
        """Return how many of `lines` the file has next; cut off a last one that was begun. Raises Invalid."""
        for number, line in enumerate(lines):
            place = self._file.tell()
            found = self._file.readline(len(line))
            if found == line:
                continue
            if not line.startswith(found) or self._file.read(1):
                where = f"{self.path}:{self.lines + number + 1}"
                raise Invalid("the line is not the receipt that the journal has there", where, HINT)
            self.torn = bool(found)
            self._file.truncate(place)
            return number
        return len(lines)

    async def _next_page(self) -> list[bytes] | None:
        rows = await self.journal.read(self._after + 1, PAGE) if self._after < self.journal.head else []
        if not rows:
            return None
        self._after = rows[-1][0]
        return list(self._lines(rows))

    def _lines(self, rows: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
        mark = b'"door":"%b"' % self.door.encode()
        for _, row in rows:
            if mark not in row:  # most rows are another's, and need no reading
                continue
            receipt = reread(row)["beside"].get("receipt")
            if receipt is not None and receipt["door"] == self.door:
                yield record_bytes(receipt) + b"\n"


def open_private(path: Path) -> io.BufferedRandom:
    """Open a regular file of ours that nobody else can read. Raises Invalid."""
    try:
        descriptor = os.open(path, FLAGS, durable.MODE)
        status = os.fstat(descriptor)
        durable.sync_directory(path.parent)
    except OSError as error:
        raise Invalid(
            f"the file cannot be opened: {error.strerror}", str(path), "it must be a file of yours"
        ) from error
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & OTHERS:
        os.close(descriptor)
        raise Invalid("not a file that is yours alone", str(path), f"chmod 0600 {path}")
    return open(descriptor, "rb+")


def append(file: io.BufferedRandom, lines: Sequence[bytes]) -> None:
    """Make lines durable at the end of the file. Raises OSError."""
    file.seek(0, io.SEEK_END)
    file.write(b"".join(lines))
    file.flush()
    os.fsync(file.fileno())
