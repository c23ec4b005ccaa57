"""Receipts as OTLP/JSON: lines of a log for whoever collects those. Not evidence: the receipts are, and are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import helm
from helm.contracts.form import JSONValue
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in
from helm.interop.attributes import AUTHORITATIVE, DECISION, OF_RECEIPT, TOOL_NAME, UNHAPPY, Value, resource

INFO: Final = 9
WARN: Final = 13
ERROR: Final = 17
"""Severities of the logs' data model."""

SIGNED: Final = {"helm.key.id": "key_id", "helm.receipt.id": "receipt_id", "helm.receipt.signature": "signature"}
"""By these the receipt is found, and told from any other."""


def exported(receipts: Sequence[Mapping[str, Any]], log_id: str, known: Mapping[str, object]) -> dict[str, JSONValue]:
    """Return an ExportLogsServiceRequest as OTLP/JSON; tools that are not `known` to the policy are not named."""
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": pairs(resource(helm.__version__, log_id))},
                "scopeLogs": [
                    {
                        "scope": {"name": "helm", "version": helm.__version__},
                        "logRecords": [record(receipt, known) for receipt in receipts],
                    }
                ],
            }
        ]
    }


def record(receipt: Mapping[str, Any], known: Mapping[str, object]) -> dict[str, JSONValue]:
    """Return one receipt as a record of a log."""
    severity = severity_of(receipt)
    words = (receipt["verdict"], receipt["status"], receipt["reason_code"])
    at_ns = str(receipt["issued_at_ms"] * 1_000_000)
    return {
        "attributes": pairs(attributes(receipt, known)),
        "body": {"stringValue": " ".join(filter(None, words))},
        "eventName": DECISION,
        "observedTimeUnixNano": at_ns,
        "severityNumber": severity,
        "severityText": {INFO: "INFO", WARN: "WARN", ERROR: "ERROR"}[severity],
        "timeUnixNano": at_ns,
    }


def severity_of(receipt: Mapping[str, Any]) -> int:
    """Return how bad it is: what was refused is worth a look, what may have gone wrong another."""
    if receipt["status"] in UNHAPPY:
        return ERROR
    return INFO if receipt["verdict"] == Verdict.ALLOW else WARN


def attributes(receipt: Mapping[str, Any], known: Mapping[str, object]) -> dict[str, Value]:
    """Return what is told of a receipt, hashed and named as it stands in the log."""
    said: dict[str, Value] = {name: receipt[member] for name, member in {**OF_RECEIPT, **SIGNED}.items()}
    said |= {
        AUTHORITATIVE: False,
        TOOL_NAME: receipt["tool"] if receipt["tool"] in known else "",
        "helm.receipt.hash": hash_in(domains.RECEIPT_HASH, record_bytes(dict(receipt))),
    }
    return {name: value for name, value in sorted(said.items()) if value != ""}


def pairs(said: Mapping[str, Value]) -> list[JSONValue]:
    """Return attributes as OTLP/JSON spells them: 64-bit numbers are text."""
    return [{"key": name, "value": spelled(value)} for name, value in said.items()]


def spelled(value: Value) -> dict[str, JSONValue]:
    """Return one value in OTLP/JSON."""
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
