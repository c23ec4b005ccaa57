"""Reading a journal of segments without writing: beside its writer, or where nobody writes."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import attrs

from actors.stores.segments.folder import files_of
from actors.stores.segments.leaf import Leaf
from actors.stores.segments.raw_file import DISK, Disk, open_raw
from actors.stores.segments.scan import damaged, is_whole
from actors.stores.segments.window import Window
from helm.contracts.errors import Invalid


@attrs.define(eq=False)
class Reading:
    """What is known of a journal's files; one of them is open. For one thread at a time."""

    directory: Path
    disk: Disk = DISK
    _leaves: list[Leaf] = attrs.field(factory=list, init=False)
    _open: tuple[Leaf, Window] | None = attrs.field(default=None, init=False)
    _whole: bytes = attrs.field(default=b"", init=False)
    """The digest of a frame that was the last one, and was whole."""
    _head: int = attrs.field(default=0, init=False)

    def head(self) -> int:
        """Return the number of the last row. Raises Invalid, OSError.

        A last frame that is not whole is on its way to the disk, or was cut off.
        """
        self._look_around()
        leaf = self._leaves[-1]
        window = self._window(leaf)
        window.forget()
        before = last = None
        for header in leaf.frames(window, self._head):
            before, last = last, header
        if last is not None and last.digest != self._whole:
            if is_whole(window, last, str(leaf.path)):
                self._whole = last.digest
            else:
                last = before
        self._head = max(self._head, (leaf.first if last is None else last.next_row) - 1)
        return self._head

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid, OSError."""
        return self.short_page(first, limit, None)

    def short_page(self, first: int, limit: int, room: int | None) -> list[tuple[int, bytes]]:
        """Return like `page`, but stop behind the row that makes it more than `room` bytes. Raises Invalid, OSError."""
        end = first + limit - 1
        if end > self._head:
            end = min(end, self.head())
        rows: list[tuple[int, bytes]] = []
        while first + len(rows) <= end:
            row = first + len(rows)
            leaf = self._leaf_of(row)
            window = self._window(leaf)
            window.forget()
            for seq, body in leaf.rows(window, row):
                rows.append((seq, body))
                if room is not None:
                    room -= len(body)
                if seq == end or (room is not None and room < 0):
                    return rows
            if first + len(rows) == row:
                raise damaged(str(leaf.path), 0, f"it does not hold row {row}")
        return rows

    def close(self) -> None:
        """Give the open file back. Idempotent."""
        if self._open is not None:
            self._open[1].file.close()
            self._open = None

    def _look_around(self) -> None:
        """Take note of files that are new."""
        known = {leaf.first for leaf in self._leaves}
        self._leaves += [Leaf(path, first) for first, path in files_of(self.directory) if first not in known]
        if not self._leaves:
            raise Invalid("there is no journal in it", str(self.directory), "the next start begins one")

    def _leaf_of(self, row: int) -> Leaf:
        at = bisect_right(self._leaves, row, key=lambda leaf: leaf.first) - 1
        if at < 0:
            raise Invalid("the journal does not begin with row 1", str(self.directory))
        return self._leaves[at]

    def _window(self, leaf: Leaf) -> Window:
        if self._open is None or self._open[0] is not leaf:
            self.close()
            self._open = (leaf, Window(open_raw(leaf.path, self.disk, to_write=False)))
        return self._open[1]
