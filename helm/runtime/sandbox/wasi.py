"""WASI preview 1 as a guest finds it that was given no folder: its streams, and a refusal for everything else.

Every function of preview 1 is there, so that a guest which asks is answered and not merely unlinked. What was not
granted (files, sockets, clocks, randomness) answers ENOTCAPABLE, always: the same question has one answer (T4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs

from helm.runtime.sandbox.port import Handle, Surroundings

WASI = "wasi_snapshot_preview1"

SUCCESS, BADF, FAULT, INVAL, NOSYS, SPIPE, NOTCAPABLE = 0, 8, 21, 28, 52, 70, 76
"""Errors as WASI preview 1 numbers them."""

STDIN, STDOUT, STDERR = 0, 1, 2
STANDARD = range(3)
CHARACTER_DEVICE = 2
RIGHT_READ, RIGHT_WRITE = 1 << 1, 1 << 6

REALTIME, MONOTONIC = 0, 1
FIRST = 3
"""The first descriptor that is no standard stream."""

MAX_RANDOM_BYTES = 65_536
"""Random bytes of one call (T4)."""

MAX_PIECES = 1024
"""Pieces of one read or write, as POSIX's IOV_MAX (T4)."""

SIGNATURES: Mapping[str, str] = MappingProxyType(
    {
        "args_get": "ii",
        "args_sizes_get": "ii",
        "clock_res_get": "ii",
        "clock_time_get": "iIi",
        "environ_get": "ii",
        "environ_sizes_get": "ii",
        "fd_advise": "iIIi",
        "fd_allocate": "iII",
        "fd_close": "i",
        "fd_datasync": "i",
        "fd_fdstat_get": "ii",
        "fd_fdstat_set_flags": "ii",
        "fd_fdstat_set_rights": "iII",
        "fd_filestat_get": "ii",
        "fd_filestat_set_size": "iI",
        "fd_filestat_set_times": "iIIi",
        "fd_pread": "iiiIi",
        "fd_prestat_dir_name": "iii",
        "fd_prestat_get": "ii",
        "fd_pwrite": "iiiIi",
        "fd_read": "iiii",
        "fd_readdir": "iiiIi",
        "fd_renumber": "ii",
        "fd_seek": "iIii",
        "fd_sync": "i",
        "fd_tell": "ii",
        "fd_write": "iiii",
        "path_create_directory": "iii",
        "path_filestat_get": "iiiii",
        "path_filestat_set_times": "iiiiIIi",
        "path_link": "iiiiiii",
        "path_open": "iiiiiIIii",
        "path_readlink": "iiiiii",
        "path_remove_directory": "iii",
        "path_rename": "iiiiii",
        "path_symlink": "iiiii",
        "path_unlink_file": "iii",
        "poll_oneoff": "iiii",
        "proc_exit": "i",
        "proc_raise": "i",
        "random_get": "ii",
        "sched_yield": "",
        "sock_accept": "iii",
        "sock_recv": "iiiiii",
        "sock_send": "iiiii",
        "sock_shutdown": "ii",
    }
)
"""Every function of preview 1 by its parameters, i for 32 and I for 64 bits. All but proc_exit return an error."""


class View(Protocol):
    """A guest's linear memory, checked: both raise OutOfBounds."""

    def read(self, start: int, size: int) -> bytes:
        """Return so many bytes."""
        ...

    def write(self, start: int, data: bytes) -> None:
        """Put bytes down."""
        ...


class OutOfBounds(Exception):
    """The guest named a place outside its memory."""


class Exit(Exception):
    """The guest ended itself."""

    def __init__(self, code: int) -> None:
        self.code = code & 0xFFFF_FFFF
        super().__init__(f"exit code {self.code}")


class OutputExhausted(Exception):
    """The guest wrote more than it may."""


@attrs.define
class Streams:
    """What one run has to read, and what it has written."""

    arguments: bytes
    output_bytes: int
    """What may still be written, into files as well."""
    at: int = 0
    """How far the guest has read."""
    output: list[bytes] = attrs.field(factory=list)

    def read(self, size: int) -> bytes:
        """Return the next bytes of the input, b"" at its end."""
        piece = self.arguments[self.at : self.at + size]
        self.at += len(piece)
        return piece

    def write(self, descriptor: int, data: bytes) -> None:
        """Take what the guest writes; its standard error counts and is not kept. Raises OutputExhausted."""
        self.spend(len(data))
        if descriptor == STDOUT:
            self.output.append(data)

    def spend(self, size: int) -> None:
        """Count bytes that the guest writes, wherever. Raises OutputExhausted."""
        self.output_bytes -= size
        if self.output_bytes < 0:
            raise OutputExhausted


@attrs.define
class Opened:
    """One descriptor of a guest beyond the three: what is open under it, and how far it has come."""

    handle: Handle
    guest_path: str = ""
    """The name of a folder that was there from the beginning, "" for what the guest has opened itself."""
    at: int = 0
    appends: bool = False


@attrs.define
class Room:
    """Everything that one run finds around it."""

    streams: Streams
    surroundings: Surroundings
    opened: dict[int, Opened] = attrs.field(factory=dict)
    has_written: bool = False

    def furnish(self) -> Room:
        """Put the folders that were granted under the first descriptors."""
        for descriptor, (guest_path, handle) in enumerate(self.surroundings.folders, FIRST):
            self.opened[descriptor] = Opened(handle, guest_path)
        return self

    def clear(self) -> None:
        """Let go of what the guest has left; the folders that it was given are whoever's who gave them."""
        for one in self.opened.values():
            if not one.guest_path:
                one.handle.close()
        self.opened.clear()
        self.streams.output.clear()


