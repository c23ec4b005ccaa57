"""Ceremonies as a fold: opened by one decision each, ended by their hours."""

from __future__ import annotations

import attrs
import pytest

from helm.contracts.approval import Action, Challenge
from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.guardian.approvals import DAY_MS, HOUR_MS, Approvals
from helm.guardian.ceremony import CHALLENGE_TTL_MS, MAX_CHALLENGES, Ceremony, challenged, sign_challenge
from helm.guardian.chain import CHAIN
from tests.helm.evidence.forger import standalone
from tests.helm.guardian.worlds import NOON_MS, call, world

KERNEL = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION)
KERNEL_KEY = PublicKey.from_hex(KERNEL.public_key)


def asks(approvals: Approvals, call_seq: int, *, n: int = 1, now_ms: int = NOON_MS) -> Decision:
    """Have one call judged that a human must agree to, in the world of these approvals."""
    asked = call("asking", {"n": n})
    moment = world(approval=approvals.standing(asked), call_seq=call_seq, now_ms=now_ms)
    decision = CHAIN.evaluate(asked, moment).decision.content
    approvals.park(decision)
    return decision


def states(approvals: Approvals) -> list[str]:
    return [ceremony.state for ceremony in approvals.ceremonies.values()]


def test_asking_twice_opens_one_ceremony_with_one_deadline() -> None:
    approvals = Approvals()
    first, again = asks(approvals, 1), asks(approvals, 2, now_ms=NOON_MS + 5)
    assert (first.approval_id, first.approval_expires_at_ms) == (again.approval_id, again.approval_expires_at_ms)
    assert (first.approval_quorum, again.approval_quorum) == (1, 0)
    assert states(approvals) == ["PENDING"]


def test_it_is_due_from_its_deadline_on_and_only_while_it_runs() -> None:
    approvals = Approvals()
    one = asks(approvals, 1)
    deadline = one.approval_expires_at_ms
    assert [approvals.is_due(one.approval_id, ms) for ms in (deadline - 1, deadline)] == [False, True]
    approvals.expire(one.approval_id)
    assert not approvals.is_due(one.approval_id, deadline)
    assert (states(approvals), list(approvals.running())) == (["EXPIRED"], [])
    assert not approvals.is_due("apr_2", deadline)


def test_one_that_expired_is_asked_for_anew_and_the_old_one_stays_as_it_ended() -> None:
    approvals = Approvals()
    first = asks(approvals, 1)
    approvals.expire(first.approval_id)
    second = asks(approvals, 2)
    assert first.approval_id != second.approval_id
    assert states(approvals) == ["EXPIRED", "PENDING"]


def test_what_ended_before_its_opening_was_noted_is_not_opened_by_a_refusal_that_lags_behind() -> None:
    live, folded = Approvals(), Approvals()
    first, lagging = asks(live, 1), asks(live, 2)
    live.expire(first.approval_id)
    folded.park(first)
    folded.expire(first.approval_id)
    folded.park(lagging)  # decided before the end, written after it
    assert folded.ceremonies == live.ceremonies


def test_what_was_asked_for_is_counted_by_the_hour_and_by_the_day() -> None:
    approvals, asker = Approvals(), ("t", "agent", "asking")
    for number, ago_ms in enumerate((DAY_MS, DAY_MS - 1, HOUR_MS, HOUR_MS - 1, 0)):
        asks(approvals, number, n=number, now_ms=NOON_MS - ago_ms)
    assert approvals.asked(asker, NOON_MS) == (2, 4)
    assert approvals.asked(("t", "other", "asking"), NOON_MS) == (0, 0)


def put_to(ceremony: Ceremony, action: str) -> Ceremony:
    """Have the kernel put one more challenge to an approver's key."""
    challenge = Challenge(
        action=action,
        approval_id=ceremony.approval_id,
        args_hash=ceremony.args_hash,
        expires_at_ms=NOON_MS + CHALLENGE_TTL_MS,
        intent_hash=ceremony.intent_hash,
        issued_at_ms=NOON_MS,
        key_id="key_1",
        log_id="sha256:log",
        p0_ceiling_hash=ceremony.p0_ceiling_hash,
        policy_bundle_hash=ceremony.policy_hash,
        sequence=ceremony.challenges + 1,
        signed_by=KERNEL.key_id,
    )
    return challenged(ceremony, challenge, sign_challenge(challenge, KERNEL), KERNEL_KEY)


def test_whoever_asks_for_challenges_in_a_loop_does_not_keep_an_override_from_its_review() -> None:
    approvals = Approvals()
    one = asks(approvals, 1)
    worn = attrs.evolve(
        approvals.ceremonies[one.approval_id], challenges=MAX_CHALLENGES, review="OPEN", state="APPROVED"
    )
    with pytest.raises(Invalid, match="too many challenges"):
        put_to(worn, Action.DISPUTE)
    assert put_to(worn, Action.REVIEW).asked["key_1"].action == Action.REVIEW


@pytest.mark.parametrize(
    ("action", "had", "is_next"),
    [("dispute", MAX_CHALLENGES - 1, True), ("dispute", MAX_CHALLENGES, False), ("review", MAX_CHALLENGES, True)],
)
def test_the_replay_script_counts_challenges_as_helm_does(action: str, had: int, is_next: bool) -> None:
    assert standalone().is_next({"action": action, "sequence": had + 1}, had) is is_next
    assert not standalone().is_next({"action": action, "sequence": had}, had)
