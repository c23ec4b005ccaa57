"""The report of one run: signed by whoever ran it, bound to the very set of vectors, with every result in it.

A verifier brings the key and the vectors. Then
1. the report is signed by that key, and hashes to its report_id
2. it is about the very vectors that the verifier holds, by their hash, and has one result for each it claims
3. a vector passed where every check of it held, and not otherwise
4. the counts, and the level that was reached, follow from the results
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs

from helm.conformance.judge import STEPS
from helm.conformance.result import FAILED, OUTCOMES, PASSED, UNOBSERVED, Result
from helm.conformance.vector import LEVELS
from helm.conformance.vector_set import VectorSet
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import content_id, hash_in

VERSION: Final = "helm.conformance-report/1"
PREFIX: Final = "conf_"
NO_LEVEL: Final = "none"

EDITED: Final = "it was edited, or signed by somebody else"

MEMBERS: Final = frozenset(
    {
        "begun_at_ms",
        "ended_at_ms",
        "key_id",
        "level",
        "report_id",
        "results",
        "strays",
        "subjects",
        "summary",
        "vectors_hash",
        "version",
    }
)


@attrs.frozen(kw_only=True)
class Ran:
    """What a run came to, before it is signed."""

    results: tuple[Result, ...]
    subjects: Mapping[str, Mapping[str, JSONValue]]
    """By the name of the server: where it is, which log it writes, and how it stood after the run."""
    strays: int
    """How often the counterpart was reached when no vector was under way."""
    begun_at_ms: int
    ended_at_ms: int


def seal_report(ran: Ran, vectors: VectorSet, signer: Signer) -> dict[str, JSONValue]:
    """Return the signed document of a run."""
    results: list[JSONValue] = [one.body() for one in ran.results]
    content: dict[str, JSONValue] = {
        "begun_at_ms": ran.begun_at_ms,
        "ended_at_ms": ran.ended_at_ms,
        "key_id": signer.key_id,
        "level": level_of(results, vectors, ran.strays),
        "results": results,
        "strays": ran.strays,
        "subjects": {name: dict(subject) for name, subject in ran.subjects.items()},
        "summary": summary_of(results),
        "vectors_hash": vectors.hash,
        "version": VERSION,
    }
    report = {**content, "report_id": name_of(content)}
    signature = signer.sign(domains.CONFORMANCE_REPORT, record_bytes(report))
    return {"public_key": signer.public_key, "report": report, "signature": signature}


def name_of(content: Mapping[str, JSONValue]) -> str:
    """Return the report_id that a report without one earns."""
    return content_id(PREFIX, hash_in(domains.CONFORMANCE_REPORT_NAME, record_bytes(dict(content))))


def summary_of(results: Iterable[Mapping[str, Any]]) -> dict[str, JSONValue]:
    """Return how many came out in each way."""
    found = [one["outcome"] for one in results]
    return {outcome: found.count(outcome) for outcome in OUTCOMES}


def level_of(results: Iterable[Mapping[str, Any]], vectors: VectorSet, strays: int) -> str:
    """Return the highest level of which every vector that anybody can bring about has passed, with those below it."""
    passed = {one["id"] for one in results if one["outcome"] == PASSED}
    reached = NO_LEVEL
    for level in LEVELS:
        needed = {one.id for one in vectors.vectors if one.level == level and not one.inside}
        if strays or needed - passed:
            return reached
        reached = level
    return reached


def check_report(document: Any, key: PublicKey, vectors: VectorSet) -> dict[str, Any]:
    """Return the report of a document that holds in every point. Raises Invalid with the first that does not."""
    report = check_signature(document, key)
    if report["vectors_hash"] != vectors.hash:
        hint = "verify it with the program, and the vectors, that it was made with"
        raise Invalid(f"it is about the vectors {report['vectors_hash']}, not {vectors.hash}", "report", hint)
    check_results(report["results"], vectors)
    for name, found in (
        ("summary", summary_of(report["results"])),
        ("level", level_of(report["results"], vectors, report["strays"])),
    ):
        if report[name] != found:
            raise Invalid(f"it says {report[name]}, its results come to {found}", name, EDITED)
    return report


def check_signature(document: Any, key: PublicKey) -> dict[str, Any]:
    """(1) Return the report in a document that this key signed. Raises Invalid."""
    if type(document) is not dict or document.keys() != {"public_key", "report", "signature"}:
        raise Invalid("is no signed report", "report")
    report = document["report"]
    if type(report) is not dict or report.keys() != MEMBERS or report["version"] != VERSION:
        raise Invalid(f"is no report of the form {VERSION}", "report")
    try:
        key.verify(domains.CONFORMANCE_REPORT, record_bytes(report), document["signature"])
    except (SignatureInvalid, ValueError, TypeError, AttributeError) as problem:
        raise Invalid(f"the key that you trust did not sign it: {problem}", "report", EDITED) from problem
    if name_of({name: value for name, value in report.items() if name != "report_id"}) != report["report_id"]:
        raise Invalid("it does not hash to its report_id", "report", EDITED)
    return report


def check_results(results: Any, vectors: VectorSet) -> None:
    """(2, 3) Raise Invalid unless each result is that of one vector, and follows from its checks."""
    known = {one.id: one for one in vectors.vectors}
    seen: set[str] = set()
    for one in results:
        where = f"result {one['id']}"
        vector = known.get(one["id"])
        if vector is None or one["id"] in seen:
            raise Invalid("no such vector, or a second result of one", where, EDITED)
        seen.add(one["id"])
        made = {check["name"] for check in one["checks"]}
        holds = all(check["ok"] and not check["detail"] for check in one["checks"])
        if one["outcome"] == PASSED and not (holds and made >= STEPS.keys()):
            raise Invalid("it passed, and its checks do not say so", where, EDITED)
        if (one["outcome"] == UNOBSERVED) != bool(vector.inside):
            raise Invalid(f"it is {one['outcome']}, and its vector says otherwise", where, EDITED)
        if one["outcome"] not in OUTCOMES or (one["outcome"] == FAILED and not one["why"]):
            raise Invalid("an outcome without a reason", where, EDITED)
