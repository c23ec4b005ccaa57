"""The chain: its order is the documented one, its first refusal wins, and what fails in it is a refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.decision import DECISION
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Verdict
from helm.crypto.seals import seal_decision
from helm.guardian.chain import CHAIN, GATES, MAX_REASON, ROSTER, Chain
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.policy import NO_POLICY
from helm.guardian.velocity import Pace
from tests.helm.guardian.worlds import call, policy, world

SIX_GATES = ("freeze", "context", "identity", "egress", "threat", "delegation")
BEHIND_THEM = ("effect", "temporal", "compliance", "pep", "authz", "prg", "pdp", "budget")

FAILS_AS = {
    "freeze": ReasonCode.SYSTEM_FROZEN,
    "context": ReasonCode.CONTEXT_MISMATCH,
    "identity": ReasonCode.IDENTITY_ISOLATION_VIOLATION,
    "egress": ReasonCode.DATA_EGRESS_BLOCKED,
    "threat": ReasonCode.PROMPT_INJECTION_DETECTED,
    "delegation": ReasonCode.DELEGATION_INVALID,
    "effect": ReasonCode.NO_POLICY_DEFINED,
    "temporal": ReasonCode.TEMPORAL_THROTTLE,
    "compliance": ReasonCode.COMPLIANCE_VIOLATION,
    "pep": ReasonCode.SCHEMA_VIOLATION,
    "authz": ReasonCode.PDP_ERROR,
    "prg": ReasonCode.PRG_EVALUATION_ERROR,
    "pdp": ReasonCode.PDP_ERROR,
    "budget": ReasonCode.BUDGET_ERROR,
}


def raising(problem: BaseException) -> Callable[[Inquiry], None]:
    def check(inquiry: Inquiry) -> None:
        raise problem

    return check


def with_check(name: str, check: Callable[[Inquiry], None]) -> Chain:
    """Return the chain in which the office `name` checks otherwise."""
    return Chain(tuple(attrs.evolve(office, check=check) if office.name == name else office for office in ROSTER))


def test_the_roster_is_in_the_documented_order() -> None:
    assert tuple(office.name for office in GATES) == SIX_GATES
    assert tuple(office.name for office in ROSTER) == (*SIX_GATES, *BEHIND_THEM)
    assert CHAIN.roster is ROSTER


def test_every_decision_names_the_roster_that_took_it() -> None:
    shorter = Chain(ROSTER[:-1])
    swapped = Chain((ROSTER[1], ROSTER[0], *ROSTER[2:]))
    hashes = {chain.evaluate(call(), world()).decision.content.gate_roster_hash for chain in (CHAIN, shorter, swapped)}
    assert hashes == {CHAIN.roster_hash, shorter.roster_hash, swapped.roster_hash}
    assert len(hashes) == 3


@pytest.mark.parametrize("office", ROSTER, ids=lambda office: office.name)
@pytest.mark.parametrize("problem", [ValueError("a secret"), KeyError("x"), RecursionError(), MemoryError()])
def test_an_office_that_fails_is_a_refusal_under_its_own_code(office: Office, problem: Exception) -> None:
    decision = with_check(office.name, raising(problem)).evaluate(call(), world()).decision.content
    assert (decision.verdict, decision.reason_code) == (Verdict.DENY, FAILS_AS[office.name])
    assert office.name in decision.reason and "secret" not in decision.reason


def test_an_end_of_the_program_is_no_refusal() -> None:
    with pytest.raises(KeyboardInterrupt):
        with_check("pep", raising(KeyboardInterrupt())).evaluate(call(), world())


@pytest.mark.parametrize("first", range(len(ROSTER)))
def test_the_first_refusal_wins_and_nobody_behind_it_is_asked(first: int) -> None:
    asked: list[str] = []

    def office(number: int) -> Office:
        def check(inquiry: Inquiry) -> None:
            asked.append(ROSTER[number].name)
            if number >= first:
                raise Refused(ReasonCode.POLICY_VIOLATION, f"office {number}")

        return attrs.evolve(ROSTER[number], check=check)

    judgement = Chain(tuple(map(office, range(len(ROSTER))))).evaluate(call(), world())
    decision = judgement.decision.content
    assert decision.reason == f"office {first}"
    assert asked == [office.name for office in ROSTER[: first + 1]]
    assert decision.gate_results == ("PASS",) * first + ("DENY",)
    assert judgement.permit is None


def test_an_allow_has_passed_every_office_and_alone_gets_a_permit() -> None:
    judgement = CHAIN.evaluate(call(), world())
    decision = judgement.decision.content
    assert (decision.verdict, decision.reason_code, decision.reason) == (Verdict.ALLOW, "", "")
    assert decision.gate_results == ("PASS",) * len(ROSTER)
    permit = judgement.permit
    assert permit is not None
    assert (permit.decision_hash, permit.args_hash) == (judgement.decision.hash, decision.args_hash)
    assert permit.expires_at_ms == decision.decided_at_ms + 10_000


@pytest.mark.parametrize("code", list(ReasonCode))
def test_only_the_two_codes_that_ask_a_human_escalate(code: ReasonCode) -> None:
    chain = with_check("budget", raising(Refused(code, "why")))
    if code is ReasonCode.NONE:  # a refusal without a reason cannot be written
        with pytest.raises(ValueError, match="cannot carry"):
            chain.evaluate(call(), world())
        return
    decision = chain.evaluate(call(), world()).decision.content
    asks = code in (ReasonCode.APPROVAL_REQUIRED, ReasonCode.TEMPORAL_INTERVENTION)
    assert decision.verdict == (Verdict.ESCALATE if asks else Verdict.DENY)
    assert decision.approval_id.startswith("apr_") == asks
    assert (decision.approval_expires_at_ms > decision.decided_at_ms) == asks


def test_a_reason_does_not_repeat_a_page_of_the_callers_words() -> None:
    chain = with_check("pep", raising(Refused(ReasonCode.SCHEMA_VIOLATION, "x" * 1_000_000)))
    assert len(chain.evaluate(call(), world()).decision.content.reason) == MAX_REASON


def test_without_a_policy_and_for_an_undeclared_tool_everything_is_refused() -> None:
    for tool, rules in (("read", NO_POLICY), ("undeclared", policy())):
        decision = CHAIN.evaluate(call(tool), world(policy=rules)).decision.content
        assert (decision.verdict, decision.reason_code) == (Verdict.DENY, ReasonCode.NO_POLICY_DEFINED)
        assert (decision.effect_id, decision.intent_hash, decision.risk_tier) == ("", "", "")


TOOLS = st.sampled_from(sorted(policy().tools)) | st.text("abc.", min_size=1, max_size=5)
ARGUMENTS = (
    st.binary(max_size=40)
    | st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=8,
    )
    | st.fixed_dictionaries(
        {}, optional={"n": st.integers(-9, 9), "to": st.text(max_size=20), "cents": st.integers(0, 200)}
    )
)


@given(
    tool=TOOLS,
    arguments=ARGUMENTS,
    principal=st.sampled_from(["agent", "delegate", "cleared", "friend-1"]),
    changes=st.fixed_dictionaries(
        {},
        optional={
            "frozen": st.sampled_from(["SYSTEM_FROZEN", "AGENT_KILLED", "EMERGENCY_STOP_FENCED"]),
            "fingerprint": st.sampled_from(["", "sha256:elsewhere"]),
            "session_owner": st.sampled_from(["agent", "other"]),
            "session_closed": st.booleans(),
            "session_labels": st.sampled_from([(), ("web",)]),
            "velocity": st.lists(
                st.builds(
                    Pace,
                    rule_id=st.sampled_from(["tools.slowly", "tools.counted"]),
                    account=st.sampled_from(["", "t agent"]),
                    at_ms=st.integers(0, 2**42),
                    calls=st.integers(0, 9),
                    held=st.sampled_from(["", "THROTTLE", "INTERRUPT"]),
                    clear_ms=st.integers(0, 2**42),
                ),
                max_size=2,
            ).map(tuple),
            "claim_conflict": st.booleans(),
            "connector_halted": st.sampled_from(["", "drift"]),
            "now_ms": st.integers(0, 2**42),
        },
    ),
)
def test_every_call_gets_exactly_one_verdict_and_the_same_one_again(
    tool: str, arguments: object, principal: str, changes: dict[str, object]
) -> None:
    moment = world(**changes)
    first = CHAIN.evaluate(call(tool, arguments, principal=principal), moment)
    again = CHAIN.evaluate(call(tool, arguments, principal=principal), moment)
    assert (first.decision, first.record, first.facts) == (again.decision, again.record, again.facts)
    assert first.decision.content.verdict in set(Verdict)
    assert (first.permit is None) == (first.decision.content.verdict != Verdict.ALLOW)
    if "frozen" in changes:
        assert first.decision.content.reason_code == changes["frozen"]


def test_two_identical_calls_are_two_decisions() -> None:
    judged = [CHAIN.evaluate(call(), world(call_seq=sequence)).decision for sequence in (1, 2)]
    judged += [CHAIN.evaluate(call(), world(kernel_epoch=2)).decision]
    assert len({decision.hash for decision in judged}) == len({decision.id for decision in judged}) == 3
    # but one intent: what an approver approves does not change with the day
    assert len({decision.content.intent_hash for decision in judged}) == 1


def test_a_decision_is_named_after_all_that_it_says() -> None:
    decision = CHAIN.evaluate(call(), world()).decision
    for name, value in DECISION.body(decision.content).items():
        if name in ("verdict", "reason_code"):
            continue
        other: Any = value + 1 if type(value) is int else (*value, "x") if type(value) is tuple else value + "x"
        changed = seal_decision(decision.content.but(**{name: other}))
        assert changed.hash != decision.hash, name
