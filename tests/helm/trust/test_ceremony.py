"""Attacks on a log that several administrators keep (T8)."""

from __future__ import annotations

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.trust.event import (
    FIRST_PLACE,
    JointEvent,
    Keepers,
    TrustEvent,
    begin_jointly,
    cosign,
    event_hash,
    from_body,
    log_id_of,
    place_after,
    sign_event,
    to_body,
)
from helm.trust.registry import Registry, fold
from tests.helm.trust.history import EXECUTION, NOW_MS, POLICY, ROGUE, adding, forged, key_of

ADMINS = [key_of(number, KeyPurpose.TRUST_ADMIN) for number in (1, 2, 7)]
KEEPERS = Keepers(admins=tuple(sorted(admin.public_key for admin in ADMINS)), threshold=2)


def begun(keepers: Keepers = KEEPERS, founder: SigningKey = ADMINS[0]) -> JointEvent:
    """The first event, as far as its founder signed it."""
    place = attrs.evolve(FIRST_PLACE, prev_event_hash=keepers.hash)
    return begin_jointly(sign_event(adding(founder), place, NOW_MS, founder), keepers)


def whole() -> JointEvent:
    return cosign(cosign(begun(), ADMINS[1]), ADMINS[2])


FIRST = whole()


def registry() -> Registry:
    return Registry.begin(FIRST, log_id_of(FIRST))


def proposal(key: SigningKey = EXECUTION, by: SigningKey = ADMINS[0]) -> TrustEvent:
    return sign_event(adding(key), place_after(FIRST, log_id_of(FIRST)), NOW_MS, by)


def test_the_name_of_the_log_is_known_before_all_have_signed() -> None:
    assert log_id_of(begun()) == log_id_of(FIRST)
    assert event_hash(begun()) == event_hash(FIRST)


def test_a_log_is_not_begun_without_all_who_are_to_keep_it() -> None:
    for partly in (begun(), cosign(begun(), ADMINS[1])):
        with pytest.raises(Invalid, match="not all of the 3"):
            Registry.begin(partly, log_id_of(FIRST))


def test_a_stranger_among_the_first_signatures_is_refused() -> None:
    with pytest.raises(Invalid, match="nobody else"):
        Registry.begin(cosign(FIRST, ROGUE), log_id_of(FIRST))
    with pytest.raises(Invalid, match="nobody else"):
        Registry.begin(begun(founder=ROGUE), log_id_of(begun(founder=ROGUE)))


@pytest.mark.parametrize("change", [{"threshold": 1}, {"admins": KEEPERS.admins[:2]}])
def test_another_circle_of_keepers_is_another_log(change: dict[str, object]) -> None:
    edited = Keepers(**{**attrs.asdict(KEEPERS, recurse=False), **change})
    with pytest.raises(Invalid, match="does not follow"):
        Registry.begin(attrs.evolve(FIRST, keepers=edited), log_id_of(FIRST))


def test_without_its_keepers_the_first_event_begins_nothing() -> None:
    with pytest.raises(Invalid):
        Registry.begin(attrs.evolve(FIRST, keepers=None), log_id_of(FIRST))
    alone = from_body(
        {name: value for name, value in to_body(FIRST).items() if name not in ("keepers", "cosignatures")}
    )
    with pytest.raises(Invalid):
        Registry.begin(alone, log_id_of(FIRST))


def test_a_rogue_event_by_one_stolen_administrators_key_is_refused() -> None:
    with pytest.raises(Invalid, match="1 of 2"):
        registry().apply(proposal(ROGUE), 2)


def test_a_rogue_event_in_the_middle_is_refused() -> None:
    honest = cosign(proposal(), ADMINS[1])
    folded = fold([(FIRST, 1), (honest, 2)], log_id_of(FIRST))
    later = cosign(sign_event(adding(POLICY), folded.place, NOW_MS, ADMINS[2]), ADMINS[0])
    fold([(FIRST, 1), (honest, 2), (later, 3)], log_id_of(FIRST))
    rogue = cosign(proposal(ROGUE), ADMINS[1])  # two signed it once; the log says that something else was in its place
    with pytest.raises(Invalid, match="does not follow"):
        fold([(FIRST, 1), (rogue, 2), (later, 3)], log_id_of(FIRST))


def test_a_signature_over_another_event_does_not_count_for_this_one() -> None:
    other = cosign(proposal(POLICY), ADMINS[1])
    lent = JointEvent(**to_body(proposal()), cosignatures=other.cosignatures)
    with pytest.raises(Invalid, match="signature"):
        registry().apply(lent, 2)


def test_one_signature_that_is_wrong_spoils_two_that_are_right() -> None:
    event = cosign(cosign(proposal(), ADMINS[1]), ADMINS[2])
    spoiled = {**event.cosignatures, ADMINS[2].key_id: "00" * 64}
    with pytest.raises(Invalid):
        registry().apply(attrs.evolve(event, cosignatures=spoiled), 2)


def test_one_administrator_signs_once() -> None:
    with pytest.raises(Invalid, match="signed it already"):
        cosign(proposal(), ADMINS[0])
    with pytest.raises(Invalid, match="signed it already"):
        cosign(cosign(proposal(), ADMINS[1]), ADMINS[1])
    with pytest.raises(ValueError, match="once"):
        JointEvent(**to_body(proposal()), cosignatures={ADMINS[0].key_id: proposal().signature})


def test_a_key_for_something_else_is_no_administrator() -> None:
    event = cosign(proposal(), ADMINS[1])
    started = registry()
    started.apply(event, 2)
    thief = key_of(3, KeyPurpose.TRUST_ADMIN)  # the bytes of the execution key, its purpose ignored
    assert thief.key_id == EXECUTION.key_id
    late = sign_event(adding(POLICY), started.place, NOW_MS, ADMINS[0])
    with pytest.raises(Invalid, match="may not sign"):
        started.apply(cosign(late, thief), 3)


def test_a_log_that_one_keeps_is_what_it_was() -> None:
    """The bytes, and so the name: what one keeps says nothing of keepers."""
    first = sign_event(adding(ADMINS[0]), FIRST_PLACE, NOW_MS, ADMINS[0])
    assert log_id_of(first) == "sha256:f8aa7e6e32200818494369620cdf861e25c4b532418058af9adc135708432832"
    assert "threshold" not in Registry.begin(first, log_id_of(first)).snapshot()
    assert set(to_body(first)).isdisjoint({"keepers", "cosignatures"})


def test_cosigned_before_anyone_said_who_keeps_the_log() -> None:
    first = sign_event(adding(ADMINS[0]), FIRST_PLACE, NOW_MS, ADMINS[0])
    with pytest.raises(Invalid, match="does not say who keeps"):
        Registry.begin(cosign(first, ADMINS[1]), log_id_of(first))


def test_an_editor_of_a_cosigned_event_finds_no_signature_for_it() -> None:
    event = cosign(proposal(), ADMINS[1])
    edited = attrs.evolve(event, reason="another")
    with pytest.raises(Invalid, match="signature"):
        registry().apply(edited, 2)
    anew = forged(event, ADMINS[0], reason="another")  # one of them signs it anew: the other's is over the old one
    with pytest.raises(Invalid):
        registry().apply(anew, 2)
