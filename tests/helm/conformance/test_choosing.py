"""Which vectors a run does: silence is held against a call that was let through, also where few are wanted."""

from __future__ import annotations

import pytest

from actors.conforming.material import vector_set
from helm.conformance.choosing import Wanted, chosen, to_run


@pytest.mark.parametrize(
    "wanted", [Wanted(categories=frozenset({"gate-3-egress"})), Wanted(ids=frozenset({"stale-policy"}))]
)
def test_what_rests_on_silence_alone_is_run_behind_a_control(wanted: Wanted) -> None:
    control, *others = to_run(vector_set(), wanted)
    assert (control.id, control.deeds, control.level) == ("allowed", 1, "L1")
    assert tuple(others) == chosen(vector_set(), wanted)


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(level="L1"), Wanted(ids=frozenset({"allowed", "blocked-egress"}))])
def test_what_has_a_control_gets_no_other(wanted: Wanted) -> None:
    assert to_run(vector_set(), wanted) == chosen(vector_set(), wanted)
