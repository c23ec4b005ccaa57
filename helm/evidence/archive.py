"""The archive form of a pack: POSIX ustar, written in one way, and read only where it was written so.

Same members, same bytes: sorted paths, no time, no owner, one mode per path. Reading writes every header
again and compares, so links, devices, extensions, odd owners and spare bytes have nowhere to stand (T4, T5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import attrs

from helm.contracts.errors import Invalid
from helm.evidence.spool import Part

BLOCK = 512
END = bytes(2 * BLOCK)

MAX_BYTES = 1024**4
"""Largest pack that is looked at: a hundred million calls. It is read from its file a member at a time (T4)."""

MAX_MEMBERS = 1_000_000
"""Most members of one pack, and a bound on what a list of them may cost (T4)."""

MAX_MEMBER_BYTES = 512 * 1024**2
"""Largest single member: what stands beside a pack, or the manifest of a million others (T4)."""

PLACES = 2 * MAX_MEMBER_BYTES
"""A number that no size reaches."""

MAX_PATH = 100
"""Longest path that ustar holds without its prefix field."""

PLAIN_PATH = re.compile(r"[a-z0-9][a-z0-9_.-]*+(?:/[a-z0-9][a-z0-9_.-]*+)*+", re.ASCII)
"""No name begins with a dot, none has capitals: nothing climbs out of its directory, on any disk."""

MODE_OF_FILE = b"0000644\0"
MODE_OF_PROGRAM = b"0000755\0"
OWNER = b"0000000\0" * 2
TIME = b"00000000000\0"
TYPE_TO_END = b"".join(
    (
        b"0",  # a regular file
        bytes(100),  # no link
        b"ustar\x0000",
        b"root".ljust(32, b"\0") * 2,
        bytes(8 + 8 + 155 + 12),  # no device, no prefix
    )
)
SUM_OF_REST = sum(OWNER + TIME + b" " * 8 + TYPE_TO_END)
"""What the parts that never change add to a header's checksum, which counts its own field as blanks."""

HEADER = b"".join((b"%b%b", OWNER, b"%b\0", TIME, b"%06o\0 ", TYPE_TO_END))

PADDING = tuple(bytes(size) for size in range(BLOCK))
"""What fills a content up to whole blocks, by its size."""

NOT_ONE_FORM = "the archive is not in the one form that HELM writes"
HINT = "verify the file as it was exported: unpacking and packing again changes it"
FETCH = "fetch the pack again"


@attrs.frozen
class Member:
    """One file of a pack."""

    path: str
    content: bytes = attrs.field(repr=False)


def write(members: Iterable[Member]) -> bytes:
    """Return the archive of `members`, in any order. Raises Invalid for a path that cannot be."""
    blocks: list[bytes] = []
    before = ""
    for member in sorted(members, key=lambda one: one.path):
        check_path(member.path, before)
        before = member.path
        size = len(member.content)
        blocks += (header(member.path, size), member.content, PADDING[-size % BLOCK])
    return b"".join((*blocks, END))


def blocks(files: Mapping[str, Part]) -> Iterator[bytes]:
    """Yield the archive of these files, a piece at a time. Raises Invalid for a path that cannot be, or for too much.

    What is too much is known before the first piece.
    """
    size = len(END) + sum(BLOCK + part.size + -part.size % BLOCK for part in files.values())
    if size > MAX_BYTES or len(files) > MAX_MEMBERS:
        what = f"it would have {size} bytes in {len(files)} members: {MAX_BYTES} and {MAX_MEMBERS} are the most"
        raise Invalid(what, "pack", "export a smaller part of the log")
    before = ""
    for path, part in sorted(files.items()):
        check_path(path, before)
        before = path
        yield header(path, part.size)
        yield from part.pieces()
        yield PADDING[-part.size % BLOCK]
    yield END


