"""Tunnels: a client's connection joined to one checked address, opaque, counted, and ended when a bound is met.

What goes through is not looked at, so it is bounded instead: bytes each way, idleness, a lifetime. Names are resolved
once; the address that was checked is the address that is dialled. A tunnel that HELM ends breaks both connections: a
side that saw a regular end would take what it got for all there was.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Final

import attrs
import trio

from actors.connectors.http import ADDRESS_S
from actors.connectors.port import ConnectorUnknown, Dispatch, Kept, NotDispatched, Unreachable
from actors.connectors.resolver import Resolver, addresses_of, system_resolver
from actors.line import Mouth
from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.address import reached_address
from helm.guardian.connection import TunnelConnection
from helm.guardian.destination import Destination, Pattern, normalise

CONNECT_S: Final = 10.0
"""For the name and all its addresses together (T4)."""

TAIL: Final = 0.05
"""Share of the tool's time that is left for the last words, so that a tunnel ends with its counts and not without."""

PIECE: Final = 65_536
"""What is read of one side before the other has taken it: a slow reader holds this much of ours, and no more (T4)."""

BROKEN: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)

BREAK: Final = struct.pack("ii", 1, 0)
"""SO_LINGER for no time at all: closing then says that the connection broke."""


class TunnelConnector:
    """Opens one tunnel per order, to where the order was judged for, and for a client that waits at its mouth.

    `denied` are the policy's denied destinations: they bind what a name resolves to as they bind the name.
    """

    def __init__(
        self, connection: TunnelConnection, denied: Sequence[Pattern] = (), *, resolver: Resolver | None = None
    ) -> None:
        self._connection = connection
        self._denied = tuple(denied)
        self._resolver = resolver or system_resolver()

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return what went through, once it is over. Raises NotDispatched, and ConnectorUnknown when cancelled."""
        mouth = order.line
        if not isinstance(mouth, Mouth):
            what = "a tunnel is asked for with CONNECT, at the address of `helm launch egress`"
            raise NotDispatched(ReasonCode.TRANSPORT_UNSUPPORTED, what)
        destination = place_of(order)
        until = trio.current_time() + order.timeout_ms / 1000 * (1 - TAIL)
        try:
            remote, address = await self._dial(destination)
            try:
                client = await mouth.open(order.decision_id, at(address, destination.port))
            except BaseException:
                remote.socket.close()
                raise
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.KERNEL_STOPPED, "cancelled before the tunnel was open") from None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, "the client left before its tunnel was open") from None
        tunnel = Tunnel(self._connection, client, remote)
        try:
            await tunnel.carry(until)
        finally:
            if tunnel.is_cut:
                mouth.cut()
                break_off(remote)
            remote.socket.close()  # without a checkpoint: whoever was cancelled still says what it counted
        return Kept(tunnel.evidence(destination, address))

    async def aclose(self) -> None:
        """Nothing is held: every tunnel is an order of its own."""

    async def _dial(self, destination: Destination) -> tuple[trio.SocketStream, str]:
        """Return a connection, and the address that it goes to. Raises NotDispatched."""
        port = destination.port
        with trio.move_on_after(CONNECT_S):
            addresses = await self._addresses(destination)
            for address in addresses:
                self._check(destination, address)
            for address in addresses:
                with trio.move_on_after(ADDRESS_S):
                    try:
                        return await connected(address, port), address
                    except OSError:
                        continue
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, f"{destination}: no address accepted a connection")
        raise NotDispatched(ReasonCode.ERR_CONNECTOR_TIMEOUT, f"{destination}: not connected within {CONNECT_S:g} s")

    async def _addresses(self, destination: Destination) -> Sequence[str]:
        """Return where a name leads. Raises NotDispatched: one name of many is no trouble of the connector's."""
        try:
            return await addresses_of(destination.host, self._resolver, allow_private=self._connection.allow_private)
        except Unreachable as refusal:
            raise NotDispatched(refusal.code, refusal.reason) from refusal

    def _check(self, destination: Destination, address: str) -> None:
        there = at(address, destination.port)
        if any(pattern.touches(there) for pattern in self._denied):
            raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, f"{destination} leads to {there}, which is denied")


