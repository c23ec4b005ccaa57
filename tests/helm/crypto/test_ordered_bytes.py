"""The writer of the belt's records writes what RFC 8785 does, for everything that such a record can hold."""

from __future__ import annotations

import sys

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.decision import DECISION
from helm.contracts.effect import EFFECT, Effect
from helm.contracts.form import Form, Noun
from helm.contracts.receipt import RECEIPT
from helm.contracts.record import RECORD
from helm.crypto.canonical import ordered_bytes, raw_value

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
MEMBERS = st.one_of(TEXTS, st.integers(-(2**53) + 1, 2**53 - 1), st.booleans(), st.lists(TEXTS))


@given(st.dictionaries(st.text(st.characters(max_codepoint=126)), MEMBERS))
def test_an_object_in_order_is_written_as_the_reference_writes_it(body: dict[str, object]) -> None:
    assert ordered_bytes(dict(sorted(body.items()))) == rfc8785.dumps(body)  # type: ignore[arg-type]


def test_every_character_is_written_as_the_reference_writes_it() -> None:
    everything = "".join(chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000)
    assert ordered_bytes(everything) == rfc8785.dumps(everything)


@given(TEXTS, st.booleans())
def test_a_noun_is_written_as_its_object(text: str, flag: bool) -> None:
    effect = Effect(
        args_hash="sha256:1",
        connector=text,
        destination=text,
        effect_type="read",
        idempotency_key="",
        irreversible=flag,
        risk_tier="T0",
        tool=text,
    )
    assert ordered_bytes(effect) == rfc8785.dumps(EFFECT.body(effect))


def test_canonical_bytes_stand_as_they_are() -> None:
    assert ordered_bytes({"a": raw_value(b'{"b":[1]}')}) == b'{"a":{"b":[1]}}'


def test_half_a_character_is_not_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        ordered_bytes({"a": "\ud800"})


def test_a_form_out_of_order_or_with_a_gap_is_none() -> None:
    class Unordered(Noun, frozen=True):
        b: str
        a: str

    class Gap(Noun, frozen=True):
        a: str = ""

    with pytest.raises(TypeError, match="order of their names"):
        Form(Unordered)
    with pytest.raises(TypeError, match="may be missing"):
        Form(Gap)
    assert all(form.names for form in (DECISION, EFFECT, RECEIPT, RECORD))


def test_a_nouns_words_hold_no_bytes() -> None:
    class Secretive(Noun, frozen=True):
        name: str
        arguments: bytes

    assert repr(Secretive("x", b"secret")) == "Secretive(name='x')"
