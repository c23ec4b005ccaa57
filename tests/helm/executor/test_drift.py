"""Drift: an answer is JSON that keeps the pinned schema, or it is no answer (T3)."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.schema import Schema
from helm.crypto.hashing import sha256
from helm.executor.drift import check_output

SCHEMA = Schema.compile(
    {
        "type": "object",
        "properties": {"n": {"type": "number"}, "note": {"type": "string"}},
        "required": ["n"],
        "additionalProperties": False,
    },
    "output",
)


@pytest.mark.parametrize(
    ("output", "written"),
    [
        ({"n": 1}, b'{"n":1}'),
        ({"note": "\u00e9", "n": 1.0}, '{"n":1,"note":"\u00e9"}'.encode()),
        ({"n": 1e30}, b'{"n":1e+30}'),
    ],
)
def test_what_keeps_the_schema_is_hashed_in_its_one_spelling(output: Any, written: bytes) -> None:
    assert check_output(output, SCHEMA) == (written, sha256(written))


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({}, "schema"),
        ({"n": "1"}, "schema"),
        ({"n": 1, "m": 2}, "schema"),
        ([1], "schema"),
        (None, "schema"),
        ({"n": float("inf")}, "not JSON"),
        ({"n": 2**60}, "not JSON"),
        ({"n": b"1"}, "not JSON"),
        ({"n": (1,)}, "not JSON"),
        ({1: 1}, "not JSON"),
        ({"n": 1, "note": "\ud800"}, "not JSON"),
        ("x" * 1_100_000, "not JSON"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_anything_else_is_drift(output: Any, said: str) -> None:
    with pytest.raises(Refused, match=said) as refused:
        check_output(output, SCHEMA)
    assert refused.value.code == ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT


def test_a_drifted_value_is_not_repeated() -> None:
    with pytest.raises(Refused) as refused:
        check_output({"n": "a secret"}, SCHEMA)
    assert "secret" not in refused.value.reason
