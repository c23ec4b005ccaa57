"""A real disk under a journal that fails, hangs or runs full when a test says so."""

import errno
import os
import threading
from collections.abc import Callable
from itertools import count

import apsw
import attrs

from actors.stores.postgres.book import Line
from actors.stores.postgres.link import DatabaseLost, Link
from actors.stores.segments.raw_file import Disk

_names = count()


class Mood:
    """What a test tells its disk to do, and what the disk tells the test."""

    def __init__(self) -> None:
        self.sync_fails = False
        self.is_full = False
        self.syncs = 0
        self.asked_to_sync = threading.Event()
        """Set when a file waits for `let_go`."""
        self._free = threading.Event()
        self._free.set()

    def hang(self) -> None:
        self.asked_to_sync.clear()
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def wait_to_sync(self) -> None:
        self.syncs += 1
        if not self._free.is_set():
            self.asked_to_sync.set()
            self._free.wait()


class SqliteDisk(apsw.VFS, Mood):
    """Everything is done by the operating system's own file access, once the test lets it."""

    def __init__(self) -> None:
        Mood.__init__(self)
        self.name = f"disk-{next(_names)}"
        apsw.VFS.__init__(self, self.name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self, name, flags)

    def before_sync(self) -> None:
        self.wait_to_sync()
        if self.sync_fails:
            raise apsw.IOError("the disk is told to fail")


class _File(apsw.VFSFile):
    def __init__(self, disk: SqliteDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.before_sync()
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._disk.is_full:
            raise apsw.FullError("the disk is told to be full")
        super().xWrite(data, offset)


@attrs.define(eq=False, init=False)
class ServerLine(Line, Mood):
    """The way of batches to a PostgreSQL server."""

    def __init__(self) -> None:
        Mood.__init__(self)

    def commit(self, link: Link, work: Callable[[], None]) -> None:
        self.wait_to_sync()
        if self.is_full:
            raise DatabaseLost("the server is told to be full")
        work()
        if self.sync_fails:
            raise DatabaseLost("the server is told to go away before it answers")


class Landing:
    """A write that has begun: it is over at once, or hangs in a thread of its own until the test lets the disk go."""

    def __init__(self, write: Callable[[], int], *, at_once: bool) -> None:
        self._write, self._is_over = write, threading.Event()
        self._taken = 0
        self._error: OSError | None = None
        if at_once:
            self._run()
        else:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._taken = self._write()
        except OSError as error:
            self._error = error
        self._is_over.set()

    def landed(self) -> int | None:
        return self.land() if self._is_over.is_set() else None

    def land(self) -> int:
        self._is_over.wait()
        if self._error is not None:
            raise self._error
        return self._taken


class SegmentDisk(Disk, Mood):
    """The disk of a journal of segments. `passing` the page cache or not, as file systems do."""

    def __init__(self, *, passing: bool = True) -> None:
        Mood.__init__(self)
        self.may_pass_cache = passing and Disk.may_pass_cache
        self.taken: int | None = None
        """How many bytes of a write are taken, instead of all."""
        self.begun = 0
        """How many writes were begun by somebody who does not wait for them."""
        self.would_block = False
        """Whether such a write would have to wait for something, when it is under way already."""

    def reserve(self, descriptor: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "the disk is told to be full")
        super().reserve(descriptor, size)

    def begin(self, descriptor: int, data: memoryview, offset: int) -> Landing:
        self.begun += 1

        def write() -> int:
            if self.would_block:
                raise BlockingIOError(errno.EAGAIN, "the disk is told to have others before it")
            return self.write(descriptor, data, offset)

        return Landing(write, at_once=self._free.is_set())

    def write(self, descriptor: int, data: memoryview, offset: int) -> int:
        self.wait_to_sync()
        if self.is_full and offset + len(data) > os.fstat(descriptor).st_size:
            raise OSError(errno.ENOSPC, "the disk is told to be full")
        part = data if self.taken is None else data[: self.taken]
        count = super().write(descriptor, part, offset)
        if self.sync_fails:
            raise OSError(errno.EIO, "the disk is told to fail")
        return count
