"""MCP over streamable HTTP: one message a POST, its answer and what is told before it in the response, nothing kept.

A server that never speaks first needs no stream: GET is refused, as every revision allows. HELM speaks never first.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

import attrs

from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.calls import BROKEN, Gone, Receive, Scope, Send, check_framing, read_body
from actors.doors.credentials import BESIDE, authenticate, check_open, check_still, presented_in
from actors.doors.entry import UNANSWERED, Entry, untold
from actors.doors.envelope import Asked
from actors.doors.heading import SECURITY, Heading, heading_of
from actors.doors.mcp import wire
from actors.doors.mcp.core import Core
from actors.doors.mcp.events import Events
from actors.doors.mcp.line import CallLine, Client
from actors.doors.mcp.oauth import METADATA, challenge, metadata
from actors.doors.mcp.wire import Fault, Message, Reply, Torn
from actors.doors.problem import Problem
from actors.doors.told import JSON, Told, length_of, tell_problem
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.origin import ORIGIN
from helm.config import Config
from helm.contracts.call import Source

MCP: Final = "/mcp"
EXECUTE: Final = "/mcp/v1/execute"
"""The plain route, for programs: one call, as at the HTTP door, told of as one that came through this one."""
CAPABILITIES: Final = "/mcp/v1/capabilities"

PLAIN: Final = Source(door="mcp", transport="http")

VERSION, METHOD, NAME = b"mcp-protocol-version", b"mcp-method", b"mcp-name"

NAMED: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which member of params a method's Mcp-Name repeats."""

ENCODED: Final = re.compile(r"=\?base64\?(.*)\?=")

LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
"""Names of this machine."""

OVER_WEBSOCKET: Final = "mcp.websocket"
"""What a refused upgrade is judged as: a call of this tool, which no policy declares."""


