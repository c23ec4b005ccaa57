"""Folders of this machine as a guest finds them: walked one name at a time from an open descriptor, no link followed.

There is no moment between a check and a use in which a link could be put in the way (openat with O_NOFOLLOW). What is
no file or folder (a pipe, a device, a socket), what lies on another file system than its folder (a mount, /proc) and
a file that has another name as well (a hard link) is not opened: such a name leads elsewhere (T4).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from helm.runtime.sandbox.port import Denied, Handle, Opening, Seen

MAX_ENTRIES = 2000
"""Longest folder that is listed (T4)."""

CLOSED = -1
"""No descriptor."""

NOT_CAPABLE = 76
INPUT_OUTPUT = 29

ERRORS = {
    errno.EACCES: 2,
    errno.EEXIST: 20,
    errno.EFBIG: 22,
    errno.EINVAL: 28,
    errno.EISDIR: 31,
    errno.ELOOP: NOT_CAPABLE,
    errno.ENAMETOOLONG: 37,
    errno.ENOENT: 44,
    errno.ENOSPC: 51,
    errno.ENOTDIR: 54,
    errno.ENOTEMPTY: 55,
    errno.EPERM: 63,
    errno.EROFS: 69,
    errno.EXDEV: NOT_CAPABLE,
}
"""What this machine says, as WASI preview 1 numbers it; a link is met as ELOOP."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: a pipe that nobody writes to must not hold the thread before it is seen to be a pipe.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

FILE_MODE, FOLDER_MODE = 0o600, 0o700


@contextmanager
def told() -> Iterator[None]:
    """Tell an error of this machine as one of WASI's, without its words: they name paths outside. Raises Denied."""
    try:
        yield
    except OSError as problem:
        raise Denied(ERRORS.get(problem.errno or 0, INPUT_OUTPUT)) from problem


def open_root(path: str) -> int:
    """Return a descriptor of a folder that no step of its path reaches through a link. Raises OSError."""
    here = os.open("/", _FOLDER)
    try:
        for name in path.strip("/").split("/"):
            below = os.open(name, _FOLDER, dir_fd=here)
            os.close(here)
            here = below
    except OSError:
        os.close(here)
        raise
    return here


