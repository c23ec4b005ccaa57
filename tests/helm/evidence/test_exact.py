"""A record is read exactly, or it is refused with the place: quickly, and as strictly as the converter reads it."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.decision import DECISION, Decision
from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT, Receipt
from helm.contracts.record import RECORD, BoundaryRecord
from helm.crypto.canonical import record_bytes, reread
from helm.evidence.exact import Exact
from helm.evidence.lines import read_json, read_lines
from helm.wire import structure
from tests.helm.evidence.material import Log

log = Log().begin()
JUDGEMENT = log.judge("s1", "notes.read", {"name": "x"})
SAMPLES: dict[type, dict[str, Any]] = {
    Decision: reread(record_bytes(DECISION.body(JUDGEMENT.decision.content))),
    BoundaryRecord: reread(record_bytes(RECORD.body(JUDGEMENT.record.content))),
    Receipt: reread(record_bytes(RECEIPT.body(log.call("s1").content))),
}


@pytest.mark.parametrize("record_class", SAMPLES)
def test_what_is_read_is_what_the_converter_reads(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    read = Exact(record_class).read(body, "here")
    assert read == structure(body, record_class, "here")
    assert type(read) is record_class
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        read.tenant = "evil"


@pytest.mark.parametrize("record_class", SAMPLES)
def test_members_in_another_order_are_read_too(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    assert Exact(record_class).read(dict(reversed(body.items())), "here") == Exact(record_class).read(body, "here")


@pytest.mark.parametrize("value", [None, 1, -1, True, "x", [], ["x"], [1], [[]], [["x"]], {}, {"x": 1}, 1.5])
@pytest.mark.parametrize("record_class", SAMPLES)
def test_a_member_of_any_type_is_read_or_refused_as_the_converter_does(record_class: type[Any], value: object) -> None:
    for name in SAMPLES[record_class]:
        body = SAMPLES[record_class] | {name: value}
        assert outcome(Exact(record_class).read, body) == outcome(lambda b, w: structure(b, record_class, w), body), (
            name
        )


def outcome(read: Any, body: dict[str, Any]) -> object:
    """Return what was read, or that it was refused."""
    try:
        return read(body, "here")
    except Invalid as problem:
        assert problem.where == "here"
        return Invalid


@pytest.mark.parametrize("record_class", SAMPLES)
def test_a_member_too_many_or_too_few_is_refused(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    for name in body:
        with pytest.raises(Invalid, match=name):
            Exact(record_class).read({other: value for other, value in body.items() if other != name}, "here")
    with pytest.raises(Invalid, match="evil"):
        Exact(record_class).read(body | {"evil": 1}, "here")


def test_a_class_that_does_more_with_a_field_than_keep_it_is_not_read_exactly() -> None:
    @attrs.frozen(kw_only=True, slots=False)
    class Checked:
        size: int = attrs.field(validator=attrs.validators.ge(0))

    @attrs.frozen(kw_only=True)
    class Slotted:
        size: int

    for record_class in (Checked, Slotted):
        with pytest.raises(TypeError, match="does more with a field than keep it"):
            Exact(record_class)


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"1", b'"x"', b'{"a":1} ', b' {"a":1}', b'{"a": 1}', b'{"b":1,"a":1}', b'{"a":1,"a":1}',
     b'{"a":"\\u0061"}', b'{"a":01}', b'{"a":-0}', b'{"a":1e2}', b'{"a":9007199254740993}', b'{"a":NaN}', b"{",
     b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"\xef\xbb\xbf{}", b'{"a":1}{}', b"{" * 5000],
)  # fmt: skip
def test_json_that_is_not_in_its_one_form_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_json(raw, "here")


def test_lines_are_read_with_their_places() -> None:
    assert list(read_lines(b'{"a":1}\n{"a":2}\n', "x")) == [({"a": 1}, "x line 1"), ({"a": 2}, "x line 2")]
    assert list(read_lines(b"", "x")) == []


@pytest.mark.parametrize("raw", [b'{"a":1}', b'{"a":1}\n{"a":2}', b"\n", b'{"a":1}\n\n', b'{"a":1}\r\n'])
def test_lines_that_are_cut_off_or_empty_are_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        list(read_lines(raw, "x"))
