"""What every route of the control plane does alike: know who asks, read what is asked, write one JSON answer."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from quart import Response, g, request

from actors.bearer import BearerKey
from actors.doors.credentials import authenticate, presented_in
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem
from actors.identity.credentials import Credentials
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes

MAX_BODY_BYTES = 64 * 1024
"""Longest body of a command: none needs more than a signature, a reason and some names (T4)."""

BODY_S = 10
"""How long it may take to arrive."""

MAX_SEQ = 2**53 - 1
"""Largest number that every reader of JSON understands."""


@attrs.frozen
class Desk:
    """Where requests are received."""

    who: Credentials

    def caller(self) -> BearerKey:
        """Return whose key the request carries. Raises Problem 401."""
        return authenticate(self.who, heading().text(b"authorization"), presented_in(request.scope))


def heading() -> Heading:
    """Return the heading of this request, read once. Raises Problem where it cannot be relied on."""
    if "heading" not in g:
        g.heading = heading_of(request.scope["headers"])
    found: Heading = g.heading
    found.check()
    return found


def answer(members: Mapping[str, JSONValue], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer: names in ASCII, no fractions."""
    return Response(record_bytes(dict(members)), status, dict(headers or {}), content_type="application/json")


def problem_answer(problem: Problem) -> Response:
    """Return a problem+json answer."""
    response = Response(problem.body(), problem.status, content_type="application/problem+json")
    for name, value in problem.headers:
        response.headers[name] = value
    return response


async def read_object(members: frozenset[str], *, needed: frozenset[str] = frozenset()) -> dict[str, JSONValue]:
    """Return the body, an object of `members` and no others. An empty body is an empty object. Raises Problem."""
    raw = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    if raw and request.mimetype != "application/json":
        raise Problem(status=415, detail="the body must be application/json", place="content-type")
    try:
        body = parse(raw, max_bytes=MAX_BODY_BYTES) if raw else {}
    except Malformed as malformed:
        raise Problem(status=400, detail=malformed.problem, place=malformed.place) from malformed
    if type(body) is not dict:
        raise Problem(status=400, detail="the body is not an object", place="/")
    for name in sorted(body.keys() ^ needed):
        if name not in members:
            raise Problem(status=400, detail="unknown member", place="/" + name[:64])
        if name in needed:
            raise Problem(status=400, detail="this member is missing", place="/" + name)
    return body


def query(*known: str) -> dict[str, str]:
    """Return the query's parameters, each of them known and given once. Raises Problem."""
    given = request.args.to_dict(flat=False)
    for name, values in given.items():
        if name not in known:
            detail = f"unknown parameter; there are {', '.join(known)}" if known else "no parameter is known here"
            raise Problem(status=400, detail=detail, place=f"?{name[:64]}")
        if len(values) > 1:
            raise Problem(status=400, detail="the parameter stands twice", place=f"?{name}")
    return {name: values[0] for name, values in given.items()}


def whole_number(parameters: Mapping[str, str], name: str, otherwise: int, most: int = MAX_SEQ) -> int:
    """Return a parameter that is a whole number from 0 to `most`. Raises Problem."""
    text = parameters.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) > most:
        raise Problem(status=400, detail=f"expected a whole number from 0 to {most}", place=f"?{name}")
    return int(text)
