"""A write that the operating system makes while the loop goes on: no thread wakes up for it, and none waits for the
interpreter's lock.

This is Linux's asynchronous I/O, io_submit(2). It keeps its promise only for blocks that were written before, in a
file past the page cache: then handing one over takes microseconds. Python has no name for these calls.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from typing import Protocol

import attrs

CALLS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""The numbers of io_setup, io_destroy, io_getevents, io_submit."""

ORDER = struct.Struct("<QIiHhIQQqQII")
"""struct iocb of linux/aio_abi.h, on a little-endian machine."""
EVENT = struct.Struct("<QQqq")
"""struct io_event."""
PWRITE = 1
NOT_NOW = frozenset({errno.EAGAIN, errno.EINVAL})
"""What is said before anything was begun: no resources at the moment, or not with this kind of file."""
RING = 1
"""IOCB_FLAG_RESFD: count the end in an eventfd."""


class Submissions(Protocol):
    """Takes one write at a time."""

    event: int
    """A descriptor that can be read once the write has ended; sometimes without reason."""

    def submit(self, descriptor: int, data: memoryview, offset: int) -> bool:
        """Begin a write, or return False and do nothing. `data` stays as it is until the end. Raises OSError."""

    def collect(self, *, wait: bool) -> int | None:
        """Return how many bytes were taken, None where the write goes on and `wait` is not asked for. Raises OSError.

        Each end is told once.
        """

    def close(self) -> None:
        """Give back what it holds; nothing is under way."""


@attrs.define(eq=False)
class SystemQueue:
    """The operating system's queue, for one write."""

    _system: ctypes.CDLL
    _calls: tuple[int, int, int, int]
    _context: ctypes.c_ulong
    event: int
    _order: ctypes.Array[ctypes.c_char] = attrs.field(factory=lambda: ctypes.create_string_buffer(ORDER.size))
    _told: ctypes.Array[ctypes.c_char] = attrs.field(factory=lambda: ctypes.create_string_buffer(EVENT.size))
    _data: object = attrs.field(default=None, init=False)
    """What is being written: the memory must not go."""

    def submit(self, descriptor: int, data: memoryview, offset: int) -> bool:
        """Begin a write. Raises OSError."""
        memory = (ctypes.c_char * len(data)).from_buffer(data)
        address = ctypes.addressof(memory)
        ORDER.pack_into(self._order, 0, 0, 0, 0, PWRITE, 0, descriptor, address, len(data), offset, 0, RING, self.event)
        orders = (ctypes.c_void_p * 1)(ctypes.addressof(self._order))
        if self._call(3, self._context, ctypes.c_long(1), orders) == 1:
            self._data = memory
            return True
        problem = ctypes.get_errno()
        if problem in NOT_NOW:
            return False
        raise OSError(problem, os.strerror(problem))

    def collect(self, *, wait: bool) -> int | None:
        """Return how many bytes were taken. Raises OSError."""
        at_least = ctypes.c_long(1 if wait else 0)
        while (count := self._call(2, self._context, at_least, ctypes.c_long(1), self._told, None)) != 1:
            if count < 0 and ctypes.get_errno() != errno.EINTR:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            if not wait:
                return None
        self._data = None
        result: int = EVENT.unpack(self._told.raw)[2]
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def close(self) -> None:
        """Give the queue back."""
        self._call(1, self._context)
        os.close(self.event)

    def _call(self, which: int, *arguments: object) -> int:
        result: int = self._system.syscall(ctypes.c_long(self._calls[which]), *arguments)
        return result


def open_queue() -> SystemQueue | None:
    """Return a queue of this system, None where it has none for us."""
    calls = CALLS.get(platform.machine())
    if sys.platform != "linux" or calls is None or not hasattr(os, "eventfd"):
        return None
    system = ctypes.CDLL(None, use_errno=True)
    system.syscall.restype = ctypes.c_long
    context = ctypes.c_ulong(0)
    if system.syscall(ctypes.c_long(calls[0]), ctypes.c_long(1), ctypes.byref(context)) != 0:
        return None
    return SystemQueue(system, calls, context, os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
