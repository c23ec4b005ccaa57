"""A write that the operating system takes and that nobody waits for: Linux's kernel AIO, io_submit(2).

It is asked for with RWF_NOWAIT: where the file system or the disk's queue would keep the caller waiting, nothing is
written, and the caller is told so. Linux does not always keep that: a frozen file system has the caller wait, as has
ext4, which notes the time of each write, where another's commit hangs. On a file opened with O_DIRECT and O_DSYNC what
has landed is durable.
"""

from __future__ import annotations

import errno
import os
import platform
import sys
from ctypes import (
    CDLL,
    Structure,
    addressof,
    byref,
    c_char,
    c_int16,
    c_int64,
    c_long,
    c_uint16,
    c_uint32,
    c_uint64,
    c_ulong,
    c_void_p,
    get_errno,
)
from functools import cache
from typing import Any, Final

GENERIC: Final = (0, 2, 4)
NUMBERS: Final = {"aarch64": GENERIC, "riscv64": GENERIC, "x86_64": (206, 209, 208)}
"""The system calls io_setup, io_submit and io_getevents, by machine."""

IOCB_CMD_PWRITE: Final = 1
RWF_NOWAIT: Final = 8
ONE: Final = c_long(1)


class Request(Structure):
    """struct iocb of linux/aio_abi.h, where numbers are little-endian."""

    _fields_ = (
        ("data", c_uint64),
        ("key", c_uint32),
        ("rw_flags", c_uint32),
        ("opcode", c_uint16),
        ("priority", c_int16),
        ("descriptor", c_uint32),
        ("memory", c_uint64),
        ("length", c_uint64),
        ("offset", c_int64),
        ("reserved", c_uint64),
        ("flags", c_uint32),
        ("event_descriptor", c_uint32),
    )


class Event(Structure):
    """struct io_event of linux/aio_abi.h."""

    _fields_ = (("data", c_uint64), ("request", c_uint64), ("result", c_int64), ("second_result", c_int64))


class Timespec(Structure):
    """struct timespec of a machine of 64 bits."""

    _fields_ = (("seconds", c_int64), ("nanoseconds", c_int64))


AT_ONCE: Final = Timespec()
AT_LAST: Final = None


class System:
    """The three system calls. Raises OSError on a machine where they are not known."""

    def __init__(self) -> None:
        numbers = NUMBERS.get(platform.machine())
        if sys.platform != "linux" or sys.maxsize < 2**32 or numbers is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        self._io_setup, self._io_submit, self._io_getevents = (c_long(number) for number in numbers)
        self._call = CDLL(None, use_errno=True).syscall

    def io_setup(self) -> c_ulong:
        """Return a context for one request at a time. Raises OSError."""
        context = c_ulong(0)
        self._checked(self._call(self._io_setup, ONE, byref(context)))
        return context

    def io_submit(self, context: c_ulong, requests: Any) -> None:
        """Begin the only request of an array. Raises OSError; then it was not begun."""
        self._checked(self._call(self._io_submit, context, ONE, requests))

    def io_getevents(self, context: c_ulong, event: Event, patience: Timespec | None) -> bool:
        """Tell whether the request has ended, wait so long for it, without a limit where there is none.

        Raises OSError, but not for a signal that came meanwhile.
        """
        its_patience = None if patience is None else byref(patience)
        try:
            return self._checked(self._call(self._io_getevents, context, ONE, ONE, byref(event), its_patience)) == 1
        except InterruptedError:
            return False

    def _checked(self, result: int) -> int:
        if result < 0:
            raise OSError(get_errno(), os.strerror(get_errno()))
        return result


@cache
def system() -> System:
    """Return the system calls. Raises OSError where there are none."""
    return System()


class Slip:
    """One write at a time, handed to the system. Raises OSError where the system takes none."""

    def __init__(self) -> None:
        self._system = system()
        self._context = self._system.io_setup()
        self._request, self._event = Request(opcode=IOCB_CMD_PWRITE), Event()
        self._requests = (c_void_p * 1)(addressof(self._request))
        self._memory: c_char | None = None
        """Where the write under way has its bytes from: it stays while this does."""
        self.landed()  # nothing has: but whoever is not let look must not begin

    def begin(self, descriptor: int, data: memoryview, offset: int) -> None:
        """Begin to write. Raises OSError; then nothing was begun."""
        self._memory = c_char.from_buffer(data)
        request = self._request
        request.rw_flags = RWF_NOWAIT  # the system may leave another word here
        request.descriptor, request.offset = descriptor, offset
        request.memory, request.length = addressof(self._memory), len(data)
        self._event.request = 0
        self._system.io_submit(self._context, self._requests)

    def landed(self) -> int | None:
        """Return how many bytes were written, None where the write is still under way. Raises as `land` does."""
        return self._ended() if self._is_over(AT_ONCE) else None

    def land(self) -> int:
        """Return how many bytes were written, as soon as they are.

        Raises OSError, and then it is over too: BlockingIOError where something would have had to be waited for.
        """
        while not self._is_over(AT_LAST):
            pass
        return self._ended()

    def _is_over(self, patience: Timespec | None) -> bool:
        """Tell it again where the system, which tells it once, was heard and something went wrong then."""
        return self._event.request != 0 or self._system.io_getevents(self._context, self._event, patience)

    def _ended(self) -> int:
        if self._memory is not None:
            self._memory = None
            _resting.append(self)
        result = int(self._event.result)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result


_resting: list[Slip] = []
"""What has no write under way. It is used again, because giving it back takes the system 30 ms."""


def begin(descriptor: int, data: memoryview, offset: int) -> Slip:
    """Begin to write. Raises OSError; then nothing was begun."""
    try:
        slip = _resting.pop()
    except IndexError:
        slip = Slip()
    try:
        slip.begin(descriptor, data, offset)
    except OSError:  # after anything else it may be under way, and the next write would be told of its end
        _resting.append(slip)
        raise
    return slip
