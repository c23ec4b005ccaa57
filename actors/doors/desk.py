"""What every route of the control plane does alike: know who asks, read what is asked, write one JSON answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import attrs
from quart import Response, g, request

from actors.doors.credentials import authenticate, check_open, check_still, presented_in
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKey
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes
from helm.surfaces.requests import Asking
from helm.surfaces.route import Access
from helm.surfaces.table import TABLE

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
        if "caller" not in g:
            g.caller = authenticate(self.who, heading().text(b"authorization"), presented_in(request.scope))
        found: BearerKey = g.caller
        return found

    def admit(self, row: Asking) -> None:
        """Note which row a request is for. Raises Problem for a caller to whom it is not open."""
        g.asking, g.who = row, self.who
        if row.route.access is Access.PUBLIC:
            heading()
        else:
            check_open(row.route, self.caller())


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


async def read_object() -> dict[str, JSONValue]:
    """Return the body, an object as the row of this route describes it; an empty body is an empty object.

    Raises Problem at the place of whatever is not so.
    """
    raw = await request.get_data(cache=False, as_text=False, parse_form_data=False)
    if "caller" in g:
        check_still(g.who, g.caller)
    if raw and request.mimetype != "application/json":
        raise Problem(status=415, detail="the body must be application/json", place="content-type")
    try:
        body = parse(raw, max_bytes=MAX_BODY_BYTES) if raw else {}
    except Malformed as malformed:
        raise Problem(status=400, detail=malformed.problem, place=malformed.place) from malformed
    if type(body) is not dict:
        raise Problem(status=400, detail="the body is not an object", place="/")
    try:
        asked().check_body(body)
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
    return body


def query() -> dict[str, str]:
    """Return the query's parameters, each as the row of this route describes it and given once. Raises Problem."""
    given = request.args.to_dict(flat=False)
    try:
        asked().check_query({name: values[0] for name, values in given.items()})
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
    for name, values in given.items():
        if len(values) > 1:
            raise Problem(status=400, detail="the parameter stands twice", place=f"?{name}")
    return {name: values[0] for name, values in given.items()}


@cache
def row_of(name: str) -> Asking:
    """Return a row, ready to check requests with; it is compiled when it is first asked for."""
    return Asking.of(TABLE[name])


def asked() -> Asking:
    """Return the row of this route."""
    found: Asking = g.asking
    return found


def whole_number(parameters: Mapping[str, str], name: str, otherwise: int, most: int = MAX_SEQ) -> int:
    """Return a parameter that is a whole number from 0 to `most`. Raises Problem."""
    text = parameters.get(name)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) > most:
        raise Problem(status=400, detail=f"expected a whole number from 0 to {most}", place=f"?{name}")
    return int(text)
