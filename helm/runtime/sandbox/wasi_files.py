"""WASI preview 1 for a guest that was given folders: everything below them, nothing above or beside them (T4).

A path is read as text: it is relative, `.` and `..` are worked out before anything is opened, and one that climbs out
of its folder is ENOTCAPABLE. Below, no step follows a link, so that the text says where a path leads. Links are neither
made nor read. The numbers are those of the witx files of preview 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from helm.runtime.sandbox import wasi
from helm.runtime.sandbox.port import Denied, Handle, Opening, Seen
from helm.runtime.sandbox.wasi import BADF, FIRST, INVAL, NOTCAPABLE, STANDARD, SUCCESS, Opened, Room, View, number

FBIG, ISDIR, MFILE, NAMETOOLONG, NOTDIR = 22, 31, 33, 37, 54
FOLDER, FILE = 3, 4

CREATES, WANTS_FOLDER, IS_EXCLUSIVE, TRUNCATES = 1, 2, 4, 8
APPENDS = 1
KNOWN_FLAGS = 0x1F

FROM_START, FROM_HERE, FROM_END = 0, 1, 2

READS = sum(1 << bit for bit in (1, 2, 5, 13, 14, 18, 21))
"""Rights: read, seek, tell, open below, list, look."""
WRITES = sum(1 << bit for bit in (0, 4, 6, 8, 9, 10, 16, 17, 22, 25, 26))
"""Rights: write, sync, allocate, make, create, rename, resize, remove."""
ASKS_TO_WRITE = 1 << 6 | 1 << 8 | 1 << 22

MAX_PATH_BYTES = 4096
MAX_NAMES = 64
MAX_NAME_BYTES = 255
MAX_READ_BYTES = 1024 * 1024
"""The most of one read: a guest asks again (T4)."""

MAX_FILE_BYTES = 64 * 1024 * 1024
"""How far into a file a guest may write: a hole costs nobody anything until somebody copies the file (T4)."""

NEW_NAME_BYTES = 4096
"""What a new file or folder counts as, of what a guest may write (T4)."""

ENTRY_BYTES = 24


class Below(NamedTuple):
    """A place below a folder that a guest has open."""

    folder: Handle
    names: tuple[str, ...]


def names_of(path: bytes) -> tuple[str, ...]:
    """Return a relative path name by name. Raises Denied for one that leads out, or is no path."""
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise Denied(INVAL) from problem
    if "\0" in text:
        raise Denied(INVAL)
    if text.startswith("/"):
        raise Denied(NOTCAPABLE)
    names: list[str] = []
    for name in text.split("/"):
        if name == "..":
            if not names:
                raise Denied(NOTCAPABLE)
            names.pop()
        elif name not in ("", "."):
            names.append(name)
        if len(names) > MAX_NAMES or len(name.encode()) > MAX_NAME_BYTES:
            raise Denied(NAMETOOLONG)
    return tuple(names)


def below(room: Room, view: View, descriptor: int, start: int, size: int) -> Below:
    """Return the place that a guest names by a folder and a path. Raises Denied, OutOfBounds."""
    folder = opened(room, descriptor).handle
    if not folder.is_folder:
        raise Denied(NOTDIR)
    if not 0 <= size <= MAX_PATH_BYTES:
        raise Denied(NAMETOOLONG)
    return Below(folder, names_of(view.read(start, size)))


def opened(room: Room, descriptor: int) -> Opened:
    """Return what is open under a descriptor. Raises Denied."""
    if descriptor not in room.opened:
        raise Denied(BADF)
    return room.opened[descriptor]


def file_of(room: Room, descriptor: int) -> Opened:
    """Return the file under a descriptor. Raises Denied."""
    one = opened(room, descriptor)
    if one.handle.is_folder:
        raise Denied(ISDIR)
    return one


def changing(room: Room, handle: Handle, size: int) -> None:
    """Count what is about to be changed. Raises Denied where nothing may be, OutputExhausted."""
    if not handle.is_writable:
        raise Denied(NOTCAPABLE)
    room.streams.spend(size)
    room.has_written = True


def path_open(room: Room, view: View, descriptor: int, *more: int) -> int:
    """Open a file or a folder; links are never followed, whatever the guest would like."""
    _, start, size, how, rights, _, flags, told = more
    folder, names = below(room, view, descriptor, start, size)
    writes = bool(rights & ASKS_TO_WRITE or how & TRUNCATES)
    wanted = Opening(
        bool(how & CREATES), bool(how & IS_EXCLUSIVE), bool(how & WANTS_FOLDER), bool(how & TRUNCATES), writes
    )
    if flags & ~KNOWN_FLAGS or (wanted.is_folder and (wanted.creates or wanted.truncates)):
        return INVAL
    if len(room.opened) - len(room.surroundings.folders) >= room.surroundings.open_files:
        return MFILE
    view.write(told, number(0))  # before anything is opened: a place outside its memory is the guest's own fault
    if wanted.creates or wanted.truncates:
        changing(room, folder, NEW_NAME_BYTES)
    elif writes and not folder.is_writable:
        return NOTCAPABLE
    handle = folder.open(names, wanted)
    free = next(number for number in range(FIRST, FIRST + len(room.opened) + 1) if number not in room.opened)
    room.opened[free] = Opened(handle, appends=bool(flags & APPENDS))
    view.write(told, number(free))
    return SUCCESS


def fd_close(room: Room, _: View, descriptor: int) -> int:
    one = opened(room, descriptor)
    if one.guest_path:
        return NOTCAPABLE
    del room.opened[descriptor]
    one.handle.close()
    return SUCCESS


def fd_read(room: Room, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    one = file_of(room, descriptor)
    one.at += read_into(one.handle, view, (start, count), one.at, told)
    return SUCCESS


def fd_pread(room: Room, view: View, descriptor: int, *more: int) -> int:
    start, count, at, told = more
    read_into(file_of(room, descriptor).handle, view, (start, count), offset(at), told)
    return SUCCESS


def read_into(handle: Handle, view: View, table: tuple[int, int], at: int, told: int) -> int:
    """Read into a guest's buffers, at most MAX_READ_BYTES; return how much."""
    total = 0
    for place, size in buffers(view, table):
        asked = min(size, MAX_READ_BYTES - total)
        piece = handle.read(at + total, asked) if asked else b""
        view.write(place, piece)
        total += len(piece)
        if len(piece) < asked or total == MAX_READ_BYTES:
            break
    view.write(told, number(total))
    return total