def number(value: int, size: int = 4) -> bytes:
    """Return a number as it lies in a guest's memory."""
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def pieces(view: View, start: int, count: int) -> list[tuple[int, int]]:
    """Return where a guest's buffers begin and how long they are. Raises OutOfBounds."""
    table = view.read(start, 8 * count)
    words = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)]
    return list(zip(words[::2], words[1::2], strict=True))


def fd_read(room: Room, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    """Read the arguments."""
    if descriptor != STDIN or not 0 <= count <= MAX_PIECES:
        return BADF if descriptor != STDIN else INVAL
    total = 0
    for place, size in pieces(view, start, count):
        piece = room.streams.read(size)
        view.write(place, piece)
        total += len(piece)
        if len(piece) < size:
            break
    view.write(told, number(total))
    return SUCCESS


def fd_write(room: Room, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    """Take an answer, or words that nobody reads."""
    if descriptor not in (STDOUT, STDERR) or not 0 <= count <= MAX_PIECES:
        return BADF if descriptor not in (STDOUT, STDERR) else INVAL
    total = 0
    for place, size in pieces(view, start, count):
        if size > room.streams.output_bytes:  # before it is copied: a piece may be as long as the memory
            raise OutputExhausted
        room.streams.write(descriptor, view.read(place, size))
        total += size
    view.write(told, number(total))
    return SUCCESS


def fd_fdstat_get(_: Room, view: View, descriptor: int, told: int) -> int:
    if descriptor not in STANDARD:
        return BADF
    rights = RIGHT_READ if descriptor == STDIN else RIGHT_WRITE
    view.write(told, number(CHARACTER_DEVICE, 8) + number(rights, 8) + number(0, 8))
    return SUCCESS


def fd_filestat_get(_: Room, view: View, descriptor: int, told: int) -> int:
    if descriptor not in STANDARD:
        return BADF
    view.write(told, bytes(16) + number(CHARACTER_DEVICE, 8) + bytes(40))
    return SUCCESS


def nothing_there(_: Room, view: View, count: int, size: int) -> int:
    """Say that there are no arguments: a guest reads them on its standard input."""
    view.write(count, number(0))
    view.write(size, number(0))
    return SUCCESS


def environ_sizes_get(room: Room, view: View, count: int, size: int) -> int:
    """Say how many variables there are, and how long they are together."""
    variables = room.surroundings.environment
    view.write(count, number(len(variables)))
    view.write(size, number(sum(len(variable) + 1 for variable in variables)))
    return SUCCESS


def environ_get(room: Room, view: View, pointers: int, place: int) -> int:
    """Put the variables down, NAME=value each, with a zero behind it."""
    place &= 0xFFFF_FFFF
    for at, variable in enumerate(room.surroundings.environment):
        view.write(pointers + 4 * at, number(place))
        view.write(place, variable + b"\0")
        place += len(variable) + 1
    return SUCCESS


def clock_time_get(room: Room, view: View, clock: int, _: int, told: int) -> int:
    """Tell the time where a clock was granted."""
    if room.surroundings.clock is None:
        return NOTCAPABLE
    if clock not in (REALTIME, MONOTONIC):
        return INVAL
    view.write(told, number(room.surroundings.clock(clock), 8))
    return SUCCESS


def clock_res_get(room: Room, view: View, clock: int, told: int) -> int:
    """Tell how coarse a clock is: a millisecond, so that it measures nobody else."""
    if room.surroundings.clock is None:
        return NOTCAPABLE
    if clock not in (REALTIME, MONOTONIC):
        return INVAL
    view.write(told, number(1_000_000, 8))
    return SUCCESS


def random_get(room: Room, view: View, place: int, size: int) -> int:
    """Give random bytes where randomness was granted."""
    if room.surroundings.random is None:
        return NOTCAPABLE
    if not 0 <= size <= MAX_RANDOM_BYTES:
        return INVAL
    view.write(place, room.surroundings.random(size))
    return SUCCESS


def proc_exit(_: Room, __: View, code: int) -> int:
    raise Exit(code)


def standard_only(answer: int) -> Callable[..., int]:
    """Return a function that answers so for the three standard streams, and BADF for any other descriptor."""
    return lambda _, __, descriptor, *___: answer if descriptor in STANDARD else BADF


def always(answer: int) -> Callable[..., int]:
    """Return a function that answers so."""
    return lambda *_: answer


ANSWERS: Mapping[str, Callable[..., int]] = MappingProxyType(
    {name: always(NOTCAPABLE) for name in SIGNATURES}
    | {
        "args_get": always(SUCCESS),
        "args_sizes_get": nothing_there,
        "clock_res_get": clock_res_get,
        "clock_time_get": clock_time_get,
        "environ_get": environ_get,
        "environ_sizes_get": environ_sizes_get,
        "fd_close": standard_only(SUCCESS),
        "fd_fdstat_get": fd_fdstat_get,
        "fd_fdstat_set_flags": standard_only(SUCCESS),
        "fd_filestat_get": fd_filestat_get,
        "fd_prestat_dir_name": always(BADF),
        "fd_prestat_get": always(BADF),
        "fd_read": fd_read,
        "fd_seek": standard_only(SPIPE),
        "fd_tell": standard_only(SPIPE),
        "fd_write": fd_write,
        "proc_exit": proc_exit,
        "random_get": random_get,
        "proc_raise": always(NOSYS),
        "sched_yield": always(SUCCESS),
    }
)
"""What each function does: given the run's room, the guest's memory and its parameters, it returns an error."""
