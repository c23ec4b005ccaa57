"""Reading a journal through before its first word is believed: every frame whole, in its place, and none missing.

The first block that is no whole frame ends the log. Only one frame is ever on its way, so what stands there was either
never acknowledged, or it is damage: a later frame tells which.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import attrs

from actors.stores.segments.folder import RESTORE, UNFINISHED, files_of, path_of
from actors.stores.segments.frame import BLOCK, HEADER_BYTES, MAGIC, NO_DIGEST, Header, Kind, read_header
from actors.stores.segments.raw_file import Disk, RawFile, open_raw
from actors.stores.segments.segment import Segment
from actors.stores.segments.window import LONG, Window
from helm.contracts.errors import Invalid


@attrs.frozen(kw_only=True)
class Found:
    """What a journal holds, up to its end."""

    segment: Segment
    """The file that is written to."""
    bytes_before: int
    """What the files before it take."""
    torn: str
    """What was found of a write that was cut off, and is gone now; "" for nothing."""


def read_through(directory: Path, disk: Disk) -> Found | None:
    """Verify every file, end what a crash left half done, and return the end; None where there is no file yet.

    Raises Invalid naming the file and what is wrong with it, OSError.
    """
    files = files_of(directory)
    (directory / UNFINISHED).unlink(missing_ok=True)
    if files and files[0][0] != 1:
        raise Invalid("the journal does not begin with row 1", str(path_of(directory, 1)), RESTORE)
    last, bytes_before, torn = NOTHING_YET, 0, ""
    for number, (first, path) in enumerate(files, start=1):
        if first != last.next_row:
            raise Invalid("a file of the journal is missing", str(path_of(directory, last.next_row)), RESTORE)
        file = open_raw(path, disk, to_write=True)
        try:
            segment = Segment(path, file, _last_of(Window(file), last, str(path)))
            torn = settle(segment) or torn
            if number < len(files):
                _check_turned(segment, files[number:], disk)
        except BaseException:
            file.close()
            raise
        if number == len(files):
            return _end(segment, bytes_before, torn)
        last, bytes_before = segment.last, bytes_before + segment.last.end
        segment.close()
    return None


NOTHING_YET = Header(kind=Kind.TURN, rows=0, first=1, offset=0, length=0, previous=NO_DIGEST)


def _end(segment: Segment, bytes_before: int, torn: str) -> Found:
    if segment.last.kind == Kind.TURN:
        missing = path_of(segment.path.parent, segment.last.next_row)
        segment.close()
        raise Invalid("a file of the journal is missing", str(missing), RESTORE)
    return Found(segment=segment, bytes_before=bytes_before, torn=torn)


def _last_of(window: Window, before: Header, where: str) -> Header:
    """Return the last whole frame of a file that stands behind the frame `before`. Raises Invalid."""
    last = None
    for header in frames(window, where):
        if last is None:
            follows = (header.kind, header.first, header.previous) == (
                Kind.BEGINNING,
                before.next_row,
                before.previous,
            )
        else:
            follows = header.follows(last) and header.kind != Kind.BEGINNING and last.kind != Kind.TURN
        if not follows:
            raise damaged(where, header.offset, "a frame that does not belong behind the one before it")
        last = header
    if last is None:
        raise damaged(where, 0, "not the beginning of a file of this journal")
    return last


def frames(window: Window, where: str) -> Iterator[Header]:
    """Yield every frame until one is not whole. Raises Invalid."""
    offset = 0
    while True:
        header = read_header(window.bytes_at(offset, HEADER_BYTES), offset, where)
        if header is None or not is_whole(window, header, where):
            return
        yield header
        offset = header.end


def is_whole(window: Window, header: Header, where: str) -> bool:
    """Tell whether the frame is what its digest says. Raises Invalid where the file ends before it does.

    A file has its length before a frame is written into it, and the header lies in one sector of any disk.
    """
    if header.end > window.file.size():
        raise damaged(where, header.offset, "the file was cut short")
    digest = sha256(header.fields())
    for start in range(0, header.length, LONG):
        digest.update(window.bytes_at(header.body_at + start, min(LONG, header.length - start)))
    return digest.digest() == header.digest


def settle(segment: Segment) -> str:
    """Look behind the last frame, and take away what is left there of a write that was cut off; say what it was.

    Raises Invalid where a later frame stands there, OSError.
    """
    start, end = segment.last.end, 0
    for offset, block in written_blocks(segment.file, start):
        if block.startswith(MAGIC) and offset > start:
            raise damaged(str(segment.path), start, f"no whole frame, though another one stands at byte {offset}")
        end = offset + BLOCK
    if not end:
        return ""
    if segment.last.kind == Kind.TURN:
        raise damaged(str(segment.path), start, "something behind the file's last frame")
    segment.wipe(start, end)
    return f"{segment.path}: {end - start} bytes from byte {start} on of a write that was cut off"


def written_blocks(file: RawFile, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield every block from `start` on that is not all zeros. Raises OSError."""
    window = Window(file)
    for at in range(start, file.size(), LONG):
        stretch = window.bytes_at(at, LONG)
        if stretch.count(0) == len(stretch):
            continue
        for offset in range(0, len(stretch), BLOCK):
            block = stretch[offset : offset + BLOCK]
            if block.count(0) < len(block):
                yield at + offset, block


def _check_turned(segment: Segment, later: list[tuple[int, Path]], disk: Disk) -> None:
    """Raise Invalid unless the file says that another one follows. A crash before it did is made good."""
    if segment.last.kind == Kind.TURN:
        return
    first, path = later[0]
    is_turn_cut_off = len(later) == 1 and first == segment.last.next_row and _is_untouched(path, disk)
    if not is_turn_cut_off:
        raise damaged(str(segment.path), segment.last.end, "its last rows are gone")
    segment.put_mark(Kind.TURN)


def _is_untouched(path: Path, disk: Disk) -> bool:
    file = open_raw(path, disk, to_write=False)
    try:
        return not any(written_blocks(file, BLOCK))
    finally:
        file.close()


def damaged(where: str, offset: int, what: str) -> Invalid:
    """Return the refusal of a journal with a hole in it."""
    return Invalid(f"the journal is damaged at byte {offset}: {what}", where, RESTORE)
