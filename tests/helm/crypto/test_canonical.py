"""Attacks on the one form of JSON, from bytes and from values of this process."""

from __future__ import annotations

import datetime
import json
import math
import uuid
from collections import OrderedDict
from enum import IntEnum, StrEnum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from helm.contracts.errors import Malformed
from helm.crypto import canonical
from helm.crypto.numbers import MAX_SAFE
from helm.crypto.refusal import of_depth, of_meaning, offences

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NAMES = st.one_of(TEXTS, st.text("abcé\ue000\U0001f600\ud7ff\uffff\U00010000", max_size=3))
INTEGERS = st.integers(-MAX_SAFE, MAX_SAFE)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not MAX_SAFE < abs(x) < 1e21)
SCALARS = st.none() | st.booleans() | INTEGERS | DOUBLES | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
PLAIN_NAMES = st.text(st.characters(max_codepoint=127), max_size=5)
PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@example({"\ue000": 1, "\U00010000": 2})  # the order of UTF-16, not of code points
@example([1e-7, 1e-6, 123456789.125, 1e21, 5e-324, -0.0, 1e-323, 9007199254740991.0])
@example('\x7f\u2028\ufffe\x00\x1f"\\/\b\f\n\r\t')
def test_what_is_written_is_what_the_reference_writes(value: Any) -> None:
    assert canonical.canonical(value) == rfc8785.dumps(value)


@given(PLAIN_VALUES)
def test_the_fast_writer_writes_what_the_reference_writes(value: Any) -> None:
    assert canonical.is_plain(value, canonical.MAX_BYTES, canonical.MAX_DEPTH)
    assert canonical.canonical(value) == rfc8785.dumps(value)
    assert canonical.record_bytes({"value": value}) == rfc8785.dumps({"value": value})


@given(VALUES)
def test_what_is_written_is_read_again_and_written_alike(value: Any) -> None:
    written = canonical.canonical(value)
    assert canonical.canonical(canonical.parse(written)) == written
    assert canonical.parse_canonical(written) == (canonical.parse(written), written)
    assert typed(canonical.reread(written)) == typed(canonical.parse(written))


@given(VALUES)
def test_one_reading_and_two_give_the_same_bytes(value: Any) -> None:
    """A document as callers write them: escaped, spaced, in another order."""
    for raw in (rfc8785.dumps(value), spaced(value)):
        parsed, written = canonical.parse_canonical(raw)
        assert written == rfc8785.dumps(value)
        assert typed(parsed) == typed(canonical.parse(raw)) == typed(canonical.parse(written))


def test_names_are_ordered_as_utf_16_also_when_they_come_in_escaped() -> None:
    """U+1F600 stands before U+FB33 in UTF-16 and after it in UTF-8 (RFC 8785 section 3.2.3)."""
    raw = b'{"\\ufb33":1,"\\ud83d\\ude00":2}'
    assert canonical.parse_canonical(raw)[1] == '{"😀":2,"\ufb33":1}'.encode()
    assert canonical.parse_canonical('{"\ufb33":1,"😀":2}'.encode())[1] == (canonical.parse_canonical(raw)[1])


def spaced(value: Any) -> bytes:
    return b" \n" + json.dumps(value, indent=1, ensure_ascii=True).encode() + b"\t\r\n"


def typed(value: Any) -> Any:
    """The value with the type of every scalar, since 1 == 1.0 == True; -0.0 is told from 0.0 as well."""
    if isinstance(value, dict):
        return {name: typed(item) for name, item in value.items()}
    if isinstance(value, list):
        return [typed(item) for item in value]
    return (type(value), repr(value))


ALMOST_JSON = st.text('{}[]",:0123456789.eE+-\\ud8truefalsnNI \n"é', max_size=24)


@given(st.binary(max_size=40) | ALMOST_JSON.map(str.encode))
def test_no_bytes_do_anything_but_parse_or_be_refused_with_a_place(raw: bytes) -> None:
    try:
        value = canonical.parse(raw)
    except Malformed as refused:
        assert refused.problem
        assert refused.place.startswith("byte ")
        assert 0 <= int(refused.place.removeprefix("byte ")) <= len(raw)
    else:
        assert canonical.parse(canonical.canonical(value)) == value


