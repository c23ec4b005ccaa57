"""The last request of a connection in HTTP: who asks for a stream, and which protocol is spoken from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

import attrs
import h11
from wsproto.connection import ConnectionType
from wsproto.events import AcceptConnection, Request
from wsproto.handshake import H11Handshake
from wsproto.utilities import RemoteProtocolError

from actors.doors.bounds import Bounds
from actors.doors.credentials import BESIDE, authenticate, check_open
from actors.doors.entry import UNANSWERED, untold
from actors.doors.frames import Frames
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem, overloaded
from actors.doors.stream import Lane, Line, Stream
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKey
from helm.config import Config

STREAM: Final = b"/v1/stream"

VERSIONS: Final = ("helm.stream.v1",)
"""Protocols that are spoken, the one we like best first."""


@attrs.frozen(eq=False)
class Welcome:
    """A client that may have its stream, and what is said to it; it counts until `Streams.leave`."""

    key: BearerKey
    answer: bytes
    frames: Frames


@attrs.frozen(eq=False)
class Upgraded(Exception):
    """A connection leaves HTTP. `trailing` came in the same breath."""

    welcome: Welcome
    trailing: bytes


Welcomer = Callable[..., Welcome]


@attrs.define(eq=False)
class Streams:
    """Every stream of a door."""

    lane: Lane
    config: Config
    who: Credentials
    bounds: Bounds
    open: Counter[str] = attrs.field(factory=Counter, init=False)
    """By tenant, "" for operators."""

    def welcome(self, request: h11.Request, presented: Presented | None = None) -> Welcome:
        """Return a place for a client and the answer to its upgrade. Raises Problem, before any frame is read."""
        heading = heading_of(request.headers)
        heading.check()
        key = authenticate(self.who, heading.text(b"authorization"), presented)
        check_open(BESIDE["GET", STREAM.decode()], key)
        check_no_body(heading, request)
        try:
            self.lane.entry.kernel.check_running()
        except UNANSWERED as failure:
            raise untold(failure) from failure
        handshake, asked = begin(request)
        version = next((one for one in VERSIONS if one in asked.subprotocols), None)
        if version is None:
            detail = f"offer one of the protocols {', '.join(VERSIONS)}"
            raise Problem(status=400, detail=detail, place="sec-websocket-protocol")
        if self.open.total() >= self.bounds.streams or self.open[key.tenant] >= self.bounds.streams_of_tenant:
            raise overloaded("too many streams are open already")
        headers = heading.echoed()
        answer = handshake.send(AcceptConnection(subprotocol=version, extra_headers=headers))
        if handshake.connection is None:
            raise Problem(status=400, detail="no WebSocket was agreed on")
        self.open[key.tenant] += 1
        return Welcome(key, bytes(answer), Frames(handshake.connection, self.config.max_body_bytes, self.bounds))

    def leave(self, welcome: Welcome) -> None:
        """Give a place back."""
        self.open[welcome.key.tenant] -= 1
        self.open += Counter()  # forgets whoever has none

    def stream(self, welcome: Welcome, line: Line) -> Stream:
        """Return the stream of a client that was welcomed."""
        return Stream(self.lane, welcome.key, welcome.frames, line, self.who)


def check_no_body(heading: Heading, request: h11.Request) -> None:
    """Raise Problem for an upgrade with a body: where it ends and the frames begin, two readers may disagree."""
    if heading.get(b"content-length").strip(b"0") or any(name == b"transfer-encoding" for name, _ in request.headers):
        raise Problem(status=400, detail="an upgrade has no body", place="content-length")


def begin(request: h11.Request) -> tuple[H11Handshake, Request]:
    """Return the handshake that a request opens (RFC 6455 section 4.2.1). Raises Problem. No extension is agreed on."""
    handshake = H11Handshake(ConnectionType.SERVER)
    try:
        if request.method != b"GET":
            raise Problem(status=405, detail="a stream begins with GET", headers=(("allow", "GET"),))
        handshake.initiate_upgrade_connection(list(request.headers), request.target)
        asked = next(handshake.events())
    except (RemoteProtocolError, UnicodeError) as failure:
        headers = (("sec-websocket-version", "13"), ("upgrade", "websocket"))
        raise Problem(status=426, detail=f"no upgrade to a WebSocket: {failure}", headers=headers) from failure
    if not isinstance(asked, Request):
        raise Problem(status=400, detail="no upgrade to a WebSocket")
    return handshake, asked
