"""One exchange in HTTP/1.1, over a connection of its own that ends with it.

A connection that is never used again (`actors.connectors.once` says why) needs no pool and nothing that could be kept:
what is left is h11's reading and writing, and a socket. Where nothing has to be waited for, nothing is: a turn of the
loop costs as much as several system calls. How an exchange ends is told in httpcore2's errors.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Final, Protocol

import attrs
import h11
import httpcore2
import trio

from actors.connectors.http import ADDRESS_S

RECEIVE_BYTES: Final = 65_536

MAX_HEADING_BYTES: Final = 100 * 1024
"""Longest heading of an answer, and longest line of a chunked body's framing (T4)."""

Headers = Sequence[tuple[bytes, bytes]]


class Wire(Protocol):
    """A connection, as far as an exchange needs it."""

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises httpcore2.WriteError."""
        ...

    async def receive(self) -> bytes:
        """Return what comes next, b"" at the end. Raises httpcore2.ReadError."""
        ...

    def close(self) -> None:
        """Let go of the connection at once."""
        ...


@attrs.frozen(eq=False)
class Plain:
    """TCP and nothing above it."""

    _socket: socket.socket

    async def send(self, data: bytes) -> None:
        """Send all of it, without a turn of the loop where there is room for it."""
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)
            except OSError as error:
                raise httpcore2.WriteError(error) from error

    async def receive(self) -> bytes:
        """Return what comes next. It always waits, so that an answer that never ends leaves the loop to others."""
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            try:
                return self._socket.recv(RECEIVE_BYTES)
            except BlockingIOError:
                continue
            except OSError as error:
                raise httpcore2.ReadError(error) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


@attrs.frozen(eq=False)
class Secured:
    """TLS over TCP."""

    _stream: trio.SSLStream[trio.SocketStream]

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            raise httpcore2.WriteError(error) from error

    async def receive(self) -> bytes:
        """Return what comes next; a server that closes without a word of TLS ends there too, as most of them do."""
        try:
            return bytes(await self._stream.receive_some(RECEIVE_BYTES))
        except trio.BrokenResourceError as error:
            raise httpcore2.ReadError(error) from error

    def close(self) -> None:
        """Close the socket: nobody waits for the other side's last word of TLS."""
        self._stream.transport_stream.socket.close()


@attrs.define(eq=False)
class Exchange:
    """One request and the answer to it."""

    _wire: Wire
    _talk: h11.Connection = attrs.field(
        factory=lambda: h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADING_BYTES), init=False
    )

    async def ask(self, method: str, target: str, headers: Headers, body: bytes) -> h11.Response:
        """Send a whole request in one write; return the heading of the answer. Raises httpcore2's errors.

        The headers say how long the body is. A server may answer before it has read everything, and close: what it
        said is read all the same.
        """
        try:
            heading = self._talk.send(h11.Request(method=method, target=target, headers=list(headers))) or b""
        except h11.LocalProtocolError as problem:
            raise httpcore2.LocalProtocolError(problem) from problem
        try:
            await self._wire.send(heading + body)  # h11 hears of no end, because no other request follows
        except httpcore2.WriteError:
            pass
        while not isinstance(event := await self._next(), h11.Response):
            pass  # 100 and its like
        return event

    def __aiter__(self) -> Exchange:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece of the answer's body. Raises httpcore2's errors."""
        event = await self._next()
        if isinstance(event, h11.Data):
            return bytes(event.data)
        raise StopAsyncIteration

    async def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        while True:
            try:
                event = self._talk.next_event()
            except h11.RemoteProtocolError as problem:
                raise httpcore2.RemoteProtocolError(problem) from problem
            if event is not h11.NEED_DATA:
                return event
            self._talk.receive_data(await self._wire.receive())


async def connect(addresses: Sequence[str], port: int) -> socket.socket:
    """Return a socket that is connected to the first address that accepts. Raises httpcore2.ConnectError.

    Addresses are plain ones, as `addresses_of` leaves no other: none is a name that would be asked for here.
    """
    try:
        for address in addresses[:-1]:
            with trio.move_on_after(ADDRESS_S):
                try:
                    return await _connect_to(address, port)
                except OSError:
                    continue
        return await _connect_to(addresses[-1], port)
    except OSError as error:
        raise httpcore2.ConnectError(error) from error


async def _connect_to(address: str, port: int) -> socket.socket:
    place = (address, port)
    connecting = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        problem = connecting.connect_ex(place)
        if problem == errno.EINPROGRESS:
            problem = connecting.connect_ex(place)  # asked again: who is on this machine has accepted by now
        if problem == errno.EALREADY:
            await trio.lowlevel.wait_writable(connecting)
            problem = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if problem not in (0, errno.EISCONN):
            raise OSError(problem, os.strerror(problem))
    except BaseException:
        connecting.close()
        raise
    return connecting


async def secured(connected: socket.socket, context: ssl.SSLContext, host: str) -> Secured:
    """Return TLS over a socket, for the host that the certificate must name. Raises httpcore2.ConnectError."""
    transport = trio.SocketStream(trio.socket.from_stdlib_socket(connected))
    stream = trio.SSLStream(transport, context, server_hostname=host, https_compatible=True)
    try:
        await stream.do_handshake()
    except trio.BrokenResourceError as error:
        transport.socket.close()
        raise httpcore2.ConnectError(error) from error
    except BaseException:
        transport.socket.close()
        raise
    return Secured(stream)
