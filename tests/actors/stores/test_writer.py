"""The writer's thread tells everyone what became of what it was handed, also of what it never came to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest
import trio

from actors.stores.ground import Ground
from actors.stores.writer import Batch, Chore, Writer


@attrs.define
class Paper:
    """A book that keeps its rows in memory."""

    ground: Ground
    rows: list[bytes] = attrs.field(factory=list)

    @property
    def head(self) -> int:
        return len(self.rows)

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        first = self.head + 1
        begin()
        self.rows += rows
        return first

    def tidy(self) -> None:
        """Nothing is due."""

    def work_ahead(self) -> bool:
        return False

    def condemn(self) -> None:
        raise AssertionError("nothing fails here")


@pytest.fixture
def book(tmp_path: Path) -> Paper:
    return Paper(Ground(tmp_path, 0))


@pytest.fixture
def writer(book: Paper) -> Writer:
    @contextmanager
    def opened() -> Iterator[Paper]:
        yield book

    return Writer("on paper", opened)


async def test_whoever_comes_behind_the_end_is_told_that_nothing_was_written(writer: Writer, book: Paper) -> None:
    before, late, chore = Batch(rows=(b"a",)), Batch(rows=(b"b",)), Chore(do=lambda _: None)
    writer.append(before)
    writer.stop()
    writer.rouse()
    writer.append(late)
    writer.append(chore)
    writer.start()
    with trio.fail_after(10):
        for errand in (before, late, chore, writer.ended):
            await errand.wait()
    assert (before.first, late.first, chore.was_done, book.rows) == (1, 0, False, [b"a"])
    assert writer.failure


async def test_whoever_rouses_it_again_and_again_is_passed_over(writer: Writer, book: Paper) -> None:
    for _ in range(100):
        writer.rouse()
    batch = Batch(rows=(b"a",))
    writer.append(batch)
    writer.start()
    with trio.fail_after(10):
        await batch.wait()
        assert (batch.first, book.rows) == (1, [b"a"])
        writer.stop()
        await writer.ended.wait()
