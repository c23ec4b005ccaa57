"""The writer's thread tells everyone what became of what it was handed, also of what it never came to."""

from __future__ import annotations

import errno
import math
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import attrs
import pytest
import trio

from actors.stores.ground import EVERY_S, Ground
from actors.stores.writer import GLANCE_S, THREAD_TURNS, Batch, Chore, Writer
from helm.contracts.errors import Invalid
from tests.actors.stores.journals import come_to_rest


@attrs.define
class Paper:
    """A book that keeps its rows in memory."""

    ground: Ground
    rows: list[bytes] = attrs.field(factory=list)

    @property
    def head(self) -> int:
        return len(self.rows)

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        first = self.head + 1
        begin()
        self.rows += rows
        return first

    def tidy(self) -> None:
        """Nothing is due."""

    def work_ahead(self) -> bool:
        return False

    def condemn(self) -> None:
        raise AssertionError("nothing fails here")


@pytest.fixture
def book(tmp_path: Path) -> Paper:
    return Paper(Ground(tmp_path, 0))


@pytest.fixture
def writer(book: Paper) -> Writer:
    @contextmanager
    def opened() -> Iterator[Paper]:
        yield book

    return Writer("on paper", opened)


async def test_whoever_comes_behind_the_end_is_told_that_nothing_was_written(writer: Writer, book: Paper) -> None:
    before, late, chore = Batch(rows=(b"a",)), Batch(rows=(b"b",)), Chore(do=lambda _: None)
    writer.append(before)
    writer.stop()
    writer.append(late)
    writer.append(chore)
    writer.start()
    with trio.fail_after(10):
        for errand in (before, late, chore, writer.ended):
            await errand.wait()
    assert (before.first, late.first, chore.was_done, book.rows) == (1, 0, False, [b"a"])
    assert writer.failure


# -- Rows that the loop writes itself -------------------------------------------------------------------------------


class Trip:
    """Rows on their way: there after so many looks, or what the test says of them."""

    def __init__(self, book: QuickPaper, rows: tuple[bytes, ...]) -> None:
        self.book, self.rows, self.looks, self.first = book, rows, 0, book.head + 1

    def has_landed(self) -> bool:
        self.looks += 1
        return self.looks > self.book.looks and self.arrive()

    def land(self) -> None:
        self.book.landed_in.append(threading.current_thread())
        self.book.let_land.wait(10)
        self.arrive()

    def arrive(self) -> bool:
        if self.book.error is not None:
            raise self.book.error
        self.book.rows += self.rows
        return True


@attrs.define
class QuickPaper(Paper):
    """A book that takes rows without waiting."""

    looks: int = 0
    """How often one has to look before rows have landed."""
    error: OSError | None = None
    """What comes of rows that the loop began."""
    takes: bool = True
    trips: list[Trip] = attrs.field(factory=list)
    landed_in: list[threading.Thread] = attrs.field(factory=list)
    let_land: threading.Event = attrs.field(factory=threading.Event)
    is_condemned: bool = False

    def begin(self, rows: tuple[bytes, ...]) -> Trip | None:
        if not self.takes:
            return None
        self.trips.append(Trip(self, rows))
        return self.trips[-1]

    def condemn(self) -> None:
        self.is_condemned = True


@pytest.fixture
def quick(tmp_path: Path) -> QuickPaper:
    ground = Ground(tmp_path, 0)
    ground._next_look = math.inf
    return QuickPaper(ground)


