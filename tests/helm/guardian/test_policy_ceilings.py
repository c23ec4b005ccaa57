"""Ceilings and budgets bind whom they name, and nobody slips between two names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.destination import normalise
from helm.guardian.glob import MAX_STARS, names_of
from tests.helm.guardian.bundles import document, policy, tool

NAME = st.text(alphabet="ab-.", max_size=8)


def accounts(tenant: str, principal: str, name: str) -> dict[str, str]:
    return {budget.id: account for account, budget in policy().budgets_for(tenant, principal, name)}


def refusal(*path: str | int, **members: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_document(document(*path, **members))
    return caught.value


@pytest.mark.parametrize(
    ("ceiling", "what"),
    [
        ({"max_risk_tier": "T1"}, "max_risk_tier T1"),
        ({"denied_effect_types": ["payment"]}, "denied_effect_types payment"),
        ({"denied_tools": ["p*"]}, "denied_tools"),
        ({"denied_tools": ["pay"]}, "denied_tools"),
    ],
)
def test_a_hard_ceiling_forbids_what_the_bundle_allows(ceiling: dict[str, Any], what: str) -> None:
    assert policy("p0", **ceiling).p0.forbids(tool("pay")) == what
    assert policy().p0.forbids(tool("pay")) == ""


def test_risk_tiers_rise_from_t0_to_t3() -> None:
    rules = [tool("pay", risk_tier=tier) for tier in ("T0", "T1", "T2", "T3")]
    for highest, tier in enumerate(("T0", "T1", "T2", "T3")):
        ceilings = policy("p0", max_risk_tier=tier).p0
        assert [bool(ceilings.forbids(rule)) for rule in rules] == [i > highest for i in range(4)]


def test_no_ceilings_stated_are_no_ceilings() -> None:
    p0 = compile_document({"version": "helm.policy/1", "scope": "s", "epoch": 1}).p0
    assert p0.forbids(tool("pay", risk_tier="T3")) == "" and p0.denied_destinations == ()


def test_hard_denied_destinations_are_read_as_patterns() -> None:
    denied = policy().p0.denied_destinations
    for text in ("http://169.254.169.254/latest", "https://db.internal.example.com"):
        assert any(pattern.touches(normalise(text)) for pattern in denied)


@pytest.mark.parametrize(
    "members",
    [
        {"max_risk_tier": "T4"},
        {"denied_effect_types": ["spend"]},
        {"denied_destinations": ["http://a/b"]},
        {"denied_tools": ["a*b*c*d*e*"]},
        {"tool_calls_per_window": -1},
        {"window_s": 0},
    ],
)
def test_a_ceiling_that_cannot_be_applied_is_refused(members: dict[str, Any]) -> None:
    assert refusal("p0", **members).where.startswith("p0.")


def test_a_window_that_limits_nothing_is_refused() -> None:
    whole = document(p0={"window_s": 60})
    with pytest.raises(Invalid, match="window without a limit"):
        compile_document(whole)


# Budgets


def test_every_budget_counts_in_its_own_account() -> None:
    assert accounts("acme", "agent-1", "pay") == {
        "p0": "p0",
        "everyone": "everyone",
        "each": "each/acme agent-1",
        "acme": "acme",
        "one": "one/acme agent-1",
        "paying": "paying",
    }
    assert accounts("other", "agent-2", "fetch") == {
        "p0": "p0",
        "everyone": "everyone",
        "each": "each/other agent-2",
    }


def test_one_tenant_never_spends_from_another_s_account() -> None:
    assert accounts("acme", "agent-1", "pay")["one"] != accounts("other", "agent-1", "pay")["one"]
    assert accounts("a/b", "c", "pay")["each"] != accounts("a", "b/c", "pay")["each"]


def test_every_account_leads_back_to_its_budget() -> None:
    compiled = policy()
    for account, budget in compiled.budgets_for("a/b", "agent-1", "pay"):
        assert compiled.budgets_by_id[account.partition("/")[0]] is budget


def test_the_hard_budget_binds_everyone() -> None:
    p0 = policy().budgets_by_id["p0"]
    assert (p0.tool_call_limit, p0.spend_limit_cents, p0.window_s) == (1_000, 5_000, 3_600)
    assert p0.account("any", "body", "at all") == "p0"


@pytest.mark.parametrize(
    "budget",
    [
        {"id": "p0", "subject": "*", "tool_call_limit": 1, "window_s": 1},
        {"id": "a/b", "subject": "*", "tool_call_limit": 1, "window_s": 1},
        {"id": "each", "subject": "*", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "*", "window_s": 1},
        {"id": "x", "subject": "all", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "agent-1", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "principal:", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "role:admin", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "each-principal:a", "tool_call_limit": 1, "window_s": 1},
        {"id": "x", "subject": "*", "tool_call_limit": 1, "window_s": 0},
        {"id": "x", "subject": "*", "tool_call_limit": 1.5, "window_s": 1},
        {"id": "x", "subject": "*", "spend_limit": 1, "window_s": 1},
    ],
)
def test_a_budget_that_binds_nobody_or_limits_nothing_is_refused(budget: dict[str, Any]) -> None:
    whole = document()
    whole["budgets"][0] = budget
    with pytest.raises(Invalid) as caught:
        compile_document(whole)
    assert caught.value.where.startswith("budgets[")


# Principals, compliance


def test_principals_and_compliance_stand_as_they_are_stated() -> None:
    compiled = policy()
    assert compiled.principals["agent-1"].data_classes == frozenset({"internal"})
    assert compiled.principals["agent-1"].credentials == {"vault:pay"}
    assert compiled.principals["delegate-1"].data_classes is None
    assert compiled.principals["delegate-1"].delegation_required
    assert compiled.compliance.allowed_data_classes == {"internal", "personal"}
    assert compiled.compliance.allowed_jurisdictions == {"EU"}
    assert compiled.compliance.min_retention_days == 30


# Names with stars


@given(parts=st.lists(NAME, min_size=1, max_size=4), fill=st.lists(NAME, min_size=3, max_size=3))
def test_a_star_stands_for_any_characters(parts: list[str], fill: list[str]) -> None:
    names = names_of(["*".join(parts)], "p0.denied_tools")
    meant = "".join(part + between for part, between in zip(parts, [*fill[: len(parts) - 1], ""], strict=True))
    assert meant in names


@pytest.mark.parametrize(
    ("pattern", "name", "meant"),
    [
        ("shell.*", "shell.run", True),
        ("shell.*", "shell", False),
        ("shell.*", "xshell.run", False),
        ("*.read", "files.read", True),
        ("*.read", "files.reader", False),
        ("a*b", "ab", True),
        ("a*a", "a", False),
        ("ab*ba", "aba", False),
        ("a*b*c", "a-b-c", True),
        ("a*b*c", "a-c-b", False),
        ("a*bb*b", "abb", False),
        ("*", "", True),
        ("**", "anything", True),
        ("a.c", "abc", False),
        ("[ab]*", "a", False),
        ("Shell.*", "shell.run", False),
    ],
)
def test_nothing_but_a_star_stands_for_anything(pattern: str, name: str, meant: bool) -> None:
    assert (name in names_of([pattern], "here")) is meant


def test_many_stars_are_refused_and_the_most_allowed_are_quick() -> None:
    with pytest.raises(Invalid, match="stars"):
        names_of(["*a" * (MAX_STARS + 1)], "here")
    assert "a" * 10_000 not in names_of(["*a" * MAX_STARS + "b"], "here")
