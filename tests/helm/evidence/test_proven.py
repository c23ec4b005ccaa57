"""Helpers make a verification faster, and nothing else: whatever they say, the outcome is the same."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import pytest

from helm.crypto.domains import KeyPurpose
from helm.evidence.layout import SNAPSHOT
from helm.evidence.lines import write_lines
from helm.evidence.proven import Keys, Proven, keys_named_in, prove
from helm.evidence.verify import verify_pack
from tests.helm.evidence.forger import RECEIPT_LINES, a_log, a_pack, edited, resealed, root_of, unpacked
from tests.helm.evidence.material import key_of

MEMBERS = unpacked(a_pack())
SIGNED = MEMBERS[RECEIPT_LINES].splitlines()
EXECUTION = a_log().key(KeyPurpose.EXECUTION)
ANOTHER = key_of(KeyPurpose.EXECUTION, 7)


@attrs.define
class Sayer:
    """A helper that says of every receipt what it was told to say."""

    said: str
    lines: int = len(SIGNED)
    asked: list[str] = attrs.field(factory=list)

    def start(self, receipts: Mapping[str, bytes], keys: Keys) -> Proven:
        assert [*receipts] == [RECEIPT_LINES]
        return self.answer

    def answer(self, path: str) -> list[str]:
        self.asked.append(path)
        return [self.said] * self.lines


def forged() -> bytes:
    """Return a pack in which the signature of one receipt is another key's, under a true manifest."""
    *others, last = SIGNED
    bent = edited(last, lambda body: body.update(signature="ab" * 64))
    return resealed(MEMBERS | {RECEIPT_LINES: write_lines([*others, bent])})


@pytest.mark.parametrize("lines", [0, 1, len(SIGNED), 2 * len(SIGNED)])
@pytest.mark.parametrize("said", ["", "no key", ANOTHER.public_key, EXECUTION.public_key])
def test_a_true_pack_is_authenticated_whatever_helpers_say(said: str, lines: int) -> None:
    helper = Sayer(said, lines)
    report = verify_pack(a_pack(), root_of(a_log()), helper)
    assert report == verify_pack(a_pack(), root_of(a_log()))
    assert helper.asked == [RECEIPT_LINES]


@pytest.mark.parametrize("said", ["", "no key", ANOTHER.public_key])
def test_a_forged_signature_is_refused_alike_whatever_helpers_say(said: str) -> None:
    report = verify_pack(forged(), root_of(a_log()), Sayer(said))
    assert report == verify_pack(forged(), root_of(a_log()))
    assert not report.authenticated


def test_the_key_that_signed_is_named() -> None:
    keys = keys_named_in(MEMBERS[SNAPSHOT])
    assert prove(SIGNED, keys) == [EXECUTION.public_key] * len(SIGNED)


def test_nothing_is_proven_of_a_signature_that_is_not_there() -> None:
    raw, key_id = SIGNED[-1], EXECUTION.key_id
    other = {key_id: ANOTHER.public_key}
    assert prove([raw], other) == [""]
    assert prove([raw], {}) == [""]
    assert prove([raw], {key_id: "no key"}) == [""]
    bent = edited(raw, lambda body: body.update(signature="0" * 128))
    assert prove([bent, b"", b"{}", raw + b" "], keys_named_in(MEMBERS[SNAPSHOT])) == [""] * 4


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"keys":1}', b'{"keys":[1]}', b'{"keys":[{}]}', b"\xff"])
def test_a_snapshot_that_is_none_names_no_key(raw: bytes) -> None:
    assert keys_named_in(raw) == {}
