"""The offices at their edges: the last call that fits, the first that does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from helm.contracts.decision import Decision
from helm.contracts.reason import ReasonCode
from helm.guardian.chain import CHAIN
from helm.guardian.delegation import Standing
from helm.guardian.inquiry import Inquiry
from helm.guardian.intake import PLAIN, Terms
from helm.guardian.judgement import NOBODY, impartial
from helm.guardian.velocity import Pace
from helm.guardian.world import Sought, World
from tests.actors.policies import OPEN, POLICY
from tests.helm.guardian.worlds import call, grant, policy, world


def code_of(tool: str, moment: World, arguments: object = None, **whom: str) -> str:
    return decided(tool, moment, arguments, **whom).reason_code


def decided(tool: str, moment: World, arguments: object = None, **whom: str) -> Decision:
    return CHAIN.evaluate(call(tool, arguments, **whom), moment).decision.content  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("moment", "runs"),
    [
        ("2025-10-09T07:59:59.999", False),
        ("2025-10-09T08:00:00", True),
        ("2025-10-09T17:59:59.999", True),
        ("2025-10-09T18:00:00", False),
        ("2025-10-10T12:00:00", True),
        ("2025-10-11T12:00:00", False),
        ("2025-10-12T12:00:00", False),
        ("2025-10-13T08:00:00", True),
    ],
)
def test_a_window_is_open_from_its_first_minute_to_before_its_last(moment: str, runs: bool) -> None:
    now_ms = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000)
    code = code_of("daylight", world(now_ms=now_ms))
    assert code == ("" if runs else ReasonCode.TEMPORAL_INTERVENTION)


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        (2, ""),
        (3, ReasonCode.TEMPORAL_THROTTLE),
        (4, ReasonCode.TEMPORAL_THROTTLE),
        (5, ReasonCode.TEMPORAL_INTERVENTION),
    ],
)
def test_velocity_throttles_first_and_asks_a_human_above(earlier: int, code: str) -> None:
    assert code_of("slowly", world(velocity=(Pace("tools.slowly", "t agent", 0, earlier, "", 0),))) == code


@pytest.mark.parametrize(
    ("pace", "code", "why"),
    [
        (
            Pace("tools.slowly", "", 0, 0, "", 0),
            ReasonCode.TEMPORAL_THROTTLE,
            "counts 65536 others of this tenant already",
        ),
        (Pace("tools.slowly", "t agent", 0, 0, "THROTTLE", 0), ReasonCode.TEMPORAL_THROTTLE, "THROTTLE holds"),
        (Pace("tools.slowly", "t agent", 0, 4, "INTERRUPT", 0), ReasonCode.TEMPORAL_INTERVENTION, "INTERRUPT holds"),
        (
            Pace("tools.slowly", "t agent", 0, 5, "THROTTLE", 0),
            ReasonCode.TEMPORAL_INTERVENTION,
            "5 calls of this principal",
        ),
        (Pace("tools.slowly", "t agent", 0, 0, "SLOW", 0), ReasonCode.TEMPORAL_THROTTLE, "could not be made"),
    ],
)
def test_the_higher_of_reached_and_held_counts_and_whoever_has_no_place_is_throttled(
    pace: Pace, code: ReasonCode, why: str
) -> None:
    decision = decided("slowly", world(velocity=(pace,)))
    assert (decision.reason_code, why in decision.reason) == (code, True)
    assert len(decision.velocity) == (pace.account != "")


@pytest.mark.parametrize(
    ("used", "code"),
    [
        (("few", 0, 2, 0, 0, 0), ""),
        (("few", 0, 3, 0, 0, 0), ReasonCode.BUDGET_EXCEEDED),
        (("few", 0, 0, 10**12, 10**12, 0), ""),  # limits that the budget does not have
    ],
)
def test_the_last_call_that_fits_is_allowed(used: tuple[str, int, int, int, int, int], code: str) -> None:
    decision = decided("limited", world(budgets=(used,)))
    assert decision.reason_code == code
    assert decision.budget_reservation == ((("few", 0, 1, 0, 0, 0),) if not code else ())


@pytest.mark.parametrize(("cents", "code"), [(990, ""), (991, ReasonCode.BUDGET_EXCEEDED)])
def test_money_is_counted_to_the_cent(cents: int, code: str) -> None:
    decision = decided("pay", world(budgets=(("spend", 0, 0, cents, 0, 0),)))
    assert decision.reason_code == code
    if not code:
        assert decision.budget_reservation == (("spend", 0, 1, 10, 1, 0),)


def test_the_lowest_of_several_budgets_wins() -> None:
    standing = (("few", 0, 0, 0, 0, 0), ("spend", 0, 0, 0, 0, 0), ("writes/t scribe", 0, 0, 0, 2, 0))
    decision = decided("write", world(budgets=standing))
    assert decision.reason_code == ReasonCode.BUDGET_EXCEEDED
    assert "writes/t scribe" in decision.reason


SENDING = (
    POLICY
    + """
