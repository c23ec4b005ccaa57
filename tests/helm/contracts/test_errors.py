"""What a person reads when something was refused: what, where, and what to do next."""

from __future__ import annotations

from helm.contracts.errors import Broken, Invalid, Malformed, Refused
from helm.contracts.reason import ReasonCode


def test_a_refusal_names_its_code_and_its_reason() -> None:
    refused = Refused(ReasonCode.PDP_DENY, "no rule allows it")
    assert str(refused) == "PDP_DENY: no rule allows it"
    assert (refused.code, refused.reason) == (ReasonCode.PDP_DENY, "no rule allows it")


def test_malformed_bytes_are_told_with_their_place() -> None:
    malformed = Malformed("not UTF-8", "byte 7")
    assert str(malformed) == "not UTF-8, at byte 7"
    assert (malformed.problem, malformed.place) == ("not UTF-8", "byte 7")


def test_what_is_invalid_is_told_with_its_place_and_with_what_to_do() -> None:
    invalid = Invalid("unknown key 'tool'", "policy.toml:12", "did you mean 'tools'?")
    assert str(invalid) == "policy.toml:12: unknown key 'tool' (did you mean 'tools'?)"
    assert (invalid.what, invalid.where, invalid.hint) == (
        "unknown key 'tool'",
        "policy.toml:12",
        "did you mean 'tools'?",
    )
    assert str(Invalid("unreadable", "policy.toml")) == "policy.toml: unreadable"


def test_our_own_fault_is_no_kind_of_refusal() -> None:
    """Whoever handles a refusal must not swallow a broken house."""
    assert not issubclass(Broken, Refused | Malformed | Invalid)
