"""The client's side of HELM's stream: many calls in flight on one connection, each answer matched by its id.

Nothing here connects again by itself: when a stream ends, whoever waits is told, and an unanswered call may have acted.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import attrs
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from helm.crypto.canonical import reread

PATH: Final = "/v1/stream"
VERSION: Final = "helm.stream.v1"

CONNECT_S: Final = 10.0
"""For the connection and its upgrade."""

CLOSE_S: Final = 2.0
"""For the kernel to answer our last word."""

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
"""The longest answer that is taken: an output, its receipt and its reason are well below it (T4)."""

RECEIVE_BYTES: Final = 64 * 1024
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

UNREAD: Final = 256
"""Answers and receipts that may wait here; beyond it nothing is read, and the kernel waits with us."""


@attrs.frozen
class StreamRefused(Exception):
    """There is no stream: `status` is the kernel's HTTP answer, 0 where none came."""

    status: int
    why: str

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.why}" if self.status else self.why


@attrs.frozen
class StreamEnded(Exception):
    """The stream is over. A call that waited for its answer may have acted: reconcile before any retry."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"the stream ended with {self.code}{': ' * bool(self.reason)}{self.reason}"


@attrs.frozen
class StreamAnswer:
    """What the kernel told of one call: the members that HTTP has, and the id."""

    members: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """ALLOW, DENY or ESCALATE; "" where no call was made of the request."""
        return str(self.members.get("verdict", ""))

    @property
    def allowed(self) -> bool:
        """Whether the call was allowed and its effect succeeded."""
        return bool(self.members["status"] == "SUCCESS")

    @property
    def reason_code(self) -> str:
        """Why not, "" where there is nothing to say."""
        return str(self.members.get("reason_code", ""))

    @property
    def output(self) -> Any:
        """The tool's output, None where there is none."""
        return self.members.get("output")

    @property
    def receipt(self) -> Mapping[str, Any] | None:
        """The signed receipt, None where no call was made of the request."""
        receipt: Mapping[str, Any] | None = self.members.get("receipt")
        return receipt


@attrs.frozen
class Followed:
    """One receipt that became durable, or, without one, how far the journal was looked at."""

    seq: int
    receipt: Mapping[str, Any] | None


class Waiter:
    """Who waits for the answer of one id."""

    __slots__ = ("event", "members")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.members: dict[str, Any] | None = None


@attrs.define(eq=False)
class StreamClient:
    """One stream to a kernel. Made by `open_stream`; any number of tasks may call at once."""

    socket: WebSocketConnection
    ended: StreamEnded | None = None
    _ids: Iterator[int] = attrs.field(factory=count, init=False)
    _unsent: list[str] = attrs.field(factory=list, init=False)
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)
    _waiting: dict[str, Waiter] = attrs.field(factory=dict, init=False)
    _following: dict[str, trio.MemorySendChannel[dict[str, Any]]] = attrs.field(factory=dict, init=False)

    async def call(self, tool: str, arguments: Any, **more: Any) -> StreamAnswer:
        """Have one call governed and return its answer, refusals included.

        `more` are the envelope's other members: session_id, idempotency_key, approval_id, taint, delegation. Raises
        StreamEnded where the stream ends before the answer. A caller that is cancelled leaves; its call goes on.
        """
        request_id = str(next(self._ids))
        self._say({"id": request_id, "tool": tool, "arguments": arguments, **more})
        waiter = self._waiting[request_id] = Waiter()
        try:
            await waiter.event.wait()
        finally:
            del self._waiting[request_id]
        if waiter.members is None:
            raise self._end()
        return StreamAnswer(waiter.members)

    async def follow(self, after: int | None = None, **wanted: str) -> AsyncGenerator[Followed, None]:
        """Yield receipts behind entry `after`, None for those from now on, as they become durable.

        `wanted` are session_id, tool, verdict, reason_code, tenant. It is over when the kernel ends the subscription,
        after ten minutes at the latest: go on from the last `seq`. Raises StreamRefused, StreamEnded.
        """
        request_id = str(next(self._ids))
        self._say({"id": request_id, "follow": {**wanted, **({} if after is None else {"after": after})}})
        self._following[request_id], inbox = trio.open_memory_channel[dict[str, Any]](UNREAD)
        try:
            async for told in inbox:
                if told.get("event") == "ended":
                    return
                if told.get("event") not in ("receipt", "position"):
                    raise StreamRefused(told["status"], told["detail"])
                yield Followed(told["seq"], told.get("receipt"))
            raise self._end()
        finally:
            inbox.close()
            if self._following.pop(request_id, None) is not None and self.ended is None:
                self._say({"id": request_id, "unfollow": True})

    def _say(self, members: dict[str, Any]) -> None:
        """Have it sent by the one task that writes: half a frame of a caller who was cancelled would end the stream."""
        if self.ended is not None:
            raise self._end()
        self._unsent.append(json.dumps(members, separators=(",", ":")))
        self._news.set()

    def _end(self) -> StreamEnded:
        return self.ended or StreamEnded(1006, "this side left")

    async def aclose(self) -> None:
        """Say that we leave, and wait a moment for the kernel's word."""
        with trio.move_on_after(CLOSE_S, shield=True):
            await self.socket.aclose()

    async def send(self) -> None:
        """Send what callers say, until the stream ends."""
        try:
            while True:
                await self._news.wait()
                self._news = trio.Event()
                unsent, self._unsent = self._unsent, []
                for message in unsent:
                    await self.socket.send_message(message)
        except ConnectionClosed:
            pass  # whoever reads tells the callers

    async def receive(self) -> None:
        """Hand on what the kernel says, until the stream ends."""
        try:
            while True:
                await self._hear(await self.socket.get_message())
        except ConnectionClosed as closed:
            self.ended = ended_by(closed)
        finally:
            self.ended = self._end()
            for waiter in self._waiting.values():
                waiter.event.set()
            for outbox in self._following.values():
                outbox.close()

    async def _hear(self, message: str | bytes) -> None:
        told = reread(message.encode() if isinstance(message, str) else message)
        waiter = self._waiting.get(told["id"])
        if waiter is not None:
            waiter.members = told
            waiter.event.set()
        elif (outbox := self._following.get(told["id"])) is not None:
            try:
                await outbox.send(told)
            except trio.BrokenResourceError:
                pass  # whoever followed has left


