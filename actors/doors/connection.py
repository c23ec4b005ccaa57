"""One client's connection: bounded in every wait, and ending alone."""

from __future__ import annotations

from collections.abc import Mapping, Set
from contextlib import suppress
from functools import partial
from math import inf

import attrs
import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from hypercorn.utils import parse_socket_addr

from actors.doors.bounds import Bounds
from actors.doors.calls import ANSWER
from actors.doors.credentials import PRESENTED
from actors.doors.http1 import AtOnce, Http1, Tasks
from actors.doors.stream import Stream
from actors.doors.tls import Tls, presented_by
from actors.doors.upgrade import Streams, Upgraded

LINGER_BYTES = 1024 * 1024
"""How much of a refused body is still taken, so that the refusal reaches its sender (T4)."""

RECEIVE_BYTES = 65_536

FAILURES: tuple[type[Exception], ...] = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.BusyResourceError,
    h11.ProtocolError,
)
"""How a connection breaks: it ends, and nothing else does."""


@attrs.frozen(kw_only=True)
class Service:
    """What every connection of a door needs."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    bounds: Bounds
    streams: Streams
    at_once: Mapping[bytes, AtOnce]
    """Who answers a request that is whole, by its target."""
    lasting: Set[bytes]
    """The targets of requests whose answers take long: what is whole of them needs no queue for its body."""
    tls: Tls


@attrs.define(eq=False)
class Connection:
    """Reads what a client sends into Hypercorn's protocol, and writes what comes out of it."""

    service: Service
    transport: trio.SocketStream
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = attrs.field(init=False)
    is_idle: bool = attrs.field(default=True, init=False)
    is_lost: bool = attrs.field(default=False, init=False)
    """Whether nothing that is written arrives any more."""
    _is_cut: bool = attrs.field(default=False, init=False)
    """Whether we end it, maybe while the client still sends."""
    _patience: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the reading: its deadline is the client's."""
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _answered: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set when the request under way is answered: who half-closed the socket may still be there to read that."""
    _upgraded: Upgraded | None = attrs.field(default=None, init=False)
    _calls: Stream | None = attrs.field(default=None, init=False)
    """The stream that it became."""

    def __attrs_post_init__(self) -> None:
        self.stream = self.transport
        context = self.service.tls.context()
        if context is not None:
            self.stream = trio.SSLStream(self.transport, context, server_side=True, https_compatible=True)

    async def run(self) -> None:
        """Serve the client until either side ends it. Raises what a connection breaks by (FAILURES), and any bug."""
        try:
            if await self._shake_hands():
                await self._serve()
                if self._upgraded is not None:
                    await self._stream(self._upgraded)
                if self._is_cut and not self.is_lost:
                    await self._linger()
        finally:
            if self._upgraded is not None:
                self.service.streams.leave(self._upgraded.welcome)

    def retire(self) -> None:
        """End the connection unless a request is under way; that one is still answered, and so are a stream's."""
        if self._calls is not None:
            self._calls.retire()
        elif self.is_idle:
            self._patience.cancel()

    def _until_idle(self) -> float:
        return trio.current_time() + self.service.bounds.idle_s

    async def _shake_hands(self) -> bool:
        if isinstance(self.stream, trio.SSLStream):
            with trio.move_on_after(self.service.bounds.handshake_s) as scope:
                await self.stream.do_handshake()
            return not scope.cancelled_caught
        return True

    async def _serve(self) -> None:
        service, socket = self.service, self.transport.socket
        async with Tasks() as tasks:
            protocol = Http1(
                service.app,
                service.config,
                service.context,
                tasks,
                ConnectionState({}),
                isinstance(self.stream, trio.SSLStream),
                parse_socket_addr(socket.family, socket.getpeername()),
                parse_socket_addr(socket.family, socket.getsockname()),
                self._send,
            )
            protocol.welcome = service.streams.welcome
            protocol.at_once = service.at_once
            protocol.lasting = service.lasting
            protocol.connection_state[ANSWER] = protocol.answer
            self._present(protocol)
            with self._patience:
                self._patience.deadline = self._until_idle()
                await self._read(protocol)
                if protocol.owes_an_answer:
                    await self._answered.wait()
            await protocol.handle(Closed())

    def _present(self, protocol: Http1) -> None:
        """Tell whoever answers with which certificates the client came."""
        if not self.service.tls.asks or not isinstance(self.stream, trio.SSLStream):
            return
        presented = presented_by(self.stream)
        if presented is not None:
            protocol.connection_state[PRESENTED] = presented
            protocol.welcome = partial(protocol.welcome, presented=presented)
            protocol.at_once = {target: partial(door, presented=presented) for target, door in protocol.at_once.items()}

    async def _stream(self, upgraded: Upgraded) -> None:
        """Serve a client that has left HTTP. Its place among the streams is given back when the connection ends."""
        self._is_cut = True
        self._calls = self.service.streams.stream(upgraded.welcome, self)
        if self.service.context.terminated.is_set():
            self._calls.retire()
        await self.write(upgraded.welcome.answer)
        await self._calls.run(upgraded.trailing)

    async def _read(self, protocol: Http1) -> None:
        try:
            while data := await self.receive():
                await protocol.handle(RawData(data))
        except Upgraded as upgraded:
            self._upgraded = upgraded

    async def receive(self) -> bytes:
        """Return what the client sends next, b"" where it will send no more."""
        return bytes(await self.stream.receive_some(RECEIVE_BYTES))

    async def _send(self, event: Event) -> None:
        match event:
            case RawData():
                await self.write(event.data)
            case Updated():
                self.is_idle = event.idle
                if event.idle:
                    self._answered.set()
                    self._answered = trio.Event()
                self._patience.deadline = self._until_idle() if event.idle else inf
            case _:
                self._is_cut = True
                self._patience.cancel()

    async def write(self, data: bytes) -> None:
        """Write, unless the client is lost; a client that reads too slowly is."""
        try:
            self._writing.acquire_nowait()  # the rule: only an early refusal and a 100 ever meet here
        except trio.WouldBlock:
            await self._writing.acquire()
        try:
            if not self.is_lost:
                await self._write_alone(data)
        finally:
            self._writing.release()

    async def _write_alone(self, data: bytes) -> None:
        self.is_lost = True
        with (
            trio.move_on_after(self.service.bounds.write_s),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await self.stream.send_all(data)
            self.is_lost = False
        if self.is_lost:
            self._patience.cancel()

    async def _linger(self) -> None:
        """Say that nothing more comes, and let the client say what it must: unread bytes would reset the connection."""
        with trio.move_on_after(self.service.bounds.linger_s):
            await self.transport.send_eof()
            left = LINGER_BYTES
            while left > 0 and (data := await self.transport.receive_some(RECEIVE_BYTES)):
                left -= len(data)