@asynccontextmanager
async def writing(quick: QuickPaper) -> AsyncIterator[Writer]:
    @contextmanager
    def opened() -> Iterator[QuickPaper]:
        yield quick

    writer = Writer("on paper", opened)
    writer.start()
    await writer.opened.wait(10)
    try:
        yield writer
    finally:
        quick.let_land.set()
        writer.stop()
        await writer.ended.wait(10)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the loop look on for as long as a busy machine keeps it from looking."""
    monkeypatch.setattr("actors.stores.writer.GLANCE_S", 10.0)


@pytest.fixture
async def quick_writer(quick: QuickPaper) -> AsyncIterator[Writer]:
    async with writing(quick) as writer:
        yield writer


def batch_of(*rows: bytes) -> Batch:
    return Batch(rows=rows)


async def append(writer: Writer, batch: Batch) -> None:
    """Have the thread write, and be at rest again."""
    writer.append(batch)
    with trio.fail_after(10):
        await batch.wait()
        await trio.to_thread.run_sync(come_to_rest, writer)


@pytest.mark.usefixtures("patient")
async def test_the_loop_writes_itself_while_the_thread_rests(quick_writer: Writer, quick: QuickPaper) -> None:
    quick.looks = 2
    one, another = batch_of(b"a"), batch_of(b"b", b"c")
    assert quick_writer.write(one) and quick_writer.write(another)
    assert (one.is_done, one.first, another.first, quick_writer.head) == (True, 1, 2, 3)
    assert (quick.rows, quick.landed_in) == ([b"a", b"b", b"c"], [])


async def test_what_the_book_does_not_begin_is_the_threads(quick_writer: Writer, quick: QuickPaper) -> None:
    quick.takes = False
    batch = batch_of(b"a")
    assert not quick_writer.write(batch)
    assert not batch.is_done
    await append(quick_writer, batch)
    assert (batch.first, quick.rows) == (1, [b"a"])


async def test_a_book_that_waits_for_the_disk_is_never_the_loops(writer: Writer, book: Paper) -> None:
    writer.start()
    await writer.opened.wait(10)
    assert not writer.write(batch_of(b"a"))
    writer.stop()
    await writer.ended.wait(10)
    assert book.rows == []


async def test_what_takes_longer_is_waited_for_by_the_thread_and_so_is_what_comes_next(
    quick_writer: Writer, quick: QuickPaper
) -> None:
    quick.looks = 1 << 30
    slow = batch_of(b"slow")
    start = time.monotonic()
    assert quick_writer.write(slow)
    assert time.monotonic() - start < 0.2  # nor has the loop
    assert (slow.is_done, slow.first, quick.rows) == (False, 0, [])
    behind = batch_of(b"behind")
    assert not quick_writer.write(behind)  # the thread owes something
    quick_writer.append(behind)
    await trio.sleep(2 * EVERY_S)
    assert quick.rows == []
    quick.let_land.set()
    with trio.fail_after(10):
        await slow.wait()
        await behind.wait()
    assert (slow.first, behind.first, quick_writer.head) == (1, 2, 2)
    assert quick.landed_in != [threading.current_thread()]
    quick.looks = 0
    for turn in range(1, THREAD_TURNS):
        assert not quick_writer.write(batch_of(b"next")), turn
    assert len(quick.trips) == 1
    await append(quick_writer, batch_of(b"last"))
    assert quick_writer.write(batch_of(b"again"))
    assert quick.rows == [b"slow", b"behind", b"last", b"again"]


async def test_a_processor_that_others_want_is_left_to_them(
    quick_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They had it between two looks: by the second one, long after, the rows were there."""
    monkeypatch.setattr("actors.stores.writer.os.sched_yield", lambda: time.sleep(2 * GLANCE_S))
    monkeypatch.setattr(quick_writer._quick, "looks", 1)
    assert quick_writer.write(batch_of(b"a"))
    assert not quick_writer.write(batch_of(b"b"))


async def test_what_the_disk_would_not_take_at_once_is_written_by_the_thread_once(
    quick_writer: Writer, quick: QuickPaper
) -> None:
    quick.error = BlockingIOError(errno.EAGAIN, "others are before it")
    batch = batch_of(b"a")
    assert not quick_writer.write(batch)
    quick.error = None
    assert not quick_writer.write(batch)  # nor is it tried at once again
    await append(quick_writer, batch)
    assert (batch.first, quick.rows, quick_writer.failure) == (1, [b"a"], "")


async def test_what_turns_out_late_not_to_have_been_taken_is_written_by_the_thread(
    quick_writer: Writer, quick: QuickPaper
) -> None:
    quick.looks = 1 << 30
    quick.error = BlockingIOError(errno.EAGAIN, "others are before it")
    batch = batch_of(b"a")
    assert quick_writer.write(batch)
    quick.let_land.set()
    with trio.fail_after(10):
        await batch.wait()
    assert (batch.first, quick.rows, quick_writer.failure) == (1, [b"a"], "")