def fd_write(room: Room, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    one = file_of(room, descriptor)
    at = one.handle.look().size if one.appends else one.at
    one.at = at + write_from(room, one.handle, view, (start, count), at, told)
    return SUCCESS


def fd_pwrite(room: Room, view: View, descriptor: int, *more: int) -> int:
    start, count, at, told = more
    write_from(room, file_of(room, descriptor).handle, view, (start, count), offset(at), told)
    return SUCCESS


def write_from(room: Room, handle: Handle, view: View, table: tuple[int, int], at: int, told: int) -> int:
    """Write a guest's buffers into a file; return how much that was."""
    total = 0
    for place, size in buffers(view, table):
        changing(room, handle, size)  # before it is copied: a piece may be as long as the memory
        within(at + total + size)
        handle.write(at + total, view.read(place, size))
        total += size
    view.write(told, number(total))
    return total


def buffers(view: View, table: tuple[int, int]) -> list[tuple[int, int]]:
    """Return where a guest's buffers are. Raises Denied for too many, OutOfBounds."""
    start, count = table
    if not 0 <= count <= wasi.MAX_PIECES:
        raise Denied(INVAL)
    return wasi.pieces(view, start, count)


def offset(at: int) -> int:
    """Return a place in a file. Raises Denied for one that no file has."""
    if at < 0:
        raise Denied(INVAL)
    return at


def within(size: int) -> None:
    """Raise Denied for a file that would be too long."""
    if size > MAX_FILE_BYTES:
        raise Denied(FBIG)


def fd_seek(room: Room, view: View, descriptor: int, delta: int, whence: int, told: int) -> int:
    one = file_of(room, descriptor)
    if whence not in (FROM_START, FROM_HERE, FROM_END):
        return INVAL
    since = {FROM_START: 0, FROM_HERE: one.at}
    at = delta + (one.handle.look().size if whence == FROM_END else since[whence])
    if not 0 <= at < 1 << 63:
        return INVAL
    view.write(told, number(at, 8))
    one.at = at
    return SUCCESS


def fd_tell(room: Room, view: View, descriptor: int, told: int) -> int:
    view.write(told, number(file_of(room, descriptor).at, 8))
    return SUCCESS


def fd_filestat_set_size(room: Room, _: View, descriptor: int, size: int) -> int:
    handle = file_of(room, descriptor).handle
    changing(room, handle, NEW_NAME_BYTES)
    within(offset(size))
    handle.resize(size)
    return SUCCESS


def fd_sync(room: Room, _: View, descriptor: int) -> int:
    """Let the guest believe that it is durable: what it did is judged by its answer, not by its files."""
    opened(room, descriptor)
    return SUCCESS


def fd_fdstat_get(room: Room, view: View, descriptor: int, told: int) -> int:
    one = opened(room, descriptor)
    rights = READS | (WRITES if one.handle.is_writable else 0)
    kind = number(FOLDER if one.handle.is_folder else FILE, 2) + number(APPENDS if one.appends else 0, 6)
    view.write(told, kind + number(rights, 8) + number(rights if one.handle.is_folder else 0, 8))
    return SUCCESS


def fd_fdstat_set_flags(room: Room, _: View, descriptor: int, flags: int) -> int:
    opened(room, descriptor).appends = bool(flags & APPENDS)
    return INVAL if flags & ~KNOWN_FLAGS else SUCCESS


def filestat(seen: Seen) -> bytes:
    """Return what a guest may know of a file: no device, no number of its own, and times only where it has a clock."""
    kind = FOLDER if seen.is_folder else FILE
    times = b"".join(number(one, 8) for one in (seen.accessed_ns, seen.modified_ns, seen.changed_ns))
    return number(0, 8) + number(1, 8) + number(kind, 8) + number(1, 8) + number(seen.size, 8) + times


def fd_filestat_get(room: Room, view: View, descriptor: int, told: int) -> int:
    view.write(told, filestat(opened(room, descriptor).handle.look()))
    return SUCCESS


def path_filestat_get(room: Room, view: View, descriptor: int, *more: int) -> int:
    _, start, size, told = more
    folder, names = below(room, view, descriptor, start, size)
    view.write(told, filestat(folder.look_at(names)))
    return SUCCESS


def fd_readdir(room: Room, view: View, descriptor: int, *more: int) -> int:
    """List a folder from its `cookie`th name on; the last entry may be cut off, so that the guest asks again."""
    place, size, cookie, told = more
    one = opened(room, descriptor)
    if not one.handle.is_folder:
        return NOTDIR
    listed, size = b"", size & 0xFFFF_FFFF
    for at, (name, is_folder) in enumerate(one.handle.entries()):
        if at >= offset(cookie) and len(listed) < size:
            written = name.encode()
            kind = number(FOLDER if is_folder else FILE)
            listed += number(at + 1, 8) + number(1, 8) + number(len(written)) + kind + written
    view.write(place, listed[:size])
    view.write(told, number(min(len(listed), size)))
    return SUCCESS


def fd_prestat_get(room: Room, view: View, descriptor: int, told: int) -> int:
    one = opened(room, descriptor)
    if not one.guest_path:
        return BADF
    view.write(told, number(0) + number(len(one.guest_path)))
    return SUCCESS


def fd_prestat_dir_name(room: Room, view: View, descriptor: int, place: int, size: int) -> int:
    one = opened(room, descriptor)
    name = one.guest_path.encode()
    if not name or size & 0xFFFF_FFFF < len(name):
        return BADF if not name else NAMETOOLONG
    view.write(place, name)
    return SUCCESS


def path_create_directory(room: Room, view: View, descriptor: int, start: int, size: int) -> int:
    folder, names = below(room, view, descriptor, start, size)
    changing(room, folder, NEW_NAME_BYTES)
    folder.make(names)
    return SUCCESS


def path_remove_directory(room: Room, view: View, descriptor: int, start: int, size: int) -> int:
    folder, names = below(room, view, descriptor, start, size)
    changing(room, folder, 0)
    folder.remove(names, is_folder=True)
    return SUCCESS


def path_unlink_file(room: Room, view: View, descriptor: int, start: int, size: int) -> int:
    folder, names = below(room, view, descriptor, start, size)
    changing(room, folder, 0)
    folder.remove(names, is_folder=False)
    return SUCCESS


def path_rename(room: Room, view: View, descriptor: int, *more: int) -> int:
    start, size, other, other_start, other_size = more
    folder, names = below(room, view, descriptor, start, size)
    target, new_names = below(room, view, other, other_start, other_size)
    changing(room, folder, 0)
    changing(room, target, NEW_NAME_BYTES)
    folder.rename(names, target, new_names)
    return SUCCESS


FILES: Mapping[str, Callable[..., int]] = MappingProxyType(
    {
        "fd_close": fd_close,
        "fd_datasync": fd_sync,
        "fd_fdstat_get": fd_fdstat_get,
        "fd_fdstat_set_flags": fd_fdstat_set_flags,
        "fd_filestat_get": fd_filestat_get,
        "fd_filestat_set_size": fd_filestat_set_size,
        "fd_pread": fd_pread,
        "fd_prestat_dir_name": fd_prestat_dir_name,
        "fd_prestat_get": fd_prestat_get,
        "fd_pwrite": fd_pwrite,
        "fd_read": fd_read,
        "fd_readdir": fd_readdir,
        "fd_seek": fd_seek,
        "fd_sync": fd_sync,
        "fd_tell": fd_tell,
        "fd_write": fd_write,
        "path_create_directory": path_create_directory,
        "path_filestat_get": path_filestat_get,
        "path_open": path_open,
        "path_remove_directory": path_remove_directory,
        "path_rename": path_rename,
        "path_unlink_file": path_unlink_file,
    }
)
"""What each function does that a folder gives a meaning to. The others answer as without one."""


def answer_of(name: str) -> Callable[..., int]:
    """Return what a function does in a room with folders, and in one without."""
    plain, of_files = wasi.ANSWERS[name], FILES.get(name)
    if of_files is None:
        return plain

    def answer(room: Room, view: View, descriptor: int, *parameters: int) -> int:
        if not room.surroundings.folders or descriptor in STANDARD:
            return plain(room, view, descriptor, *parameters)
        try:
            return of_files(room, view, descriptor, *parameters)
        except Denied as denied:
            return denied.error

    return answer
