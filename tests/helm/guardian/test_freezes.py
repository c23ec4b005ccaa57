"""Freeze commands: signed, in sequence, for one log, and each lifts only its own scope (T6)."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.guardian.freezes import FreezeCommand, Freezes, check_command, sign_command

KEY = SigningKey.from_seed(b"e" * 32, KeyPurpose.EMERGENCY)


def command(sequence: int = 1, action: str = "freeze", scope: str = "global", target: str = "") -> FreezeCommand:
    return FreezeCommand(
        action=action,
        issued_at_ms=1,
        key_id=KEY.key_id,
        log_id="sha256:log",
        reason="a test",
        scope=scope,
        sequence=sequence,
        target=target,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "thaw"},
        {"scope": "planet"},
        {"scope": "global", "target": "t"},
        {"scope": "tenant", "target": ""},
        {"reason": ""},
        {"reason": "x" * 501},
    ],
    ids=str,
)
def test_what_is_no_command_cannot_be_written(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="command"):
        attrs.evolve(command(), **changes)


def test_the_signature_covers_every_member() -> None:
    signature, key = sign_command(command(), KEY), PublicKey.from_hex(KEY.public_key)
    check_command(command(), signature, key)
    for changes in (
        {"action": "unfreeze"},
        {"issued_at_ms": 2},
        {"key_id": "ed25519:other"},
        {"log_id": "sha256:other"},
        {"reason": "another"},
        {"scope": "tenant", "target": "t"},
        {"sequence": 2},
    ):
        with pytest.raises(Invalid):
            check_command(attrs.evolve(command(), **changes), signature, key)


def test_no_other_kind_of_key_signs_it() -> None:
    with pytest.raises(PurposeMismatch):
        sign_command(command(), SigningKey.from_seed(b"p" * 32, KeyPurpose.POLICY))


@pytest.mark.parametrize("sequence", [-1, 0, 1, 3, 4])
def test_only_the_next_command_is_obeyed(sequence: int) -> None:
    freezes = Freezes()
    freezes.apply(command(1))
    before = (freezes.sequence, set(freezes.in_force))
    with pytest.raises(Invalid, match="does not follow 1"):
        freezes.apply(command(sequence, "unfreeze"))
    assert (freezes.sequence, freezes.in_force) == before


def test_the_widest_stop_is_named_and_each_lift_is_of_its_own_scope() -> None:
    freezes = Freezes()
    assert freezes.covering("t", "p") == ""
    freezes.apply(command(1, scope="agent", target="t/p"))
    assert freezes.covering("t", "p") == ReasonCode.AGENT_KILLED
    freezes.apply(command(2, scope="tenant", target="t"))
    assert freezes.covering("t", "p") == freezes.covering("t", "q") == ReasonCode.EMERGENCY_STOP_FENCED
    freezes.apply(command(3))
    assert freezes.covering("u", "q") == ReasonCode.SYSTEM_FROZEN
    freezes.apply(command(4, "unfreeze"))
    assert freezes.covering("u", "q") == ""
    assert freezes.covering("t", "p") == ReasonCode.EMERGENCY_STOP_FENCED
    freezes.apply(command(5, "unfreeze", "tenant", "t"))
    assert freezes.covering("t", "p") == ReasonCode.AGENT_KILLED
    assert freezes.covering("t", "pp") == freezes.covering("tt", "p") == ""


def test_lifting_what_is_not_in_force_is_a_command_like_any_other() -> None:
    freezes = Freezes()
    freezes.apply(command(1, "unfreeze"))
    assert (freezes.sequence, freezes.in_force) == (1, set())
