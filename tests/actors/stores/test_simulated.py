"""The simulator keeps the promises of the port, so that what passes on it passes on a disk."""

import pytest
import trio
import trio.testing

from actors.stores.port import Journal, JournalFailed
from tests.actors.stores.simulated import SimulatedJournal


async def test_it_numbers_rows_without_a_gap() -> None:
    journal: Journal = SimulatedJournal()
    assert [await journal.append([b"a", b"b"]), await journal.append([b"c"])] == [1, 3]
    assert (journal.head, await journal.read(2, 10)) == (3, [(2, b"b"), (3, b"c")])


async def test_a_slow_disk_takes_its_time_on_the_clock_of_the_test(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await SimulatedJournal(commit_seconds=3600.0).append([b"a"])
    assert trio.current_time() >= 3600.0


async def test_a_hung_disk_holds_append_and_close_but_not_the_loop(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = SimulatedJournal()
    journal.hang()
    with trio.move_on_after(5) as patience:
        await journal.append([b"a"])
    assert patience.cancelled_caught
    assert (journal.head, journal.batches) == (0, [(b"a",)])
    with trio.move_on_after(5) as patience:
        await journal.aclose()
    assert patience.cancelled_caught


async def test_an_abandoned_append_may_be_written_all_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    journal = SimulatedJournal(commit_seconds=10.0)
    with trio.move_on_after(1):
        await journal.append([b"a"])
    assert (journal.head, await journal.append([b"b"])) == (1, 2)


@pytest.mark.parametrize("written", [True, False])
async def test_a_failure_is_terminal_whatever_was_written(written: bool) -> None:
    journal = SimulatedJournal()
    journal.fail_at(2, written=written)
    await journal.append([b"a"])
    for _ in range(2):
        with pytest.raises(JournalFailed):
            await journal.append([b"b"])
    assert journal.rows == ([b"a", b"b"] if written else [b"a"])
    assert await SimulatedJournal(rows=list(journal.rows)).append([b"c"]) == len(journal.rows) + 1
