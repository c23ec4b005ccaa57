"""PEP: the arguments must satisfy the tool's pinned input schema, byte for byte as they were hashed (T2)."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.schema import SchemaViolation
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse arguments that did not parse or break the schema, and a key that was claimed for other bytes.

    The first use of an idempotency key fixes its bytes; other bytes under it are a mistake or an attack (T6).
    """
    call = inquiry.call
    if call.malformed:
        raise Refused(ReasonCode.SCHEMA_VIOLATION, f"the arguments are malformed: {call.malformed}")
    if inquiry.world.claim_conflict:
        raise Refused(ReasonCode.IDEMPOTENCY_KEY_REUSED, "the idempotency key was used before with another call")
    try:
        inquiry.rule.input_schema.check(call.parsed)
    except SchemaViolation as violation:
        raise Refused(ReasonCode.SCHEMA_VIOLATION, f"the arguments break the schema: {violation}") from violation


OFFICE = Office("pep", check, ReasonCode.SCHEMA_VIOLATION)
