"""A disk that fails, fills, hangs or disappears ends the journal, and never the loop."""

import shutil
from pathlib import Path

import pytest
import trio

from actors.stores.journal import StoredJournal
from actors.stores.port import JournalFailed
from helm.contracts.errors import Invalid
from tests.actors.stores.journals import Store, rows_of


async def _append_until_it_fails(journal: StoredJournal, row: bytes) -> int:
    """Return the number of the last row that was acknowledged."""
    acknowledged = journal.head
    with trio.fail_after(30):
        while True:
            try:
                acknowledged = await journal.append([row])
            except JournalFailed:
                return acknowledged


def put_a_copy_in_its_place(path: Path) -> None:
    ours, copy = path.with_name("ours"), path.with_name("copy")
    (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
    path.rename(ours)
    copy.rename(path)


async def test_a_failed_sync_is_terminal_even_on_a_disk_that_recovers(store: Store, path: Path) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        await journal.append([b"a"])
        disk.sync_fails = True
        with pytest.raises(JournalFailed):
            await journal.append([b"unknown"])
        disk.sync_fails = False
        syncs = disk.syncs
        with pytest.raises(JournalFailed):
            await journal.append([b"never"])
        assert (journal.head, disk.syncs) == (1, syncs)
        assert await journal.read(1, 9) == [(1, b"a")]


async def test_what_a_failed_sync_left_is_settled_by_the_next_process(store: Store, path: Path) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        await journal.append([b"a"])
        disk.sync_fails = True
        with pytest.raises(JournalFailed):
            await journal.append([b"unknown"])
    async with store.journal_at(path) as journal:
        found = await rows_of(journal)
        assert found in ([b"a"], [b"a", b"unknown"])
        assert await journal.append([b"b"]) == len(found) + 1
    async with store.journal_at(path) as journal:
        assert await rows_of(journal) == [*found, b"b"]


async def test_everyone_who_waits_hears_of_the_failure(store: Store, path: Path) -> None:
    disk = store.new_disk()
    heard: list[bytes] = []

    async def append(row: bytes) -> None:
        try:
            await journal.append([row])
        except JournalFailed:
            heard.append(row)

    async with store.journal_at(path, disk=disk) as journal:
        disk.hang()
        async with trio.open_nursery() as nursery:
            for row in (b"a", b"b", b"c"):
                nursery.start_soon(append, row)
            await trio.to_thread.run_sync(disk.asked_to_sync.wait)
            disk.sync_fails = True
            disk.let_go()
        assert sorted(heard) == [b"a", b"b", b"c"]


async def test_a_full_disk_loses_no_acknowledged_row(store: Store, path: Path) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        await journal.append([b"a", b"b"])
        disk.is_full = True
        acknowledged = await _append_until_it_fails(journal, b"c")
    async with store.journal_at(path) as journal:
        assert (await rows_of(journal))[:acknowledged] == [b"a", b"b"] + [b"c"] * (acknowledged - 2)


async def test_a_quota_that_is_used_up_loses_no_acknowledged_row(file_store: Store, path: Path) -> None:
    async with file_store.journal_at(path, max_bytes=1 << 19) as journal:
        acknowledged = await _append_until_it_fails(journal, b"x" * 5000)
        assert acknowledged > 50
    async with file_store.journal_at(path) as journal:
        assert await rows_of(journal) == [b"x" * 5000] * acknowledged


async def test_a_directory_that_vanishes_ends_the_journal(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        await journal.append([b"a"])
        shutil.rmtree(path.parent)
        await _append_until_it_fails(journal, b"b")


async def test_a_journal_put_in_the_place_of_ours_ends_the_journal(file_store: Store, path: Path) -> None:
    async with file_store.journal_at(path) as journal:
        await journal.append([b"a"])
        put_a_copy_in_its_place(path)
        await _append_until_it_fails(journal, b"b")


async def test_a_hung_disk_does_not_freeze_the_loop(store: Store, path: Path) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal, trio.open_nursery() as nursery:
        disk.hang()
        nursery.start_soon(journal.append, [b"a"])
        await trio.to_thread.run_sync(disk.asked_to_sync.wait)
        with trio.fail_after(5):
            for _ in range(1000):
                await trio.lowlevel.checkpoint()
        assert journal.head == 0
        disk.let_go()


async def test_an_abandoned_append_is_neither_lost_nor_in_the_way(store: Store, path: Path) -> None:
    disk = store.new_disk()
    async with store.journal_at(path, disk=disk) as journal:
        disk.hang()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(journal.append, [b"abandoned"])
            await trio.to_thread.run_sync(disk.asked_to_sync.wait)
            nursery.cancel_scope.cancel()
        disk.let_go()
        assert await journal.append([b"next"]) == 2
        assert await rows_of(journal) == [b"abandoned", b"next"]


async def test_a_task_that_is_cancelled_already_writes_nothing(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        with trio.CancelScope() as scope:
            scope.cancel()
            await journal.append([b"a"])
        assert scope.cancelled_caught
        assert await journal.append([b"b"]) == 1


async def test_a_hung_writer_keeps_the_lock_after_closing_was_given_up(store: Store, path: Path) -> None:
    disk = store.new_disk()
    journal = await store.open(path, disk=disk)
    disk.hang()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.append, [b"a"])
        await trio.to_thread.run_sync(disk.asked_to_sync.wait)
        nursery.cancel_scope.cancel()
    with trio.CancelScope() as scope:
        scope.cancel()
        await journal.aclose()
    assert scope.cancelled_caught
    with pytest.raises(Invalid, match="another kernel"):
        await store.open(path)
    disk.let_go()
    await journal.aclose()
    async with store.journal_at(path) as journal:
        assert await rows_of(journal) == [b"a"]