@pytest.mark.parametrize(
    ("raw", "problem", "byte"),
    [
        pytest.param(b"", "an empty document", 0, id="nothing"),
        pytest.param(b" \r\n", "an empty document", 0, id="blanks"),
        pytest.param(b'\xef\xbb\xbf{"a":1}', "byte order mark", 0, id="a byte order mark"),
        pytest.param('{"a":1}'.encode("utf-16"), "not UTF-8", 0, id="UTF-16"),
        pytest.param(b'{"a":"\xff"}', "not UTF-8", 6, id="a byte that is not UTF-8"),
        pytest.param(b'["\xc0\xaf"]', "not UTF-8", 2, id="an overlong slash"),
        pytest.param(b'["\xed\xa0\x80"]', "not UTF-8", 2, id="a surrogate in UTF-8"),
        pytest.param(b'{"a":1,"a":1}', "'a' stands twice", 7, id="a name twice"),
        pytest.param(b'{"a":1,"\\u0061":2}', "'a' stands twice", 7, id="a name twice, once disguised"),
        pytest.param('{"é":{"b":1,"c":[{"b":2}],"b":3}}'.encode(), "'b' stands twice", 27, id="twice, deep"),
        pytest.param(b'{"":0,"":0}', "'' stands twice", 6, id="an empty name twice"),
        pytest.param(b'[1e5,-1234567890123456,"\\t",{"a":0,"a":0}]', "'a' stands", 35, id="after what is fine"),
        pytest.param(b"[NaN]", "NaN", 1, id="NaN"),
        pytest.param(b'{"a":Infinity}', "Infinity", 5, id="Infinity"),
        pytest.param(b'{"a": -Infinity}', "-Infinity", 6, id="minus Infinity"),
        pytest.param(b"[0,1e999]", "not finite", 3, id="an exponent that overflows"),
        pytest.param(b"[0,-1e999]", "not finite", 3, id="an exponent that overflows downwards"),
        pytest.param(b"[9007199254740992]", "beyond 2^53-1", 1, id="2^53"),
        pytest.param(b"[-9007199254740992]", "beyond 2^53-1", 1, id="-2^53"),
        pytest.param(b"9007199254740993.0", "beyond 2^53-1", 0, id="2^53 disguised as a fraction"),
        pytest.param(b" 1e20", "beyond 2^53-1", 1, id="2^53 disguised by an exponent"),
        pytest.param(b"[" + b"9" * 5000 + b"]", "beyond 2^53-1", 1, id="more digits than int() takes"),
        pytest.param(b'["a\\ud800b"]', "a lone surrogate", 1, id="half a character"),
        pytest.param(b'["\\uDC00\\uD800"]', "a lone surrogate", 1, id="two halves in the wrong order"),
        pytest.param(b'{"x":1,"\\udfff":1}', "a lone surrogate", 7, id="half a character in a name"),
        pytest.param(b"{} {}", "Extra data", 2, id="two documents"),
        pytest.param(b"[1,]", "not JSON", 3, id="a comma too many"),
        pytest.param('["ä",]'.encode(), "not JSON", 6, id="a comma after two-byte characters"),
        pytest.param(b"[1, \n ]", "not JSON: Expecting value", 6, id="a comma too many, before blanks"),
        pytest.param(b'{"a":1, }', "not JSON: Expecting property name", 8, id="a comma too many in an object"),
        pytest.param(b"  [1 2]", "not JSON", 5, id="a comma too few, after blanks"),
        pytest.param(b"{1:2}", "not JSON", 1, id="a name that is a number"),
        pytest.param(b"{'a':1}", "not JSON", 1, id="single quotes"),
        pytest.param(b'["\n"]', "not JSON", 2, id="a newline inside a string"),
        pytest.param(b'["\\x41"]', "not JSON", 2, id="an escape of another language"),
        pytest.param(b'"abc', "not JSON", 0, id="a string that does not end"),
        pytest.param(b"[01]", "not JSON", 2, id="a leading zero"),
        pytest.param(b"[1.]", "not JSON", 2, id="a bare point"),
        pytest.param(b"[1]\x00", "not JSON", 3, id="a zero byte after the end"),
        pytest.param("[１]".encode(), "not JSON", 1, id="a digit of another script"),
        pytest.param("[1]\u00a0".encode(), "not JSON", 3, id="a blank of another script"),
        pytest.param(b"[1]\x0b", "not JSON", 3, id="a vertical tab after the end"),
        pytest.param(b"// x\n1", "not JSON", 0, id="a comment"),
    ],
)
def test_bytes_that_readers_could_read_differently_are_refused(raw: bytes, problem: str, byte: int) -> None:
    with pytest.raises(Malformed, match=problem.replace("^", r"\^")) as refused:
        canonical.parse(raw)
    assert refused.value.place == f"byte {byte}"
    with pytest.raises(Malformed) as again:
        canonical.parse_canonical(raw)
    assert str(again.value) == str(refused.value)


