"""What the journal on disk promises while nothing goes wrong."""

from functools import partial
from pathlib import Path

import pytest
import trio

from actors.stores.port import Journal, JournalFailed
from actors.stores.reader import MAX_PAGE_BYTES
from helm.contracts.errors import Broken, Invalid
from tests.actors.stores.journals import Store, files_in, rows_of


async def test_rows_are_numbered_from_one_without_a_gap(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        port: Journal = journal
        assert port.head == 0
        assert [await port.append([b"a"]), await port.append([b"b", b"c"]), port.head] == [1, 2, 3]
        assert await port.read(2, 1) == [(2, b"b")]
        assert await port.read(4, 10) == []


async def test_any_bytes_come_back_as_they_were(store: Store, path: Path) -> None:
    rows = [b"", b"\0", b"a\0b", b"\xff\xfe", b'{"a":1}', b"x" * (50_000)]
    async with store.journal_at(path) as journal:
        await journal.append(rows)
        assert await rows_of(journal) == rows


async def test_what_was_appended_stands_after_a_restart(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        await journal.append([b"a", b"b"])
    async with store.journal_at(path) as journal:
        assert journal.head == 2
        assert await journal.append([b"c"]) == 3
        assert await rows_of(journal) == [b"a", b"b", b"c"]


async def test_appends_of_many_tasks_stay_whole_batches(store: Store, path: Path) -> None:
    async def write(writer: int) -> None:
        for _ in range(20):
            await journal.append([b"%d" % writer] * 3)

    async with store.journal_at(path) as journal:
        async with trio.open_nursery() as nursery:
            for writer in range(5):
                nursery.start_soon(write, writer)
        rows = await rows_of(journal)
    assert len(rows) == 300
    assert all(len(set(rows[at : at + 3])) == 1 for at in range(0, 300, 3))


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the thread as long as a busy machine takes to have it begin."""
    monkeypatch.setattr("actors.stores.errand.PATIENCE_S", 10.0)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.usefixtures("patient")
async def test_what_is_to_be_done_meanwhile_is_done_while_the_disk_works(store: Store, path: Path, alone: bool) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        disk.hang()
        done = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(journal.append, [b"a", b"b"], done.set, alone=alone))
            with trio.fail_after(5):
                await done.wait()
            assert journal.head == 0
            disk.let_go()
        assert journal.head == 2


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.usefixtures("patient")
async def test_what_goes_wrong_meanwhile_is_told_and_keeps_no_row_from_the_disk(
    store: Store, path: Path, alone: bool
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        disk.hang()
        with pytest.raises(ZeroDivisionError):
            await journal.append([b"a", b"b"], fail, alone=alone)
        disk.let_go()
        assert await journal.append([b"c"]) == 3
    await journal.aclose()
    async with store.journal_at(path) as journal:
        assert await rows_of(journal) == [b"a", b"b", b"c"]


async def test_an_empty_batch_is_a_mistake_of_the_caller(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        with pytest.raises(Broken):
            await journal.append([])
        assert await journal.append([b"a"]) == 1


async def test_a_closed_journal_takes_and_gives_nothing(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        await journal.append([b"a"])
    await journal.aclose()
    with pytest.raises(JournalFailed):
        await journal.append([b"b"])
    with pytest.raises(JournalFailed):
        await journal.read(1, 1)


async def test_closing_from_two_tasks_ends_both(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(journal.aclose)
        nursery.start_soon(journal.aclose)


async def test_nobody_else_may_read_the_files(file_store: Store, path: Path) -> None:
    async with file_store.journal_at(path) as journal:
        await journal.append([b"a"])
        assert {file.stat().st_mode & 0o077 for file in files_in(path)} == {0}


async def test_low_space_is_told_before_the_first_row(store: Store, path: Path) -> None:
    async with store.journal_at(path, free_space_reserve=1 << 60) as journal:
        assert journal.low_space
    async with store.journal_at(path, free_space_reserve=1) as journal:
        assert not journal.low_space


async def test_a_quota_counts_as_space(file_store: Store, path: Path) -> None:
    async with file_store.journal_at(path, free_space_reserve=1 << 20, max_bytes=1 << 20) as journal:
        assert journal.low_space


async def test_a_bystander_reads_beside_the_writer_and_after_it(store: Store, path: Path) -> None:
    bystander = store.reader(path)
    async with store.journal_at(path) as journal:
        await journal.append([b"a"])
        assert await bystander.read(1, 9) == [(1, b"a")]
        await journal.append([b"b"])
    assert await bystander.read(1, 9) == [(1, b"a"), (2, b"b")]
    await bystander.aclose()


async def test_a_cancelled_open_gives_the_lock_back(store: Store, path: Path) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.open(path)
    assert scope.cancelled_caught
    with trio.fail_after(10):
        await _open_when_free(store, path)


async def _open_when_free(store: Store, path: Path) -> None:
    while True:
        try:
            async with store.journal_at(path):
                return
        except Invalid:
            await trio.lowlevel.checkpoint()


async def test_long_rows_are_not_read_all_at_once(store: Store, path: Path) -> None:
    row = b"x" * (1024 * 1024)
    async with store.journal_at(path) as journal:
        for _ in range(12):
            await journal.append([row])
        page = await journal.read(1, 256)
        assert [seq for seq, _ in page] == list(range(1, MAX_PAGE_BYTES // len(row) + 2))
        assert [seq for seq, _ in await journal.read(len(page) + 1, 256)] == list(range(len(page) + 1, 13))
