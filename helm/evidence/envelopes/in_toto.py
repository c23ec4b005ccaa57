"""The statement as an in-toto Statement v1, by itself or as SLSA provenance v1.

A payload is read by taking the statement out of it and making the whole anew: other bytes are another payload.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance
"""

from __future__ import annotations

from typing import Any, Final

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical
from helm.crypto.hashing import PREFIX
from helm.crypto.statement import STATEMENT as STATEMENT_V1
from helm.evidence.envelopes.statement import STATEMENT, EvidenceStatement, read_payload, read_statement

EVIDENCE: Final = "urn:helm:predicate:evidence:1"
"""The type of the predicate that is our own statement."""

PROVENANCE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "urn:helm:build:evidence:1"
"""How native evidence is made: read out of the log, by what the statement in `externalParameters` says."""


def in_toto(statement: EvidenceStatement) -> bytes:
    """Return the payload whose predicate is the statement."""
    return around(statement, EVIDENCE, STATEMENT.body(statement))


def slsa(statement: EvidenceStatement) -> bytes:
    """Return the payload that tells of the evidence as of something built: by this log's kernel, from this log."""
    log = log_urn(statement.log_id)
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"statement": STATEMENT.body(statement)},
            "resolvedDependencies": [{"digest": {"sha256": hex_of(statement.log_id)}, "uri": log}],
        },
        "runDetails": {"builder": {"id": log}},
    }
    return around(statement, PROVENANCE, predicate)


def around(statement: EvidenceStatement, predicate_type: str, predicate: dict[str, JSONValue]) -> bytes:
    """Return the in-toto Statement whose one subject is the evidence."""
    return canonical(
        {
            "_type": STATEMENT_V1,
            "predicate": predicate,
            "predicateType": predicate_type,
            "subject": [{"digest": {"sha256": hex_of(statement.evidence_hash)}, "name": statement.subject}],
        }
    )


def predicate_of(payload: bytes, where: str) -> str:
    """Return the type of a payload's predicate, "" where it has none. Raises Invalid for what is no object."""
    found = read_payload(payload, where).get("predicateType")
    return found if type(found) is str else ""


def statement_in(payload: bytes, where: str) -> EvidenceStatement:
    """Return the statement in a payload that is, byte for byte, the one made of it. Raises Invalid."""
    body: Any = read_payload(payload, where)
    try:
        predicate = body["predicate"]
        is_provenance = body["predicateType"] == PROVENANCE
        told = predicate["buildDefinition"]["externalParameters"]["statement"] if is_provenance else predicate
    except (KeyError, TypeError, IndexError) as problem:
        raise Invalid("the in-toto statement holds no statement of HELM's", where) from problem
    statement = read_statement(told, where)
    if (slsa if is_provenance else in_toto)(statement) != payload:
        raise Invalid("the in-toto statement is not the one that its predicate makes", where)
    return statement


def hex_of(written_hash: str) -> str:
    return written_hash.removeprefix(PREFIX)


def log_urn(log_id: str) -> str:
    """Return a log's name as a URI."""
    return f"urn:helm:log:{log_id}"
