"""A claim is its owner's, and for one call only (T6)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helm.executor.idempotency import claim_name, claim_of, same_call
from helm.guardian.intake import Terms
from tests.helm.guardian.worlds import call

NAMES = st.tuples(*[st.text("ab/: ", min_size=1, max_size=4)] * 4)


@given(NAMES, NAMES)
def test_two_owners_never_share_a_claim(one: tuple[str, ...], two: tuple[str, ...]) -> None:
    assert (claim_name(*one) == claim_name(*two)) == (one == two)


def test_a_calls_claim_is_that_of_its_names() -> None:
    asked = call("read", {"n": 1}, principal="p", session="s", terms=Terms(idempotency_key="k"))
    assert claim_of(asked) == claim_name("t", "p", "s", "k")


def test_the_same_call_has_the_same_tool_and_the_same_bytes() -> None:
    asked = call("read", {"n": 1})
    assert same_call(asked, "read", call("read", b'{ "n" : 1 }').args_hash)  # one value, one spelling
    assert not same_call(asked, "read", call("read", {"n": 2}).args_hash)
    assert not same_call(asked, "write", asked.args_hash)
