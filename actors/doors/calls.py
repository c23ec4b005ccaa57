"""The data plane: a request to call a tool becomes a governed call, and its receipt becomes the answer.

Bare ASGI, because HTTP costs more than governance. Whoever is authenticated and names a tool gets a record and a
receipt, whatever else is wrong with the request. A client that leaves is not missed: its call goes on in the kernel.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import attrs
import trio

from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.credentials import BESIDE, authenticate, check_open, check_still, presented_in
from actors.doors.entry import UNANSWERED, Entry, untold
from actors.doors.envelope import read_envelope
from actors.doors.heading import Heading, heading_of
from actors.doors.problem import Problem
from actors.doors.told import Headers, Told, tell, tell_problem, tell_verdict
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.mailbox import Answer
from helm.config import Config
from helm.contracts.call import Source, ToolCall

EXECUTE = "/v1/tools/execute"
EVALUATE = "/api/v1/evaluate"

MAX_PIECES = 16_384
"""Pieces a body may arrive in: a megabyte in chunks of one byte is an attack on the loop (T4)."""

BROKEN = Problem(status=500, detail="HELM failed to answer; its log says why")
HTTP = Source(door="http", transport="http/1.1")

ANSWER = "helm.answer"
"""Where a connection says, in the state of a scope, how it sends a whole answer in one step."""

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The client left before it had asked anything."""


@attrs.define(eq=False)
class CallsDoor:
    """An ASGI application for the two routes on which a tool is named."""

    kernel: Kernel
    config: Config
    who: Credentials
    bounds: Bounds = BOUNDS
    source: Source = HTTP
    entry: Entry = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.entry = Entry(self.kernel, self.config, self.source)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        heading = heading_of(scope["headers"])
        try:
            told = await self._answer(scope, heading, receive)
        except Problem as problem:
            told = tell_problem(problem, heading)
        except Gone:
            return
        except Exception:
            await say(tell_problem(BROKEN, heading), send)
            raise
        await say_at_once(told, scope, send)

    async def _answer(self, scope: Scope, heading: Heading, receive: Receive) -> Told:
        if scope["method"] != "POST":
            raise Problem(status=405, detail="a tool is called with POST", headers=(("allow", "POST"),))
        key = self._caller(heading, scope["path"], presented_in(scope))
        raw = await read_body(receive, self.config.max_body_bytes, self.bounds.body_s)
        check_still(self.who, key)
        return await self._judge(key, heading, raw, decide_only=scope["path"] == EVALUATE)

    async def execute(self, headers: Headers, raw: bytes, presented: Presented | None = None) -> Told:
        """Return the answer to a POST for execution whose body is there already."""
        heading = heading_of(headers)
        try:
            return await self._judge(self._caller(heading, EXECUTE, presented), heading, raw, decide_only=False)
        except Problem as problem:
            return tell_problem(problem, heading)

    def _caller(self, heading: Heading, path: str, presented: Presented | None) -> BearerKey:
        """Return whose request this is. Raises Problem for one whose body is not read."""
        heading.check()
        key = authenticate(self.who, heading.text(b"authorization"), presented)
        check_open(BESIDE["POST", path], key)
        check_framing(heading, self.config.max_body_bytes)
        return key

    async def _judge(self, key: BearerKey, heading: Heading, raw: bytes, *, decide_only: bool) -> Told:
        call = self.entry.admit(key, read_envelope(raw, heading, self.config.max_body_bytes), raw)
        answer = await self._govern(call, heading, decide_only=decide_only)
        return tell_verdict(answer, heading) if decide_only else tell(answer, heading)

    async def _govern(self, call: ToolCall, heading: Heading, *, decide_only: bool) -> Answer:
        try:
            return await self.kernel.govern(call, decide_only=decide_only, origin=heading.origin)
        except UNANSWERED as failure:
            raise untold(failure) from failure


async def say(told: Told, send: Send) -> None:
    """Send one answer."""
    await send({"type": "http.response.start", "status": told.status, "headers": told.headers})
    await send({"type": "http.response.body", "body": told.body})


async def say_at_once(told: Told, scope: Scope, send: Send) -> None:
    """Send one answer, in one step where the connection can."""
    answer = scope.get("state", {}).get(ANSWER)
    if answer is not None and scope["method"] == "POST":  # HEAD wants no body
        await answer(told)
    else:
        await say(told, send)


def check_framing(heading: Heading, limit: int) -> None:
    """Raise Problem for a body that will not be read: of another type, compressed, or too long."""
    if heading.get(b"content-encoding") not in (b"", b"identity"):
        detail = "a compressed body is not read: what is hashed must be what was sent"
        raise Problem(status=415, detail=detail, place="content-encoding")
    media_type, _, parameters = heading.text(b"content-type").lower().partition(";")
    if media_type.strip() != "application/json" or parameters.strip() not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise Problem(status=415, detail="the body must be application/json", place="content-type")
    declared = heading.get(b"content-length")
    if declared and (len(declared) > 15 or int(declared) > limit):
        raise too_large(limit)


async def read_body(receive: Receive, limit: int, body_s: float) -> bytes:
    """Return the body. Raises Problem for one too long, in too many pieces or too slow, Gone where nobody is left."""
    pieces: list[bytes] = []
    left = limit
    with trio.move_on_after(body_s):
        while len(pieces) < MAX_PIECES:
            message = await receive()
            if message["type"] != "http.request":
                raise Gone
            piece = message["body"]
            left -= len(piece)
            if left < 0:
                raise too_large(limit)
            pieces.append(piece)
            if not message["more_body"]:
                return b"".join(pieces)
        raise Problem(status=413, detail=f"the body came in more than {MAX_PIECES} pieces")
    raise Problem(status=408, detail=f"the body took longer than {body_s:g} s", headers=(("connection", "close"),))


def too_large(limit: int) -> Problem:
    return Problem(status=413, detail=f"the body is longer than {limit} bytes")
