"""The words for what was decided and what became of it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The guardian's answer to one call."""

    ALLOW = "ALLOW"
    DENY = "DENY"
    ESCALATE = "ESCALATE"


class Status(StrEnum):
    """What became of a call; every receipt carries exactly one."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    """The connector answered with an error, drifted from its contract, or trapped."""
    DENIED = "DENIED"
    ESCALATED = "ESCALATED"
    NOT_DISPATCHED = "NOT_DISPATCHED"
    """The intent is durable, the effect provably never started."""
    INTERRUPTED = "INTERRUPTED"
    """Cancelled, and the connector proves that nothing happened."""
    INDETERMINATE = "INDETERMINATE"
    """The effect may have happened: reconcile before any retry."""


class RiskTier(StrEnum):
    """How much a tool can hurt, T0 (reads nothing private) to T3 (irreversible or privileged)."""

    T0 = "T0"
    T1 = "T1"
    T2 = "T2"
    T3 = "T3"


class EffectType(StrEnum):
    """What kind of change a tool makes to the world."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    EXECUTE = "execute"
    PAYMENT = "payment"
    CREDENTIAL = "credential"
    EGRESS = "egress"
    MESSAGE = "message"


WRITING = frozenset(
    {
        EffectType.WRITE,
        EffectType.DELETE,
        EffectType.EXECUTE,
        EffectType.PAYMENT,
        EffectType.CREDENTIAL,
        EffectType.MESSAGE,
    }
)
"""Effect types that count against a write budget: everything that is not a pure read or a bare connection."""
