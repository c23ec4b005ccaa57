"""Whatever a guest asks of its folders, with whatever numbers, it gets an answer, and nothing that is not its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.connectors.guest_files import HostHandle
from helm.runtime.sandbox import wasi
from helm.runtime.sandbox.port import Denied, Surroundings
from helm.runtime.sandbox.sources import FixedBytes, FixedClock
from helm.runtime.sandbox.wasi import Room, Streams
from helm.runtime.sandbox.wasi_files import FILES, MAX_FILE_BYTES, answer_of, names_of

MEMORY = 65_536


@attrs.define
class Flat:
    """A guest's memory of one page."""

    held: bytearray = attrs.field(factory=lambda: bytearray(MEMORY))

    def read(self, start: int, size: int) -> bytes:
        begin = self._checked(start, size)
        return bytes(self.held[begin : begin + size])

    def write(self, start: int, data: bytes) -> None:
        begin = self._checked(start, len(data))
        self.held[begin : begin + len(data)] = data

    def _checked(self, start: int, size: int) -> int:
        begin = start & 0xFFFF_FFFF
        if size < 0 or begin + size > MEMORY:
            raise wasi.OutOfBounds
        return begin


@attrs.define
class Desk:
    """A guest with one folder to write into, asking by hand."""

    room: Room
    view: Flat

    def ask(self, name: str, *parameters: int) -> int:
        return answer_of(name)(self.room, self.view, *parameters)

    def text(self, at: int, text: str) -> tuple[int, int]:
        """Put a text down; return where it is and how long."""
        written = text.encode()
        self.view.write(at, written)
        return at, len(written)

    def open(self, path: str, *, how: int = 0, rights: int = 1 << 1 | 1 << 6) -> int:
        """Open a path; return its descriptor."""
        assert self.ask("path_open", 3, 1, *self.text(0, path), how, rights, 0, 0, 512) == 0
        return int.from_bytes(self.view.read(512, 4), "little")

    def buffer(self, data: bytes) -> tuple[int, int]:
        """Put one buffer with this in it down; return its table."""
        self.view.write(1024, data)
        self.view.write(768, (1024).to_bytes(4, "little") + len(data).to_bytes(4, "little"))
        return 768, 1


def desk_in(folder: Path, output_bytes: int = 1 << 20) -> Desk:
    handle = HostHandle.of_root(str(folder), is_writable=True, shows_times=False)
    around = Surroundings(
        clock=FixedClock(),
        environment=(b"A=1",),
        folders=(("/data", handle),),
        open_files=8,
        random=FixedBytes("seed"),
    )
    return Desk(Room(Streams(b"{}", output_bytes), around).furnish(), Flat())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "given").mkdir()
    (tmp_path / "secret").write_text("9999")
    return desk_in(tmp_path / "given")


def test_a_file_is_written_read_cut_off_and_renamed(desk: Desk, tmp_path: Path) -> None:
    file = desk.open("plan", how=1)
    assert desk.ask("fd_write", file, *desk.buffer(b"12345678"), 600) == 0
    assert desk.ask("fd_pwrite", file, *desk.buffer(b"xy"), 2, 600) == 0
    assert desk.ask("fd_seek", file, 0, 0, 600) == 0
    assert desk.ask("fd_read", file, *desk.buffer(bytes(8)), 600) == 0
    assert desk.view.read(1024, 8) == b"12xy5678"
    assert desk.ask("fd_pread", file, *desk.buffer(bytes(2)), 6, 600) == 0
    assert desk.view.read(1024, 2) == b"78"
    assert desk.ask("fd_filestat_set_size", file, 3) == 0
    assert desk.ask("fd_fdstat_set_flags", file, 1) == 0
    assert desk.ask("fd_write", file, *desk.buffer(b"end"), 600) == 0
    assert desk.ask("fd_sync", file) == desk.ask("fd_datasync", file) == desk.ask("fd_close", file) == 0
    assert desk.ask("path_create_directory", 3, *desk.text(0, "old")) == 0
    assert desk.ask("path_rename", 3, *desk.text(0, "plan"), 3, *desk.text(64, "old/plan")) == 0
    assert (tmp_path / "given" / "old" / "plan").read_text() == "12xend"
    assert desk.room.has_written


