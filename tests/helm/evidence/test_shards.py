"""Lines are cut into shards in one way, and no other cut is read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.evidence.edge import Edge
from helm.evidence.layout import RECEIPTS, REFUSAL, shard_path
from helm.evidence.shards import SHARD_BYTES, SHARD_LINES, Lines, cut, lines_of, shards_of

FIRST, SECOND = shard_path(RECEIPTS, 0), shard_path(RECEIPTS, 1)
LONG = b"x" * (SHARD_BYTES // 4)


def filled(count: int) -> list[bytes]:
    return [b"%d" % number if number % 3 else b"" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, SHARD_LINES - 1, SHARD_LINES, SHARD_LINES + 1, 3 * SHARD_LINES])
def test_lines_come_back_as_they_were(count: int) -> None:
    shards = shards_of(RECEIPTS, filled(count))
    assert [*lines_of(shards, RECEIPTS)] == filled(count)
    assert len(shards) == -(-count // SHARD_LINES)
    assert all(raw.count(b"\n") == SHARD_LINES for raw in [*shards.values()][:-1])


@settings(max_examples=10)
@given(st.lists(st.sampled_from((b"", b"short", LONG, LONG * 3)), max_size=8))
def test_long_lines_make_shorter_shards_that_are_read_alike(lines: list[bytes]) -> None:
    shards = shards_of(RECEIPTS, lines)
    assert [*lines_of(shards, RECEIPTS)] == lines
    assert all(len(raw) >= SHARD_BYTES for raw in [*shards.values()][:-1])


def test_a_line_that_no_shard_holds_is_refused() -> None:
    with pytest.raises(Invalid, match="it fits into no pack"):
        shards_of(RECEIPTS, [b"x" * SHARD_BYTES])


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"x\ny", b"\n" * (SHARD_LINES + 1), b"x" * SHARD_BYTES + b"\n\n", b"x" * (2 * SHARD_BYTES) + b"\n"],
    ids=["empty", "cut off", "cut off behind a line", "too many lines", "goes on", "too long"],
)
def test_a_shard_of_another_cut_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        cut(raw, FIRST)


def test_a_shard_behind_one_that_is_not_full_is_refused() -> None:
    lines = Lines({FIRST: b"1\n", SECOND: b"2\n"}, RECEIPTS)
    assert lines.take() == b"1"
    with pytest.raises(Invalid, match="not full"):
        lines.take()


def test_a_line_more_or_less_is_refused() -> None:
    lines = Lines({FIRST: b"1\n2\n"}, RECEIPTS)
    lines.take()
    with pytest.raises(Invalid, match="nothing in the pack"):
        lines.check_end()
    with pytest.raises(Invalid, match="missing"):
        lines.take()


def test_a_call_that_is_over_is_at_the_edge_only_as_the_last_of_its_session() -> None:
    edge, session = Edge(), ("t", "s")
    edge.advance("INTENT", session, "i1", {})
    edge.advance("INTENT", session, "i2", {})
    assert "i1" in edge
    edge.advance("EFFECT", session, "e1", {"intent_node": "i1"})
    assert "i1" not in edge and "i2" in edge and "e1" in edge
    edge.advance("ATTESTATION", session, "r1", {"type": REFUSAL})
    assert "e1" not in edge and "r1" in edge
    edge.advance("ATTESTATION", session, "a1", {"type": "APPROVAL_ASSERTED"})
    edge.advance("EFFECT", session, "e2", {"intent_node": ["i2"]})
    assert "r1" not in edge and "a1" in edge and "i2" in edge
