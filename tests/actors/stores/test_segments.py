"""Segments that are not what their writer left are refused before a row of them is believed; a torn write is not."""

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
import trio

from actors.stores.glance import glance
from actors.stores.ground import Ground
from actors.stores.segments import segment as segments
from actors.stores.segments.book import SHORT_BYTES, Book, Place, opened
from actors.stores.segments.frame import BLOCK, FORMAT, HEADER_BYTES, MAGIC, NO_DIGEST, Kind, mark
from actors.stores.segments.journal import open_segments
from actors.stores.segments.segment import SLICE_BYTES, Departure
from helm.contracts.errors import Invalid
from tests.actors.stores.disk import Landing, SegmentDisk
from tests.actors.stores.journals import come_to_rest, nothing

FIRST = "00000000000000000001.segment"
LONG_ROW = b"x" * 3 * BLOCK


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path / "journal", free_space_reserve=0)


@pytest.fixture
def short_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn to a new file after every batch."""
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 2 * BLOCK)


def write(place: Place, *batches: tuple[bytes, ...], in_order: bool = True) -> list[int]:
    """Append; return where each frame begins, and where the last one ends. Like a crash, unless closed in order."""
    offsets = []
    with opened(place) as book:
        for rows in batches:
            offsets.append(book.segment.last.end)
            book.append(rows, nothing)
            book.tidy()
        offsets.append(book.segment.last.end)
        if not in_order:
            book.condemn()
    return offsets


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def rows_in(place: Place) -> list[bytes]:
    with opened(place) as book, glance(place.path) as seen:
        return [body for _, body in seen.page(1, book.head)]


def files_of(place: Place) -> list[str]:
    return sorted(os.listdir(place.path))


# -- A write that was cut off --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [0, 1, 2, 3])
def test_a_frame_with_a_block_that_never_came_was_never_acknowledged(
    place: Place, lost: int, caplog: pytest.LogCaptureFixture
) -> None:
    *_, torn, end = write(place, (b"a",), (LONG_ROW,), in_order=False)
    overwrite(place.path / FIRST, torn + lost * BLOCK, bytes(BLOCK))
    with opened(place) as book:
        assert book.head == 1
        assert f"from byte {torn} on of a write that was cut off" in book.torn
        assert book.torn in caplog.text
    assert (place.path / FIRST).read_bytes()[torn + BLOCK : end] == bytes(end - torn - BLOCK)
    assert rows_in(place) == [b"a"]


def test_rows_follow_where_a_torn_write_was(place: Place) -> None:
    _, torn, _ = write(place, (b"a",), (LONG_ROW,), in_order=False)
    overwrite(place.path / FIRST, torn, bytes(BLOCK))
    write(place, (b"b",))
    with opened(place) as book:
        assert book.torn == ""
    assert rows_in(place) == [b"a", b"b"]


def test_nothing_is_torn_where_every_write_ended(place: Place) -> None:
    write(place, (b"a",), (LONG_ROW,), in_order=False)
    with opened(place) as book:
        assert (book.head, book.torn) == (2, "")


def test_a_row_that_looks_like_a_frame_is_a_row(place: Place) -> None:
    forged = mark(Kind.ROWS, 7, BLOCK, NO_DIGEST)
    row = (b"." * 3000 + forged.fields() + forged.digest) * 5
    write(place, (row,), (b"b",))
    assert rows_in(place) == [row, b"b"]


def test_a_look_beside_the_writer_does_not_see_a_frame_that_is_on_its_way(place: Place) -> None:
    *_, torn, _ = write(place, (b"a",), (LONG_ROW,), in_order=False)
    overwrite(place.path / FIRST, torn + BLOCK, bytes(BLOCK))
    with glance(place.path) as seen:
        assert (seen.head(), seen.page(1, 9)) == (1, [(1, b"a")])


# -- Damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 8, 12, 20, 30, 40, 80, HEADER_BYTES, HEADER_BYTES + 9])
def test_a_flipped_byte_before_a_later_frame_is_damage(place: Place, at: int) -> None:
    offset, *_ = write(place, (b"aaaaaaaaaaaaaaaaaaaa",), (b"b",), in_order=False)
    overwrite(place.path / FIRST, offset + at, b"\xaa")
    for _ in range(2):
        with pytest.raises(Invalid, match=f"{FIRST}.*(damaged at byte {offset}|format)"), opened(place):
            pass


def test_a_flipped_byte_in_the_last_rows_of_a_journal_closed_in_order_is_damage(place: Place) -> None:
    offset, _ = write(place, (b"a",))
    overwrite(place.path / FIRST, offset + HEADER_BYTES + 4, b"b")
    with pytest.raises(Invalid, match=f"damaged at byte {offset}"), opened(place):
        pass


def test_a_file_that_is_cut_short_is_refused(place: Place) -> None:
    write(place, (LONG_ROW,))
    os.truncate(place.path / FIRST, 3 * BLOCK)
    with pytest.raises(Invalid, match="cut short"), opened(place):
        pass


def test_another_format_is_refused(place: Place) -> None:
    write(place, (b"a",))
    overwrite(place.path / FIRST, len(MAGIC), (FORMAT + 1).to_bytes(2, "little"))
    with pytest.raises(Invalid, match=f"format {FORMAT + 1}"), opened(place):
        pass


def test_what_is_no_segment_is_refused_and_left_as_it_is(place: Place) -> None:
    write(place, (b"a",))
    (place.path / FIRST).write_bytes(b"not a segment" * 1000)
    with pytest.raises(Invalid, match="not the beginning"), opened(place):
        pass
    assert (place.path / FIRST).read_bytes() == b"not a segment" * 1000


def test_frames_of_another_journal_do_not_follow_ours(place: Place, tmp_path: Path) -> None:
    other = attrs.evolve(place, path=tmp_path / "other")
    _, second, end = write(place, (b"a",), (b"b",), in_order=False)
    write(other, (b"x",), (b"y",), in_order=False)
    overwrite(place.path / FIRST, second, (other.path / FIRST).read_bytes()[second:end])
    with pytest.raises(Invalid, match=f"damaged at byte {second}: a frame that does not belong"), opened(place):
        pass


# -- Files ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("short_files")
def test_a_journal_goes_on_in_the_next_file(place: Place) -> None:
    write(place, (b"a",), (b"b", b"c"))
    write(place, (LONG_ROW,))
    assert files_of(place) == [f"{first:020d}.segment" for first in (1, 2, 4, 5)]
    assert rows_in(place) == [b"a", b"b", b"c", LONG_ROW]
    with glance(place.path) as seen:
        assert seen.page(3, 2) == [(3, b"c"), (4, LONG_ROW)]


@pytest.mark.usefixtures("short_files")
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_a_missing_file_is_refused(place: Place, first: int) -> None:
    write(place, (b"a",), (b"b",), (b"c",))
    (place.path / f"{first:020d}.segment").unlink()
    with pytest.raises(Invalid, match=f"(missing|begin).*|{first:020d}"), opened(place):
        pass


@pytest.mark.usefixtures("short_files")
@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_a_renamed_file_is_refused(place: Place, first: int) -> None:
    write(place, (b"a",), (b"b",), (b"c",))
    (place.path / f"{first:020d}.segment").rename(place.path / f"{first + 7:020d}.segment")
    with pytest.raises(Invalid), opened(place):
        pass


@pytest.mark.usefixtures("short_files")
def test_two_files_in_each_others_place_are_refused(place: Place) -> None:
    write(place, (b"a",), (b"b",), (b"c",))
    one, two, aside = (place.path / name for name in (f"{2:020d}.segment", f"{3:020d}.segment", "aside"))
    one.rename(aside)
    two.rename(one)
    aside.rename(two)
    with pytest.raises(Invalid, match="does not belong"), opened(place):
        pass


@pytest.mark.usefixtures("short_files")
def test_a_file_that_lost_its_end_is_refused(place: Place) -> None:
    *_, turn = write(place, (b"a",)), 2 * BLOCK
    overwrite(place.path / FIRST, turn, bytes(BLOCK))
    write(place)  # it had only just turned: a crash in between leaves the same
    write(place, (b"b",))
    overwrite(place.path / FIRST, turn, bytes(BLOCK))
    with pytest.raises(Invalid, match="its last rows are gone"), opened(place):
        pass


@pytest.mark.usefixtures("short_files")
def test_a_file_that_never_got_its_name_is_not_missed(place: Place) -> None:
    write(place, (b"a",))
    (place.path / "unfinished").write_bytes(b"half")
    write(place, (b"b",))
    assert rows_in(place) == [b"a", b"b"]


def link(path: Path) -> None:
    moved = path.parent.parent / "moved"
    path.rename(moved)
    path.symlink_to(moved)


def become_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def get_company(path: Path) -> None:
    path.with_name("notes.txt").write_text("no journal")


STRANGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "a link": (link, "not a file"),
    "a file that others may read": (lambda path: path.chmod(0o640), "0640"),
    "a directory": (become_a_directory, "not a file"),
    "a file of another kind beside it": (get_company, "no file of a journal"),
    "an open directory": (lambda path: path.parent.chmod(0o755), "0755"),
}


@pytest.mark.parametrize(("make", "said"), STRANGE.values(), ids=list(STRANGE))
def test_what_is_not_ours_alone_is_refused(place: Place, make: Callable[[Path], None], said: str) -> None:
    write(place, (b"a",))
    make(place.path / FIRST)
    with pytest.raises(Invalid, match=said), opened(place):
        pass
    with pytest.raises(Invalid, match=said), glance(place.path):
        pass


def test_a_journal_of_somebody_else_is_refused(place: Place) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    write(place, (b"a",))
    os.chown(place.path / FIRST, 12345, 12345)
    with pytest.raises(Invalid, match="another user"), opened(place):
        pass


def test_a_directory_that_is_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    write(place, (b"a",))
    place.path.rename(tmp_path / "elsewhere")
    place.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid, match="not a directory"), opened(place):
        pass


def test_a_directory_that_is_not_there_is_refused(place: Place) -> None:
    with pytest.raises(Invalid), opened(attrs.evolve(place, path=place.path / "missing" / "journal")):
        pass


# -- Zeros ahead of the rows -----------------------------------------------------------------------------------------


def test_rows_find_zeros_wherever_they_go(place: Place) -> None:
    sizes = []
    with opened(place) as book:
        for _ in range(120):
            prepared = book.segment.prepared
            book.append((b"x" * 100_000,), nothing)
            assert book.segment.prepared == prepared  # no row waited for the file to get longer
            book.tidy()
            while book.work_ahead():
                pass
            if book.segment.prepared != prepared:
                sizes.append(book.segment.prepared // SLICE_BYTES)
    assert sizes == [8, 64]
    assert len(rows_in(place)) == 120
    assert len(files_of(place)) == 3


def test_a_file_that_is_not_ready_is_not_waited_for(place: Place) -> None:
    with opened(place) as book:
        for _ in range(40):
            book.append((b"x" * 100_000,), nothing)
            book.tidy()
        book.work_ahead()
    assert files_of(place) == [FIRST]
    assert len(rows_in(place)) == 40


def test_a_batch_longer_than_the_zeros_is_taken_whole(place: Place) -> None:
    row = os.urandom(5 * SLICE_BYTES)
    write(place, (row, b"b"))
    assert rows_in(place) == [row, b"b"]


def test_no_room_for_zeros_is_no_failure_before_rows_need_it(place: Place) -> None:
    disk = SegmentDisk()
    with opened(attrs.evolve(place, disk=disk)) as book:
        disk.is_full = True
        for _ in range(20):
            book.append((b"a",), nothing)
            book.tidy()
        book.append((b"x" * (SLICE_BYTES // 2),), nothing)
        assert not book.work_ahead()
        with pytest.raises(OSError, match="full"):
            book.append((b"x" * 2 * SLICE_BYTES,), nothing)


def test_a_short_write_fails(place: Place) -> None:
    disk = SegmentDisk()
    with opened(attrs.evolve(place, disk=disk)) as book:
        disk.taken = BLOCK
        with pytest.raises(OSError, match="bytes were written"):
            book.append((LONG_ROW,), nothing)
        book.condemn()
    with opened(place) as book:
        assert (book.head, book.torn != "") == (0, True)


def test_a_copy_of_the_directory_is_the_same_journal(place: Place, tmp_path: Path) -> None:
    write(place, (b"a",), (LONG_ROW,))
    shutil.copytree(place.path, tmp_path / "copy")
    assert rows_in(attrs.evolve(place, path=tmp_path / "copy")) == [b"a", LONG_ROW]


# -- Rows that are begun, and waited for by nobody ------------------------------------------------------------------


def begin(book: Book, *rows: bytes) -> Departure:
    departure = book.begin(rows)
    assert departure is not None
    return departure


@pytest.fixture
def quick(place: Place) -> Place:
    """A disk that takes rows without waiting, whatever this one does."""
    if not SegmentDisk().may_pass_cache:
        pytest.skip("this system has no O_DIRECT")
    return attrs.evolve(place, disk=SegmentDisk())


def test_rows_that_are_begun_become_the_same_frames(quick: Place, tmp_path: Path) -> None:
    other = attrs.evolve(quick, path=tmp_path / "other")
    write(other, (b"a", b"bc"), (LONG_ROW,))
    with opened(quick) as book:
        assert begin(book, b"a", b"bc").has_landed()
        departure = begin(book, LONG_ROW)
        assert (departure.first, book.head) == (3, 2)
        departure.land()
        assert book.head == 3
    assert (quick.path / FIRST).read_bytes() == (other.path / FIRST).read_bytes()


def test_rows_that_hang_are_not_there_until_they_are(quick: Place) -> None:
    disk = SegmentDisk()
    with opened(attrs.evolve(quick, disk=disk)) as book:
        disk.hang()
        departure = begin(book, b"a")
        assert not departure.has_landed()
        assert book.head == 0
        disk.let_go()
        departure.land()
        assert book.head == 1
    assert rows_in(quick) == [b"a"]


def test_rows_that_were_begun_keep_the_journal_from_others_until_they_are_there(quick: Place) -> None:
    """Also where nobody waits for them any more, and no mark is put in their place."""
    disk, has_ended = SegmentDisk(), threading.Event()

    def write() -> None:
        with opened(attrs.evolve(quick, disk=disk)) as book:
            book.append((b"a",), nothing)
            disk.hang()
            begin(book, b"b")
        has_ended.set()

    threading.Thread(target=write, daemon=True).start()
    assert disk.asked_to_sync.wait(10)
    assert not has_ended.wait(0.1)
    with pytest.raises(Invalid, match="another kernel"), opened(quick):
        pass
    disk.let_go()
    assert has_ended.wait(10)
    assert rows_in(quick) == [b"a", b"b"]


async def test_what_the_loop_may_not_begin_or_is_told_to_wait_for_is_written_all_the_same(
    quick: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.stores.writer.GLANCE_S", 10.0)  # however busy the machine is
    disk = SegmentDisk()
    journal = await open_segments(quick.path, free_space_reserve=0, disk=disk)
    monkeypatch.setattr(Ground, "is_due", lambda _: False)
    await journal.append([b"a"])
    await journal.append([b"beside"], nothing, alone=False)
    assert disk.begun == 1
    await trio.to_thread.run_sync(come_to_rest, journal._writer)
    disk.would_block = True
    await journal.append([b"b"])
    assert disk.begun == 2
    await journal.append([b"c"])
    assert disk.begun == 2
    await journal.aclose()
    assert rows_in(quick) == [b"a", b"beside", b"b", b"c"]


def test_long_rows_are_not_begun(quick: Place) -> None:
    with opened(quick) as book:
        assert book.begin((b"x" * SHORT_BYTES,)) is None
        assert begin(book, b"x" * (SHORT_BYTES - BLOCK)).has_landed()


def test_rows_that_the_quota_has_no_room_for_are_not_begun(quick: Place) -> None:
    with opened(attrs.evolve(quick, max_bytes=4 * BLOCK)) as book:
        for _ in range(3):
            assert begin(book, b"a").has_landed()
        assert book.begin((b"a",)) is None
        with pytest.raises(OSError, match="largest size"):
            book.append((b"a",), nothing)


def test_rows_are_begun_only_where_the_thread_has_nothing_to_do_for_the_next_file(quick: Place) -> None:
    """From the middle of a file on it fills the next one; near the end it turns to that."""
    states: set[tuple[bool, ...]] = set()
    with opened(quick) as book:
        while book.segment.path.name == FIRST:
            departure = book.begin((b"x" * 15_000,))
            is_ready = book._coming is not None and book._coming.is_ready
            states.add((departure is not None, book.segment.is_half_full, is_ready, book.segment.is_nearly_full))
            if departure is not None:
                departure.land()
            else:
                book.append((b"x" * 15_000,), nothing)
                book.tidy()
                book.work_ahead()
        assert states == {
            (True, False, False, False),
            (False, True, False, False),
            (True, True, True, False),
            (False, True, True, True),
        }
        head = book.head
    assert len(rows_in(quick)) == head


def test_rows_are_not_begun_where_the_file_holds_no_zeros_yet(quick: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(quick) as book:
        monkeypatch.setattr(book.segment, "prepared", book.segment.last.end)
        monkeypatch.setattr(type(book.segment), "is_half_full", False)
        assert book.begin((b"a",)) is None


def test_behind_the_cache_nothing_is_begun(place: Place) -> None:
    with opened(attrs.evolve(place, disk=SegmentDisk(passing=False))) as book:
        assert book.begin((b"a",)) is None


def test_a_begun_write_that_is_short_fails(quick: Place) -> None:
    disk = SegmentDisk()
    with opened(attrs.evolve(quick, disk=disk)) as book:
        disk.taken = BLOCK
        with pytest.raises(OSError, match="bytes were written"):
            begin(book, LONG_ROW).land()
        assert book.head == 0
        book.condemn()


def test_a_file_system_that_says_late_that_it_cannot_is_not_asked_again(
    quick: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: SegmentDisk, descriptor: int, data: memoryview, offset: int) -> Landing:
        def write() -> int:
            raise OSError(errno.ENOTSUP, "not here")

        return Landing(write, at_once=True)

    monkeypatch.setattr(SegmentDisk, "begin", refuse)
    with opened(quick) as book:
        with pytest.raises(BlockingIOError):
            begin(book, b"a").land()
        assert book.begin((b"a",)) is None
        book.append((b"a",), nothing)
    assert rows_in(quick) == [b"a"]
