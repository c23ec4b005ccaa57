"""Attacks on the history of the keys, and the promises that stand against them (T8)."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical
from helm.crypto.domains import KeyPurpose
from helm.trust.event import KeyChange, event_hash, from_body, log_id_of, sign_event, to_body
from helm.trust.registry import Registry, fold
from tests.helm.trust.history import (
    ADMIN,
    EXECUTION,
    NEXT_EXECUTION,
    NOW_MS,
    POLICY,
    ROGUE,
    SECOND_ADMIN,
    History,
    adding,
    forged,
    granting,
    key_of,
    revoking,
    rotating,
    withdrawing,
)

EXECUTION_AS_ADMIN = key_of(3, KeyPurpose.TRUST_ADMIN)
"""The execution key in the hands of a thief who ignores what it is for."""

EXECUTION_AS_POLICY = key_of(3, KeyPurpose.POLICY)
POLICY_AS_EXECUTION = key_of(5, KeyPurpose.EXECUTION)
ROGUE_EXECUTION = key_of(67, KeyPurpose.EXECUTION)


@pytest.fixture
def history() -> History:
    """Heights 1 to 4, in the nodes at lamport 10 to 40."""
    history = History.begun()
    for key in (EXECUTION, POLICY, SECOND_ADMIN):
        history.make(adding(key))
    return history


# Who may change the keys


def test_a_rogue_event_in_the_middle_is_refused(history: History) -> None:
    honest = history.events[2]
    rogue = forged(honest, ROGUE, **attrs.asdict(adding(ROGUE)))
    nodes = history.nodes()
    nodes[2] = (rogue, 30)
    with pytest.raises(Invalid, match="may not sign trust events"):
        fold(nodes, history.log_id)


def test_a_rogue_that_names_the_admin_as_signer_is_refused(history: History) -> None:
    rogue = forged(history.events[2], ROGUE, signed_by=ADMIN.key_id)
    with pytest.raises(Invalid, match="signature"):
        fold([*history.nodes()[:2], (rogue, 30)], history.log_id)


def test_a_key_that_is_no_admin_adds_nothing(history: History) -> None:
    registry = history.folded()
    event = forged(history.make(adding(NEXT_EXECUTION)), EXECUTION_AS_ADMIN)
    assert event.signed_by == EXECUTION.key_id
    with pytest.raises(Invalid, match="may not sign trust events"):
        registry.apply(event, 50)


def test_a_revoked_admin_signs_no_more_events(history: History) -> None:
    history.make(revoking(SECOND_ADMIN))
    registry = history.folded()
    late = sign_event(adding(NEXT_EXECUTION), registry.place, NOW_MS, SECOND_ADMIN)
    with pytest.raises(Invalid, match="may not sign trust events"):
        registry.apply(late, 60)


def test_a_rotated_admin_signs_no_more_events(history: History) -> None:
    history.make(rotating(ADMIN, ROGUE))
    registry = history.folded()
    with pytest.raises(Invalid, match="may not sign trust events"):
        registry.apply(sign_event(adding(NEXT_EXECUTION), registry.place, NOW_MS, ADMIN), 60)
    registry.apply(sign_event(adding(NEXT_EXECUTION), registry.place, NOW_MS, ROGUE), 60)


def test_an_admin_does_not_sign_its_own_way_in(history: History) -> None:
    registry = history.folded()
    with pytest.raises(Invalid, match="may not sign trust events"):
        registry.apply(sign_event(adding(ROGUE), registry.place, NOW_MS, ROGUE), 50)


def test_the_last_admin_stays(history: History) -> None:
    history.make(revoking(SECOND_ADMIN))
    registry = history.folded()
    with pytest.raises(Invalid, match="last trust-admin"):
        registry.apply(sign_event(revoking(ADMIN), registry.place, NOW_MS, ADMIN), 60)


# Whether the history is whole


def test_a_history_with_another_genesis_is_refused(history: History) -> None:
    other = History.begun(ROGUE)
    for event in history.events[1:]:
        other.events.append(forged(event, ROGUE, prev_event_hash=other.place.prev_event_hash, log_id=other.log_id))
    other.folded()  # sound in itself
    with pytest.raises(Invalid, match="pinned genesis"):
        fold(other.nodes(), history.log_id)


def test_the_pin_covers_the_genesis_signature_too(history: History) -> None:
    first = history.events[0]
    with pytest.raises(Invalid, match="pinned genesis"):
        Registry.begin(attrs.evolve(first, signature="00" * 64), history.log_id)


@pytest.mark.parametrize(
    "edits",
    [
        {"height": 2},
        {"prev_event_hash": "sha256:" + "0" * 64},
        {"log_id": "sha256:" + "0" * 64},
        {"kind": "KEY_REVOKED"},
        {"purpose": "execution"},
        {"signed_by": ROGUE.key_id},
        {"key_id": ROGUE.key_id, "signed_by": ROGUE.key_id},
        {"public_key": "00" * 32},
        {"public_key": ROGUE.public_key, "key_id": ROGUE.key_id, "signed_by": ROGUE.key_id},
        {"signature": "00" * 64},
    ],
)
def test_a_genesis_that_breaks_a_rule_begins_no_log_even_when_pinned(edits: dict[str, object]) -> None:
    first = forged(History.begun().events[0], ADMIN, **{k: v for k, v in edits.items() if k != "signature"})
    first = from_body(to_body(first) | {k: v for k, v in edits.items() if k == "signature"})
    with pytest.raises(Invalid):
        Registry.begin(first, log_id_of(first))


@pytest.mark.parametrize("missing", [1, 2])
def test_a_dropped_event_is_missed(history: History, missing: int) -> None:
    nodes = history.nodes()
    del nodes[missing]
    with pytest.raises(Invalid, match="comes next"):
        fold(nodes, history.log_id)


def test_a_history_without_its_beginning_is_refused(history: History) -> None:
    with pytest.raises(Invalid, match="pinned genesis"):
        fold(history.nodes()[1:], history.log_id)
    with pytest.raises(Invalid, match="no trust event"):
        fold([], history.log_id)


def test_a_duplicated_event_is_refused(history: History) -> None:
    nodes = history.nodes()
    with pytest.raises(Invalid, match="comes next"):
        fold([*nodes, (nodes[-1][0], 50)], history.log_id)


def test_two_events_that_changed_places_are_refused(history: History) -> None:
    nodes = history.nodes()
    nodes[1], nodes[2] = (nodes[2][0], 20), (nodes[1][0], 30)
    with pytest.raises(Invalid, match="comes next"):
        fold(nodes, history.log_id)


def test_a_gap_in_the_heights_is_refused(history: History) -> None:
    registry = history.folded()
    late = forged(history.make(adding(NEXT_EXECUTION)), ADMIN, height=6)
    with pytest.raises(Invalid, match="height 5 comes next, not 6"):
        registry.apply(late, 50)


def test_an_event_on_another_past_is_refused(history: History) -> None:
    registry = history.folded()
    other = forged(history.make(adding(NEXT_EXECUTION)), ADMIN, prev_event_hash=event_hash(history.events[2]))
    with pytest.raises(Invalid, match="does not follow"):
        registry.apply(other, 50)


def test_an_event_of_another_log_is_refused(history: History) -> None:
    registry = history.folded()
    other = forged(history.make(adding(NEXT_EXECUTION)), ADMIN, log_id="sha256:" + "0" * 64)
    with pytest.raises(Invalid, match="belongs to log"):
        registry.apply(other, 50)


@pytest.mark.parametrize("at_lamport", [0, 39, 40])
def test_an_event_in_an_earlier_node_is_refused(history: History, at_lamport: int) -> None:
    registry = history.folded()
    with pytest.raises(Invalid, match="is not after 40"):
        registry.apply(history.make(adding(NEXT_EXECUTION)), at_lamport)


@given(st.data())
def test_no_edited_event_folds(data: st.DataObject) -> None:
    history = History.begun()
    for key in (EXECUTION, POLICY):
        history.make(adding(key))
    body = to_body(history.events[2])
    name = data.draw(st.sampled_from(sorted(body)))
    old = body[name]
    body[name] = data.draw((st.text() if type(old) is str else st.integers()).filter(lambda new: new != old))
    with pytest.raises(Invalid):
        fold([*history.nodes()[:2], (from_body(body), 30)], history.log_id)


# What a key is for


def test_a_key_is_refused_for_any_purpose_but_its_own(history: History) -> None:
    registry = history.folded()
    for purpose in set(KeyPurpose) - {KeyPurpose.EXECUTION}:
        with pytest.raises(Invalid, match="is for execution"):
            registry.require(EXECUTION.key_id, purpose, 99)
    assert registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 99).hex == EXECUTION.public_key


def test_a_key_gets_no_second_purpose(history: History) -> None:
    registry = history.folded()
    with pytest.raises(Invalid, match="known already"):
        registry.apply(sign_event(adding(EXECUTION_AS_POLICY), registry.place, NOW_MS, ADMIN), 50)


def test_a_rotation_keeps_the_purpose(history: History) -> None:
    registry = history.folded()
    with pytest.raises(Invalid, match="is for execution, not for trust-admin"):
        registry.apply(sign_event(rotating(EXECUTION, ROGUE), registry.place, NOW_MS, ADMIN), 50)


def test_a_key_goes_under_no_other_name(history: History) -> None:
    registry = history.folded()
    named = attrs.evolve(adding(NEXT_EXECUTION), key_id="key_" + "0" * 32)
    with pytest.raises(Invalid, match=NEXT_EXECUTION.key_id):
        registry.apply(sign_event(named, registry.place, NOW_MS, ADMIN), 50)


@pytest.mark.parametrize("weak", ["00" * 32, "01" + "00" * 31, "ff" * 32, "no key", ""])
def test_a_key_that_verifies_anything_is_never_added(history: History, weak: str) -> None:
    registry = history.folded()
    change = attrs.evolve(adding(NEXT_EXECUTION), public_key=weak)
    with pytest.raises(Invalid):
        registry.apply(sign_event(change, registry.place, NOW_MS, ADMIN), 50)


def test_a_key_nobody_added_proves_nothing(history: History) -> None:
    with pytest.raises(Invalid, match="ever added"):
        history.folded().require(ROGUE.key_id, KeyPurpose.TRUST_ADMIN, 99)


# When a key counts


def test_a_key_does_not_count_before_it_was_added(history: History) -> None:
    registry = history.folded()
    registry.require(POLICY.key_id, KeyPurpose.POLICY, 30)
    with pytest.raises(Invalid, match="added at lamport 30"):
        registry.require(POLICY.key_id, KeyPurpose.POLICY, 29)


def test_a_rotated_key_answers_for_its_old_signatures_only(history: History) -> None:
    history.make(rotating(EXECUTION, NEXT_EXECUTION))
    registry = history.folded()
    registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 49)
    with pytest.raises(Invalid, match="rotated at lamport 50"):
        registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 50)
    registry.require(NEXT_EXECUTION.key_id, KeyPurpose.EXECUTION, 50)
    with pytest.raises(Invalid, match="added at lamport 50"):
        registry.require(NEXT_EXECUTION.key_id, KeyPurpose.EXECUTION, 49)


def test_a_revoked_keys_later_signatures_fail(history: History) -> None:
    history.make(revoking(EXECUTION))
    registry = history.folded()
    registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 49)
    for lamport in (50, 51, 2**53):
        with pytest.raises(Invalid, match="revoked at lamport 50"):
            registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, lamport)


def test_revoking_a_rotated_key_does_not_bring_back_what_it_lost(history: History) -> None:
    history.make(rotating(EXECUTION, NEXT_EXECUTION))
    history.make(revoking(EXECUTION))
    registry = history.folded()
    registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 49)
    with pytest.raises(Invalid, match="rotated at lamport 50"):
        registry.require(EXECUTION.key_id, KeyPurpose.EXECUTION, 55)


@pytest.mark.parametrize("end", [revoking(EXECUTION), rotating(EXECUTION, NEXT_EXECUTION)])
def test_what_ended_is_never_added_or_rotated_again(history: History, end: KeyChange) -> None:
    history.make(end)
    registry = history.folded()
    for again in (adding(EXECUTION), rotating(EXECUTION, ROGUE_EXECUTION), rotating(POLICY, EXECUTION)):
        with pytest.raises(Invalid):
            registry.apply(sign_event(again, registry.place, NOW_MS, ADMIN), 60)


def test_a_key_is_revoked_once(history: History) -> None:
    history.make(revoking(EXECUTION))
    registry = history.folded()
    with pytest.raises(Invalid, match="revoked already"):
        registry.apply(sign_event(revoking(EXECUTION), registry.place, NOW_MS, ADMIN), 60)


def test_a_key_nobody_added_is_neither_revoked_nor_rotated(history: History) -> None:
    registry = history.folded()
    for change in (revoking(ROGUE), rotating(ROGUE, ROGUE_EXECUTION)):
        with pytest.raises(Invalid, match="never added"):
            registry.apply(sign_event(change, registry.place, NOW_MS, ADMIN), 50)


# What the registry is


def test_a_refused_event_changes_nothing(history: History) -> None:
    registry = history.folded()
    before = registry.snapshot()
    with pytest.raises(Invalid):
        registry.apply(sign_event(rotating(EXECUTION, POLICY_AS_EXECUTION), registry.place, NOW_MS, ADMIN), 50)
    assert registry.snapshot() == before


def test_the_registry_is_what_its_events_say_and_no_more(history: History) -> None:
    history.make(rotating(EXECUTION, NEXT_EXECUTION))
    history.make(revoking(SECOND_ADMIN))
    snapshot = history.folded().snapshot()
    assert fold(history.nodes(), history.log_id).snapshot() == snapshot
    assert canonical(snapshot)
    assert (snapshot["height"], snapshot["lamport"], snapshot["log_id"]) == (6, 60, history.log_id)
    assert {key["key_id"]: key["status"] for key in snapshot["keys"]} == {
        ADMIN.key_id: "ACTIVE",
        EXECUTION.key_id: "ROTATED",
        NEXT_EXECUTION.key_id: "ACTIVE",
        POLICY.key_id: "ACTIVE",
        SECOND_ADMIN.key_id: "REVOKED",
    }
    rotated = next(key for key in snapshot["keys"] if key["key_id"] == EXECUTION.key_id)
    assert rotated["added"] == {"height": 2, "lamport": 20}
    assert rotated["rotated"] == {"height": 5, "lamport": 50}
    assert rotated["replaced_by"] == NEXT_EXECUTION.key_id


# Roles


def test_a_role_counts_from_its_event_on_and_ends_with_its_end(history: History) -> None:
    history.make(granting(POLICY, "payments"))  # 50
    history.make(withdrawing(POLICY, "payments"))  # 60
    history.make(granting(POLICY, "payments"))  # 70
    registry = history.folded()
    had = {lamport: registry.keys[POLICY.key_id].has("payments", lamport) for lamport in (49, 50, 59, 60, 69, 70, 99)}
    assert had == {49: False, 50: True, 59: True, 60: False, 69: False, 70: True, 99: True}
    assert registry.require(POLICY.key_id, KeyPurpose.POLICY, 55, "payments").key_id == POLICY.key_id
    for lamport, role in ((65, "payments"), (55, "releases")):
        with pytest.raises(Invalid, match="has not the role"):
            registry.require(POLICY.key_id, KeyPurpose.POLICY, lamport, role)


def test_a_role_does_not_pass_to_the_key_that_replaces_its_own(history: History) -> None:
    history.make(granting(EXECUTION, "payments"))
    history.make(rotating(EXECUTION, NEXT_EXECUTION))
    registry = history.folded()
    assert registry.keys[EXECUTION.key_id].current_roles == ["payments"]
    assert registry.keys[NEXT_EXECUTION.key_id].current_roles == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (granting(POLICY, "payments"), "has already the role payments"),
        (withdrawing(POLICY, "releases"), "has not the role releases"),
        (granting(NEXT_EXECUTION, "payments"), "was never added"),
        (granting(POLICY_AS_EXECUTION, "releases"), "is for policy, not for execution"),
        (granting(EXECUTION, "payments"), "does not count any more"),
    ],
)
def test_a_role_that_cannot_be_given_or_taken_changes_nothing(history: History, change: KeyChange, what: str) -> None:
    history.make(granting(POLICY, "payments"))
    history.make(revoking(EXECUTION))
    registry = history.folded()
    before = registry.snapshot()
    with pytest.raises(Invalid, match=what):
        registry.apply(sign_event(change, registry.place, NOW_MS, ADMIN), 99)
    assert registry.snapshot() == before


def test_a_rogue_gives_itself_no_role(history: History) -> None:
    registry = history.folded()
    with pytest.raises(Invalid, match="may not sign trust events"):
        registry.apply(sign_event(granting(POLICY, "payments"), registry.place, NOW_MS, ROGUE), 99)
