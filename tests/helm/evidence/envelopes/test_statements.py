"""A statement is whole, short, about evidence that there is, and claims no authority: another one cannot be built."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.evidence.envelopes.cbor import Tagged, encode
from helm.evidence.envelopes.native import check_native, read_native, root_of
from helm.evidence.envelopes.statement import MAX_NAME, STATEMENT, EvidenceStatement, read_statement
from helm.evidence.envelopes.wrap import check_counts
from helm.evidence.trust_root import TrustRoot
from tests.helm.evidence.envelopes.wrapped import evidence, native, pen, wrapped
from tests.helm.evidence.forger import a_log
from tests.helm.evidence.material import Log, addition, key_of

BODY = STATEMENT.body(wrapped().statement)


@pytest.mark.parametrize(
    "change",
    [
        *(
            {name: value}
            for name in ("evidence_hash", "evidence_root", "log_id")
            for value in ("", "sha256:", "x" * 71)
        ),
        *({name: "x" * (MAX_NAME + 1)} for name in ("key_id", "session_id", "subject", "tenant")),
        {"authoritative": True},
        {"evidence_kind": ""},
        {"version": "helm.evidence/2"},
    ],
)
def test_a_statement_that_means_nothing_cannot_be_built(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"statement"):
        EvidenceStatement(**BODY | change)
    with pytest.raises(Invalid):
        read_statement(BODY | change, "here")


@pytest.mark.parametrize(
    "raw", [b"{", b'{"a":1,"a":2}', b"{}", b'{"receipt":1}', b'{"version":"helm.receipt/1"}', b"x"]
)
def test_what_is_no_evidence_is_not_read_as_some(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_native(raw)


def test_evidence_of_more_than_one_session_is_no_tenants() -> None:
    from tests.helm.evidence.forger import pack_of_scope

    found = read_native(pack_of_scope(a_log(), "whole"))
    assert (found.tenant, found.session_id) == ("", "")
    assert (native().tenant, native().session_id) == ("acme", "s1")
    assert (native("checkpoint").tenant, native("checkpoint").session_id) == ("", "")


def test_a_logs_own_keys_say_whether_its_evidence_holds() -> None:
    log = a_log()
    assert log.registry is not None
    for of in ("pack", "receipt"):
        check_native(native(of), root_of(native(of), log.registry))
    other = Log(number=2).begin().registry
    assert other is not None
    for of in ("pack", "receipt"):
        with pytest.raises(Invalid):
            check_native(native(of), root_of(native(of), other))


def test_a_receipt_under_a_revoked_key_is_not_signed_for() -> None:
    log = Log().begin()
    log.add_key(attrs.evolve(addition(key_of(KeyPurpose.EXECUTION)), kind="KEY_REVOKED"))
    assert log.registry is not None
    root = root_of(native("receipt"), log.registry)
    assert root == TrustRoot(log_id=log.log_id)
    with pytest.raises(Invalid, match="no execution key is known"):
        check_native(native("receipt"), root)


def test_only_an_evidence_key_that_counts_now_makes_an_envelope() -> None:
    log = Log().begin()
    assert log.registry is not None
    check_counts(log.registry, pen())
    for key in (pen(2), key_of(KeyPurpose.POLICY)):
        with pytest.raises(Invalid, match="no evidence key that counts"):
            check_counts(log.registry, key)
    log.add_key(attrs.evolve(addition(pen(9)), kind="KEY_ROTATED", replaces=pen().key_id))
    with pytest.raises(Invalid, match="no evidence key that counts"):
        check_counts(log.registry, pen())
    check_counts(log.registry, pen(9))


def test_the_hash_is_that_of_the_bytes_whatever_their_number() -> None:
    from helm.crypto.hashing import sha256

    for of in ("pack", "receipt", "checkpoint"):
        assert native(of).evidence_hash == sha256(evidence(of))
    long = evidence() + bytes(3 * 1024 * 1024 + 7)
    assert attrs.evolve(native(), raw=long).evidence_hash == sha256(long)


@pytest.mark.parametrize("value", [True, None, 1.5, 2**64, -(2**64) - 1, Tagged(2**64, 1), {1.5: 1}, [set()]])
def test_what_is_not_spoken_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize("of", ["receipt", "checkpoint"])
def test_evidence_under_the_right_key_is_not_that_of_the_log_that_is_pinned(of: str) -> None:
    key = key_of(KeyPurpose.EXECUTION).public_key
    check_native(native(of), TrustRoot(log_id=a_log().log_id, execution_key=key))
    with pytest.raises(Invalid, match="another log"):
        check_native(native(of), TrustRoot(log_id="sha256:" + "0" * 64, execution_key=key))
