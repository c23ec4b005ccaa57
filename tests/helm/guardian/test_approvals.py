"""Parked approvals: one per intent, until its deadline."""

from __future__ import annotations

import attrs

from helm.guardian.approvals import Approvals, Parked

WAITING = Parked(
    approval_id="apr_1",
    args_hash="",
    expires_at_ms=1_000,
    intent_hash="",
    policy_hash="",
    principal="p",
    reason_code="APPROVAL_REQUIRED",
    requested_at_ms=0,
    session_id="s",
    tenant="t",
    tool="pay",
)


def states(approvals: Approvals) -> dict[str, tuple[str, int]]:
    return {name: (parked.state, parked.expires_at_ms) for name, parked in approvals.parked.items()}


def test_asking_twice_parks_once() -> None:
    approvals = Approvals()
    approvals.park(WAITING)
    approvals.park(attrs.evolve(WAITING, expires_at_ms=9_000))
    assert states(approvals) == {"apr_1": ("PENDING", 1_000)}
    assert approvals.pending() == [WAITING]


def test_it_is_due_from_its_deadline_on_and_only_while_it_waits() -> None:
    approvals = Approvals()
    approvals.park(WAITING)
    assert [approvals.is_due("apr_1", now_ms) for now_ms in (999, 1_000)] == [False, True]
    approvals.expire("apr_1")
    assert not approvals.is_due("apr_1", 1_000)
    assert (states(approvals), approvals.pending()) == ({"apr_1": ("EXPIRED", 1_000)}, [])
    assert not approvals.is_due("apr_2", 1_000)


def test_one_that_expired_can_be_parked_again() -> None:
    approvals = Approvals()
    approvals.park(WAITING)
    approvals.expire("apr_1")
    approvals.park(attrs.evolve(WAITING, expires_at_ms=9_000))
    assert states(approvals) == {"apr_1": ("PENDING", 9_000)}


def test_an_end_that_is_noted_before_its_beginning_is_noticed_again() -> None:
    approvals = Approvals()
    approvals.expire("apr_1")
    approvals.park(WAITING)
    assert approvals.is_due("apr_1", 1_000)
