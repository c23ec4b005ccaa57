"""The mouth of a tunnel: a client that waits for somebody at the other end, and its connection from then on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import attrs
import trio

from actors.connectors.tunnel import break_off
from actors.line import NotGranted
from helm.contracts.form import JSONValue
from helm.guardian.destination import Destination

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@attrs.define(eq=False)
class Resumed(trio.abc.Stream):
    """A connection whose first bytes were read already. TLS knows no half of an end."""

    stream: Stream
    early: bytes = attrs.field(repr=False)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what the client said before the tunnel was open, and then what it says."""
        if self.early:
            await trio.lowlevel.checkpoint()
            early, self.early = self.early, b""
            return early
        return bytes(await self.stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send to the client."""
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until the client takes more."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """End the connection."""
        await self.stream.aclose()


@attrs.define(eq=False)
class ResumedInTheClear(Resumed, trio.abc.HalfCloseableStream):
    """One without TLS: each way has an end of its own."""

    async def send_eof(self) -> None:
        """Say that no more comes."""
        if isinstance(self.stream, trio.SocketStream):
            await self.stream.send_eof()


@attrs.define(eq=False)
class ClientMouth:
    """One client that asked for a tunnel. A tunnel takes no word of progress, and nobody asks it anything."""

    stream: Stream
    early: bytes = attrs.field(repr=False)
    still: Callable[[], bool]
    """Tells whether whoever asked could come in again."""
    is_open: bool = attrs.field(default=False, init=False)
    leads_to: Destination | None = attrs.field(default=None, init=False)

    @property
    def client(self) -> object:
        """The client is its connection."""
        return self

    @property
    def wants_progress(self) -> bool:
        """Nothing fits into a tunnel but what goes through it."""
        return False

    def wanted(self) -> trio.CancelScope:
        """Return a scope that is never cancelled: who takes a CONNECT back leaves, and the tunnel ends by that."""
        return trio.CancelScope()

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Say nothing."""

    async def tell(self, method: str, params: JSONValue) -> None:
        """Say nothing."""

    async def ask(self, tool: str, params: JSONValue) -> JSONValue:
        """Refuse."""
        refuse()

    async def request(self, method: str, params: JSONValue) -> JSONValue:
        """Refuse."""
        refuse()

    def is_known(self) -> bool:
        """Tell whether the client could still come in with what it came with."""
        return self.still()

    async def open(self, decision_id: str, leads_to: Destination) -> trio.abc.Stream:
        """Tell the client that its tunnel is open, and return its connection. Raises trio.BrokenResourceError."""
        self.is_open, self.leads_to = True, leads_to
        # No length and no body: what follows the head is the tunnel (RFC 9110 section 9.3.6).
        head = f"HTTP/1.1 200 Connection established\r\nx-helm-decision-id: {decision_id}\r\n\r\n"
        await self.stream.send_all(head.encode())
        kind = ResumedInTheClear if isinstance(self.stream, trio.SocketStream) else Resumed
        return kind(self.stream, self.early)

    def cut(self) -> None:
        """Have the connection break instead of ending."""
        stream = self.stream
        break_off(stream if isinstance(stream, trio.SocketStream) else stream.transport_stream)

    async def close(self, patience_s: float) -> None:
        """End the connection; what is on its way to the client may take a while."""
        if isinstance(self.stream, trio.SSLStream):
            with trio.move_on_after(patience_s), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await self.stream.aclose()
        await trio.aclose_forcefully(self.stream)


def refuse() -> NoReturn:
    """Say that nobody can be asked."""
    raise NotGranted("a client that asked for a tunnel answers no questions")
