"""How a row is written down: in one call, with what is the same for all rows of its kind left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from helm.contracts.verdict import Verdict
from helm.crypto.numbers import MAX_SAFE
from helm.surfaces.route import Access, Answer, Document, Parameter, Route, ok
from helm.surfaces.words import TEXT, Schema, one_of, whole

API: Final = "/api/v1"


def get(name: str, path: str, access: Access, about: str, answer: Document, **more: Any) -> Route:
    """Return a row that reads."""
    return Route(name=name, method="GET", path=path, access=access, about=about, answers=ok(about, answer), **more)


def post(  # noqa: PLR0913 - a row has so many columns
    name: str,
    path: str,
    access: Access,
    about: str,
    body: Document,
    answer: Document,
    *,
    status: int = 200,
    **more: Any,
) -> Route:
    """Return a row that takes a JSON body."""
    answers: Mapping[int, Answer] = ok(about, answer, *(["location"] if status == 201 else []), status=status)
    return Route(name=name, method="POST", path=path, access=access, about=about, body=body, answers=answers, **more)


def asked(**schemas: tuple[Schema, str]) -> tuple[Parameter, ...]:
    """Return parameters of a query, by name: what each looks like, and what it means."""
    return tuple(Parameter(name=name, schema=schema, about=about) for name, (schema, about) in schemas.items())


def headers(names: Iterable[str]) -> tuple[Parameter, ...]:
    """Return headers that a route reads beside the credential."""
    return tuple(Parameter(name=name, schema=TEXT, about=HEADERS[name], place="header") for name in names)


HEADERS: Final = {
    "idempotency-key": "One key is one call, one effect and one receipt.",
    "x-helm-tool": "The tool's name, where the body does not say it.",
    "x-helm-session": "The session that the calls belong to; without it the key's own.",
    "last-event-id": "The number of the last event that was seen.",
    "mcp-protocol-version": "The revision of MCP that is spoken.",
    "mcp-method": "The method of the body, for revisions that route by headers.",
    "mcp-name": "The tool of the body, likewise.",
    "x-upstream-key": "The key for the upstream, where the gateway has none of its own.",
    "x-helm-approval": "The approval under which the calls are made.",
}

SEQ: Final = whole(MAX_SAFE)


def after(what: str) -> tuple[Schema, str]:
    """Return the cursor that goes forward."""
    return SEQ, f"Those behind this {what}."


def before(what: str) -> tuple[Schema, str]:
    """Return the cursor that goes backward."""
    return SEQ, f"Those ahead of this {what}."


def limit(most: int) -> tuple[Schema, str]:
    """Return how many are asked for."""
    return whole(most), f"How many at most, up to {most}."


OF_RECEIPTS: Final = {
    "reason_code": (TEXT, "Only those that were refused for this reason."),
    "session_id": (TEXT, "Only those of this session."),
    "tenant": (TEXT, "Only those of this tenant: for an operator's key."),
    "tool": (TEXT, "Only calls of this tool."),
    "verdict": (one_of(*Verdict), "Only those with this verdict."),
}