def ended_by(closed: ConnectionClosed) -> StreamEnded:
    """Return our word for the end of a connection."""
    if closed.reason is None:
        return StreamEnded(1006, "the connection broke")
    return StreamEnded(int(closed.reason.code), closed.reason.reason or "")


@asynccontextmanager
async def open_stream(url: str, key: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[StreamClient]:
    """Open a stream to the kernel at `url`, http or https, with a bearer key. Raises StreamRefused."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise StreamRefused(0, f"{url!r} is not the URL of a kernel")
    if not key.isascii() or not key.isprintable() or " " in key:  # a library would complain of it aloud
        raise StreamRefused(0, "the key is not one word: is there a line end behind it?")
    async with AsyncExitStack() as stack:
        stream = await connected(parts, tls)
        stack.push_async_callback(trio.aclose_forcefully, stream)
        nursery = await stack.enter_async_context(Beside())
        client = StreamClient(await upgraded(nursery, stream, parts.netloc, key))
        stack.push_async_callback(client.aclose)
        nursery.start_soon(client.send)
        nursery.start_soon(client.receive)
        yield client


class Beside:
    """The tasks that run while a block does. What the block raises is raised as it is: a nursery would wrap it."""

    async def __aenter__(self) -> trio.Nursery:
        self._manager = trio.open_nursery()
        self._nursery = await self._manager.__aenter__()
        return self._nursery

    async def __aexit__(self, *_: object) -> None:
        self._nursery.cancel_scope.cancel()
        refusal: ConnectionRejected | None = None
        try:
            await self._manager.__aexit__(None, None, None)
        except* ConnectionRejected as group:  # the task that reads raises what whoever opened the stream is to know
            refusal = next(one for one in group.exceptions if isinstance(one, ConnectionRejected))
        if refusal is not None:
            raise StreamRefused(refusal.status_code, detail_of(refusal.body))


async def connected(parts: SplitResult, tls: ssl.SSLContext | None) -> Stream:
    """Return the connection that is to become a stream. Raises StreamRefused."""
    host = parts.hostname or ""
    try:
        with trio.fail_after(CONNECT_S):
            if parts.scheme == "http":
                return await trio.open_tcp_stream(host, parts.port or 80)
            context = tls or ssl.create_default_context()
            stream = await trio.open_ssl_over_tcp_stream(
                host, parts.port or 443, https_compatible=True, ssl_context=context
            )
            try:
                await stream.do_handshake()
            except BaseException:
                await trio.aclose_forcefully(stream)
                raise
            return stream
    except (OSError, trio.BrokenResourceError, trio.TooSlowError, ValueError) as failure:
        raise StreamRefused(0, f"no answer from {parts.netloc}: {str(failure) or type(failure).__name__}") from failure


async def upgraded(nursery: trio.Nursery, stream: Stream, host: str, key: str) -> WebSocketConnection:
    """Have the connection speak our protocol. Raises StreamRefused, some of it when `nursery` ends."""
    with trio.move_on_after(CONNECT_S):
        return await wrap_client_stream(
            nursery,
            stream,
            host,
            PATH,
            subprotocols=[VERSION],
            extra_headers=[(b"authorization", f"Bearer {key}".encode())] if key else [],
            message_queue_size=UNREAD,
            max_message_size=MAX_MESSAGE_BYTES,
            receive_buffer_size=RECEIVE_BYTES,
        )
    raise StreamRefused(0, f"no upgrade by {host} within {CONNECT_S:g} s")


def detail_of(body: bytes | None) -> str:
    """Return what a refusal says of itself."""
    try:
        return str(json.loads(body or b"")["detail"])
    except (ValueError, KeyError, TypeError):
        return "no stream is offered here"
