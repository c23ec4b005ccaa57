"""A record is read exactly, or it is refused with the place."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.decision import DECISION, Decision
from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT, Receipt
from helm.contracts.record import RECORD, BoundaryRecord
from helm.crypto.canonical import ordered_bytes, record_bytes, reread
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
def test_what_is_read_is_what_was_written(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    read = structure(body, record_class, "here")
    assert reread(ordered_bytes(read)) == body
    assert type(read) is record_class
    with pytest.raises(AttributeError):
        read.tenant = "evil"


@pytest.mark.parametrize("record_class", SAMPLES)
def test_members_in_another_order_are_read_too(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    assert structure(dict(reversed(body.items())), record_class, "here") == structure(body, record_class, "here")


WRONG = [None, 1.5, -1.0, True, {}, {"x": 1}, [None], [[1]], ["x", 1], [["x"]]]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("record_class", SAMPLES)
def test_a_member_of_another_type_is_refused(record_class: type[Any], value: object) -> None:
    for name, told in SAMPLES[record_class].items():
        if type(told) is not type(value) or type(value) is list:
            with pytest.raises(Invalid) as refused:
                structure(SAMPLES[record_class] | {name: value}, record_class, "here")
            assert refused.value.where == "here" and name in refused.value.what


@pytest.mark.parametrize("record_class", SAMPLES)
def test_a_member_too_many_or_too_few_is_refused(record_class: type[Any]) -> None:
    body = SAMPLES[record_class]
    for name in body:
        with pytest.raises(Invalid, match=name):
            structure({other: value for other, value in body.items() if other != name}, record_class, "here")
    with pytest.raises(Invalid, match="evil"):
        structure(body | {"evil": 1}, record_class, "here")


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