@attrs.define(eq=False)
class McpDoor:
    """An ASGI application for one path."""

    kernel: Kernel
    config: Config
    who: Credentials
    bounds: Bounds = BOUNDS
    core: Core = attrs.field(init=False)
    _socket: Entry = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        http = Source(door="mcp", transport="streamable-http")
        self.core = Core(Entry(self.kernel, self.config, http), self.config.max_body_bytes)
        self._socket = Entry(self.kernel, self.config, Source(door="mcp", transport="websocket"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        heading = heading_of(scope["headers"])
        events = Events(heading, send)
        try:
            told = await self._answer(scope, heading, receive, events)
        except Problem as problem:
            told = tell_problem(problem, heading)
        except Gone:
            return
        except Exception:
            await events.finish(tell_problem(BROKEN, heading))
            raise
        await events.finish(told)

    async def _answer(self, scope: Scope, heading: Heading, receive: Receive, events: Events) -> Told:
        heading.check()
        check_origin(scope, heading, is_local=self.config.bind in LOCAL)
        if scope["path"] == METADATA:
            return self._metadata(scope, heading)
        key = self._caller(heading.text(b"authorization"), presented_in(scope))
        check_open(BESIDE.get((scope["method"], scope["path"]), BESIDE["POST", MCP]), key)
        if heading.get(b"sec-websocket-key"):
            return await self._refuse_socket(key, heading)
        if scope["path"] == CAPABILITIES:
            return self._capabilities(key, scope, heading)
        if scope["method"] != "POST":
            detail = "HELM never speaks first: there is no stream to listen to, and no session to end"
            raise Problem(status=405, detail=detail, headers=(("allow", "POST"),))
        check_accept(heading)
        check_framing(heading, self.config.max_body_bytes)
        raw = await read_body(receive, self.config.max_body_bytes, self.bounds.body_s)
        check_still(self.who, key)
        return await self._exchange(key, raw, heading, events)

    def _caller(self, authorization: str, presented: Presented | None) -> BearerKey:
        """Return who is calling. Raises Problem 401, and says where tokens come from."""
        try:
            return authenticate(self.who, authorization, presented, at_mcp=True)
        except Problem as problem:
            profile = self.kernel.memory.policy.oauth
            if profile is None:
                raise
            error = "invalid_token" if authorization else ""
            raise Problem(
                status=problem.status,
                detail=problem.detail,
                place=problem.place,
                headers=(challenge(profile, error=error),),
            ) from problem

    def _metadata(self, scope: Scope, heading: Heading) -> Told:
        if scope["method"] != "GET":
            raise Problem(status=405, detail="metadata are read with GET", headers=(("allow", "GET"),))
        return tell(200, metadata(self.kernel.memory.policy), heading)

    def _capabilities(self, key: BearerKey, scope: Scope, heading: Heading) -> Told:
        if scope["method"] != "GET":
            raise Problem(status=405, detail="capabilities are read with GET", headers=(("allow", "GET"),))
        return tell(200, self.core.capabilities(key), heading)

    async def _exchange(self, key: BearerKey, raw: bytes, heading: Heading, events: Events) -> Told:
        message: Message | Torn | None = None
        ORIGIN.set(heading.origin)
        try:
            found = wire.read(raw, self.config.max_body_bytes)
            if isinstance(found, Reply):
                raise Fault(wire.INVALID_REQUEST, "an answer to nothing: this door asks no client")
            message = found
            if isinstance(message, Message):
                check_version(message, heading)
            body = await self.core.answer(key, message, raw, self._line(key, message, events))
        except Fault as fault:
            asked = message.id if message is not None else None
            told = tell(wire.HTTP_STATUS.get(fault.code, 200), wire.refused(asked, fault), heading)
            return self._challenged(told, fault)
        return tell(200 if body else 202, body, heading)

    def _line(self, key: BearerKey, message: Message | Torn, events: Events) -> CallLine | None:
        """Return the line to a client that wants to be told of progress, None for any other. Raises Fault."""
        if not isinstance(message, Message) or "progressToken" not in message.meta or not events.wanted:
            return None
        return self.core.line(key, Client(events.tell, can=None), message)

    def _challenged(self, told: Told, fault: Fault) -> Told:
        """Return the answer, with the scopes that a token would need where it lacked any."""
        profile = self.kernel.memory.policy.oauth
        if fault.code != wire.INSUFFICIENT_SCOPE or profile is None:
            return told
        name, value = challenge(profile, error="insufficient_scope", scopes=tuple(fault.data["scopes"]))
        return Told(told.status, [*told.headers, (name.encode(), value.encode())], told.body)

    async def _refuse_socket(self, key: BearerKey, heading: Heading) -> Told:
        """Refuse MCP over a WebSocket: no revision has it, and what is not mediated is not let in (T1)."""
        asked = Asked(tool=OVER_WEBSOCKET, malformed="MCP is not served over WebSocket")
        try:
            answer = await self.kernel.govern(self._socket.admit(key, asked, b""), origin=heading.origin)
        except UNANSWERED as failure:
            raise untold(failure) from failure
        headers = (("x-helm-receipt-id", answer.receipt.receipt_id),)
        detail = f"MCP is not served over WebSocket: refused by receipt {answer.receipt.receipt_id}"
        return tell_problem(
            Problem(status=403, detail=detail, reason_code=answer.reason_code, headers=headers), heading
        )


def tell(status: int, body: bytes, heading: Heading) -> Told:
    """Return one JSON-RPC message as an answer, an empty one for a notification that was taken."""
    kind = [JSON] if body else []
    return Told(status, [*kind, length_of(body), *SECURITY, *heading.echoed()], body)


def check_origin(scope: Scope, heading: Heading, *, is_local: bool) -> None:
    """Raise Problem for a page of another site: its browser tells where it comes from (DNS rebinding, T9).

    A door that only this machine reaches is asked for under this machine's own names: another name that leads here was
    made to lead here.
    """
    host, origin = heading.text(b"host"), heading.text(b"origin")
    if is_local and urlsplit(f"//{host}").hostname not in LOCAL:
        raise Problem(status=403, detail="this door is for this machine, and that is not its name", place="host")
    if origin and origin != f"{scope['scheme']}://{host}":
        raise Problem(status=403, detail="a page of another origin may not call tools", place="origin")


def check_accept(heading: Heading) -> None:
    """Raise Problem for a client that would not take the answer."""
    accepted = {one.partition(";")[0].strip().lower() for one in heading.text(b"accept").split(",")}
    if not accepted & {"application/json", "application/*", "*/*", ""}:
        raise Problem(status=406, detail="the answer is application/json", place="accept")


def check_version(message: Message, heading: Heading) -> None:
    """Raise Fault where headers and body disagree, or name a revision that is not spoken."""
    named = heading.text(VERSION)
    if named in wire.MODERN_PROTOCOL_VERSIONS and message.method == "initialize":
        raise Fault(wire.METHOD_NOT_FOUND, f"revision {named} has no handshake", message.method)
    if message.is_modern or named in wire.MODERN_PROTOCOL_VERSIONS:
        if message.id is not None:
            check_routing(message, heading)
    elif named and named not in wire.HANDSHAKE_PROTOCOL_VERSIONS:
        data = {
            "requested": named[:64],
            "supported": [*wire.HANDSHAKE_PROTOCOL_VERSIONS, *wire.MODERN_PROTOCOL_VERSIONS],
        }
        raise Fault(wire.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)


def check_routing(message: Message, heading: Heading) -> None:
    """Raise Fault unless the headers say what the body says: whoever routes by them must not be deceived."""
    if not message.is_modern:
        raise Fault(wire.INVALID_PARAMS, f"params._meta must hold {wire.PROTOCOL_VERSION_META_KEY}")
    if heading.text(VERSION) != message.meta[wire.PROTOCOL_VERSION_META_KEY]:
        raise Fault(wire.HEADER_MISMATCH, "MCP-Protocol-Version is not the version in params._meta")
    if heading.text(METHOD) != message.method:
        raise Fault(wire.HEADER_MISMATCH, "Mcp-Method is not the method of the body")
    member = NAMED.get(message.method)
    if member is not None and decoded(heading.text(NAME)) != message.params.get(member):
        raise Fault(wire.HEADER_MISMATCH, f"Mcp-Name is not params.{member}")


def decoded(value: str) -> str | None:
    """Return a header's value, out of its base64 where it is in one; None where that is not written in its one way."""
    found = ENCODED.fullmatch(value)
    if found is None:
        return value
    try:
        raw = base64.b64decode(found[1], validate=True)
        return raw.decode() if base64.b64encode(raw).decode() == found[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None