[[budgets]]
id = "wire"
subject = "tool:send"
egress_limit_bytes = 100
window_s = 3600
"""
)


@pytest.mark.parametrize(("sent", "code"), [(68, ""), (69, ReasonCode.BUDGET_EXCEEDED)])
def test_what_goes_to_the_network_is_counted_to_the_byte(sent: int, code: str) -> None:
    arguments = {"to": "https://www.example.com"}  # 32 bytes, canonical
    standing = world(policy=policy(SENDING), budgets=(("wire", 0, 0, 0, 0, sent),))
    decision = CHAIN.evaluate(call("send", arguments), standing).decision.content
    assert decision.reason_code == code
    if not code:
        assert decision.budget_reservation == (("wire", 0, 1, 0, 1, 32),)


ASKING = POLICY.replace("spend_limit_cents = 1000", "spend_limit_cents = 1000\napproval_required_above_cents = 50")


@pytest.mark.parametrize(
    ("cents", "code"), [(40, ""), (41, ReasonCode.APPROVAL_REQUIRED), (991, ReasonCode.BUDGET_EXCEEDED)]
)
def test_above_a_sum_a_human_is_asked_and_above_the_limit_nobody(cents: int, code: str) -> None:
    standing = world(policy=policy(ASKING), budgets=(("spend", 0, 0, cents, 0, 0),))
    decision = CHAIN.evaluate(call("pay"), standing).decision.content
    assert decision.reason_code == code
    assert bool(decision.budget_reservation) == (code == "")


def test_a_budget_that_nobody_declared_cannot_be_judged() -> None:
    decision = decided("read", world(budgets=(("gone", 0, 0, 0, 0, 0),)))
    assert decision.reason_code == ReasonCode.BUDGET_ERROR


def test_a_key_that_was_used_for_other_bytes_is_refused_only_where_nothing_else_is_wrong_before_it() -> None:
    assert code_of("read", world(claim_conflict=True)) == ReasonCode.IDEMPOTENCY_KEY_REUSED
    assert code_of("read", world(claim_conflict=True), b"{") == ReasonCode.SCHEMA_VIOLATION
    assert code_of("nope", world(claim_conflict=True)) == ReasonCode.NO_POLICY_DEFINED


FIXED = (
    POLICY
    + f"""
