"""A filter that calls no key new that was used: it may err the other way alone (T6)."""

from __future__ import annotations

from actors.claims import FIRST_KEYS, Claims
from helm.executor.idempotency import claim_name

MANY = FIRST_KEYS * 3 + 5_000
"""Fills the first layer, the second, and the beginning of a third."""


def claim(number: int) -> str:
    return claim_name("acme", "agent", "s", f"call_{number}")


def test_a_claim_that_was_made_is_never_called_new_however_many_there_are() -> None:
    claims, names = Claims(), [f"claim:{number:064x}" for number in range(MANY)]
    called_used = sum(claims.make(name) for name in names)
    assert all(claims.make(name) for name in names)
    assert called_used < MANY // 200, "a new key is looked up one time in a thousand for each layer"


def test_a_claim_that_was_made_once_is_not_new_in_another_call() -> None:
    claims = Claims()
    assert [claims.make(claim(number)) for number in (1, 2, 1, 2, 3)] == [False, False, True, True, False]
