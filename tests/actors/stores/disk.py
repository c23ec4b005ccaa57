"""A real disk under SQLite that fails, hangs or runs full when a test says so."""

import threading
from itertools import count

import apsw

_names = count()


class Disk(apsw.VFS):
    """Everything is done by the operating system's own file access, once the test lets it."""

    def __init__(self) -> None:
        self.name = f"disk-{next(_names)}"
        self.sync_fails = False
        self.is_full = False
        self.syncs = 0
        self.asked_to_sync = threading.Event()
        """Set when a file waits for `let_go`."""
        self._free = threading.Event()
        self._free.set()
        super().__init__(self.name, "")

    def hang(self) -> None:
        self.asked_to_sync.clear()
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self, name, flags)

    def before_sync(self) -> None:
        self.syncs += 1
        if not self._free.is_set():
            self.asked_to_sync.set()
            self._free.wait()
        if self.sync_fails:
            raise apsw.IOError("the disk is told to fail")


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.before_sync()
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        if self._disk.is_full:
            raise apsw.FullError("the disk is told to be full")
        super().xWrite(data, offset)