@attrs.define
class HostHandle:
    """One open file or folder of this machine."""

    descriptor: int
    device: int
    """The only file system that a guest may reach through it."""
    is_folder: bool
    is_writable: bool
    shows_times: bool

    @classmethod
    def of_root(cls, path: str, *, is_writable: bool, shows_times: bool) -> HostHandle:
        """Open a folder that a grant names. Raises OSError."""
        descriptor = open_root(path)
        return cls(descriptor, os.fstat(descriptor).st_dev, True, is_writable, shows_times)

    def look(self) -> Seen:
        """Return what it is."""
        with told():
            return self._seen(os.fstat(self.descriptor))

    def read(self, at: int, size: int) -> bytes:
        """Return bytes of a file, b"" at its end."""
        with told():
            return os.pread(self.descriptor, size, at)

    def write(self, at: int, data: bytes) -> None:
        """Put bytes into a file."""
        with told():
            while data:
                written = os.pwrite(self.descriptor, data, at)
                at, data = at + written, data[written:]

    def resize(self, size: int) -> None:
        """Cut a file off, or lengthen it."""
        with told():
            os.ftruncate(self.descriptor, size)

    def entries(self) -> tuple[tuple[str, bool], ...]:
        """Return the names in a folder, sorted, and which of them are folders. What a guest cannot open is left out."""
        found: list[tuple[str, bool]] = []
        with told(), os.scandir(self.descriptor) as entries:
            for count, entry in enumerate(entries):
                if count == MAX_ENTRIES:
                    raise Denied(INPUT_OUTPUT)
                is_folder = entry.is_dir(follow_symlinks=False)
                if entry.name.isprintable() and (is_folder or entry.is_file(follow_symlinks=False)):
                    found.append((entry.name, is_folder))
        return tuple(sorted(found))

    def open(self, names: tuple[str, ...], wanted: Opening) -> HostHandle:
        """Open what lies below."""
        with told(), self._folder_of(names) as (folder, name):
            descriptor = self._open(folder, name, wanted)
        try:
            with told():
                status = os.fstat(descriptor)
                self._check(status)
                is_folder = stat.S_ISDIR(status.st_mode)
                if wanted.is_folder and not is_folder:
                    raise Denied(ERRORS[errno.ENOTDIR])
                if wanted.truncates:
                    os.ftruncate(descriptor, 0)
        except Denied:
            os.close(descriptor)
            raise
        return attrs.evolve(
            self,
            descriptor=descriptor,
            is_folder=is_folder,
            is_writable=self.is_writable and (is_folder or wanted.writes),
        )

    def look_at(self, names: tuple[str, ...]) -> Seen:
        """Return what lies below."""
        with told(), self._folder_of(names) as (folder, name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            self._check(status)
            return self._seen(status)

    def make(self, names: tuple[str, ...]) -> None:
        """Make a folder below this one."""
        with told(), self._folder_of(names) as (folder, name):
            os.mkdir(name, FOLDER_MODE, dir_fd=folder)

    def remove(self, names: tuple[str, ...], *, is_folder: bool) -> None:
        """Remove a file, or an empty folder, below this one. A link that is there is not touched."""
        with told(), self._folder_of(names) as (folder, name):
            self._check(os.stat(name, dir_fd=folder, follow_symlinks=False))
            if is_folder:
                os.rmdir(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)

    def rename(self, names: tuple[str, ...], target: Handle, new_names: tuple[str, ...]) -> None:
        """Move what lies below this folder below another one; what stands there is replaced, if it is a guest's."""
        if not isinstance(target, HostHandle):
            raise Denied(NOT_CAPABLE)
        with told(), self._folder_of(names) as (here, name), target._folder_of(new_names) as (there, new_name):
            self._check(os.stat(name, dir_fd=here, follow_symlinks=False))
            try:
                target._check(os.stat(new_name, dir_fd=there, follow_symlinks=False))
            except FileNotFoundError:
                pass
            os.rename(name, new_name, src_dir_fd=here, dst_dir_fd=there)

    def close(self) -> None:
        """Let go of it, once: by then the number may be another file's."""
        descriptor, self.descriptor = self.descriptor, CLOSED
        if descriptor != CLOSED:
            os.close(descriptor)

    @contextmanager
    def _folder_of(self, names: tuple[str, ...]) -> Iterator[tuple[int, str]]:
        """Yield the folder that holds the last name, and that name; "." for this folder itself."""
        here = os.dup(self.descriptor)
        try:
            for name in names[:-1]:
                below = os.open(name, _FOLDER, dir_fd=here)
                os.close(here)
                here = below
            yield here, names[-1] if names else "."
        finally:
            os.close(here)

    def _open(self, folder: int, name: str, wanted: Opening) -> int:
        """Open one name. Nothing is cut off yet: what it is, is seen only once it is open."""
        if wanted.creates:
            how = os.O_RDWR | os.O_CREAT | (os.O_EXCL if wanted.is_exclusive else 0)
            return os.open(name, _FILE | how, FILE_MODE, dir_fd=folder)
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        self._check(status)  # before it is opened: to open a device may already do something
        if stat.S_ISDIR(status.st_mode):
            return os.open(name, _FOLDER, dir_fd=folder)
        return os.open(name, _FILE | (os.O_RDWR if wanted.writes else os.O_RDONLY), dir_fd=folder)

    def _check(self, status: os.stat_result) -> None:
        """Raise Denied for what is no file or folder of this file system alone."""
        is_file, is_folder = stat.S_ISREG(status.st_mode), stat.S_ISDIR(status.st_mode)
        if status.st_dev != self.device or not (is_folder or (is_file and status.st_nlink == 1)):
            raise Denied(NOT_CAPABLE)

    def _seen(self, status: os.stat_result) -> Seen:
        times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns) if self.shows_times else (0, 0, 0)
        is_folder = stat.S_ISDIR(status.st_mode)
        return Seen(is_folder, 0 if is_folder else status.st_size, *times)
