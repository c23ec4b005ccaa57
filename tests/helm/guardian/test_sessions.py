"""A session is its first principal's, for a month at most, with every label that ever came into it (T9.4)."""

from __future__ import annotations

import pytest

from helm.guardian.sessions import MAX_AGE_MS, MAX_LABELS, OVERFLOWN, Binding, Sessions

S = ("t", "s")


def binding_of(sessions: Sessions) -> Binding:
    binding = sessions.find(S)
    assert binding is not None
    return binding


def test_the_first_principal_keeps_it() -> None:
    sessions = Sessions()
    sessions.bind(S, "alice", 10)
    sessions.bind(S, "mallory", 5)
    assert binding_of(sessions) == Binding("alice", 10)
    assert sessions.find(("u", "s")) is None


def test_its_owners_earliest_call_opened_it() -> None:
    sessions = Sessions()
    for now_ms in (10, 7, 12):
        sessions.bind(S, "alice", now_ms)
    assert binding_of(sessions).opened_at_ms == 7


def test_it_is_closed_by_age_from_the_very_moment_on() -> None:
    binding = Binding("alice", 1_000)
    assert not binding.closed_at(1_000 + MAX_AGE_MS - 1)
    assert binding.closed_at(1_000 + MAX_AGE_MS)


def test_closing_is_for_ever_and_may_come_before_what_opened_it() -> None:
    sessions = Sessions()
    sessions.close(S, "alice", 10)
    sessions.bind(S, "alice", 9)  # the refusal that opened it reaches the journal after the command
    assert binding_of(sessions) == Binding("alice", 9, closed=True)


@pytest.mark.parametrize("order", [(("b",), ("a",)), (("a",), ("b",)), (("a", "b"), ())])
def test_labels_add_up_in_any_order(order: tuple[tuple[str, ...], ...]) -> None:
    sessions = Sessions()
    sessions.bind(S, "alice", 0)
    for labels in order:
        sessions.taint(S, "alice", labels)
    assert binding_of(sessions).labels == ("a", "b")


def test_nobody_else_can_taint_it() -> None:
    sessions = Sessions()
    sessions.bind(S, "alice", 0)
    sessions.taint(S, "mallory", ("web",))
    assert binding_of(sessions).labels == ()


def test_too_many_labels_close_it_and_forget_none() -> None:
    def after(numbers: range) -> Binding:
        sessions = Sessions()
        sessions.bind(S, "alice", 0)
        for number in numbers:
            sessions.taint(S, "alice", (f"l{number:04d}",))
        return binding_of(sessions)

    full = after(range(MAX_LABELS))
    assert (len(full.labels), full.closed) == (MAX_LABELS, False)
    over, backwards = after(range(MAX_LABELS + 5)), after(range(MAX_LABELS + 5)[::-1])
    assert over == backwards == Binding("alice", 0, labels=OVERFLOWN, closed=True)
