"""The proxy's door: each CONNECT becomes a governed call, which lasts as long as its tunnel.

A connection carries one request. After a refusal it is closed, whatever came behind the head: those bytes were meant
for somebody else, and are never read as a request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import Final

import attrs
import trio

from actors.doors.alone import alone, known
from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.connect.head import UNHEARD, Head, read_head, who_asks
from actors.doors.connect.mouth import ClientMouth, Stream
from actors.doors.entry import UNANSWERED, Entry, untold
from actors.doors.envelope import plain_name
from actors.doors.problem import REASON_TYPE, Problem, overloaded
from actors.doors.sockets import Address, Bound, Gate, bind
from actors.doors.tls import Tls, presented_by
from actors.doors.told import HTTP_STATUS, PROBLEM, Told, common, evidence, finish, tell_problem
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey, BearerKeys
from actors.mailbox import Answer
from helm.config import Config
from helm.contracts.call import CallContext, Source, ToolCall
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.guardian.bundle_destinations import TUNNELS_TO
from helm.guardian.intake import Terms, admit

MAX_TUNNELS: Final = 128
"""Tunnels at a time: each holds two sockets, and one of the kernel's places for as long as it lasts (T4)."""

MAX_OF_PRINCIPAL: Final = 32
"""Of these, for any one principal: nobody takes the last one from the others (T4)."""

LINGER_BYTES: Final = 1024 * 1024
"""How much of what is not read any more is still taken, so that the refusal reaches its reader (T4)."""

TUNNELLED: Final = Source(door="connect", transport="http/1.1")

RECEIVE_BYTES: Final = 65_536