def test_a_refused_name_is_not_echoed_at_length() -> None:
    name = "n" * 10_000
    with pytest.raises(Malformed) as refused:
        canonical.parse(f'{{"{name}":1,"{name}":1}}'.encode())
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":', b'["[",'])
def test_a_nesting_bomb_is_refused_at_the_first_bracket_too_deep(opening: bytes) -> None:
    with pytest.raises(Malformed, match="nested deeper than 64") as refused:
        canonical.parse(opening * 100_000)
    before = (opening * 100)[: int(refused.value.place.removeprefix("byte "))]
    outside_strings = before.replace(b'"["', b"")
    assert outside_strings.count(b"[") + outside_strings.count(b"{") == 64


def test_depth_is_allowed_up_to_the_limit_and_not_beyond() -> None:
    deepest = b"[" * 64 + b"]" * 64
    assert canonical.canonical(canonical.parse(deepest)) == deepest
    for beyond in (b"[" + deepest + b"]", b"[" * 64 + b'{"a":1}' + b"]" * 64):
        with pytest.raises(Malformed, match="nested deeper"):
            canonical.parse(beyond)
    with pytest.raises(Malformed, match="nested deeper than 3, at byte 3"):
        canonical.parse(b"[[[[]]]]", max_depth=3)


def test_brackets_inside_strings_and_side_by_side_are_not_depth() -> None:
    text = '"' + "[{" * 200 + '\\"[\\\\"'
    assert canonical.parse(f"[{text}]".encode()) == ["[{" * 200 + '"[\\']
    assert len(canonical.parse(b"[" + b",".join([b"[]"] * 500) + b"]")) == 500


@pytest.mark.parametrize(
    "raw",
    [b'"' + b'\\"' * 500_000, b'["' + b"\\" * 900_000, b'{"a":' * 190_000, b'"' * 1_000_000],
    ids=["quotes", "backslashes", "objects", "strings"],
)
def test_unclosed_strings_cost_one_pass_and_not_a_pass_for_each_quote(raw: bytes) -> None:
    with pytest.raises(Malformed):
        canonical.parse(raw)


def test_looking_for_an_offence_that_is_not_there_ends() -> None:
    """It would be our bug; it must not become a caller's weapon as well."""
    quiet = "[" + '"x",true,' * 100_000
    assert list(offences(quiet)) == []
    assert of_meaning(quiet, ValueError("refused")).place == "an unknown place"
    assert of_depth(quiet.encode(), 64).place == "an unknown place"


def test_a_depth_limit_that_a_writer_could_not_follow_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="above 128"):
        canonical.parse(b"[]", max_depth=129)
    with pytest.raises(ValueError, match="above 128"):
        canonical.canonical([], max_depth=129)
    deepest = b"[" * 128 + b"1.5" + b"]" * 128
    assert canonical.parse_canonical(deepest, max_depth=128)[1] == deepest


def test_a_document_that_is_too_long_is_not_even_read() -> None:
    assert canonical.parse(b'"12345678"', max_bytes=10) == "12345678"
    with pytest.raises(Malformed, match="11 bytes, more than 10, at byte 10"):
        canonical.parse(b"\xff" * 11, max_bytes=10)


def test_a_document_that_grows_when_written_out_is_refused_by_its_canonical_size() -> None:
    raw = b"[" + b",".join([b"1e15"] * 20) + b"]"
    assert canonical.parse(raw, max_bytes=len(raw)) == [10**15] * 20
    for limit in (len(raw), 300):
        with pytest.raises(Malformed, match="canonical bytes"):
            canonical.parse_canonical(raw, max_bytes=limit)
    assert len(canonical.parse_canonical(raw, max_bytes=400)[1]) == 341


@pytest.mark.parametrize("raw", [b"1", b"1.0", b"1e0", b"10E-1", b"0.1e1", b"1.0000000000000000000001"])
def test_a_number_is_judged_as_the_number_that_is_dispatched(raw: bytes) -> None:
    """A policy that tells 1 from 1.0 must not see one and the tool the other."""
    value, written = canonical.parse_canonical(raw)
    assert (type(value), value, written) == (int, 1, b"1")


@pytest.mark.parametrize("raw", [b"0", b"-0", b"0.0", b"-0.0", b"0e999", b"-0E-7", b"1e-999"])
def test_nothing_is_one_zero(raw: bytes) -> None:
    value, written = canonical.parse_canonical(raw)
    assert (type(value), repr(value), written) == (int, "0", b"0")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (9007199254740991.0, b"9007199254740991"),
        (1e21, b"1e+21"),
        (9.999999999999997e22, b"9.999999999999997e+22"),
        (1e-6, b"0.000001"),
        (1e-7, b"1e-7"),
        (333333333.33333329, b"333333333.3333333"),
        (-0.0, b"0"),
        (-0.0000033333333333333333, b"-0.0000033333333333333333"),
        (1424953923781206.2, b"1424953923781206.2"),
    ],
)
def test_doubles_are_written_as_ecmascript_writes_them(value: float, written: bytes) -> None:
    """Samples of RFC 8785 appendix B."""
    assert canonical.canonical(value) == written
    assert canonical.parse_canonical(written)[1] == written