@attrs.define(eq=False)
class Tunnel:
    """Two connections, and what has gone from one to the other."""

    bounds: TunnelConnection
    client: trio.abc.Stream
    remote: trio.SocketStream
    sent: int = attrs.field(default=0, init=False)
    received: int = attrs.field(default=0, init=False)
    ended_by: str = attrs.field(default="", init=False)
    """Who or what ended it, the first of them."""
    is_cut: bool = attrs.field(default=True, init=False)
    """Whether it did not come to its regular end: both sides said all they had, and heard it."""
    _idle: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _ended: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)

    async def carry(self, until: float) -> None:
        """Carry both ways until both sides have ended, or a bound is met. Raises ConnectorUnknown when cancelled."""
        self._stay()
        is_over, life = False, trio.CancelScope(deadline=until)
        try:
            with life, self._idle, self._ended:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send)
                    nursery.start_soon(self._receive)
                self.is_cut = False
            is_over = True
        except* trio.Cancelled:  # told again at the next step
            pass
        if not is_over:
            raise ConnectorUnknown(f"the tunnel was cut after {self.sent} bytes sent and {self.received} received")
        if life.cancelled_caught:
            self.ended_by = self.ended_by if self._ended.cancelled_caught else "lifetime"
        elif self._idle.cancelled_caught:
            self.ended_by = "idleness"

    def evidence(self, destination: Destination, address: str) -> JSONValue:
        """Return what is known of it, and no more than that."""
        there = at(address, destination.port)
        return {
            "address": str(there),
            "bytes_received": self.received,
            "bytes_sent": self.sent,
            "destination": str(destination),
            "ended_by": self.ended_by,
            "network_proof": "destination_allowlist_only",
            "payload_inspection": "opaque_connect",
        }

    async def _send(self) -> None:
        try:
            while piece := await self.client.receive_some(PIECE):
                if self.sent + len(piece) > self.bounds.max_sent_bytes:
                    self._end("max_sent_bytes")
                    return
                self.sent += len(piece)  # before it goes: what is counted is what may have left
                await self.remote.send_all(piece)
                self._stay()
            self._name("client")
            await self.remote.send_eof()
        except BROKEN:
            self._end("a broken connection")

    async def _receive(self) -> None:
        try:
            while piece := await self.remote.receive_some(PIECE):
                if self.received + len(piece) > self.bounds.max_received_bytes:
                    self._end("max_received_bytes")
                    return
                self.received += len(piece)
                await self.client.send_all(piece)
                self._stay()
            self._name("destination")
            if isinstance(self.client, trio.abc.HalfCloseableStream):
                await self.client.send_eof()
            else:
                self.is_cut = False
                self._ended.cancel()
        except BROKEN:
            self._end("a broken connection")

    def _stay(self) -> None:
        self._idle.deadline = trio.current_time() + self.bounds.idle_s

    def _name(self, who: str) -> None:
        self.ended_by = self.ended_by or who

    def _end(self, why: str) -> None:
        """End it now, and whatever waits in it."""
        self.ended_by = why
        self._ended.cancel()


def place_of(order: Dispatch) -> Destination:
    """Return where the order was judged for. Raises NotDispatched unless that is host:port and nothing else."""
    if not order.destination:
        raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, "the call was judged for no destination")
    try:
        destination = normalise(order.destination)
    except Refused as refused:
        raise NotDispatched(refused.code, refused.reason) from refused
    if destination.scheme or not destination.port:
        raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, f"{destination} is not host:port")
    return destination


async def connected(address: str, port: int) -> trio.SocketStream:
    """Return a connection to exactly this address. Raises OSError."""
    made = trio.socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        await made.connect((address, port))
    except BaseException:
        made.close()
        raise
    return trio.SocketStream(made)


def at(address: str, port: int) -> Destination:
    """Return the place that is reached at an address: an IPv4 one inside an IPv6 one is the IPv4 one."""
    return Destination(scheme="", host=str(reached_address(ip_address(address))), port=port, is_ip=True)


def break_off(stream: trio.SocketStream) -> None:
    """Have a connection break when it is closed, instead of ending."""
    with suppress(OSError):
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, BREAK)