FAILURES: Final[tuple[type[Exception], ...]] = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""How a connection breaks by its client, or by the network."""


@attrs.define(eq=False, kw_only=True)
class ConnectDoor:
    """Serves CONNECT at one listening socket."""

    kernel: Kernel
    config: Config
    who: Credentials
    tls: Tls
    address: Address
    bounds: Bounds = BOUNDS
    max_tunnels: int = MAX_TUNNELS
    max_of_principal: int = MAX_OF_PRINCIPAL
    entry: Entry = attrs.field(init=False)
    _places: trio.Semaphore = attrs.field(init=False)
    _accepting: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _tunnels: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self.entry = Entry(self.kernel, self.config, TUNNELLED)
        self._places = trio.Semaphore(self.bounds.connections)

    @property
    def tunnels(self) -> int:
        """How many tunnels are open, or asked for, at this moment."""
        return self._tunnels.total()

    def close(self) -> None:
        """Accept nobody any more. Tunnels go on until the kernel ends."""
        self._accepting.cancel()

    async def run(self, listener: trio.SocketListener, task_status: trio.TaskStatus[ConnectDoor]) -> None:
        """Serve until the kernel that this runs in ends."""
        async with trio.open_nursery() as handlers:
            with self._accepting:
                gate = Gate(listener, self._places)
                task_status.started(self)
                await trio.serve_listeners(self._serve, [gate], handler_nursery=handlers)

    async def _serve(self, transport: trio.SocketStream) -> None:
        try:
            await alone(partial(self._talk, transport), FAILURES, self.kernel.meter)
        finally:
            self._places.release()
            await trio.aclose_forcefully(transport)

    async def _talk(self, transport: trio.SocketStream) -> None:
        stream: Stream = transport
        context = self.tls.context()
        if context is not None:
            stream = trio.SSLStream(transport, context, server_side=True, https_compatible=True)
        await self._answer(stream)

    async def _answer(self, stream: Stream) -> None:
        """Serve one client: a tunnel, or one refusal."""
        heading = UNHEARD
        try:
            head = await self._head(stream)
            if head is None:
                return
            heading = head.heading
            told = await self._ask(head, stream)
        except Problem as problem:
            told = tell_problem(problem, heading)
        if told is not None:
            await self._refuse(told, stream)

    async def _head(self, stream: Stream) -> Head | None:
        """Return the head of the one request. Raises Problem for one that is slow: it gets no second chance."""
        with trio.move_on_after(self.bounds.idle_s):
            if isinstance(stream, trio.SSLStream):
                await stream.do_handshake()
            return await read_head(stream)
        raise Problem(status=408, detail=f"the head took longer than {self.bounds.idle_s:g} s")

    async def _ask(self, head: Head, stream: Stream) -> Told | None:
        """Have the tunnel judged and carried; return what to tell a client that got none. Raises Problem."""
        head.heading.check()
        presented = self._presented(stream)
        key, session = who_asks(self.who, head.heading, presented)
        async with self._place(key):
            still = partial(known, partial(self._is_still, key, head, presented), self.kernel.meter)
            mouth = ClientMouth(stream, head.early, still)
            status, _ = head.fault
            try:
                answer = await self.kernel.govern(
                    self._call(key, session, head), line=mouth, origin=head.heading.origin
                )
            except UNANSWERED as failure:
                if mouth.is_open:
                    mouth.cut()
                    return None
                raise untold(failure) from failure
            except BaseException:  # cancelled, or a fault: no tunnel outlives whoever answers for it
                mouth.cut()
                raise
            if mouth.is_open:
                await mouth.close(self.bounds.linger_s)
                return None
            return tell_refusal(answer, head, status)

    def _is_still(self, key: BearerKey, head: Head, presented: Presented | None) -> bool:
        """Tell whether what a client came with still opens the proxy, and for the same one."""
        try:
            found, _ = who_asks(self.who, head.heading, presented)
        except Problem:
            return False
        return (found.tenant, found.principal) == (key.tenant, key.principal)

    def _presented(self, stream: Stream) -> Presented | None:
        """Return the certificates that the client came with, None where none were asked for."""
        return presented_by(stream) if self.tls.asks and isinstance(stream, trio.SSLStream) else None

    @asynccontextmanager
    async def _place(self, key: BearerKey) -> AsyncIterator[None]:
        """Take one of the places for tunnels. Raises Problem where none is free."""
        holder = (key.tenant, key.principal)
        if self.tunnels >= self.max_tunnels or self._tunnels[holder] >= self.max_of_principal:
            raise overloaded("too many tunnels are open: nothing was judged, try again shortly")
        self._tunnels[holder] += 1
        try:
            yield
        finally:
            self._tunnels[holder] -= 1
            self._tunnels += Counter()  # forgets whoever has none

    def _call(self, key: BearerKey, session: str, head: Head) -> ToolCall:
        """Return the call that a CONNECT is. Raises Problem for names that cannot stand in a record."""
        status, fault = head.fault
        code = ReasonCode.ENVELOPE_INVALID if status else ReasonCode.NONE
        context = CallContext(
            credential_hash=key.credential_hash,
            fault=code.value,
            fault_reason=fault,
            oauth_resource=key.oauth_resource,
            oauth_scopes=key.oauth_scopes,
        )
        approval_id = head.heading.text(b"x-helm-approval")
        if approval_id:
            plain_name(approval_id, "x-helm-approval")
        caller = self.entry.caller(key, session, context)
        return admit(caller, self.config.egress_tool, {TUNNELS_TO: head.target}, Terms(approval_id=approval_id))

    async def _refuse(self, told: Told, stream: Stream) -> None:
        """Say no, and let the client say what it must: bytes that nobody reads would break the connection first."""
        fields = [*told.headers, (b"connection", b"close")]
        lines = b"".join(b"%b: %b\r\n" % field for field in fields)
        status = f"HTTP/1.1 {told.status} {HTTPStatus(told.status).phrase}\r\n".encode()
        with trio.move_on_after(self.bounds.write_s):
            await stream.send_all(status + lines + b"\r\n" + told.body)
        with trio.move_on_after(self.bounds.linger_s):
            transport = stream if isinstance(stream, trio.SocketStream) else stream.transport_stream
            await transport.send_eof()
            left = LINGER_BYTES
            while left > 0 and (data := await transport.receive_some(RECEIVE_BYTES)):
                left -= len(data)


def tell_refusal(answer: Answer, head: Head, fault: int) -> Told:
    """Return the answer to a CONNECT that opened no tunnel. It is never a 2xx: that would be the tunnel."""
    status = fault or status_of(answer)
    members = common(answer) | {
        "detail": answer.reason,
        "receipt_id": answer.receipt.receipt_id,
        "status": status,
        "title": HTTPStatus(status).phrase,
        "type": REASON_TYPE + answer.reason_code,
    }
    told = finish(status, PROBLEM, members, head.heading)
    told.headers.extend(evidence(answer))
    if status == 405:
        told.headers.append((b"allow", b"CONNECT"))
    return told


def status_of(answer: Answer) -> int:
    """Return what HTTP calls a refusal of a tunnel."""
    if answer.status is Status.ESCALATED or answer.reason_code is ReasonCode.DATA_EGRESS_BLOCKED:
        return 403
    if answer.reason_code in (ReasonCode.ERR_CONNECTOR_ERROR, ReasonCode.ERR_CONNECTOR_TIMEOUT):
        return 502
    return HTTP_STATUS[answer.status]


async def serve_tunnels(
    kernel: Kernel,
    config: Config,
    keys: BearerKeys,
    *,
    bound: Bound | None = None,
    bounds: Bounds = BOUNDS,
    task_status: trio.TaskStatus[ConnectDoor] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve CONNECT until the kernel ends; report the open door. Start it in the kernel's nursery. Raises Invalid."""
    place = bound or bind_tunnels(config, keys)
    listener = place.listener()
    if bound is None:
        place.close()
    door = ConnectDoor(
        kernel=kernel,
        config=config,
        who=Credentials(keys, lambda: kernel.memory.policy, kernel.parts.clock, kernel.memory.bearers),
        tls=Tls(config, lambda: kernel.memory.policy),
        address=place.address,
        bounds=bounds,
    )
    try:
        await door.run(listener, task_status)
    except Exception as failure:
        kernel.fail(failure)  # a door that broke is a kernel that broke
        raise


def bind_tunnels(config: Config, keys: BearerKeys) -> Bound:
    """Listen where the settings have CONNECT asked for. Raises Invalid."""
    return bind(attrs.evolve(config, port=config.egress_port), admin_key_issued=keys.has_admin)
