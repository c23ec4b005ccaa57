"""What the system takes without waiting is written as told, and what it refuses is nothing's end."""

import errno
import mmap
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.stores.segments import kernel_aio
from actors.stores.segments.frame import BLOCK
from actors.stores.segments.raw_file import DISK, PAST_THE_CACHE, RawFile, open_raw
from tests.actors.stores.disk import Landing, SegmentDisk


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
    if not file.passes_cache or platform.machine() not in kernel_aio.NUMBERS:
        pytest.skip("no O_DIRECT here, or a machine whose system calls are not known")
    yield file
    file.close()


@pytest.fixture
def block() -> memoryview:
    memory = mmap.mmap(-1, BLOCK)
    memory[:] = b"x" * BLOCK
    return memoryview(memory)


def test_what_has_landed_is_where_it_belongs(file: RawFile, path: Path, block: memoryview) -> None:
    flight = file.begin(block, 2 * BLOCK)
    assert flight is not None
    assert flight.land() == BLOCK
    assert path.read_bytes() == bytes(2 * BLOCK) + bytes(block) + bytes(BLOCK)


def test_whoever_looks_on_sees_it_land_once(file: RawFile, block: memoryview) -> None:
    flight = file.begin(block, 0)
    assert flight is not None
    while (taken := flight.landed()) is None:
        os.sched_yield()
    assert taken == BLOCK


def test_one_after_the_other_goes_by_the_same_slip(file: RawFile, block: memoryview) -> None:
    used = set()
    for place in range(3):
        flight = file.begin(block, place * BLOCK)
        assert flight is not None
        flight.land()
        used.add(id(flight))
    assert len(used) == 1


def test_two_at_once_have_a_slip_each(file: RawFile, path: Path, block: memoryview) -> None:
    flights = [file.begin(block, place * BLOCK) for place in (0, 3)]
    assert len(set(map(id, flights))) == 2
    for flight in flights:
        assert flight is not None
        assert flight.land() == BLOCK
    assert path.read_bytes() == bytes(block) + bytes(2 * BLOCK) + bytes(block)


def test_what_cannot_be_begun_is_left_to_those_who_wait(file: RawFile, path: Path, block: memoryview) -> None:
    to_read = open_raw(path, DISK, to_write=False)
    try:
        assert to_read.begin(block, 0) is None
        assert not to_read.may_begin
    finally:
        to_read.close()
    flight = file.begin(block, BLOCK)  # the slip of what failed is good for the next
    assert flight is not None
    assert flight.land() == BLOCK
    assert path.read_bytes() == bytes(BLOCK) + bytes(block) + bytes(2 * BLOCK)


def test_what_would_have_to_wait_for_the_cache_says_so(file: RawFile, path: Path, block: memoryview) -> None:
    path.read_bytes()
    flight = file.begin(block, 0)
    assert flight is not None
    with pytest.raises(BlockingIOError):
        flight.land()
    assert path.read_bytes() == bytes(4 * BLOCK)


def test_what_fails_under_way_says_why(file: RawFile, block: memoryview) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        kernel_aio.begin(file.descriptor, block[:1], 1).land()  # O_DIRECT takes whole blocks alone


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
        assert file.begin(block, 0) is None
        assert not file.may_begin
        file.write(block, 0)
        assert path.read_bytes() == bytes(block) + bytes(3 * BLOCK)
    finally:
        kernel_aio.system.cache_clear()
        file.close()


def test_a_system_that_has_none_to_give_now_is_asked_again(path: Path, block: memoryview) -> None:
    class Busy(SegmentDisk):
        def begin(self, descriptor: int, data: memoryview, offset: int) -> Landing:
            raise BlockingIOError(errno.EAGAIN, "no context is left")

    file = open_raw(path, Busy(), to_write=True)
    try:
        assert file.begin(block, 0) is None
        assert file.may_begin == bool(PAST_THE_CACHE)
    finally:
        file.close()


@pytest.mark.parametrize("passing", [True, False])
def test_only_a_file_that_is_written_durably_past_the_cache_may_begin(path: Path, passing: bool) -> None:
    for synced in (True, False):
        file = open_raw(path, SegmentDisk(passing=passing), to_write=True, synced=synced)
        assert file.may_begin == (file.passes_cache and synced)
        file.close()
