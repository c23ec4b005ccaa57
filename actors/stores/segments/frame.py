"""A frame: one batch of rows in whole blocks, behind a header that says where it belongs and vouches for it.

    header   magic, format, kind, rows, number of the first row, own offset, bytes of the body,
             digest of the frame before, own digest: SHA-256 over all of these and the body
    body     the length of each row, then the rows, one behind the other
    filling  zeros up to the next block

All numbers are little-endian. The digests guard against torn and misplaced writes; what a row says is guarded by
the hashes and signatures in it.
"""

from __future__ import annotations

import errno
import struct
from enum import IntEnum
from hashlib import sha256

from helm.contracts.errors import Invalid
from helm.contracts.form import Noun

MAGIC = b"HELM\xff\x00JS"
"""No JSON holds the bytes 0xff or 0x00: whatever a caller has written in a row, it looks like no frame (T4)."""

FORMAT = 1

BLOCK = 4096
"""What is written at once begins and ends where a block does, of any disk and of the page cache."""

FIELDS = struct.Struct("<8sHHIQQQ32s")
DIGEST_BYTES = 32
HEADER_BYTES = FIELDS.size + DIGEST_BYTES

LENGTH_BYTES = 4
"""What the table of lengths takes for each row."""

NO_DIGEST = bytes(DIGEST_BYTES)
"""What the first frame of a journal follows."""


class Kind(IntEnum):
    """What a frame is there for. Only ROWS has any."""

    BEGINNING = 1
    ROWS = 2
    TURN = 3
    """The last of its file: the journal goes on in the next one, which must be there."""
    CLOSE = 4
    """The journal was closed in order: behind it, or it gone, nothing may be torn."""


KINDS = frozenset(Kind)


class Header(Noun, frozen=True, kw_only=True):
    """What stands before the rows of a frame."""

    kind: int
    rows: int
    first: int
    """The number of its first row; without rows, of the one that comes next."""
    offset: int
    length: int
    """Bytes of the body."""
    previous: bytes
    digest: bytes = b""

    @property
    def next_row(self) -> int:
        """The number of the first row behind it."""
        return self.first + self.rows

    @property
    def body_at(self) -> int:
        """Where in the file the body begins."""
        return self.offset + HEADER_BYTES

    @property
    def rows_at(self) -> int:
        """Where in the file the first row begins."""
        return self.body_at + LENGTH_BYTES * self.rows

    @property
    def end(self) -> int:
        """Where in the file the next frame begins."""
        return self.offset + whole_blocks(HEADER_BYTES + self.length)

    def fields(self) -> bytes:
        """Return what the digest covers before the body."""
        return FIELDS.pack(MAGIC, FORMAT, self.kind, self.rows, self.first, self.offset, self.length, self.previous)

    def follows(self, previous: Header) -> bool:
        """Tell whether this is the frame that was written right behind another one of its file."""
        return (self.first, self.previous) == (previous.next_row, previous.digest)


def whole_blocks(length: int) -> int:
    """Return `length`, rounded up to whole blocks."""
    return -(-length // BLOCK) * BLOCK


def lengths_of(rows: tuple[bytes, ...]) -> bytes:
    """Return the table of lengths that stands before the rows. Raises OSError for a row of 4 GiB."""
    try:
        return struct.pack(f"<{len(rows)}I", *map(len, rows))
    except struct.error as error:
        raise OSError(errno.EFBIG, "a row of 4 GiB") from error


def lengths_in(table: bytes) -> tuple[int, ...]:
    """Return the lengths that a table tells."""
    return struct.unpack(f"<{len(table) // LENGTH_BYTES}I", table)


def read_header(data: bytes, offset: int, where: str) -> Header | None:
    """Return the header in the first bytes of a block at `offset`, None where none is. Raises Invalid for another
    format."""
    if len(data) < HEADER_BYTES or not data.startswith(MAGIC):
        return None
    _, found, kind, rows, first, own_offset, length, previous = FIELDS.unpack_from(data)
    if found != FORMAT:
        raise Invalid(f"a journal of format {found}", where, f"this HELM reads and writes format {FORMAT}")
    is_sound = (
        own_offset == offset and kind in KINDS and LENGTH_BYTES * rows <= length and (kind == Kind.ROWS) == (rows > 0)
    )
    if not is_sound:
        return None
    digest = data[FIELDS.size : HEADER_BYTES]
    return Header(kind=kind, rows=rows, first=first, offset=offset, length=length, previous=previous, digest=digest)


def mark(kind: Kind, first: int, offset: int, previous: bytes) -> Header:
    """Return a frame without rows, complete."""
    header = Header(kind=kind, rows=0, first=first, offset=offset, length=0, previous=previous)
    return header.but(digest=sha256(header.fields()).digest())