[tools.phone]
connector = "local"
effect_type = "message"
risk_tier = "T1"
principals = ["*"]
destination = {{ fixed = "https://phone.example.com" }}
{OPEN}
"""
)


def test_a_fixed_destination_is_judged_whatever_the_arguments_say() -> None:
    judgement = CHAIN.evaluate(call("phone", {"to": "https://evil.example.com"}), world(policy=policy(FIXED)))
    assert judgement.record.content.destination == "https://phone.example.com:443"
    assert judgement.decision.content.reason_code == ""


@pytest.mark.parametrize(
    "to",
    [
        "https://a.example.com",
        "HTTPS://A.EXAMPLE.COM/",
        "https://a.example.com:443/x?y#z",
    ],
)
def test_a_destination_has_one_spelling(to: str) -> None:
    judgement = CHAIN.evaluate(call("send", {"to": to}), world())
    assert judgement.record.content.destination == "https://a.example.com:443"
    assert judgement.effect is not None and judgement.effect.destination == "https://a.example.com:443"


@pytest.mark.parametrize(
    "to",
    [
        "http://a.example.com",
        "https://example.com",
        "https://a.example.com.evil.org",
        "https://a.example.com\\@evil.org",
        "https://evil.org/https://a.example.com",
        "//a.example.com",
        "a.example.com:8443",
        "",
        "https://",
        "https://[::1",
        "x" * 900_000,
    ],
)
def test_no_other_spelling_gets_out(to: str) -> None:
    decision = decided("send", world(), {"to": to})
    assert decision.reason_code == ReasonCode.DATA_EGRESS_BLOCKED
    assert len(decision.reason) <= 1000


def test_a_denied_destination_stays_denied_where_it_is_also_allowed() -> None:
    assert code_of("send", world(), {"to": "https://evil.example.com"}) == ReasonCode.DATA_EGRESS_BLOCKED


def test_a_halted_connector_is_refused_before_anybody_is_asked() -> None:
    assert code_of("asking", world(connector_halted="drift")) == ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT


def test_an_approval_is_named_after_its_intent_and_the_one_decision_that_asks_and_ends_with_its_rule() -> None:
    first, other = (decided("asking", world(now_ms=ms, call_seq=ms), {"n": 1}) for ms in (1_000, 5_000))
    assert first.intent_hash == other.intent_hash
    assert len({first.approval_id, other.approval_id, decided("asking", world(), {"n": 2}).approval_id}) == 3
    assert (first.approval_expires_at_ms, other.approval_expires_at_ms) == (601_000, 605_000)


def sought(decision: Decision, state: str, **changes: Any) -> Sought:
    """Return how the approval stands that a decision asked for."""
    return Sought(
        decision.approval_id,
        decision.approval_expires_at_ms,
        decision.intent_hash,
        decision.p0_ceiling_hash,
        decision.policy_hash,
        state,
        unlocked=True,
    )._replace(**changes)


@pytest.mark.parametrize(
    ("state", "changes", "named", "code"),
    [
        ("PENDING", {}, False, ReasonCode.APPROVAL_REQUIRED),
        ("PENDING", {}, True, ReasonCode.APPROVAL_REQUIRED),
        ("PENDING", {"unlocked": False}, True, ReasonCode.ERR_APPROVAL_TIMELOCK_ACTIVE),
        ("PENDING", {"unlocked": False}, False, ReasonCode.APPROVAL_REQUIRED),
        ("PENDING", {"expires_at_ms": 1}, True, ReasonCode.APPROVAL_TIMEOUT),
        ("EXPIRED", {"expires_at_ms": 1}, True, ReasonCode.APPROVAL_TIMEOUT),
        ("EXPIRED", {"expires_at_ms": 1}, False, ReasonCode.APPROVAL_REQUIRED),
        ("DISPUTED", {}, True, ReasonCode.APPROVAL_REQUIRED),
        ("APPROVED", {}, True, ReasonCode.NONE),
        ("APPROVED", {}, False, ReasonCode.APPROVAL_REQUIRED),
        ("APPROVED", {"expires_at_ms": 1}, True, ReasonCode.APPROVAL_TIMEOUT),
        ("APPROVED", {"policy_hash": "sha256:older"}, True, ReasonCode.APPROVAL_REQUIRED),
        ("APPROVED", {"p0_ceiling_hash": "sha256:older"}, True, ReasonCode.APPROVAL_REQUIRED),
        ("APPROVED", {"intent_hash": "sha256:other"}, True, ReasonCode.APPROVAL_REQUIRED),
        ("DENIED", {}, False, ReasonCode.PDP_DENY),
        ("DENIED", {"expires_at_ms": 1}, False, ReasonCode.APPROVAL_REQUIRED),
        ("REVOKED", {}, True, ReasonCode.PDP_DENY),
        ("CONSUMED", {}, True, ReasonCode.PDP_DENY),
        ("CONSUMED", {}, False, ReasonCode.APPROVAL_REQUIRED),
    ],
)
def test_only_an_approval_of_this_very_world_that_the_call_names_lets_it_pass(
    state: str, changes: dict[str, Any], named: bool, code: ReasonCode
) -> None:
    first = decided("asking", world(), {"n": 1})
    stands = sought(first, state, **changes)
    terms = Terms(approval_id=first.approval_id) if named else PLAIN
    asked = call("asking", {"n": 1}, terms=terms)
    decision = CHAIN.evaluate(asked, world(approval=stands, call_seq=2)).decision.content
    assert decision.reason_code == code
    joined = {"PENDING", "DISPUTED", "APPROVED"} if not changes or "unlocked" in changes else frozenset[str]()
    if code == ReasonCode.APPROVAL_REQUIRED:  # it waits with the others, or opens a ceremony of its own
        assert (decision.approval_id == first.approval_id, decision.approval_quorum) == (
            (True, 0) if state in joined else (False, 1)
        )


def test_neither_who_asks_nor_in_whose_name_is_among_the_approvers() -> None:
    given = grant("alice", {"asking": ""})
    moment = world(delegation=Standing(ended="", grant=given, used=False))
    inquiry = Inquiry(call("asking", principal="agent"), moment, policy().rule("asking"))
    approvers = ("agent key_0", "alice key_1", "alice key_2", "bob key_3")
    assert impartial(approvers, inquiry) == ("bob key_3",)
    assert impartial(approvers[:3], inquiry) == NOBODY  # and not: whoever holds an approval key
    assert impartial((), inquiry) == ()
