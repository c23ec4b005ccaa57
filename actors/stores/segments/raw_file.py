"""A file that is read and written in whole blocks: past the page cache where the file system lets us.

A page of the cache that is touched for the first time costs more than the write itself, and an audit journal that is
written once and hardly read would push out of memory what others use.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import attrs

from actors.stores.segments import kernel_aio
from actors.stores.segments.frame import BLOCK

PAST_THE_CACHE = getattr(os, "O_DIRECT", 0)
ALWAYS = os.O_NOFOLLOW | os.O_CLOEXEC
NOT_HERE = frozenset({errno.EINVAL, errno.ENOTSUP})
"""What file systems say that have nothing but the page cache, such as those in memory or put together of others."""

FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", 0)
"""Where there is such a thing, fsync leaves data in the drive's cache."""


class Flight(Protocol):
    """A write that has begun."""

    def landed(self) -> int | None:
        """Return how many bytes were taken, None where the write is still under way. Raises as `land` does."""

    def land(self) -> int:
        """Return how many bytes were taken, as soon as they are.

        Raises OSError, and then it is over too: BlockingIOError where something would have had to be waited for.
        """


class Disk:
    """What a journal asks of the operating system when it writes. A test's disk fails, hangs or is full."""

    may_pass_cache = bool(PAST_THE_CACHE)

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        """Write, and return how many bytes were taken."""
        return os.pwrite(descriptor, data, offset)

    def begin(self, descriptor: int, data: memoryview, offset: int) -> Flight:
        """Begin to write past the cache, and wait for nothing. Raises OSError; then nothing was begun."""
        return kernel_aio.begin(descriptor, data, offset)

    def reserve(self, descriptor: int, size: int) -> None:
        """Have the file system keep room for a file of this size, where it can. Raises OSError where it has none."""
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)

    def sync(self, descriptor: int) -> None:
        """Return when everything in the file is on the disk, not in the drive's cache."""
        if FULL_SYNC:
            fcntl.fcntl(descriptor, FULL_SYNC)
        else:
            os.fsync(descriptor)


DISK = Disk()


@attrs.define(eq=False)
class RawFile:
    """One open file. Memory that is written or read into begins at a page: an mmap does."""

    descriptor: int
    disk: Disk
    passes_cache: bool
    is_synced: bool
    """Whether what is written is on the disk when the writing ends."""
    may_begin: bool = attrs.field(init=False)
    """Whether writes can be begun that nobody waits for."""
    _flight: Flight | None = attrs.field(default=None, init=False)
    """What was begun and is not known to be over. Until then nothing else is written, nor is the file given back."""
    _length: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.may_begin = self.passes_cache and self.is_synced

    def begin(self, data: memoryview, offset: int) -> bool:
        """Begin to write whole blocks, which are durable once they have landed; tell whether that was possible.

        The memory stays as it is until then. Raises OSError where another write is under way.
        """
        self._check_at_rest()
        self._length = len(data)
        try:
            self._flight = self.disk.begin(self.descriptor, data, offset)
        except BlockingIOError:
            return False
        except OSError:  # what the system cannot do, or does not let us do, `write` does
            self.may_begin = False
            return False
        return True

    def has_landed(self) -> bool:
        """Tell whether what was begun is durable. Raises as `land` does."""
        return self._note(lambda flight: flight.landed())

    def land(self) -> None:
        """Wait until what was begun is durable.

        Raises OSError, and what was written is unknown; but BlockingIOError says that it has to be written by `write`.
        """
        self._note(lambda flight: flight.land())

    def _note(self, look: Callable[[Flight], int | None]) -> bool:
        if self._flight is None:
            raise OSError(errno.EINVAL, "nothing is under way")
        try:
            taken = look(self._flight)
        except OSError as error:
            self._flight = None
            if error.errno in NOT_HERE:  # said late, by a file system that lets nobody begin and go away
                self.may_begin = False
                raise BlockingIOError(errno.EAGAIN, error.strerror) from error
            raise
        if taken is None:
            return False
        self._flight = None
        check_whole(taken, self._length)
        return True

    def _check_at_rest(self) -> None:
        if self._flight is not None:
            raise OSError(errno.EBUSY, "another write is under way")

    def write(self, data: memoryview, offset: int) -> None:
        """Write whole blocks. Raises OSError; then anything may have been written, nothing where one is under way."""
        self._check_at_rest()
        check_whole(self.disk.write(self.descriptor, data, offset), len(data))
        if self.is_synced and not self.passes_cache:  # else the file was opened so that each write is synced
            self.disk.sync(self.descriptor)

    def read_into(self, memory: memoryview, offset: int) -> int:
        """Read whole blocks from `offset` on, return how many bytes there were. Raises OSError."""
        return os.preadv(self.descriptor, [memory], offset)

    def size(self) -> int:
        """Return how long the file is."""
        return os.fstat(self.descriptor).st_size

    def sync(self) -> None:
        """Return when what is in the file now, whoever wrote it, is on the disk. Raises OSError."""
        self.disk.sync(self.descriptor)

    def close(self) -> None:
        """Give the descriptor back, once nothing is under way: who comes next may write there."""
        if self._flight is not None:
            with suppress(OSError):
                self._flight.land()
        os.close(self.descriptor)


def check_whole(taken: int, length: int) -> None:
    """Raise OSError unless everything was written."""
    if taken != length:
        raise OSError(errno.EIO, f"{taken} of {length} bytes were written")


def open_raw(path: Path, disk: Disk, *, to_write: bool, synced: bool = True) -> RawFile:
    """Open a file that is there; each write is durable when it ends, unless that is not asked for. Raises OSError."""
    flags = ALWAYS | (os.O_RDWR if to_write else os.O_RDONLY)
    if disk.may_pass_cache:
        descriptor = _open_past_cache(path, flags | (os.O_DSYNC if to_write and synced else 0))
        if descriptor is not None:
            return RawFile(descriptor, disk, passes_cache=True, is_synced=synced)
    return RawFile(os.open(path, flags), disk, passes_cache=False, is_synced=synced)


def _open_past_cache(path: Path, flags: int) -> int | None:
    """Return the descriptor, None where the file system wants the cache, or longer blocks. Raises OSError."""
    try:
        descriptor = os.open(path, flags | PAST_THE_CACHE)
    except OSError as error:
        if error.errno in NOT_HERE:
            return None
        raise
    try:
        with mmap.mmap(-1, BLOCK) as block:
            os.preadv(descriptor, [block], 0)
    except OSError as error:
        os.close(descriptor)
        if error.errno in NOT_HERE:
            return None
        raise
    return descriptor
