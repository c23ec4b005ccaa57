"""What the system takes without waiting is written as told, and what it refuses is nothing's end."""

import errno
import mmap
import os
import platform
import signal
import threading
from collections.abc import Iterator
from ctypes import c_long
from pathlib import Path
from typing import Any

import pytest

from actors.stores.segments import kernel_aio
from actors.stores.segments.frame import BLOCK
from actors.stores.segments.raw_file import DISK, RawFile, open_raw
from tests.actors.stores.disk import SegmentDisk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(4 * BLOCK))
    file = open_raw(path, DISK, to_write=True)
    with mmap.mmap(-1, 4 * BLOCK) as zeros, memoryview(zeros) as blocks:
        file.write(blocks, 0)  # past the cache, and into blocks that the file system knows
    file.close()
    return path


@pytest.fixture
def file(path: Path) -> Iterator[RawFile]:
    """A file on a disk that takes writes without waiting; what cannot have one does without these tests."""
    file = open_raw(path, DISK, to_write=True)
    if not file.passes_cache or platform.machine() not in kernel_aio.NUMBERS or not writes_at_once(file):
        pytest.skip("no O_DIRECT or RWF_NOWAIT here, or a machine whose system calls are not known")
    yield file
    file.close()


def writes_at_once(file: RawFile) -> bool:
    """Tell, by another system call, whether the file system takes what nobody is to wait for."""
    with mmap.mmap(-1, BLOCK) as zeros:
        try:
            return os.pwritev(file.descriptor, [zeros], 0, os.RWF_NOWAIT) == BLOCK
        except OSError:
            return False


@pytest.fixture
def block() -> memoryview:
    memory = mmap.mmap(-1, BLOCK)
    memory[:] = b"x" * BLOCK
    return memoryview(memory)


def test_what_has_landed_is_where_it_belongs(file: RawFile, path: Path, block: memoryview) -> None:
    assert file.begin(block, 2 * BLOCK)
    file.land()
    assert path.read_bytes() == bytes(2 * BLOCK) + bytes(block) + bytes(BLOCK)


def test_whoever_looks_on_sees_it_land_once(file: RawFile, block: memoryview) -> None:
    assert file.begin(block, 0)
    while not file.has_landed():
        os.sched_yield()
    for look in (file.has_landed, file.land):
        with pytest.raises(OSError, match="nothing is under way"):
            look()


def test_one_after_the_other_goes_by_the_same_slip(file: RawFile, block: memoryview) -> None:
    used = set()
    for place in range(3):
        flight = kernel_aio.begin(file.descriptor, block, place * BLOCK)
        assert flight.land() == BLOCK
        used.add(id(flight))
    assert len(used) == 1


def test_two_at_once_have_a_slip_each(file: RawFile, path: Path, block: memoryview) -> None:
    flights = [kernel_aio.begin(file.descriptor, block, place * BLOCK) for place in (0, 3)]
    assert len(set(map(id, flights))) == 2
    for flight in flights:
        assert flight.land() == BLOCK
    assert path.read_bytes() == bytes(block) + bytes(2 * BLOCK) + bytes(block)


def test_what_cannot_be_begun_is_left_to_those_who_wait(
    file: RawFile, path: Path, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_aio, "_resting", [])
    to_read = open_raw(path, DISK, to_write=False)
    try:
        assert not to_read.begin(block, 0)
        assert not to_read.may_begin
    finally:
        to_read.close()
    assert len(kernel_aio._resting) == 1
    assert file.begin(block, BLOCK)  # the slip of what failed is good for the next
    file.land()
    assert path.read_bytes() == bytes(BLOCK) + bytes(block) + bytes(2 * BLOCK)


def test_what_would_have_to_wait_for_the_cache_says_so(file: RawFile, path: Path, block: memoryview) -> None:
    path.read_bytes()
    assert file.begin(block, 0)
    with pytest.raises(BlockingIOError):
        file.land()
    assert path.read_bytes() == bytes(4 * BLOCK)


def test_what_fails_under_way_says_why(file: RawFile, block: memoryview) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        kernel_aio.begin(file.descriptor, block[:1], 1).land()  # O_DIRECT takes whole blocks alone


@pytest.mark.usefixtures("file")
def test_whoever_waits_sleeps_until_a_signal_comes() -> None:
    seen, has_woken = [], threading.Event()

    def ring() -> None:
        while not has_woken.wait(0.05):
            signal.pthread_kill(sleeper, signal.SIGUSR1)

    system, sleeper = kernel_aio.system(), threading.get_ident()
    before = signal.signal(signal.SIGUSR1, lambda *_: seen.append(True))
    bell = threading.Thread(target=ring)
    bell.start()
    try:
        assert not system.io_getevents(system.io_setup(), kernel_aio.Event(), kernel_aio.AT_LAST)
        assert seen
    finally:
        has_woken.set()
        bell.join()
        signal.signal(signal.SIGUSR1, before)


