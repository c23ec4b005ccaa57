"""What the loop writes by itself is known to be written when the system says so, and by nobody before."""

import os
import select
from pathlib import Path

import pytest
import trio

from actors.stores.port import JournalFailed
from actors.stores.segments.frame import BLOCK
from actors.stores.segments.journal import SegmentJournal
from actors.stores.segments.segment import zeros
from actors.stores.segments.submission import SystemQueue, open_queue
from tests.actors.stores.disk import SegmentDisk
from tests.actors.stores.journals import SEGMENTS, rows_of


@pytest.fixture
def queue() -> SystemQueue:
    """The queue of this system."""
    found = open_queue()
    if found is None:
        pytest.skip("this system takes no writes that nobody waits for")
    return found


def open_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def test_a_write_is_told_of_once(queue: SystemQueue, tmp_path: Path) -> None:
    descriptor = open_file(tmp_path / "file")
    assert queue.submit(descriptor, zeros()[:BLOCK], BLOCK)
    assert queue.collect(wait=True) == BLOCK
    assert queue.collect(wait=False) is None
    assert select.select([queue.event], [], [], 5)[0] == [queue.event]
    assert os.fstat(descriptor).st_size == 2 * BLOCK
    queue.close()


def test_a_write_that_the_system_does_not_take_is_an_error(queue: SystemQueue, tmp_path: Path) -> None:
    open_file(tmp_path / "file")
    read_only = os.open(tmp_path / "file", os.O_RDONLY)
    with pytest.raises(OSError, match="descriptor"):
        queue.submit(read_only, zeros()[:BLOCK], 0)
    queue.close()


def test_a_write_that_fails_is_an_error(queue: SystemQueue, tmp_path: Path) -> None:
    descriptor = open_file(tmp_path / "file")
    with pytest.raises(OSError, match="too large"):
        assert queue.submit(descriptor, zeros()[:BLOCK], 2**63 - 2 * BLOCK) and queue.collect(wait=True)
    queue.close()


def test_a_file_that_takes_no_such_writes_is_left_to_the_thread(queue: SystemQueue) -> None:
    assert not queue.submit(os.open("/dev/full", os.O_WRONLY), zeros()[:BLOCK], 0)
    queue.close()


async def test_the_loop_writes_by_itself_where_nothing_is_due(tmp_path: Path) -> None:
    disk = SegmentDisk(has_queue=True)
    async with SEGMENTS.journal_at(tmp_path / "journal", disk=disk) as journal:
        assert isinstance(journal, SegmentJournal)
        flights = set()
        for number in range(20):
            assert await journal.append([b"%d" % number]) == number + 1
            flights.add(id(journal._writer.flight))
        assert len(flights - {id(None)}) > 1
        assert await rows_of(journal) == [b"%d" % number for number in range(20)]


async def test_a_flight_that_came_down_short_is_terminal(tmp_path: Path) -> None:
    disk = SegmentDisk(has_queue=True)
    async with SEGMENTS.journal_at(tmp_path / "journal", disk=disk) as journal:
        await journal.append([b"a"])
        disk.taken = 0
        for _ in range(2):
            with pytest.raises(JournalFailed, match="0 of 4096 bytes"):
                await journal.append([b"b"])
        assert journal.head == 1
    async with SEGMENTS.journal_at(tmp_path / "journal") as journal:
        assert await rows_of(journal) == [b"a"]


async def test_closing_waits_for_what_was_abandoned_in_flight(tmp_path: Path) -> None:
    disk = SegmentDisk(has_queue=True)
    async with SEGMENTS.journal_at(tmp_path / "journal", disk=disk) as journal:
        disk.hang()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.append, [b"abandoned"])
            await trio.to_thread.run_sync(disk.asked_to_sync.wait)
            nursery.cancel_scope.cancel()
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.aclose()
        assert scope.cancelled_caught
        disk.let_go()
    async with SEGMENTS.journal_at(tmp_path / "journal") as journal:
        assert await rows_of(journal) == [b"abandoned"]


async def test_many_tasks_that_append_at_once_overtake_nobody_for_good(tmp_path: Path) -> None:
    async with SEGMENTS.journal_at(tmp_path / "journal") as journal:

        async def write(writer: int) -> None:
            last = 0
            for _ in range(40):
                first = await journal.append([b"%d" % writer] * 2)
                assert first > last
                last = first

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for writer in range(8):
                    nursery.start_soon(write, writer)
        assert journal.head == 640
        assert len(await rows_of(journal)) == 640
