"""The head of a request to the CONNECT proxy: the one thing of a tunnel that is read."""

from __future__ import annotations

from base64 import b64decode
from typing import Final

import attrs
import h11
import trio

from actors.doors.credentials import authenticate, check_calls
from actors.doors.envelope import plain_name
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKey
from helm.contracts.errors import Refused
from helm.guardian.destination import normalise

MAX_HEAD_BYTES: Final = 16 * 1024
"""Longest head (T4)."""

RECEIVE_BYTES: Final = 4096

NOBODY: Final = "helm"
"""The user of a client that can only say a name and a password, and names no session."""

CHALLENGE: Final = (("proxy-authenticate", 'Bearer realm="helm"'), ("proxy-authenticate", 'Basic realm="helm"'))

PLACE: Final = "proxy-authorization"

UNHEARD: Final = Heading({}, b"", b"", b"")
"""The heading of a request that could not be read."""


@attrs.frozen
class Head:
    """What a client asks for. `early` are the bytes that it sent behind the head without waiting."""

    method: str
    target: str
    heading: Heading
    has_body: bool
    early: bytes = attrs.field(repr=False)

    @property
    def fault(self) -> tuple[int, str]:
        """Return what is wrong with it, in a status and a reason; (0, "") for nothing that can be told by its form."""
        if self.method != "CONNECT":
            return 405, "only tunnels are opened here: ask with CONNECT"
        if self.has_body:
            return 400, "a CONNECT has no body: where it ends and the tunnel begins, two readers may disagree"
        try:
            destination = normalise(self.target)
        except Refused:
            return 0, ""  # the gates say so in their own words
        if destination.scheme or not self.target.rpartition(":")[2].isdigit():
            return 400, "a CONNECT names host:port, and nothing else (RFC 9110 section 9.3.6)"
        return 0, ""


async def read_head(stream: trio.abc.Stream) -> Head | None:
    """Return the head, None where the client left without one. Raises Problem for what is not HTTP, or too long."""
    machine = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        while (event := machine.next_event()) is h11.NEED_DATA:
            machine.receive_data(bytes(await stream.receive_some(RECEIVE_BYTES)))
    except h11.RemoteProtocolError as problem:
        status = 431 if problem.error_status_hint == 431 else 400
        raise Problem(status=status, detail=f"this is not a request of HTTP/1.1: {problem}") from problem
    if not isinstance(event, h11.Request):
        return None
    return head_of(event, machine.trailing_data[0])


def head_of(request: h11.Request, early: bytes) -> Head:
    """Return the head of a request."""
    heading = heading_of(request.headers)
    names = {name for name, _ in request.headers}
    return Head(
        method=request.method.decode("latin-1"),
        target=request.target.decode("latin-1"),
        heading=heading,
        has_body=b"transfer-encoding" in names or bool(heading.get(b"content-length").strip(b"0")),
        early=early,
    )


def who_asks(who: Credentials, heading: Heading, presented: Presented | None) -> tuple[BearerKey, str]:
    """Return who the client is, and the session it names, "" for none. Raises Problem.

    A client whose proxy is set by a URL can say a name and a password only: the password is the key, and the name is
    the session.
    """
    given, session = heading.text(b"proxy-authorization"), heading.text(b"x-helm-session")
    scheme, _, words = given.partition(" ")
    if scheme.lower() == "basic":
        user, given = from_basic(words)
        session = session or ("" if user == NOBODY else user)
        given = given or scheme  # what is no password is not made good by a certificate
    try:
        key = authenticate(who, given, presented)
    except Problem as problem:
        detail = problem.detail.replace("`authorization:", f"`{PLACE}:")  # the header that is read here
        raise Problem(status=407, detail=detail, place=PLACE, headers=CHALLENGE) from problem
    check_calls(key)
    if session:
        plain_name(session, "x-helm-session")
    return key, session


def from_basic(words: str) -> tuple[str, str]:
    """Return the user, and the header that a bearer of its password would send (RFC 7617 section 2); "" for neither."""
    try:
        user, colon, password = b64decode(words, validate=True).decode().partition(":")
    except ValueError:
        return NOBODY, ""
    return user or NOBODY, f"Bearer {password}" if colon else ""