@pytest.mark.parametrize("looks", [0, 1 << 30])
async def test_a_write_of_the_loops_that_fails_ends_the_journal(
    quick_writer: Writer, quick: QuickPaper, looks: int
) -> None:
    quick.looks, quick.error = looks, OSError(errno.EIO, "the disk is gone")
    quick.let_land.set()
    batch, later = batch_of(b"a"), batch_of(b"b")
    assert quick_writer.write(batch)
    with trio.fail_after(10):
        await batch.wait()
    assert (batch.first, quick.is_condemned, quick.rows) == (0, True, [])
    assert "the disk is gone" in quick_writer.failure
    quick.looks, quick.error = 0, None
    assert not quick_writer.write(later)
    await append(quick_writer, later)
    assert (later.first, quick.rows) == (0, [])


async def test_what_breaks_the_loop_off_ends_the_journal(
    quick_writer: Writer, quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal's handler may raise anything anywhere, and then nobody knows what is under way."""

    def leave(_: Trip) -> bool:
        raise SystemExit

    monkeypatch.setattr(Trip, "has_landed", leave)
    with pytest.raises(SystemExit):
        quick_writer.write(batch_of(b"a"))
    assert (quick_writer.failure, quick.is_condemned) == ("SystemExit: ", True)
    later = batch_of(b"b")
    assert not quick_writer.write(later)
    await append(quick_writer, later)
    assert (later.first, quick.rows) == (0, [])


@pytest.mark.usefixtures("patient")
def test_an_interrupt_waits_until_it_is_known_what_was_written(
    quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(b"a")

    def interrupt(trip: Trip) -> bool:
        signal.raise_signal(signal.SIGINT)
        return trip.arrive()

    async def write() -> None:
        async with writing(quick) as writer:
            assert writer.write(batch)
            assert (batch.is_done, batch.first, writer.head, writer.failure) == (True, 1, 1, "")

    monkeypatch.setattr(Trip, "has_landed", interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # else ignored, in a shell's background
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(write)
    finally:
        signal.signal(signal.SIGINT, before)
    assert batch.first == 1


async def test_where_a_look_at_the_disk_is_due_rows_are_the_threads(quick_writer: Writer, quick: QuickPaper) -> None:
    """Row upon row leaves the thread no moment in between, and the room that is left would be told too late."""
    quick.ground._next_look = 0.0
    assert not quick_writer.write(batch_of(b"a"))
    quick.ground.check(None)
    assert quick_writer.write(batch_of(b"a"))


@pytest.mark.usefixtures("patient")
async def test_rows_behind_a_pause_are_the_threads(
    quick_writer: Writer, quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was sound a while ago may have hung itself up since, and the loop with it."""
    monkeypatch.setattr("actors.stores.writer.SOUND_S", 0)
    assert quick_writer.write(batch_of(b"a"))
    await trio.sleep(0.001)
    assert not quick_writer.write(batch_of(b"b"))
    await append(quick_writer, batch_of(b"b"))
    assert not quick_writer.write(batch_of(b"c"))
    monkeypatch.setattr("actors.stores.writer.SOUND_S", 60)
    await append(quick_writer, batch_of(b"c"))
    assert quick_writer.write(batch_of(b"d"))
    assert (quick.rows, len(quick.trips)) == ([b"a", b"b", b"c", b"d"], 2)


async def test_while_the_thread_has_the_book_the_loop_leaves_it_alone(quick_writer: Writer, quick: QuickPaper) -> None:
    has_it, goes_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        has_it.set()
        goes_on.wait(10)

    chore = Chore(do=hold)
    quick_writer.append(chore)
    await trio.to_thread.run_sync(has_it.wait)
    assert not quick_writer.write(batch_of(b"a"))
    goes_on.set()
    with trio.fail_after(10):
        await chore.wait()
    assert quick.trips == []


async def test_what_is_due_between_batches_waits_for_the_loop(
    quick_writer: Writer, quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread looks after the book when it has rested: never while rows are on their way."""
    tidied = threading.Event()
    monkeypatch.setattr(QuickPaper, "tidy", lambda _: tidied.set())
    with quick_writer._pen:
        assert not quick_writer.write(batch_of(b"a"))
        assert not await trio.to_thread.run_sync(tidied.wait, 3 * EVERY_S)
    assert await trio.to_thread.run_sync(tidied.wait, 10)


async def test_what_the_loop_began_comes_before_what_is_due(
    quick_writer: Writer, quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread, about to look after the book, has waited for the loop; then it goes to what the loop left it."""
    there_when_tidied: list[list[bytes]] = []
    monkeypatch.setattr(QuickPaper, "tidy", lambda book: there_when_tidied.append(list(book.rows)))
    quick.looks = 1 << 30
    quick.let_land.set()
    batch = batch_of(b"a")
    with quick_writer._pen:
        there_when_tidied.clear()
        await trio.sleep(3 * EVERY_S)
        assert quick_writer._write(quick, batch)
    with trio.fail_after(10):
        await batch.wait()
    await trio.to_thread.run_sync(come_to_rest, quick_writer)
    assert there_when_tidied[0] == [b"a"]


async def test_rows_come_before_what_later_rows_will_need(
    quick_writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuickPaper, "work_ahead", lambda _: True)
    for row in (b"a", b"b"):
        batch = batch_of(row)
        quick_writer.append(batch)
        with trio.fail_after(10):
            await batch.wait()


async def test_behind_the_end_the_loop_writes_nothing(quick_writer: Writer, quick: QuickPaper) -> None:
    quick_writer.stop()
    assert not quick_writer.write(batch_of(b"a"))
    await quick_writer.ended.wait(10)
    assert not quick_writer.write(batch_of(b"b"))
    assert quick.trips == []


async def test_a_thread_that_ended_by_itself_takes_the_book_along(
    quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes, is_closed = threading.Event(), threading.Event()

    @contextmanager
    def opened() -> Iterator[QuickPaper]:
        with suppress(Invalid):
            yield quick
        closes.set()
        is_closed.wait(10)

    def break_down(_: object) -> None:
        raise Invalid("broken", "here")

    writer = Writer("on paper", opened)
    monkeypatch.setattr(QuickPaper, "tidy", break_down)
    writer.start()
    with trio.fail_after(10):
        await trio.to_thread.run_sync(closes.wait)
        assert not writer.write(batch_of(b"a"))  # which is not the end yet, for a disk may hang
        is_closed.set()
        await writer.ended.wait(10)
    assert not writer.write(batch_of(b"a"))
    assert quick.trips == []


# -- What is to be done meanwhile -----------------------------------------------------------------------------------


async def test_what_is_to_be_done_meanwhile_is_done_once_and_before_anybody_looks(
    quick_writer: Writer, quick: QuickPaper
) -> None:
    looks: list[int] = []
    batch = Batch(rows=(b"a",), meanwhile=lambda: looks.append(quick.trips[0].looks))
    assert quick_writer.write(batch)
    assert (looks, batch.meanwhile, batch.first) == ([0], None, 1)


async def test_what_is_to_be_done_meanwhile_is_left_where_nothing_was_begun(
    quick_writer: Writer, quick: QuickPaper
) -> None:
    done: list[int] = []
    quick.takes = False
    batch = Batch(rows=(b"a",), meanwhile=lambda: done.append(1))
    assert not quick_writer.write(batch)
    assert not done
    assert batch.meanwhile is not None


async def test_what_goes_wrong_meanwhile_keeps_no_row_from_being_known(quick_writer: Writer, quick: QuickPaper) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    batch = Batch(rows=(b"a",), meanwhile=fail)
    with pytest.raises(ZeroDivisionError):
        quick_writer.write(batch)
    assert (batch.first, quick_writer.head, quick_writer.failure, quick.rows) == (1, 1, "", [b"a"])
    assert quick_writer.write(batch_of(b"b"))


async def test_long_rows_are_looked_at_for_longer(
    quick_writer: Writer, quick: QuickPaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.stores.writer.GLANCE_S", 0.0)
    monkeypatch.setattr("actors.stores.writer.SOUND_PACE", 100.0)
    quick.looks = 3
    assert quick_writer.write(batch_of(b"x" * 1000))  # ten seconds
    assert quick.rows == [b"x" * 1000]
    monkeypatch.setattr("actors.stores.writer.SOUND_PACE", 1e12)
    quick.looks = 1 << 30
    late = batch_of(b"y" * 1000)
    assert quick_writer.write(late)
    assert not late.is_done
