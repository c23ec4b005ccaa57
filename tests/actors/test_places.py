"""The places in flight: nobody keeps one, and nothing is remembered of whoever had one (T4)."""

from __future__ import annotations

import pytest

from actors.mailbox import Case, Overloaded
from actors.places import Places
from helm.guardian.intake import Caller, admit


def case_of(principal: str, tenant: str = "t") -> Case:
    return Case(admit(Caller(tenant=tenant, principal=principal, session_id="s"), "read", {}))


def test_nothing_is_remembered_of_principals_that_left() -> None:
    places = Places(most=100, most_of_one=2)
    cases = [case_of(f"p{number}") for number in range(50) for _ in range(2)]
    for case in cases:
        places.check_free(case)
        places.take(case)
    for case in cases:
        places.leave(case)
    assert not places.cases
    assert not places._held


def test_a_place_that_one_call_gives_back_leaves_the_others_theirs() -> None:
    places = Places(most=100, most_of_one=2)
    first, second, third = case_of("p"), case_of("p"), case_of("p")
    places.take(first)
    places.take(second)
    with pytest.raises(Overloaded):
        places.check_free(third)
    places.check_free(case_of("p", tenant="another"))
    places.leave(first)
    places.check_free(third)
    places.take(third)
    with pytest.raises(Overloaded):
        places.check_free(first)
