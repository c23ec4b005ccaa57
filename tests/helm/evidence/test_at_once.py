"""What is read at once is read alike member by member, and what is not in its one form is not read at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.form import Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, reader_of, record_bytes, reread
from helm.crypto.hashing import hash_in
from helm.evidence.at_once import Call, read_call, read_line, read_receipt, read_record
from helm.evidence.check_seals import without_bytes
from helm.evidence.layout import REFUSAL
from helm.evidence.lines import read_json
from helm.evidence.part import read_node
from helm.evidence.payloads import INTENT, check_payload
from helm.evidence.payloads import REFUSAL as SHAPE_OF_REFUSAL
from helm.evidence.unseal import unseal_decision, unseal_effect, unseal_receipt, unseal_record
from tests.helm.evidence.forger import NODE_LINES, RECEIPT_LINES, RECORD_LINES, a_pack, unpacked

MEMBERS: Final = unpacked(a_pack())
CALLS: Final = MEMBERS[RECORD_LINES].splitlines()
SIGNED: Final = MEMBERS[RECEIPT_LINES].splitlines()
LINES: Final = MEMBERS[NODE_LINES].splitlines()


def call_by_member(raw: bytes) -> Call:
    """Read a call as slowly as can be. Raises Invalid."""
    payload = read_json(raw, "here")
    if payload.get("type") == REFUSAL:
        check_payload(payload, REFUSAL, SHAPE_OF_REFUSAL, "here")
    else:
        check_payload(payload, "INTENT", INTENT, "here")
    effect = None
    decision = without_bytes(unseal_decision(payload["decision"], "here"))
    record = without_bytes(unseal_record(payload["record"], "here"))
    if "effect" in payload:
        effect = unseal_effect(payload["effect"], decision.content, "here")
    return Call(decision, record, effect, payload.get("receipt_hash", ""))


def receipt_by_member(raw: bytes) -> object:
    return unseal_receipt(read_json(raw, "here"), "here")


READERS: Final[list[tuple[list[bytes], Callable[[bytes], Any], Callable[[bytes], Any]]]] = [
    (CALLS, read_call, call_by_member),
    (SIGNED, read_receipt, receipt_by_member),
]


@pytest.mark.parametrize(("samples", "at_once", "by_member"), READERS)
def test_a_true_record_is_read_at_once_as_it_is_by_member(samples: list[bytes], at_once: Any, by_member: Any) -> None:
    for raw in samples:
        assert at_once(raw) == by_member(raw)


@pytest.mark.parametrize(("samples", "at_once", "by_member"), READERS)
@given(data=st.data())
def test_a_changed_record_is_never_read_at_once_alone(
    samples: list[bytes], at_once: Any, by_member: Any, data: st.DataObject
) -> None:
    raw = changed(data.draw(st.sampled_from(samples)), data)
    if (read := at_once(raw)) is not None:
        assert read == by_member(raw)


@given(data=st.data())
def test_a_changed_line_is_never_read_at_once_alone(data: st.DataObject) -> None:
    raw = changed(data.draw(st.sampled_from(LINES)), data)
    line = read_line(raw)
    if line is None:
        with pytest.raises(Invalid):
            read_node(raw, "here")
    elif line.payload:
        try:
            payload = read_json(line.payload, "here")
        except Invalid:
            return
        body = reread(raw)
        assert record_bytes(body) == raw
        assert payload == body["payload"]
    else:
        assert record_bytes(reread(raw)) == raw


def changed(raw: bytes, data: st.DataObject) -> bytes:
    """Return the bytes with a piece taken out, put in, doubled or moved: mostly at a comma, where members meet."""
    commas = [at for at, byte in enumerate(raw) if byte in b",{}"]
    begin, end, to = sorted(data.draw(st.lists(st.sampled_from(commas), min_size=3, max_size=3)))
    piece = raw[begin:end]
    match data.draw(st.sampled_from(("moved", "doubled", "out", "byte", "blank"))):
        case "moved":
            return raw[:begin] + raw[end:to] + piece + raw[to:]
        case "doubled":
            return raw[:to] + piece + raw[to:]
        case "out":
            return raw[:begin] + raw[end:]
        case "byte":
            at = data.draw(st.integers(0, len(raw) - 1))
            return raw[:at] + bytes([data.draw(st.integers(0, 255))]) + raw[at + 1 :]
        case _:
            return raw[:begin] + b" " + raw[begin:]


@pytest.mark.parametrize("member", [b',"receipt_id":"', b',"signature":"'])
def test_a_name_in_another_place_is_not_read_at_once(member: bytes) -> None:
    raw = SIGNED[0]
    begin = raw.index(member)
    end = raw.index(b'"', begin + len(member)) + 1
    moved = raw[:begin] + raw[end:-1] + raw[begin:end] + b"}"
    assert reread(moved) == reread(raw)
    assert read_receipt(moved) is None


@pytest.mark.parametrize("member", [b',"decision_id":"', b',"record_id":"'])
@pytest.mark.parametrize("raw", CALLS)
def test_a_call_with_a_name_in_another_place_is_not_read_at_once(raw: bytes, member: bytes) -> None:
    assert read_call(raw) is not None
    begin = raw.index(member)
    end = raw.index(b'"', begin + len(member)) + 1
    last = raw.index(b"}", end)
    moved = raw[:begin] + raw[end:last] + raw[begin:end] + raw[last:]
    assert reread(moved) == reread(raw)
    assert read_call(moved) is None


def test_a_record_that_was_hashed_with_its_names_in_another_place_is_not_read_at_once() -> None:
    raw = record_bytes(reread(CALLS[0])["record"])
    head, _, rest = raw.partition(b',"record_hash":"')
    _, _, rest = rest.partition(b'","record_id":"')
    name, _, tail = rest.partition(b'"')
    assert read_record(raw) is not None
    said = (head + tail)[:-1]
    record_hash = hash_in(domains.RECORD, b'%b,"record_id":"%b"}' % (said, name)).encode()
    assert read_record(b'%b,"record_hash":"%b","record_id":"%b"}' % (said, record_hash, name)) is None


@pytest.mark.parametrize("raw", CALLS)
def test_a_call_under_another_members_name_is_not_read_at_once(raw: bytes) -> None:
    assert read_call(raw.replace(b'{"decision":', b'{"decisioN":', 1)) is None


def test_a_call_with_the_effect_of_another_is_not_read_at_once() -> None:
    (raw, *_) = (one for one in CALLS if b',"effect":' in one)
    assert read_call(raw.replace(b'"irreversible":false', b'"irreversible":true')) is None


class Numbers(Noun, frozen=True):
    """A record with numbers in every place."""

    deep: tuple[tuple[str, int], ...]
    flag: bool
    number: int


@pytest.mark.parametrize("number", [2**53, -(2**53), 2**62])
def test_a_number_that_readers_read_differently_is_not_read_at_once(number: int) -> None:
    read = reader_of(Numbers)
    for good in (Numbers((("x", 2**53 - 1),), True, 1 - 2**53), Numbers((), False, 0)):
        assert read(ordered_bytes(good)) == good
        assert read(ordered_bytes(good.but(number=number))) is None
        assert read(ordered_bytes(good.but(deep=(("x", number),)))) is None


@pytest.mark.parametrize("raw", [b"", b"{}", b"null", b'{"deep":[],"flag":true,"number":1.0}', b"\xff"])
def test_what_is_no_such_record_is_not_read(raw: bytes) -> None:
    assert reader_of(Numbers)(raw) is None
    assert read_call(raw) is None
    assert read_receipt(raw) is None
    assert read_line(raw) is None
