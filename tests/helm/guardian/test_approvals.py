"""Ceremonies as a fold: opened by one decision each, ended by their hours."""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.guardian.approvals import DAY_MS, HOUR_MS, Approvals
from helm.guardian.chain import CHAIN
from tests.helm.guardian.worlds import NOON_MS, call, world


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
