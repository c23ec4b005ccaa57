"""An id that was noted is found, wherever it is on its way; what the index lost is noted again."""

from pathlib import Path

import apsw
import pytest
import trio
import trio.testing

from actors.stores.index import DUE, FLUSH_EVERY_S, IdIndex, IndexFailed
from helm.contracts.errors import Invalid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


def _session_key(session: str, lamport: int) -> str:
    return f"s:acme\x00{session}\x00{lamport:012d}"


async def test_a_key_is_found_before_and_after_it_is_written_down(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    index.note("rcpt_1", 1)
    assert (await index.find("rcpt_1"), await index.find("rcpt_2")) == (1, None)
    await index.flush(1)
    assert (await index.find("rcpt_1"), await index.find("rcpt_2")) == (1, None)
    await index.aclose()


async def test_keys_stand_after_a_restart_up_to_the_watermark(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    index.note("rcpt_1", 1)
    index.note("rcpt_2", 7)
    await index.aclose()
    index = await IdIndex.open(path, "log")
    assert (index.watermark, await index.find("rcpt_1"), await index.find("rcpt_2")) == (7, 1, 7)
    await index.aclose()


async def test_an_index_that_lags_heals_when_the_rest_is_noted_again(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    index.note("rcpt_1", 1)
    await index.flush(1)
    index.note("rcpt_2", 2)  # and the kernel dies here
    healed = await IdIndex.open(path, "log")
    assert (healed.watermark, await healed.find("rcpt_2")) == (1, None)
    for seq in range(healed.watermark + 1, 4):
        healed.note(f"rcpt_{seq}", seq)
    assert [await healed.find(f"rcpt_{seq}") for seq in (1, 2, 3)] == [1, 2, 3]
    await healed.aclose()
    await index.aclose()


async def test_the_index_of_another_journal_is_not_believed(path: Path) -> None:
    index = await IdIndex.open(path, "log of ours")
    index.note("rcpt_1", 1)
    await index.aclose()
    index = await IdIndex.open(path, "log of theirs")
    assert (index.watermark, await index.find("rcpt_1")) == (0, None)
    await index.aclose()


DAMAGES = {
    "no database": b"junk" * 5000,
    "an empty file": b"",
    "a header without a body": b"SQLite format 3\x00",
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_an_index_that_cannot_be_read_begins_anew(path: Path, damage: bytes) -> None:
    await trio.Path(path).write_bytes(damage)
    index = await IdIndex.open(path, "log")
    index.note("rcpt_1", 1)
    await index.flush(1)
    assert (index.watermark, await index.find("rcpt_1")) == (1, 1)
    await index.aclose()


async def test_an_index_found_damaged_at_work_is_another_one_at_the_next_start(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    for seq in range(1, 5000):
        index.note(f"rcpt_{seq}", seq)
    await index.aclose()
    raw = await trio.Path(path).read_bytes()
    await trio.Path(path).write_bytes(raw[: len(raw) // 2] + b"\xff" * (len(raw) // 2))
    index = await IdIndex.open(path, "log")
    with pytest.raises(IndexFailed):
        for seq in range(1, 5000):
            await index.find(f"rcpt_{seq}")
    await index.aclose()
    index = await IdIndex.open(path, "log")
    assert index.watermark == 0
    await index.aclose()


async def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        await IdIndex.open(tmp_path / "missing" / "index.db", "log")


async def test_nobody_else_may_read_the_index(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    index.note("s:acme", 1)
    await index.flush(1)
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    await index.aclose()


async def test_a_range_goes_through_memory_and_disk_in_order(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    for lamport in range(1, 31):
        index.note(_session_key("a", lamport), lamport)
        index.note(_session_key("b", lamport), 100 + lamport)
        if lamport % 7 == 0:
            await index.flush(lamport)
    found: list[tuple[str, int]] = []
    prefix = "s:acme\x00a\x00"
    while page := await index.range(prefix, found[-1][0] if found else "", 4):
        assert len(page) <= 4
        found += page
    assert found == [(_session_key("a", lamport), lamport) for lamport in range(1, 31)]
    await index.aclose()


async def test_a_prefix_is_not_a_pattern(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    names = ["s:a%", "s:a_", "s:ab", "s:a\x00x", "s:a\U0010ffff", "s:a", "s:b", "s:é"]
    for written_down in (False, True):
        for name in names:
            index.note(name, 1)
        assert [key for key, _ in await index.range("s:a", "", 99)] == sorted(names)[:6]
        assert await index.range("s:a%", "", 99) == [("s:a%", 1)]
        assert await index.range("s:é", "", 99) == [("s:é", 1)]
        if not written_down:
            await index.flush(1)
    await index.aclose()


async def test_a_key_noted_again_stands_for_its_later_row(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    for seq in (1, 2, 3):
        index.note("claim:k", seq)
        assert await index.find("claim:k") == seq
        assert await index.range("claim:", "", 9) == [("claim:k", seq)]
        await index.flush(seq)
        assert await index.find("claim:k") == seq
        assert await index.range("claim:", "", 9) == [("claim:k", seq)]
    await index.aclose()


async def test_hundreds_of_flushes_lose_no_key_and_leave_few_runs(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    for seq in range(1, 301):
        for part in range(1 + seq % 5):
            index.note(f"k{part}_{seq}", seq)
        index.note("claim:again", seq)
        await index.flush(seq)
    for seq in range(1, 301):
        assert await index.find(f"k0_{seq}") == seq
    assert len(await index.range("k", "", 9999)) == sum(1 + seq % 5 for seq in range(1, 301))
    assert await index.find("claim:again") == 300
    await index.aclose()
    with apsw.Connection(str(path)) as connection:
        assert connection.execute("SELECT count(*) FROM runs").get < 20


async def test_nothing_disappears_from_view_while_it_is_written_down(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    noted = 0
    done = trio.Event()

    async def look() -> None:
        while not done.is_set():
            last = noted
            assert await index.find(f"k_{last:06d}") == last
            assert await index.find("k_000001") == 1
            assert (await index.range("k_", f"k_{last - 1:06d}", 1))[0] == (f"k_{last:06d}", last)

    async with trio.open_nursery() as nursery:
        for noted in (1, 2):
            index.note(f"k_{noted:06d}", noted)
        nursery.start_soon(look)
        for _ in range(30):
            for _ in range(300):
                noted += 1
                index.note(f"k_{noted:06d}", noted)
            await index.flush(noted)
        done.set()
    await index.aclose()


async def test_a_flush_that_is_abandoned_leaves_every_key_in_view(path: Path) -> None:
    index = await IdIndex.open(path, "log")
    index.note("rcpt_1", 1)
    with trio.CancelScope() as scope:
        scope.cancel()
        await index.flush(1)
    assert (index.watermark, await index.find("rcpt_1")) == (0, 1)
    index.note("rcpt_2", 2)
    await index.flush(2)
    await index.aclose()
    index = await IdIndex.open(path, "log")
    assert [index.watermark, await index.find("rcpt_1"), await index.find("rcpt_2")] == [2, 1, 2]
    await index.aclose()


async def test_the_loop_writes_down_what_is_due_and_what_lies_idle(
    path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    autojump_clock.autojump_threshold = 0.01  # time stands still while a thread is that busy
    index = await IdIndex.open(path, "log")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(index.run)
        for noted, last in ((0, 1), (1, DUE + 3)):
            for seq in range(noted + 1, last + 1):
                index.note(f"rcpt_{seq}", seq)
            assert index.due == (last > DUE)
            with trio.fail_after(100 * FLUSH_EVERY_S):
                while index.watermark < last:  # noqa: ASYNC110
                    await trio.sleep(FLUSH_EVERY_S)
            assert not index.due
        nursery.cancel_scope.cancel()
    await index.aclose()