class Raw(Protocol):
    """The bytes of an archive: in memory, or of a file that nobody else can write."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> bytes: ...


class Files(Mapping[str, bytes]):
    """The files of an archive by path, in order. A content is cut out when it is asked for: packs are long."""

    def __init__(self, raw: Raw, places: dict[str, int]) -> None:
        self._raw = raw
        self._places = places
        """Where each content begins, times PLACES, and its size."""

    def __getitem__(self, path: str) -> bytes:
        start, size = divmod(self._places[path], PLACES)
        return self._raw[start : start + size]

    def get(self, path: str, default: Any = None) -> Any:
        """Return a content, or `default` where there is no such file."""
        return self[path] if path in self._places else default

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, path: object) -> bool:
        return path in self._places

    def sizes(self) -> dict[str, int]:
        """Return the size of each file, by path."""
        return {path: place % PLACES for path, place in self._places.items()}


def read(raw: Raw, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS) -> dict[str, bytes]:
    """Return the members of an archive, path to content, in order. Raises Invalid for any other form."""
    return dict(files_in(raw, max_bytes=max_bytes, max_members=max_members))


def files_in(raw: Raw, *, max_bytes: int = MAX_BYTES, max_members: int = MAX_MEMBERS) -> Files:
    """Return the files of an archive, which stays where it is. Raises Invalid for any other form."""
    if len(raw) > max_bytes:
        raise Invalid(f"{len(raw)} bytes, more than {max_bytes}", "archive", "export a smaller part of the log")
    places: dict[str, int] = {}
    offset, before = 0, ""
    while (found := raw[offset : offset + BLOCK]) != END[:BLOCK]:
        path, size = read_header(found, offset, before)
        start = offset + BLOCK
        offset = start + size + -size % BLOCK
        if raw[start + size : offset] != PADDING[-size % BLOCK]:
            raise Invalid(f"{path} is cut off, or something stands behind it", f"byte {start + size}", FETCH)
        places[path] = start * PLACES + size
        before = path
        if len(places) > max_members:
            raise Invalid(f"more than {max_members} members", "archive", HINT)
    if len(raw) != offset + len(END) or raw[offset:] != END:  # what goes on is not read: it may be a terabyte (T4)
        raise Invalid(f"{NOT_ONE_FORM}: it ends early, or goes on behind its end", f"byte {offset}", HINT)
    return Files(raw, places)


def read_header(found: bytes, offset: int, before: str) -> tuple[str, int]:
    """Return path and size of the member whose header stands at `offset`, behind `before`. Raises Invalid."""
    where = f"byte {offset}"
    if len(found) < BLOCK:
        raise Invalid("the archive is cut off", where, FETCH)
    try:
        path = found[:MAX_PATH].rstrip(b"\0").decode("ascii")
        size = int(found[124:135], 8)
    except ValueError as problem:
        raise Invalid(f"{NOT_ONE_FORM}: no ASCII path, or no octal size", where, HINT) from problem
    if not 0 <= size <= MAX_MEMBER_BYTES:
        raise Invalid(f"{path!r} has {size} bytes, more than {MAX_MEMBER_BYTES}", where, HINT)
    check_path(path, before)
    if found != header(path, size):
        raise Invalid(f"{NOT_ONE_FORM}: {odd(found, path)}", where, HINT)
    return path, size


def header(path: str, size: int) -> bytes:
    """Return the one header of a member (POSIX.1-1988 ustar, as tar(5) lays it out)."""
    name, length = path.encode("ascii"), b"%011o" % size
    mode = MODE_OF_PROGRAM if path.endswith(".py") else MODE_OF_FILE
    checksum = SUM_OF_REST + sum(name) + sum(mode) + sum(length)
    return HEADER % (name.ljust(MAX_PATH, b"\0"), mode, length, checksum)


def check_path(path: str, before: str) -> None:
    """Raise Invalid unless `path` is a plain relative path that sorts behind `before`."""
    if path <= before or len(path) > MAX_PATH:
        raise Invalid(f"{path!r} stands twice, not in order, or is too long", "archive", HINT)
    if PLAIN_PATH.fullmatch(path) is None:
        raise Invalid(f"{path!r} is not made of plain lower-case names", "archive", HINT)


def odd(found: bytes, path: str) -> str:
    """Say what is odd about a header that is not the one of its path and size."""
    if found[156:157] != b"0":
        return f"{path} is not a regular file"
    if found[257:265] != b"ustar\x0000":
        return f"{path} is not in ustar format"
    return f"{path} has a mode, owner, time or checksum of its own"
