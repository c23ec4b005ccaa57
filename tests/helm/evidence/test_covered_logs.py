"""Whatever is changed below a checkpoint is found, with every node hash made true again around it (T5, T6)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.evidence.refold import Refold
from tests.actors.rewriting import rewritten
from tests.helm.evidence.forger import a_log

Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> list[Path]:
    """Return where every text, number and truth value stands."""
    if isinstance(value, dict):
        return [place for name, item in value.items() for place in places(item, (*path, name))]
    if isinstance(value, list):
        return [place for number, item in enumerate(value) for place in places(item, (*path, number))]
    return [path]


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if type(value) is bool:
        return not value
    if type(value) in (int, float):
        return value + 1
    if type(value) is str:
        return value[:-1] + ("0" if value[-1] != "0" else "1") if value else "x"
    return "something"


ROWS = a_log().rows
ENTRIES = a_log().entries
LAST = max(number for number, entry in enumerate(ENTRIES, 1) if entry["node"]["kind"] == "CHECKPOINT")
RENAMED = ("node_hash", "parents", "lamport")
"""What is made true again behind an editor; parents and place are proved in the tests of the graph."""

PLACES = [
    (number, part, place)
    for number, entry in enumerate(ENTRIES[:LAST], 1)
    for part in ("node", "beside")
    for place in places(entry[part])
    if place and place[0] not in RENAMED
]


def fold(rows: list[bytes]) -> None:
    state = Refold(a_log().log_id)
    for number, row in enumerate(rows, 1):
        state.take(reread(row), f"entry {number}")


def test_the_log_as_it_was_written_folds() -> None:
    fold(list(ROWS))
    assert rewritten(list(ROWS), lambda *_: None) == list(ROWS)


@settings(max_examples=150)
@given(st.sampled_from(PLACES))
def test_no_word_below_a_checkpoint_can_be_changed(place: tuple[int, str, Path]) -> None:
    number, part, path = place

    def change(found: int, entry: dict[str, Any]) -> None:
        if found != number:
            return
        at: Any = entry[part]
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = other(at[path[-1]])

    with pytest.raises((Invalid, ValueError)):
        fold(rewritten(list(ROWS), change))
