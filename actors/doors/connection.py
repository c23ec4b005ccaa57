"""One client's connection: bounded in every wait, and ending alone."""

from __future__ import annotations

import ssl
from contextlib import suppress
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
from actors.doors.http1 import Http1, Tasks

LINGER_BYTES = 1024 * 1024
"""How much of a refused body is still taken, so that the refusal reaches its sender (T4)."""

RECEIVE_BYTES = 65_536

FAILURES = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError, h11.ProtocolError)
"""How a connection breaks: it ends, and nothing else does."""


@attrs.frozen(kw_only=True)
class Service:
    """What every connection of a door needs."""

    app: AppWrapper
    config: Config
    context: WorkerContext
    bounds: Bounds
    tls: ssl.SSLContext | None = None


@attrs.define(eq=False)
class Connection:
    """Reads what a client sends into Hypercorn's protocol, and writes what comes out of it."""

    service: Service
    transport: trio.SocketStream
    stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = attrs.field(init=False)
    is_idle: bool = attrs.field(default=True, init=False)
    _is_cut: bool = attrs.field(default=False, init=False)
    """Whether we end it, maybe while the client still sends."""
    _patience: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    """Around the reading: its deadline is the client's."""
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _is_lost: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self.stream = self.transport
        if self.service.tls is not None:
            self.stream = trio.SSLStream(self.transport, self.service.tls, server_side=True, https_compatible=True)

    async def run(self) -> None:
        """Serve the client until either side ends it."""
        try:
            if await self._shake_hands():
                await self._serve()
                if self._is_cut and not self._is_lost:
                    await self._linger()
        except* FAILURES:
            pass

    def retire(self) -> None:
        """End the connection unless a request is under way; that one is still answered."""
        if self.is_idle:
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
                service.tls is not None,
                parse_socket_addr(socket.family, socket.getpeername()),
                parse_socket_addr(socket.family, socket.getsockname()),
                self._send,
            )
            with self._patience:
                self._patience.deadline = self._until_idle()
                await self._read(protocol)
            await protocol.handle(Closed())

    async def _read(self, protocol: Http1) -> None:
        while data := await self.stream.receive_some(RECEIVE_BYTES):
            await protocol.handle(RawData(bytes(data)))

    async def _send(self, event: Event) -> None:
        match event:
            case RawData():
                await self._write(event.data)
            case Updated():
                self.is_idle = event.idle
                self._patience.deadline = self._until_idle() if event.idle else inf
            case _:
                self._is_cut = True
                self._patience.cancel()

    async def _write(self, data: bytes) -> None:
        """Write, unless the client is lost; a client that reads too slowly is."""
        try:
            self._writing.acquire_nowait()  # the rule: only an early refusal and a 100 ever meet here
        except trio.WouldBlock:
            await self._writing.acquire()
        try:
            if not self._is_lost:
                await self._write_alone(data)
        finally:
            self._writing.release()

    async def _write_alone(self, data: bytes) -> None:
        self._is_lost = True
        with (
            trio.move_on_after(self.service.bounds.write_s),
            suppress(trio.BrokenResourceError, trio.ClosedResourceError),
        ):
            await self.stream.send_all(data)
            self._is_lost = False
        if self._is_lost:
            self._patience.cancel()

    async def _linger(self) -> None:
        """Say that nothing more comes, and let the client say what it must: unread bytes would reset the connection."""
        with trio.move_on_after(self.service.bounds.linger_s):
            await self.transport.send_eof()
            left = LINGER_BYTES
            while left > 0 and (data := await self.transport.receive_some(RECEIVE_BYTES)):
                left -= len(data)
