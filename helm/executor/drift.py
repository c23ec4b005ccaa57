"""Output drift: what a connector answers must be JSON that keeps the tool's pinned output schema (T3)."""

from __future__ import annotations

from helm.contracts.errors import Malformed, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.schema import Schema, SchemaViolation
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256


def check_output(output: JSONValue, schema: Schema) -> tuple[bytes, str]:
    """Return the canonical bytes of `output` and their hash (OutputHash); raise Refused where the contract drifted."""
    try:
        written = canonical(output)
        schema.check(output)
    except Malformed as problem:
        raise Refused(ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT, f"the output is not JSON: {problem}") from problem
    except SchemaViolation as problem:
        raise Refused(ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT, f"the output breaks its schema: {problem}") from problem
    return written, sha256(written)
