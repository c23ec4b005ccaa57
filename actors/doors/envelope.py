"""The body of a request to call a tool: what is asked, and what its sender says about it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from actors.doors.heading import Heading
from actors.doors.problem import Problem
from actors.doors.torn import names_in
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto import canonical
from helm.guardian.intake import NAME, PLAIN, Terms, check_name

ENVELOPE_DEPTH = canonical.MAX_DEPTH + 2
"""Arguments as deep as they may be, inside the object that carries them, and one more to see that they are not."""

MEMBERS = frozenset(
    {"approval_id", "arguments", "delegation", "idempotency_key", "principal", "session_id", "taint", "tool"}
)
DELEGATION = frozenset({"id", "sequence", "verifier"})

MAX_LABELS = 32
"""Taint labels on one call: its session carries them from then on (T4)."""

MAX_VERIFIER = 128
"""Longest PKCE verifier (RFC 7636 section 4.1)."""


@attrs.frozen(kw_only=True)
class Asked:
    """One call as its sender asked for it.

    `arguments` are a JSON value, or the bytes of a JSON text. `malformed` says why the body holds no such thing: then
    the call's arguments are the whole body as it came.
    """

    tool: str
    session_id: str = ""
    arguments: JSONValue = None
    malformed: str = ""
    terms: Terms = PLAIN
    claimed_principal: str = ""
    labels: tuple[str, ...] = ()


def read_envelope(raw: bytes, heading: Heading, max_bytes: int) -> Asked:
    """Return what a body asks for. Raises Problem 400 where it names no tool, or cannot be framed as a call."""
    try:
        body = canonical.parse(raw, max_bytes=max_bytes, max_depth=ENVELOPE_DEPTH)
    except Malformed as problem:
        return torn(raw, heading.text(b"x-helm-tool"), problem)
    if type(body) is not dict:
        return torn(raw, heading.text(b"x-helm-tool"), Malformed("the body is not an object", "/"))
    return asked_in(body, heading)


def asked_in(body: Mapping[str, JSONValue], heading: Heading) -> Asked:
    """Return what an object asks for. Raises Problem 400 where it names no tool, or cannot be framed as a call."""
    named = heading.text(b"x-helm-tool")
    check_members(body)
    tool = text(body, "tool") or named
    if named and tool != named:
        raise disagreement("tool", "x-helm-tool", "/tool")
    if not tool:
        raise Problem(status=400, detail="the body names no tool", place="/tool")
    arguments, malformed = arguments_of(body)
    return Asked(
        tool=tool,
        session_id=text(body, "session_id"),
        arguments=arguments,
        malformed=malformed,
        terms=terms_of(body, heading),
        claimed_principal=plain_name(body["principal"], "/principal") if "principal" in body else "",
        labels=labels_of(body["taint"]) if "taint" in body else (),
    )


def torn(raw: bytes, named: str, problem: Malformed) -> Asked:
    """Return the call that a body names which is no JSON object. Raises Problem where it names none, or two."""
    found = names_in(raw)
    if found.tools > 1:
        raise Problem(status=400, detail=f"a tool is named {found.tools} times; {problem}", place="/tool")
    if named and found.tool and named != found.tool:
        raise disagreement("tool", "x-helm-tool", "/tool")
    tool = found.tool or named
    if not tool:
        detail = f"not acceptable JSON, and no tool is named: {problem}"
        raise Problem(status=400, detail=detail, place=problem.place)
    session_id = found.session_id if NAME.fullmatch(found.session_id) else ""
    return Asked(tool=tool, session_id=session_id, malformed=str(problem))


def arguments_of(body: Mapping[str, JSONValue]) -> tuple[JSONValue, str]:
    """Return the arguments, an object or the bytes of a string that may hold one, or what else stands there."""
    arguments = body.get("arguments")
    if type(arguments) is dict:
        return arguments, ""
    if type(arguments) is str:
        return arguments.encode(), ""
    return None, "neither an object nor a string that holds one, at /arguments"


def terms_of(body: Mapping[str, JSONValue], heading: Heading) -> Terms:
    """Return the call's terms. Raises Problem where header and body disagree on the idempotency key."""
    key, in_header = text(body, "idempotency_key"), heading.text(b"idempotency-key")
    if key and in_header and key != in_header:
        raise disagreement("idempotency_key", "idempotency-key", "/idempotency_key")
    terms = PLAIN
    if key or in_header or "approval_id" in body:
        terms = Terms(idempotency_key=key or in_header, approval_id=text(body, "approval_id"))
    return with_delegation(terms, body["delegation"]) if "delegation" in body else terms


def with_delegation(terms: Terms, delegation: JSONValue) -> Terms:
    """Return the terms with a delegation's session, its verifier and the sequence of this call in it."""
    if type(delegation) is not dict or delegation.keys() != DELEGATION:
        detail = f"a delegation has exactly the members {', '.join(sorted(DELEGATION))}"
        raise Problem(status=400, detail=detail, place="/delegation")
    sequence = delegation["sequence"]
    if type(sequence) is not int or sequence < 0:
        raise Problem(status=400, detail="expected a whole number from 0 up", place="/delegation/sequence")
    verifier = text(delegation, "verifier", "/delegation")
    if not 0 < len(verifier) <= MAX_VERIFIER:
        raise Problem(status=400, detail=f"1 to {MAX_VERIFIER} characters", place="/delegation/verifier")
    return attrs.evolve(
        terms,
        delegation_id=text(delegation, "id", "/delegation"),
        delegation_verifier=verifier,
        delegation_sequence=sequence,
    )


def labels_of(taint: JSONValue) -> tuple[str, ...]:
    """Return the taint labels, sorted, each once."""
    if type(taint) is not list or len(taint) > MAX_LABELS:
        raise Problem(status=400, detail=f"expected an array of at most {MAX_LABELS} labels", place="/taint")
    for number, label in enumerate(taint):
        plain_name(label, f"/taint/{number}")
    return tuple(sorted(set(taint)))


def plain_name(value: JSONValue, place: str) -> str:
    """Return a value that can stand in a record. Raises Problem for any other."""
    try:
        check_name(value, place)
    except Invalid as problem:
        raise unframed(problem) from problem
    return str(value)


def text(body: Mapping[str, JSONValue], name: str, above: str = "") -> str:
    """Return a member that is a name, "" where it is missing. Raises Problem for one that is empty or no string."""
    if name not in body:
        return ""
    value = body[name]
    if type(value) is not str or not value:
        raise Problem(status=400, detail="expected a string that is not empty", place=f"{above}/{name}")
    return value


def check_members(body: Mapping[str, JSONValue]) -> None:
    """Raise Problem for a member that means nothing here: its sender believes that it does."""
    if body.keys() <= MEMBERS:
        return
    unknown = min(body.keys() - MEMBERS)
    pointer = unknown[:64].replace("~", "~0").replace("/", "~1")
    raise Problem(status=400, detail=f"unknown member; there are {', '.join(sorted(MEMBERS))}", place=f"/{pointer}")


def disagreement(member: str, header: str, place: str) -> Problem:
    """Return the refusal of a request that says one thing twice, and differently."""
    return Problem(status=400, detail=f"{member} in the body and the header {header} disagree", place=place)


def unframed(problem: Invalid) -> Problem:
    """Return the refusal of a name that cannot stand in a record."""
    return Problem(status=400, detail=problem.what, place=problem.where)
