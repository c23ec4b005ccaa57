"""How a call's arguments become one HTTP request, with no word in where it goes or how it is framed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import attrs

from actors.connectors.port import Dispatch, NotDispatched
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.guardian.connection import HttpOperation
from helm.guardian.destination import DEFAULT_PORTS, Destination, Pattern, split_url

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

MAX_TARGET_CHARS = 8192
"""Longest request target: what common servers take in one line (T4)."""

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TEMPLATE = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]|\{[A-Za-z_][A-Za-z0-9_]*\})*)+")
_URL_SAFE = "/?:@!$&'()*+,;=-._~%"  # RFC 3986 3.3 and 3.4, and escapes that are already there


def check_operation(name: str, operation: HttpOperation, *, has_origin: bool) -> None:
    """Refuse an operation that does not say in one way where its request goes; raises Invalid.

    `path` may hold {argument} places. Arguments named in `query` go there; the rest is the JSON body, or goes
    into the query too where the method has no body. With `url_argument`, that argument is the whole URL.
    """
    where, path = f"operation {name!r}", operation.path
    if operation.method not in METHODS:
        raise Invalid(f"{operation.method!r} is none of {', '.join(sorted(METHODS))}", where)
    if bool(path) != has_origin or bool(operation.url_argument) == has_origin:
        raise Invalid("a path needs a service with an origin, a url_argument needs one without", where)
    if path and (not _TEMPLATE.fullmatch(path) or {".", ".."} & set(path.split("/"))):
        raise Invalid(f"{path!r} is no absolute path of plain characters and {{arguments}}", where)


@attrs.frozen(kw_only=True)
class OutboundRequest:
    """One request, ready to be written: where to, with scheme and port, origin-form target, body or None."""

    destination: Destination
    method: str
    target: str
    body: bytes | None = attrs.field(repr=False)

    @property
    def host(self) -> str:
        """The Host header: without the port where it is the scheme's own."""
        to = self.destination
        port = 0 if to.port == DEFAULT_PORTS[to.scheme] else to.port
        return str(attrs.evolve(to, scheme="", port=port))


def make_request(order: Dispatch, operation: HttpOperation, origin: Destination | None) -> OutboundRequest:
    """Build the request that the order asks for; raises NotDispatched.

    origin is the service's own, or None where an argument names the URL.
    """
    arguments = order.parsed
    if type(arguments) is not dict:
        raise _unfit("the arguments are no object")
    if origin is None:
        return _to_named_url(order, operation, dict(arguments))
    _check_judged(order, origin)
    rest = dict(arguments)
    path = _fill(operation.path, rest)
    return _finish(order, operation, origin, path, rest)


def _to_named_url(order: Dispatch, operation: HttpOperation, rest: dict[str, JSONValue]) -> OutboundRequest:
    url = rest.pop(operation.url_argument, None)
    if type(url) is not str:
        raise _unfit(f"the argument {operation.url_argument!r} is no text")
    try:
        destination, path = split_url(url)
    except Refused as refused:
        raise NotDispatched(refused.code, refused.reason) from refused
    if destination.scheme not in ("http", "https"):
        raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, "only http and https URLs are reached")
    _check_judged(order, destination)
    before, _, _ = path.partition("#")
    path = quote(before if before.startswith("/") else f"/{before}", safe=_URL_SAFE)
    return _finish(order, operation, destination, path, rest)


def _check_judged(order: Dispatch, destination: Destination) -> None:
    """Refuse to go anywhere but to the destination that the gates judged."""
    if not order.destination:
        raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, "the policy declares no destination for this tool")
    if not Pattern.parse(order.destination).matches(destination):
        reason = f"the call was judged for {order.destination}, the request would go to {destination}"
        raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, reason)


def _fill(template: str, rest: dict[str, JSONValue]) -> str:
    """Fill the places of a path template, taking their arguments out of rest."""
    values = {name: _segment(name, rest.pop(name, None)) for name in set(_PLACE.findall(template))}
    return _PLACE.sub(lambda place: values[place[1]], template)


def _segment(name: str, value: JSONValue) -> str:
    text = _plain(name, value)
    # Dots alone would climb, or complete a template's segment to one that does.
    if not text or text.strip(".") == "" or "/" in text or "\\" in text or not text.isprintable():
        raise _unfit(f"the argument {name!r} is no plain path segment")
    return quote(text, safe="")


def _plain(name: str, value: JSONValue) -> str:
    if type(value) is str:
        return value
    if type(value) is bool or type(value) is int or type(value) is float:
        return canonical(value).decode()
    raise _unfit(f"the argument {name!r} is missing, or no text, number or truth value")


def _finish(
    order: Dispatch, operation: HttpOperation, destination: Destination, path: str, rest: dict[str, JSONValue]
) -> OutboundRequest:
    has_body = operation.method in WITH_BODY
    in_query = [name for name in rest if name in operation.query or not has_body]
    query = urlencode([(name, _plain(name, rest.pop(name))) for name in in_query], quote_via=quote, safe="")
    target = f"{path}{'&' if '?' in path else '?'}{query}" if query else path
    if len(target) > MAX_TARGET_CHARS:
        raise _unfit(f"the request target is longer than {MAX_TARGET_CHARS} characters")
    return OutboundRequest(
        destination=destination,
        method=operation.method,
        target=target,
        body=_body(order, rest) if has_body else None,
    )


def _body(order: Dispatch, rest: Mapping[str, JSONValue]) -> bytes:
    # Where nothing was taken out, what was hashed is what is sent.
    return order.arguments if len(rest) == len(order.parsed) else canonical(rest)


def _unfit(reason: str) -> NotDispatched:
    return NotDispatched(ReasonCode.SCHEMA_VIOLATION, reason)
