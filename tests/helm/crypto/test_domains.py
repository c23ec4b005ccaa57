"""No statement may pass for one of another kind, and no key may make one that it is not for."""

from __future__ import annotations

import inspect
import re
from itertools import combinations

import pytest

from helm.crypto import domains
from helm.crypto.domains import SIGNS, KeyPurpose, PurposeMismatch, check_may_sign

CONTEXTS = {name: value for name, value in vars(domains).items() if name.isupper() and isinstance(value, bytes)}
SIGNING = {
    "RECEIPT", "APPROVAL", "APPROVAL_CHALLENGE", "APPROVAL_OVERRIDE", "DELEGATION", "DELEGATION_END", "DELEGATION_STOP",
    "TRUST_EVENT", "CHECKPOINT", "POLICY_BUNDLE",
    "CHECKPOINT_NOTE", "COSIGNATURE", "PACK", "BACKUP", "FREEZE", "PERMIT", "DRIFT", "MCP_SERVER", "RELATIONS",
    "OVERLAY", "P0_RAISE", "CONFORMANCE_REPORT", "DSSE", "JWS", "COSE",
}  # fmt: skip


FOREIGN = {
    "CHECKPOINT_NOTE": b"HELM/CheckpointNote/v1/",
    "COSIGNATURE": b"cosignature/v1\n",
    "DSSE": b"DSSEv1 ",
    "JWS": b"eyJhbGciOiJFZERTQSIsImN0eSI6",
    "COSE": b"\x84\x6aSignature1",
}
"""Formats of others, who have context lines of their own, or a first line that goes on."""


def test_no_context_line_is_another_or_begins_another() -> None:
    for one, other in combinations(CONTEXTS.values(), 2):
        assert not one.startswith(other)
        assert not other.startswith(one)


def test_no_context_line_is_declared_twice() -> None:
    """Two records that were given one name by two people would be hashed alike."""
    names = re.findall(r"^([A-Z_0-9]+) = b", inspect.getsource(domains), re.MULTILINE)
    assert sorted(names) == sorted(CONTEXTS)


@pytest.mark.parametrize("name", sorted(CONTEXTS.keys() - FOREIGN.keys()))
def test_a_context_line_says_house_kind_and_version(name: str) -> None:
    kind = re.fullmatch(rb"HELM/([A-Za-z0-9]+)/v1\n", CONTEXTS[name])
    assert kind is not None
    assert kind[1].lower() == name.replace("_", "").lower().encode()


def test_only_what_others_have_fixed_begins_otherwise() -> None:
    assert {name: CONTEXTS[name] for name in FOREIGN} == FOREIGN


def test_every_purpose_signs_something_and_no_statement_has_two_purposes() -> None:
    assert set(SIGNS) == set(KeyPurpose)
    assert all(SIGNS.values())
    signed = [domain for allowed in SIGNS.values() for domain in allowed]
    assert len(signed) == len(set(signed))
    assert set(signed) == {CONTEXTS[name] for name in SIGNING}


def test_what_is_only_hashed_is_signed_by_no_purpose() -> None:
    for name in CONTEXTS.keys() - SIGNING:
        for purpose in KeyPurpose:
            with pytest.raises(PurposeMismatch, match="may not sign"):
                check_may_sign(purpose, CONTEXTS[name])


def test_the_table_of_purposes_cannot_be_widened_at_run_time() -> None:
    with pytest.raises(TypeError):
        SIGNS[KeyPurpose.APPROVAL] = SIGNS[KeyPurpose.EXECUTION]  # type: ignore[index]
    with pytest.raises(AttributeError):
        SIGNS[KeyPurpose.APPROVAL].add(domains.RECEIPT)  # type: ignore[attr-defined]


def test_a_key_for_one_thing_signs_that_thing() -> None:
    check_may_sign(KeyPurpose.EXECUTION, domains.RECEIPT)
    check_may_sign(KeyPurpose.TRUST_ADMIN, domains.TRUST_EVENT)