def test_a_file_is_never_moved_onto_what_is_no_guests(desk: Desk, tmp_path: Path) -> None:
    desk.open("plan", how=1)
    os.link(tmp_path / "secret", tmp_path / "given" / "linked")
    (tmp_path / "given" / "link").symlink_to("../secret")
    for target in ("linked", "link", "../secret", "/secret"):
        for source, onto in (("plan", target), (target, "plan")):
            assert desk.ask("path_rename", 3, *desk.text(0, source), 3, *desk.text(64, onto)) == wasi.NOTCAPABLE
    assert (tmp_path / "secret").read_text() == "9999"


def test_a_file_does_not_grow_for_ever(desk: Desk) -> None:
    file = desk.open("plan", how=1)
    assert desk.ask("fd_filestat_set_size", file, MAX_FILE_BYTES + 1) == 22
    assert desk.ask("fd_pwrite", file, *desk.buffer(b"x"), MAX_FILE_BYTES, 600) == 22
    assert desk.ask("fd_pwrite", file, *desk.buffer(b"x"), -1, 600) == wasi.INVAL
    with pytest.raises(wasi.OutputExhausted):
        for _ in range(1000):
            desk.ask("path_create_directory", 3, *desk.text(0, "made"))


def test_the_folder_that_was_given_stays_open(desk: Desk) -> None:
    assert desk.ask("fd_close", 3) == wasi.NOTCAPABLE
    assert desk.ask("fd_renumber", 3, 1) == wasi.NOTCAPABLE


@given(st.text(alphabet="./a\0é\\", max_size=40) | st.binary(max_size=20))
def test_no_path_leads_out(path: str | bytes) -> None:
    try:
        names = names_of(path if isinstance(path, bytes) else path.encode())
    except Denied:
        return
    assert all(name not in ("", ".", "..") and "/" not in name and "\0" not in name for name in names)


NUMBERS = st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 64, 512, 600, 1024, MEMORY - 4, MEMORY, -1, 2**31 - 1, -(2**31)])
WIDE = NUMBERS | st.sampled_from([2**63 - 1, -(2**63), 1 << 6, 1 << 1, MAX_FILE_BYTES])
PATHS = st.sampled_from(
    ["plan", "../secret", "link", "linked", "below", "below/deep", "/etc", ".", "..", "new", "pipe"]
)


def parameters(name: str) -> st.SearchStrategy[list[int]]:
    return st.tuples(*(WIDE if letter == "I" else NUMBERS for letter in wasi.SIGNATURES[name])).map(list)


CALLS = st.lists(
    st.tuples(PATHS, st.sampled_from(sorted({*FILES, "random_get", "clock_time_get", "environ_get"}))).flatmap(
        lambda one: st.tuples(st.just(one[0]), st.just(one[1]), parameters(one[1]))
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(CALLS)
def test_whatever_is_asked_is_answered_and_nothing_outside_is_touched(calls: list[tuple[str, str, list[int]]]) -> None:
    with TemporaryDirectory() as made:
        place = Path(os.path.realpath(made))
        prepare(place)
        desk = desk_in(place / "given", output_bytes=100_000)
        for path, name, given_numbers in calls:
            desk.text(0, path)
            check(partial(desk.ask, name, *given_numbers))
        assert len(desk.room.opened) <= 1 + desk.room.surroundings.open_files
        desk.room.clear()
        desk.room.surroundings.folders[0][1].close()
        assert (place / "secret").read_text() == "9999"
        assert sorted(os.listdir(place)) == ["given", "secret"]


def prepare(place: Path) -> None:
    """Make a folder with every kind of trap in it."""
    given_folder = place / "given"
    (given_folder / "below").mkdir(parents=True)
    (given_folder / "plan").write_text("1234")
    (given_folder / "below" / "deep").write_text("5678")
    (place / "secret").write_text("9999")
    (given_folder / "link").symlink_to("../secret")
    os.link(place / "secret", given_folder / "linked")
    os.mkfifo(given_folder / "pipe")


def check(ask: Callable[[], int]) -> None:
    """Ask, and see that one of the three things comes of it that may."""
    try:
        assert 0 <= ask() <= 76
    except (wasi.OutOfBounds, wasi.OutputExhausted):
        pass
