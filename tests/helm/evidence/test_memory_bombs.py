"""A pack of nothing but line ends, or one that goes on for a terabyte, costs a reader no more than its longest file."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from helm.contracts.errors import Invalid
from helm.evidence import archive
from helm.evidence.layout import EVENTS, RECEIPTS, shard_path
from helm.evidence.lines import split_lines
from helm.evidence.shards import MAX_SHARD_BYTES, cut
from tests.helm.evidence.forger import a_log, a_pack, check_refused, resealed, root_of, standalone, unpacked

PATH: Final = shard_path(RECEIPTS, 0)
BOMBS: Final = (b"\n" * 4_000_000, b"{}\n" * 1_500_000)


def taken(work: Callable[[], object]) -> int:
    """Return how many bytes some work takes at its worst."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", BOMBS, ids=["empty", "short"])
def test_a_shard_of_millions_of_lines_is_not_split_into_them(bomb: bytes) -> None:
    def refuse() -> None:
        with pytest.raises(Invalid, match="goes on where a shard must end"):
            cut(bomb, PATH)

    script = standalone()

    def refuse_by_script() -> None:
        state = script.State(b"", None)
        state.members = {PATH: bomb}
        with pytest.raises(script.Refused, match="goes on where a shard must end"):
            next(script.shards(state, RECEIPTS))

    assert taken(refuse) < 2 * len(bomb)
    assert taken(refuse_by_script) < 2 * len(bomb)


def test_a_line_longer_than_a_shard_is_refused() -> None:
    script = standalone()
    state = script.State(b"", None)
    state.members = {PATH: b"x" * MAX_SHARD_BYTES + b"\n"}
    with pytest.raises(script.Refused, match="too long"):
        next(script.shards(state, RECEIPTS))
    with pytest.raises(Invalid, match="too long"):
        cut(state.members[PATH], PATH)


@pytest.mark.parametrize("bomb", BOMBS, ids=["empty", "short"])
def test_a_file_of_millions_of_lines_is_cut_a_line_at_a_time(bomb: bytes) -> None:
    assert taken(lambda: next(split_lines(bomb, EVENTS))) < 1_000_000
    script = standalone()
    assert taken(lambda: next(script.split_lines(bomb, EVENTS))) < 1_000_000


def test_trust_events_that_never_end_are_refused_at_the_first_that_is_none() -> None:
    check_refused(resealed(unpacked(a_pack()) | {EVENTS: BOMBS[0]}), "nodes", root=root_of(a_log()))


class Endless:
    """A file that goes on for a terabyte behind its first blocks, and counts what is read of it."""

    def __init__(self, begins: bytes) -> None:
        self.begins, self.read = begins, 0

    def __len__(self) -> int:
        return archive.MAX_BYTES

    def __getitem__(self, at: slice) -> bytes:
        start, stop, _ = at.indices(len(self))
        self.read += stop - start
        assert stop - start <= 1_000_000, "a terabyte would be read"
        return self.begins[start:stop].ljust(stop - start, b"\0")


@pytest.mark.parametrize("begins", [b"", a_pack()], ids=["nothing", "a pack"])
def test_what_goes_on_behind_the_end_of_a_pack_is_not_read(begins: bytes) -> None:
    with pytest.raises(Invalid, match="goes on behind its end"):
        archive.files_in(Endless(begins))
