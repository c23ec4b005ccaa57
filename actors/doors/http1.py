"""Hypercorn's HTTP/1.1, and nothing else that Hypercorn would speak if a client asked for it.

What is changed against Hypercorn 0.18, and why:

1. no upgrade, neither to h2c nor by way of the application to a WebSocket, and no HTTP/2 by prior knowledge; a stream
   of calls leaves HTTP before an application sees it
2. a refusal to parse is problem+json like every other refusal
3. head and first body of an answer leave together: one write instead of three
4. a body that nobody reads any more holds up neither the application nor the connection
5. what is there already, and what there is room for, is taken and put without a turn of the loop
6. the heading of an answer is checked in one step where it is plain, which ours always is
7. a body that is framed twice, or in chunks by HTTP/1.0, is refused and ends the connection: what stands behind it
   may be a request to us and a body to the proxy before us (RFC 9112 section 6.1 and 11.2)
8. an answer that is whole goes out in one step, past Hypercorn's messages for one that comes in parts
9. a call that is whole when its heading is read, which nearly every one is, is answered where it was read
10. a whole request whose answer takes long has a task of its own, and its application gets the body in one piece
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Set
from contextlib import suppress
from email.utils import formatdate
from functools import lru_cache
from types import MappingProxyType
from typing import Any, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, RawData
from hypercorn.protocol.events import Event, Request, Response
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream
from hypercorn.trio.task_group import TaskGroup, _handle
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, H11SendableEvent, Scope

from actors.doors.calls import BROKEN
from actors.doors.heading import SECURITY, heading_of
from actors.doors.problem import PROBLEM_JSON, Problem
from actors.doors.told import Headers, Told, tell_problem
from actors.doors.upgrade import STREAM, Upgraded, Welcomer

NAMES = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
VALUES = re.compile(rb"[ -~]*")
"""What names and values of a heading are made of where no line hides in one (RFC 9110 section 5.1 and 5.5)."""


AtOnce = Callable[..., Awaitable[Told]]
"""Answers a request, given its headers and its body."""

UNUSED: Any = None


async def nothing(_: object) -> None:
    """Hear that an application has ended."""


class Http1(H11Protocol):
    """One connection's side of HTTP/1.1."""

    _held = b""
    welcome: Welcomer
    """Who looks at a request to become a stream."""
    at_once: Mapping[bytes, AtOnce] = MappingProxyType({})
    """Who answers a POST that is whole, by its target."""
    lasting: Set[bytes] = frozenset()
    """The targets of a POST whose answer takes long, and whose application asks for nothing but its body."""

    async def stream_send(self, event: Event) -> None:
        """Send what an application answers; the heading of an answer is looked through once, not field by field (6)."""
        if not isinstance(event, Response) or event.status_code < 200:
            await super().stream_send(event)
            return
        await self._send_head(event.status_code, event.headers)

    async def _send_head(self, status: int, headers: Headers) -> None:
        headers = [*headers, (b"date", date_at(int(time.time())))]
        if self.keep_alive_requests >= self.config.keep_alive_max_requests:
            headers.append((b"connection", b"close"))
        names, values = zip(*headers, strict=True)
        is_plain = NAMES.fullmatch(b"".join(names)) is not None and VALUES.fullmatch(b"".join(values)) is not None
        await self._send_h11_event(h11.Response(headers=headers, status_code=status, _parsed=is_plain))

    async def answer(self, told: Told) -> None:
        """Send a whole answer of the data plane in one step, and be ready for the next request (8)."""
        stream = self.stream
        if not isinstance(stream, HTTPStream) or stream.closed:
            return  # the client left: the answer is in the journal
        stream.state = ASGIHTTPState.CLOSED
        await self._say(told)

    async def _say(self, told: Told) -> None:
        await self._send_head(told.status, told.headers)
        await self._send_h11_event(h11.Data(data=told.body))
        await self._send_h11_event(h11.EndOfMessage())
        await self._maybe_recycle()

    @property
    def owes_an_answer(self) -> bool:
        """Whether a whole POST waits for its answer: a GET may be followed for as long as somebody reads."""
        stream = self.stream
        if not isinstance(stream, HTTPStream) or stream.closed or self.connection.their_state is not h11.DONE:
            return False
        return stream.scope["method"] == "POST"

    async def _check_protocol(self, event: h11.Request) -> None:
        """Stay with HTTP/1.1 (1): a server may ignore an Upgrade (RFC 9110 section 7.8)."""

    async def _create_stream(self, request: h11.Request) -> None:
        headers = list(request.headers)
        names = {name for name, _ in headers}
        if is_ambiguous(names, request.http_version):
            self.stream = None
            await self._send_error_response(400)
            await self.send(Closed())
            return
        if b"upgrade" in names:
            if request.target == STREAM:
                await self._leave(request)
                return
            headers = [(name, value) for name, value in headers if name != b"upgrade"]
        at_once = self.at_once.get(request.target) if request.method == b"POST" else None
        if at_once is not None and self._is_whole(headers):
            await self._answer_at_once(at_once, headers)
        elif request.target in self.lasting and request.method == b"POST" and self._is_whole(headers):
            self._begin_whole(request, headers)
        else:
            await self._begin(request, headers)

    def _is_whole(self, headers: Headers) -> bool:
        """Tell whether the body of a request came together with its heading."""
        length = dict(headers).get(b"content-length", b"")
        return length.isdigit() and len(length) < 8 and int(length) <= len(self.connection.trailing_data[0])

    async def _answer_at_once(self, door: AtOnce, headers: Headers) -> None:
        """Answer a request that is whole, without a task, a queue and a scope of its own (9)."""
        self.stream = None
        self.keep_alive_requests += 1
        body = self._whole_body()
        answers: list[Told] = []

        async def call(*_: Any) -> None:
            answers.append(await door(headers, body))

        await _handle(cast(Any, call), self.config, UNUSED, UNUSED, nothing, UNUSED, UNUSED)
        await self._say(answers[0] if answers else tell_problem(BROKEN, heading_of(headers)))

    def _whole_body(self) -> bytes:
        pieces: list[bytes] = []
        while isinstance(event := self.connection.next_event(), h11.Data):
            pieces.append(bytes(event.data))
        return b"".join(pieces)

    def _begin_whole(self, request: h11.Request, headers: Headers) -> None:
        """Let the application answer a request that is whole, past Hypercorn's messages and their queue (10)."""
        self.keep_alive_requests += 1
        body = {"type": "http.request", "body": self._whole_body(), "more_body": False}
        self.stream = stream = self._new_stream()
        path = request.target.decode()
        scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "state": self.connection_state}
        stream.scope, stream.start_time, stream.app_put = cast(Any, scope), 0.0, nothing

        async def receive() -> Any:
            return body

        self.task_group.spawn(_handle, self.app, self.config, scope, receive, stream.app_send, UNUSED, UNUSED)

    def _new_stream(self) -> HTTPStream:
        return HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )

    async def _begin(self, request: h11.Request, headers: Headers) -> None:
        """Let the application answer a request, past Hypercorn's look for protocols that are not spoken here (1)."""
        self.stream = self._new_stream()
        asked = Request(
            stream_id=STREAM_ID,
            headers=headers,
            http_version=request.http_version.decode(),
            method=request.method.decode(),  # case counts (RFC 9110 section 9.1)
            raw_path=request.target,
            state=self.connection_state,
        )
        await self.stream.handle(asked)
        self.keep_alive_requests += 1

    async def _leave(self, request: h11.Request) -> None:
        """Let the connection become a stream, or say why it does not (1). Raises Upgraded."""
        self.stream = None
        try:
            welcome = self.welcome(request)
        except Problem as problem:
            await self._send_last(tell_problem(problem, heading_of(request.headers)))
            await self.send(Closed())
        else:
            raise Upgraded(welcome, self.connection.trailing_data[0])

    async def _send_error_response(self, status_code: int) -> None:
        """Tell the client that what it sends is not HTTP (2); the connection ends with it."""
        body = Problem(status=status_code, detail="this is not a request of HTTP/1.1").body()
        headers = [(b"content-type", PROBLEM_JSON.encode()), (b"content-length", b"%d" % len(body)), *SECURITY]
        await self._send_last(Told(status_code, headers, body))

    async def _send_last(self, told: Told) -> None:
        headers = [*told.headers, (b"connection", b"close"), (b"date", date_at(int(time.time())))]
        await self._send_h11_event(h11.Response(status_code=told.status, headers=headers))
        await self._send_h11_event(h11.Data(data=told.body))
        await self._send_h11_event(h11.EndOfMessage())

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state != h11.ERROR:
                raise
            return
        if isinstance(event, h11.Response):  # (3)
            self._held = data
            return
        if self._held:
            data, self._held = self._held + data, b""
        if data:
            await self.send(RawData(data=data))


