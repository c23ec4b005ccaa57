"""A velocity that no call can reach, or that whoever likes can dodge, is refused when the policy is read."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.explain import explain
from helm.guardian.explanation import Row, Supposed
from tests.helm.guardian.bundles import document

SHARED = {"id": "crowd", "per": "tenant", "tools": ["orders.*", "fetch"], "window_s": 60, "throttle_above": 9}


def bundle(*shared: dict[str, Any], **own: Any) -> dict[str, Any]:
    whole = document("tools", "pay", **own)
    whole["velocity"] = list(shared)
    return whole


def refusal(*shared: dict[str, Any], **own: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_document(bundle(*shared, **own))
    return caught.value


def test_a_rule_of_the_bundle_binds_every_tool_that_it_names_beside_the_tools_own() -> None:
    policy = compile_document(bundle(SHARED, {**SHARED, "id": "all", "tools": ["*"]}))
    assert [rule.id for rule in policy.tools["pay"].velocity] == ["tools.pay", "all"]
    assert [rule.id for rule in policy.tools["orders.get"].velocity] == ["crowd", "all"]
    assert policy.tools["fetch"].velocity == policy.tools["orders.get"].velocity


@pytest.mark.parametrize(
    ("members", "where"),
    [
        ({"throttle_above": 20, "interrupt_above": 20}, "throttle_above"),
        ({"throttle_above": 20, "interrupt_above": 10}, "throttle_above"),
        ({"observe_above": 9}, "observe_above"),
        ({"observe_above": 30, "throttle_above": 20}, "observe_above"),
        ({"throttle_above": 5_000}, "throttle_above"),
        ({"cool_down_s": 0}, "cool_down_s"),
        ({"cool_down_s": 90_000}, "cool_down_s"),
        ({"per": "agent"}, "per"),
        ({"tools": ["nothing.*"]}, "tools"),
        ({"id": "tools.pay"}, "id"),
        ({"window": 60}, "window"),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused_at_load(members: dict[str, Any], where: str) -> None:
    assert refusal({**SHARED, **members}).where == f"velocity[0].{where}"


def test_a_cool_down_of_a_level_that_holds_nothing_back_is_refused() -> None:
    watched = {"id": "crowd", "tools": ["*"], "window_s": 60, "observe_above": 9, "cool_down_s": 60}
    assert refusal(watched).where == "velocity[0].cool_down_s"


def test_two_rules_of_one_id_are_refused() -> None:
    assert refusal(SHARED, SHARED).where == "velocity[1].id"


def test_a_rule_per_session_alone_is_refused_because_another_session_dodges_it() -> None:
    per_session = {"per": "session", "window_s": 60, "throttle_above": 3}
    assert "another session dodges it" in refusal(velocity=per_session).what
    compile_document(bundle({**SHARED, "tools": ["pay"]}, velocity=per_session))


def test_a_tool_that_is_allowed_is_not_called_denied_for_what_lies_beyond_its_pace() -> None:
    policy = compile_document(bundle({**SHARED, "tools": ["pay"]}))
    rows = [row for row in explain(policy, "pay", "agent-1", Supposed(calls=1)) if row.phase == "temporal"]
    assert Row("temporal", "velocity crowd: after 1 call, level none", "PASS") in rows
    assert not [row for row in rows if row.outcome.startswith(("DENY", "ESCALATE"))]


def test_what_is_supposed_of_a_call_says_which_level_and_which_window_apply() -> None:
    whole = bundle({**SHARED, "tools": ["pay"], "observe_above": 2, "cool_down_s": 300})
    policy = compile_document(whole)
    rows = [row for row in explain(policy, "pay", "agent-1", Supposed(calls=12)) if row.phase == "temporal"]
    said = [f"{what} -> {outcome}" for _, what, outcome in rows]
    assert (
        "velocity crowd: at most 9 calls of one tenant in 60 s -> beyond that: DENY TEMPORAL_THROTTLE, held for 300 s"
        in said
    )
    assert "velocity crowd: at most 2 calls of one tenant in 60 s -> beyond that: PASS, noted as OBSERVE" in said
    assert "velocity crowd: after 12 calls, level THROTTLE -> DENY TEMPORAL_THROTTLE" in said
    assert "velocity tools.pay: after 12 calls, level THROTTLE -> DENY TEMPORAL_THROTTLE" in said
    monday = 1_791_187_200_000  # 2026-10-05T08:00Z
    at = [row for row in explain(policy, "pay", "", Supposed(at_ms=monday)) if row.phase == "temporal"]
    assert at[-1][1:] == ("at that time: window-0 is open", "PASS")
    assert at[-3].what.endswith("there it is mon 2026-10-05 08:00 UTC") and at[-3].outcome == "open"
    before = [row for row in explain(policy, "pay", "", Supposed(at_ms=monday - 1)) if row.phase == "temporal"]
    assert before[-1][1:] == ("at that time: no window is open", "ESCALATE TEMPORAL_INTERVENTION")
