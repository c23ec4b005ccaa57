"""Receipts without their log: signed by a key that the reader brought, each over the one before it (T5, T6)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.receipt import GENESIS, RECEIPT
from helm.crypto import domains
from helm.crypto.canonical import canonical, ordered_bytes, parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import L, SignatureInvalid, SigningKey
from helm.evidence.receipt_lines import EDITED, MAX_RECEIPT_BYTES, ReceiptLines, keys_by_name
from helm.receipts.chain import SealedReceipt, name, seal
from tests.helm.receipts.test_chain import FIRST as CHAINED

KEY: Final = SigningKey.from_seed(b"e" * 32, KeyPurpose.EXECUTION)
OTHER: Final = SigningKey.from_seed(b"o" * 32, KeyPurpose.EXECUTION)

FIRST: Final = CHAINED.but(idempotency_key="", key_id=KEY.key_id, session_id="s1")


def session(session_id: str, length: int, key: SigningKey = KEY) -> list[bytes]:
    """Return the receipts of a session, one on a line."""
    return [sealed.json for sealed in chain(session_id, length, key)]


def chain(session_id: str, length: int, key: SigningKey = KEY) -> list[SealedReceipt]:
    """Return the receipts of a session."""
    sealed: list[SealedReceipt] = []
    for clock in range(1, length + 1):
        before = sealed[-1].signature if sealed else GENESIS
        said = FIRST.but(session_id=session_id, lamport_clock=clock, prev_hash=before, key_id=key.key_id)
        sealed.append(seal(said, key))
    return sealed


def forged(**changes: Any) -> bytes:
    """Return a receipt that the key's holder signed, though no pen of HELM's writes it."""
    said = RECEIPT.body(FIRST) | {"sandbox_limits": []} | changes
    named = said | {"receipt_id": name(said)}
    return canonical(named | {"signature": KEY.sign(domains.RECEIPT, canonical(named))})


def held(lines: Sequence[bytes], *, in_part: bool = False, log_id: str = "") -> ReceiptLines:
    """Hold all lines, trusting KEY. Raises Invalid."""
    lines_held = ReceiptLines(keys_by_name([KEY.public_key]), log_id, in_part)
    for number, raw in enumerate(lines, 1):
        lines_held.take(raw, f"here:{number}")
    return lines_held


def refused(lines: Sequence[bytes], *, in_part: bool = False, log_id: str = "") -> str:
    """Return why lines are refused."""
    with pytest.raises(Invalid) as refusal:
        held(lines, in_part=in_part, log_id=log_id)
    return str(refusal.value)


@given(st.lists(st.sampled_from(["s1", "s2", "s3"]), max_size=12), st.booleans())
def test_whole_sessions_hold_in_any_order_among_each_other(order: list[str], in_part: bool) -> None:
    chains = {one: iter(session(one, order.count(one))) for one in set(order)}
    told = held([next(chains[one]) for one in order], in_part=in_part)
    assert (told.receipts, told.sessions, told.missing) == (len(order), len(set(order)), 0)


def test_sessions_of_one_name_and_two_tenants_are_two() -> None:
    theirs = seal(FIRST.but(tenant="u"), KEY).json
    assert held([*session("s1", 2), theirs]).sessions == 2


@given(st.data())
def test_a_changed_byte_is_refused(data: st.DataObject) -> None:
    lines = session("s1", 3)
    which = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(lines[which]) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != lines[which][at]))
    lines[which] = lines[which][:at] + bytes([other]) + lines[which][at + 1 :]
    assert f"here:{which + 1}" in refused(lines, in_part=data.draw(st.booleans()))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines[1:], "1 missing before it"),
        (lambda lines: [lines[0], lines[2]], "1 missing before it"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "does not follow"),
        (lambda lines: [lines[0], lines[2], lines[1]], "1 missing before it"),
        (lambda lines: [lines[0], b"", *lines[1:]], "is not JSON"),
        (lambda lines: [lines[0], b"[]", *lines[1:]], "is not an object"),
    ],
)
def test_a_session_in_which_one_is_missing_doubled_or_moved_is_refused(
    change: Callable[[list[bytes]], list[bytes]], why: str
) -> None:
    assert why in refused(change(session("s1", 3)))


def test_a_gap_is_told_with_the_option_that_takes_a_part() -> None:
    assert "--part" in refused(session("s1", 3)[1:])


def test_a_doubled_receipt_is_told_in_a_sentence() -> None:
    first, second = session("s1", 2)
    assert "receipt 2 of session 's1' does not follow receipt 2, the last one before it" in refused(
        [first, second, second]
    )


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (lambda body: body | {"colour": "red"}, "holds 'colour', which is no member of a Receipt"),
        (lambda body: {name: body[name] for name in body if name not in ("door", "tool")}, "misses door, tool"),
        (lambda body: body | {"fuel_used": "much"}, "fuel_used"),
    ],
    ids=["a member too many", "two too few", "one of another kind"],
)
def test_a_member_that_was_added_or_taken_is_named_and_what_that_means(
    edit: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    told = refused([canonical(edit(parse(seal(FIRST, KEY).json)))])
    assert why in told
    assert EDITED in told


def test_of_a_part_of_a_session_the_missing_are_counted() -> None:
    lines = session("s1", 9)
    told = held([lines[2], lines[3], lines[7], *session("s2", 1)], in_part=True)
    assert (told.receipts, told.sessions, told.missing) == (4, 2, 5)


@pytest.mark.parametrize("order", [(2, 1), (1, 1), (0, 2, 1)])
def test_a_part_goes_forward_only(order: tuple[int, ...]) -> None:
    lines = session("s1", 3)
    assert "does not follow" in refused([lines[at] for at in order], in_part=True)


def test_within_a_part_what_follows_must_follow() -> None:
    forked = seal(FIRST.but(lamport_clock=3, prev_hash=chain("s1", 1)[0].signature), KEY).json
    assert "does not follow" in refused([*session("s1", 2), forked], in_part=True)


def test_behind_a_gap_nobody_begins_a_session_anew() -> None:
    assert "prev_hash GENESIS" in refused([forged(lamport_clock=5)], in_part=True)


def test_a_receipt_of_a_key_that_was_not_brought_is_refused() -> None:
    assert "none of those that you trust" in refused(session("s1", 1, OTHER))


def test_a_key_signs_under_its_own_name_only() -> None:
    sealed = seal(FIRST, KEY)
    swapped = sealed.json.replace(sealed.signature.encode(), chain("s1", 1, OTHER)[0].signature.encode())
    assert "not this key's" in refused([swapped])


def test_each_of_two_keys_signs_its_receipts() -> None:
    first = seal(FIRST, KEY)
    second = seal(FIRST.but(lamport_clock=2, prev_hash=first.signature, key_id=OTHER.key_id), OTHER)
    told = ReceiptLines(keys_by_name([KEY.public_key, OTHER.public_key]))
    told.take(first.json, "1")
    told.take(second.json, "2")
    assert told.receipts == 2


def test_a_signature_in_its_second_form_is_refused() -> None:
    sealed = seal(FIRST, KEY)
    scalar = int.from_bytes(bytes.fromhex(sealed.signature[64:]), "little") + L
    again = sealed.signature[:64] + scalar.to_bytes(32, "little").hex()
    assert "not below L" in refused([sealed.json.replace(sealed.signature.encode(), again.encode())])


def test_a_statement_that_the_key_made_elsewhere_is_no_receipt() -> None:
    sealed = seal(FIRST, KEY)
    said = sealed.json.replace(f',"signature":"{sealed.signature}"'.encode(), b"")
    elsewhere = KEY.sign(domains.CHECKPOINT, said)
    assert "not this key's" in refused([sealed.json.replace(sealed.signature.encode(), elsewhere.encode())])


def test_a_receipt_of_a_second_log_is_refused() -> None:
    assert "of the log sha256:other" in refused([*session("s1", 1), seal(FIRST.but(log_id="sha256:other"), KEY).json])


def test_a_pinned_log_is_the_only_one() -> None:
    assert held(session("s1", 1), log_id="sha256:log").receipts == 1
    assert "of the log sha256:log" in refused(session("s1", 1), log_id="sha256:other")


def test_an_outcome_that_no_verdict_permits_is_refused_though_it_is_signed() -> None:
    assert "no coherent outcome" in refused([forged(output_hash="")])
    assert "here:1" in refused([forged(verdict="DENY")])


def test_a_receipt_of_another_version_is_refused_though_it_is_signed() -> None:
    assert "is of version" in refused([seal(FIRST.but(version="helm.receipt/2"), KEY).json])


def test_blanks_and_the_order_of_members_say_nothing() -> None:
    bodies = [parse(line) for line in session("s1", 2)]
    again = [json.dumps(dict(reversed(body.items())), indent=1).encode() for body in bodies]
    assert held(again).receipts == 2


@pytest.mark.parametrize("member", ["receipt_id", "signature", "tool", "prev_hash"])
def test_a_receipt_that_lacks_a_member_is_refused(member: str) -> None:
    body = parse(seal(FIRST, KEY).json)
    del body[member]
    assert "here:1" in refused([canonical(body)])


@pytest.mark.parametrize("raw", [b'{"a":1,"a":1}', b"nonsense", b"\xff", b'{"a":NaN}', b"[" * 70 + b"]" * 70, b"null"])
def test_what_is_no_receipt_is_refused(raw: bytes) -> None:
    assert "here:1" in refused([raw])


def test_a_doubled_member_is_refused_though_the_rest_is_true() -> None:
    raw = seal(FIRST, KEY).json
    assert "is not JSON" in refused([raw[:-1] + b',"version":"helm.receipt/1"}'])


def test_a_line_beyond_the_limit_is_not_read() -> None:
    raw = seal(FIRST, KEY).json
    assert "is not JSON" in refused([b" " * (MAX_RECEIPT_BYTES - len(raw) + 1) + raw])
    assert held([b" " * (MAX_RECEIPT_BYTES - len(raw)) + raw]).receipts == 1


@pytest.mark.parametrize("digits", ["", "ab" * 31, "AB" * 32, "00" * 32, "zz" * 32])
def test_what_is_no_public_key_is_refused(digits: str) -> None:
    with pytest.raises(SignatureInvalid):
        keys_by_name([digits])


def test_all_that_a_signed_receipt_may_say_is_read() -> None:
    said = FIRST.but(
        principal='"\\\u00e9\u2028', sandbox_limits=(("fuel", 1),), lease_id="l", module_hash="m", fuel_used=1
    )
    sealed = seal(said, KEY)
    assert parse(sealed.json)["principal"] == said.principal
    assert ordered_bytes(said) == canonical(RECEIPT.body(said) | {"sandbox_limits": [["fuel", 1]]})
    assert held([sealed.json]).receipts == 1
