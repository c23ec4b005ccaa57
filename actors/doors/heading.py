"""The headers of a request that count here, each at most once, and those that every answer carries."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping

import attrs

from actors.doors.problem import Problem
from actors.origin import TRACEPARENT, Origin

COUNTED = frozenset(
    {
        b"accept",
        b"authorization",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"host",
        b"idempotency-key",
        b"mcp-method",
        b"mcp-name",
        b"mcp-protocol-version",
        b"origin",
        b"proxy-authorization",
        b"sec-websocket-key",
        b"traceparent",
        b"x-helm-approval",
        b"x-helm-session",
        b"x-helm-tool",
        b"x-request-id",
        b"x-upstream-key",
    }
)
"""Read by a door. One that stands twice could be read in two ways, and is refused."""

REQUEST_ID = re.compile(rb"[!-~]{1,128}")

SECURITY: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""On every answer: receipts are for whoever asked, and no browser is to make a page of them."""


@attrs.frozen
class Heading:
    """What the headers of one request say."""

    fields: Mapping[bytes, bytes]
    request_id: bytes
    traceparent: bytes
    twice: bytes
    """A header that counts and stands more than once, b"" where none does."""

    def get(self, name: bytes) -> bytes:
        """Return the value of a header that counts, b"" where it is missing."""
        return self.fields.get(name, b"")

    def text(self, name: bytes) -> str:
        """Return the value as text, byte for byte; whoever uses it checks its characters."""
        return self.fields.get(name, b"").decode("latin-1")

    def check(self) -> None:
        """Raise Problem where a header that counts stands twice."""
        if self.twice:
            name = self.twice.decode("latin-1")
            raise Problem(status=400, detail=f"the header {name} stands twice: which one counts?", place=name)

    @property
    def origin(self) -> Origin:
        """Return the request by what observers are told of it."""
        return Origin(self.request_id.decode(), self.traceparent.decode())

    def echoed(self) -> list[tuple[bytes, bytes]]:
        """Return the headers by which an answer can be matched with its request."""
        echoed = [(b"x-request-id", self.request_id)]
        if self.traceparent:
            echoed.append((b"traceparent", self.traceparent))
        return echoed


def heading_of(headers: Iterable[tuple[bytes, bytes]]) -> Heading:
    """Return the heading of a request, names in lower case. `check` says whether it may be relied on."""
    fields: dict[bytes, bytes] = {}
    twice = b""
    for name, value in headers:
        if name in COUNTED:
            if name in fields:
                twice = name
            fields[name] = value
    request_id = fields.get(b"x-request-id", b"")
    if not REQUEST_ID.fullmatch(request_id):
        request_id = secrets.token_hex(8).encode()
    traceparent = fields.get(b"traceparent", b"")
    if not TRACEPARENT.fullmatch(traceparent.decode("latin-1")):
        traceparent = b""
    return Heading(fields, request_id, traceparent, twice)
