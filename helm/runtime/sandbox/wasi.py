"""WASI preview 1 as a guest finds it here: standard input, output and error, and a refusal for everything else.

Every function of preview 1 is there, so that a guest which asks is answered and not merely unlinked. What only a grant
could give (files, sockets, clocks, randomness) answers ENOTCAPABLE, always: the same question has one answer (T4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

import attrs

WASI = "wasi_snapshot_preview1"

SUCCESS, BADF, FAULT, INVAL, NOSYS, SPIPE, NOTCAPABLE = 0, 8, 21, 28, 52, 70, 76
"""Errors as WASI preview 1 numbers them."""

STDIN, STDOUT, STDERR = 0, 1, 2
STANDARD = range(3)
CHARACTER_DEVICE = 2
RIGHT_READ, RIGHT_WRITE = 1 << 1, 1 << 6

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
    """What may still be written."""
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
        self.output_bytes -= len(data)
        if self.output_bytes < 0:
            raise OutputExhausted
        if descriptor == STDOUT:
            self.output.append(data)


def number(value: int, size: int = 4) -> bytes:
    """Return a number as it lies in a guest's memory."""
    return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def pieces(view: View, start: int, count: int) -> list[tuple[int, int]]:
    """Return where a guest's buffers begin and how long they are. Raises OutOfBounds."""
    table = view.read(start, 8 * count)
    words = [int.from_bytes(table[at : at + 4], "little") for at in range(0, len(table), 4)]
    return list(zip(words[::2], words[1::2], strict=True))


def fd_read(streams: Streams, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    if descriptor != STDIN or not 0 <= count <= MAX_PIECES:
        return BADF if descriptor != STDIN else INVAL
    total = 0
    for place, size in pieces(view, start, count):
        piece = streams.read(size)
        view.write(place, piece)
        total += len(piece)
        if len(piece) < size:
            break
    view.write(told, number(total))
    return SUCCESS


def fd_write(streams: Streams, view: View, descriptor: int, start: int, count: int, told: int) -> int:
    if descriptor not in (STDOUT, STDERR) or not 0 <= count <= MAX_PIECES:
        return BADF if descriptor not in (STDOUT, STDERR) else INVAL
    total = 0
    for place, size in pieces(view, start, count):
        if size > streams.output_bytes:  # before it is copied: a piece may be as long as the memory
            raise OutputExhausted
        streams.write(descriptor, view.read(place, size))
        total += size
    view.write(told, number(total))
    return SUCCESS


def fd_fdstat_get(_: Streams, view: View, descriptor: int, told: int) -> int:
    if descriptor not in STANDARD:
        return BADF
    rights = RIGHT_READ if descriptor == STDIN else RIGHT_WRITE
    view.write(told, number(CHARACTER_DEVICE, 8) + number(rights, 8) + number(0, 8))
    return SUCCESS


def fd_filestat_get(_: Streams, view: View, descriptor: int, told: int) -> int:
    if descriptor not in STANDARD:
        return BADF
    view.write(told, bytes(16) + number(CHARACTER_DEVICE, 8) + bytes(40))
    return SUCCESS


def nothing_there(_: Streams, view: View, count: int, size: int) -> int:
    """Say that there are no arguments and no variables."""
    view.write(count, number(0))
    view.write(size, number(0))
    return SUCCESS


def proc_exit(_: Streams, __: View, code: int) -> int:
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
        "environ_get": always(SUCCESS),
        "environ_sizes_get": nothing_there,
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
        "proc_raise": always(NOSYS),
        "sched_yield": always(SUCCESS),
    }
)
"""What each function does: given the run's streams, the guest's memory and its parameters, it returns an error."""
