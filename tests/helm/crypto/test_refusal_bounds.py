"""Saying why a value was refused costs little, whatever its sender made of it."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from helm.contracts.errors import Malformed
from helm.crypto.canonical import canonical
from helm.crypto.refusal import MAX_PLACE

MANY = 200_000
LONG = "a" * 100_000


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({LONG: [0] * MANY + [object()]}, id="one long name above many items"),
        pytest.param([0] * 1_100_000, id="more items than may be"),
        pytest.param({LONG: {LONG: {LONG: [object()] * MANY}}}, id="long names all the way down"),
    ],
)
def test_a_long_name_above_many_items_is_not_copied_for_each_of_them(value: Any) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(Malformed):
            canonical(value)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50_000_000
    assert time.process_time() - began < 10


def test_the_place_of_a_refused_item_repeats_no_more_than_a_record_may_hold() -> None:
    with pytest.raises(Malformed) as caught:
        canonical({LONG: {LONG: object()}})
    assert caught.value.problem.startswith("object")
    assert len(caught.value.place) == MAX_PLACE