def is_ambiguous(names: Set[bytes], http_version: bytes) -> bool:
    """Tell whether a proxy before us may see another end of a request with such headers (7)."""
    return b"transfer-encoding" in names and (b"content-length" in names or http_version != b"1.1")


@lru_cache(maxsize=1)
def date_at(second: int) -> bytes:
    """Return a second as headers name it (RFC 9110 section 5.6.7): every answer of one second says the same."""
    return formatdate(second, usegmt=True).encode()


class Tasks(TaskGroup):
    """The applications of one connection, each with its queue of what the client sends (4, 5).

    Hypercorn's own queue blocks whoever puts into it until the application takes out. An application that answers
    without reading a long body would wait in its own last step for itself, and keep the connection for ever.
    """

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: Callable[[ASGISendEvent | None], Awaitable[None]]
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Start the application on one request; return where to put what the client sends."""
        outbox, inbox = trio.open_memory_channel[ASGIReceiveEvent](config.max_app_queue_size)

        async def receive() -> Any:
            try:
                try:
                    return inbox.receive_nowait()
                except trio.WouldBlock:
                    return await inbox.receive()
            except trio.EndOfChannel:
                return {"type": "http.disconnect"}

        async def run() -> None:
            with inbox:
                await _handle(app, config, scope, receive, send, trio.to_thread.run_sync, trio.from_thread.run)

        async def put(event: ASGIReceiveEvent) -> None:
            if event["type"] == "http.disconnect":
                outbox.close()
                return
            with suppress(trio.ClosedResourceError, trio.BrokenResourceError):
                try:
                    outbox.send_nowait(event)
                except trio.WouldBlock:
                    await outbox.send(event)

        self.spawn(run)
        return put