class Colour(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Name(str):
    """A str that could answer differently each time it is asked."""


def looped() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def doubled() -> list[Any]:
    """Sixty lists in memory, 2^60 items when written out."""
    inner: list[Any] = [0]
    for _ in range(59):
        inner = [inner, inner]
    return inner


@pytest.mark.parametrize(
    ("value", "problem", "place"),
    [
        pytest.param((1, 2), "tuple", "the document", id="a tuple"),
        pytest.param({"a": {1, 2}}, "set", "/a", id="a set"),
        pytest.param([b"x"], "bytes", "/0", id="bytes"),
        pytest.param([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)], "datetime", "/0", id="a date"),
        pytest.param({"a": uuid.UUID(int=0)}, "UUID", "/a", id="a UUID"),
        pytest.param([Colour.RED], "Colour", "/0", id="an enumerated string"),
        pytest.param([Number.ONE], "Number", "/0", id="an enumerated number"),
        pytest.param([Name("x")], "Name", "/0", id="a subclass of str"),
        pytest.param({Name("x"): 1}, "a name that is Name", "the document", id="a subclass of str as a name"),
        pytest.param([OrderedDict(a=1)], "OrderedDict", "/0", id="a subclass of dict"),
        pytest.param([{1: "a"}], "a name that is int", "/0", id="a name that is a number"),
        pytest.param({None: 1}, "a name that is NoneType", "the document", id="a name that is None"),
        pytest.param([math.nan], "not finite", "/0", id="NaN"),
        pytest.param([-math.inf], "not finite", "/0", id="minus infinity"),
        pytest.param([2**53], "beyond 2^53-1", "/0", id="2^53"),
        pytest.param([0.5, -(2**53)], "beyond 2^53-1", "/1", id="-2^53 beside a fraction"),
        pytest.param([float(2**53)], "beyond 2^53-1", "/0", id="2^53 as a double"),
        pytest.param([-1e20], "beyond 2^53-1", "/0", id="a double that is written as an integer"),
        pytest.param(["\ud800"], "a lone surrogate", "/0", id="half a character"),
        pytest.param([0.5, "\ud800"], "a lone surrogate", "/1", id="half a character beside a fraction"),
        pytest.param({"a": {"\udfff": 1}}, "a lone surrogate in a name", "/a", id="half a character in a name"),
        pytest.param({"a/b": [{"m~n": [object()]}]}, "object", "/a~1b/0/m~0n/0", id="a pointer with escapes"),
        pytest.param(looped(), "nested deeper than 64", "/0" * 64, id="a list that holds itself"),
        pytest.param(doubled(), "more than the 1048576", "the document", id="a list in many places at once"),
        pytest.param(["x" * 600_000, "x" * 600_000], "more than the 1048576", "the document", id="too long"),
    ],
)
def test_values_that_are_not_json_are_not_written_somehow(value: Any, problem: str, place: str) -> None:
    with pytest.raises(Malformed, match=problem.replace("^", r"\^")) as refused:
        canonical.canonical(value)
    assert refused.value.place == place


def test_a_value_that_grows_when_written_is_refused_by_its_written_size() -> None:
    with pytest.raises(Malformed, match="62 canonical bytes, more than 20"):
        canonical.canonical("\x01" * 10, max_bytes=20)


@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [value]], ids=["alone", "in a list"])
def test_a_long_text_held_in_many_places_is_refused_before_it_is_written(wrap: Any) -> None:
    once = "x" * 1000
    with pytest.raises(Malformed):
        canonical.canonical(wrap({f"{n}": once for n in range(2000)}))
    fits = {f"{n}": once for n in range(900)}
    assert canonical.canonical(wrap(fits)) == rfc8785.dumps(wrap(fits))


def test_a_value_may_be_as_deep_as_the_limit() -> None:
    value: Any = 1
    for _ in range(64):
        value = [value]
    assert canonical.canonical(value) == b"[" * 64 + b"1" + b"]" * 64
    with pytest.raises(Malformed, match="nested deeper than 64"):
        canonical.canonical([value])
    with pytest.raises(Malformed, match="nested deeper than 2"):
        canonical.canonical([[{}]], max_depth=2)


def test_a_record_of_ours_with_a_number_no_reader_can_hold_is_not_written() -> None:
    with pytest.raises(TypeError):
        canonical.record_bytes({"call_seq": 2**53})
    with pytest.raises(TypeError):
        canonical.record_bytes({"at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)})