def test_whoever_was_woken_by_a_signal_goes_on_waiting(
    file: RawFile, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, looks = kernel_aio.System.io_getevents, []

    def be_woken(*words: Any) -> bool:
        looks.append(words)
        return len(looks) > 1 and look(*words)

    flight = kernel_aio.begin(file.descriptor, block, 0)
    monkeypatch.setattr(kernel_aio.System, "io_getevents", be_woken)
    assert flight.land() == BLOCK


def test_a_machine_whose_system_calls_are_not_known_has_none(
    path: Path, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_aio, "_resting", [])
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    kernel_aio.system.cache_clear()
    file = open_raw(path, DISK, to_write=True)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
            kernel_aio.system()
        assert not file.begin(block, 0)
        assert not file.may_begin
        file.write(block, 0)
        assert path.read_bytes() == bytes(block) + bytes(3 * BLOCK)
    finally:
        kernel_aio.system.cache_clear()
        file.close()


def test_a_system_that_has_none_to_give_now_is_asked_again(
    file: RawFile, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_aio, "_resting", [])
    with monkeypatch.context() as greedy:
        greedy.setattr(kernel_aio, "ONE", c_long(4_000_000))  # far more than fs.aio-max-nr
        assert not file.begin(block, 0)
        assert file.may_begin
    assert file.begin(block, 0)
    file.land()


@pytest.mark.parametrize("passing", [True, False])
def test_only_a_file_that_is_written_durably_past_the_cache_may_begin(path: Path, passing: bool) -> None:
    for synced in (True, False):
        file = open_raw(path, SegmentDisk(passing=passing), to_write=True, synced=synced)
        assert file.may_begin == (file.passes_cache and synced)
        file.close()


def test_while_a_write_is_under_way_nothing_else_is_written(path: Path, block: memoryview) -> None:
    disk = SegmentDisk()
    file = open_raw(path, disk, to_write=True)
    disk.hang()
    assert file.begin(block, 0)
    for write in (file.begin, file.write):
        with pytest.raises(OSError, match="another write is under way"):
            write(block, BLOCK)
    disk.let_go()
    file.land()
    file.close()
    assert path.read_bytes() == bytes(block) + bytes(3 * BLOCK)


def test_a_file_is_given_back_when_what_was_begun_is_over(path: Path, block: memoryview) -> None:
    """Whatever kept its writer from waiting: the lock goes next, and another would write at the same place."""
    disk, is_closed = SegmentDisk(), threading.Event()
    file = open_raw(path, disk, to_write=True)
    disk.hang()
    assert file.begin(block, 0)
    disk.sync_fails = True

    def close() -> None:
        file.close()
        is_closed.set()

    threading.Thread(target=close, daemon=True).start()
    assert disk.asked_to_sync.wait(10)
    assert not is_closed.wait(0.1)
    disk.let_go()
    assert is_closed.wait(10)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        file.size()


def test_a_slip_whose_write_may_be_under_way_is_not_used_again(
    file: RawFile, path: Path, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next write would be told that it is durable when the one before is."""
    slip, submit = kernel_aio.Slip(), kernel_aio.System.io_submit

    def break_off(*words: Any) -> None:
        submit(*words)
        raise MemoryError

    monkeypatch.setattr(kernel_aio, "_resting", [slip])
    monkeypatch.setattr(kernel_aio.System, "io_submit", break_off)
    with pytest.raises(MemoryError):
        kernel_aio.begin(file.descriptor, block, 0)
    assert kernel_aio._resting == []
    assert slip.land() == BLOCK
    assert path.read_bytes() == bytes(block) + bytes(3 * BLOCK)


def test_what_the_system_tells_once_is_known_from_then_on(
    file: RawFile, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had no memory left to note it would wait for ever, with the lock."""
    look = kernel_aio.System.io_getevents

    def break_off(*words: Any) -> bool:
        look(*words)
        raise MemoryError

    monkeypatch.setattr(kernel_aio, "_resting", [])
    for place in range(2):
        flight = kernel_aio.begin(file.descriptor, block, place * BLOCK)
        with monkeypatch.context() as broken:
            broken.setattr(kernel_aio.System, "io_getevents", break_off)
            with pytest.raises(MemoryError):
                flight.land()
        assert kernel_aio._resting == []
        assert (flight.land(), flight.land()) == (BLOCK, BLOCK)
        assert kernel_aio._resting == [flight]


def test_where_one_may_begin_and_not_look_nothing_is_begun(
    file: RawFile, block: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter of system calls, for example."""

    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EPERM, "the filter has io_submit alone")

    monkeypatch.setattr(kernel_aio, "_resting", [])
    monkeypatch.setattr(kernel_aio.System, "io_getevents", refuse)
    assert not file.begin(block, 0)
    assert not file.may_begin
    file.write(block, 0)
