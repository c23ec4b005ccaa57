"""The HTTP door: one server inside the kernel's nursery, which ends with its kernel and answers what it still can."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import attrs
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.worker_context import WorkerContext

from actors.doors.alone import alone
from actors.doors.app import control_plane
from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.calls import EVALUATE, EXECUTE, CallsDoor, say
from actors.doors.connection import FAILURES, Connection, Service
from actors.doors.entry import Entry
from actors.doors.heading import heading_of
from actors.doors.mcp.http import CAPABILITIES as MCP_CAPABILITIES
from actors.doors.mcp.http import EXECUTE as MCP_EXECUTE
from actors.doors.mcp.http import MCP, McpDoor
from actors.doors.mcp.http import PLAIN as MCP_PLAIN
from actors.doors.mcp.oauth import METADATA
from actors.doors.openai.copying import copy_receipts
from actors.doors.openai.door import ASKING, PATHS, OpenAiDoor
from actors.doors.openai.proxy import Proxy
from actors.doors.packs import REPLAY, VERIFY, PacksDoor
from actors.doors.problem import Problem
from actors.doors.sockets import Address, Bound, Gate, bind
from actors.doors.stream import Lane
from actors.doors.tail import Tails
from actors.doors.tls import Tls
from actors.doors.told import tell_problem
from actors.doors.upgrade import STREAM, Streams
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys
from actors.meter import Meter
from helm.config import Config
from helm.contracts.call import Source

MAX_HEADING_BYTES = 16 * 1024
"""Longest heading of a request, and longest line of a chunked body's framing (T4)."""

STREAMED = Source(door="stream", transport="websocket")
NO_UPGRADE = Problem(
    status=426,
    detail="a stream begins with an upgrade to a WebSocket",
    headers=(("upgrade", "websocket"), ("connection", "upgrade")),
)

LOG = logging.getLogger("helm.doors")


@attrs.frozen(eq=False)
class Front:
    """The ASGI application: the data plane's paths by the short way, every other one to the control plane."""

    paths: Mapping[str, Callable[..., Awaitable[None]]]
    control: Callable[..., Awaitable[None]]

    async def __call__(self, scope: Any, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:
        """Hand one request to whom it is for."""
        door = self.paths.get(scope["path"])
        if door is not None:
            await door(scope, receive, send)
        elif scope["path"] == STREAM.decode():
            await say(tell_problem(NO_UPGRADE, heading_of(scope["headers"])), send)
        elif not scope["path"].startswith("/"):  # a whole URL, as proxies get it: the framework stumbles over some
            await say(tell_problem(Problem(status=404, detail="nothing is here"), heading_of(scope["headers"])), send)
        else:
            await self.control(scope, receive, send)


@attrs.define(eq=False)
class Door:
    """A door that is open: where it is, and how to close it."""

    address: Address
    service: Service
    grace_s: float
    meter: Meter
    ended: trio.Event = attrs.field(factory=trio.Event, init=False)
    _places: trio.Semaphore = attrs.field(init=False)
    _accepting: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _answering: trio.CancelScope = attrs.field(factory=lambda: trio.CancelScope(shield=True), init=False)
    _connections: set[Connection] = attrs.field(factory=set, init=False)
    _closed: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self._places = trio.Semaphore(self.service.bounds.connections)

    @property
    def clients(self) -> int:
        """How many connections are served at this moment."""
        return len(self._connections)

    def close(self) -> None:
        """Accept nobody any more; requests under way are answered, within the grace, and then `ended` is set."""
        self._accepting.cancel()

    async def run(self, listener: trio.SocketListener, opened: Callable[[], None]) -> None:
        """Serve until `close`, or until the kernel that this runs in ends."""
        try:
            async with trio.open_nursery() as nursery:
                handlers = await nursery.start(self._answer)
                try:
                    with self._accepting:
                        opened()
                        gate = Gate(listener, self._places)
                        await trio.serve_listeners(self._serve, [gate], handler_nursery=handlers)
                finally:
                    await self._retire()
        finally:
            self.ended.set()

    async def _answer(self, task_status: trio.TaskStatus[trio.Nursery]) -> None:
        """Hold the connections' tasks: when the kernel ends, requests under way still get an answer, for a while.

        The kernel's last words are those answers; nobody waits longer for them than for the kernel itself.
        """
        with self._answering:
            async with trio.open_nursery() as handlers:
                task_status.started(handlers)
                await self._closed.wait()

    async def _retire(self) -> None:
        """End what waits for nothing, and give the rest the grace."""
        await self.service.context.terminated.set()
        self._answering.deadline = trio.current_time() + self.grace_s
        for connection in list(self._connections):
            connection.retire()
        self._closed.set()

    async def _serve(self, stream: trio.SocketStream) -> None:
        try:
            await alone(partial(self._talk, stream), FAILURES, self.meter)
        finally:
            self._places.release()

    async def _talk(self, stream: trio.SocketStream) -> None:
        connection = Connection(self.service, stream)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)


async def serve(  # noqa: PLR0913 - one more than there may be, and that one is Trio's task_status
    kernel: Kernel,
    config: Config,
    keys: BearerKeys,
    *,
    bound: Bound | None = None,
    bounds: Bounds = BOUNDS,
    proxy: Proxy | None = None,
    task_status: trio.TaskStatus[Door] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve the kernel over HTTP until it ends; report the open door. Start it in the kernel's own nursery.

    Raises Invalid for an address, a certificate or an exposure that must not be used.
    """
    tails = Tails(kernel)
    who = Credentials(keys, lambda: kernel.memory.policy, kernel.parts.clock, kernel.memory.bearers)
    lane = Lane(entry=Entry(kernel, config, STREAMED), tails=tails)
    openai = None if proxy is None else OpenAiDoor(kernel, who, proxy, proxy.upstream(), bounds)
    paths = data_plane(kernel, config, who, bounds)
    if openai is not None:
        paths |= dict.fromkeys(PATHS, openai)
    service = Service(
        app=Front(paths, control_plane(kernel, config, who, tails)),
        config=hypercorn_config(),
        context=WorkerContext(None),
        bounds=bounds,
        streams=Streams(lane, config, who, bounds),
        at_once={EXECUTE.encode(): CallsDoor(kernel, config, who, bounds).execute},
        lasting=frozenset() if proxy is None else ASKING,
        tls=Tls(config, lambda: kernel.memory.policy),
    )
    if proxy is not None:
        await copy_receipts(kernel, proxy)
    place = bound or bind(config, admin_key_issued=keys.has_admin)
    listener = place.listener()
    if bound is None:
        place.close()  # the listener has a copy: nobody is let in once the door is closed
    door = Door(place.address, service, config.grace_s, kernel.meter)
    try:
        await door.run(listener, lambda: task_status.started(door))
    except Exception as failure:
        kernel.fail(failure)  # a door that broke is a kernel that broke: a fresh one gets a fresh door
        raise


def data_plane(
    kernel: Kernel, config: Config, who: Credentials, bounds: Bounds
) -> dict[str, Callable[..., Awaitable[None]]]:
    """Return the applications through which calls and packs come in, by path."""
    calls, mcp = CallsDoor(kernel, config, who, bounds), McpDoor(kernel, config, who, bounds)
    plain = CallsDoor(kernel, config, who, bounds, MCP_PLAIN)
    packs = PacksDoor(bounds)
    return {
        EXECUTE: calls,
        EVALUATE: calls,
        MCP: mcp,
        MCP_CAPABILITIES: mcp,
        METADATA: mcp,
        MCP_EXECUTE: plain,
        VERIFY: packs,
        REPLAY: packs,
    }


def hypercorn_config() -> HypercornConfig:
    """Return Hypercorn's settings, as far as one connection looks at them."""
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = LOG
    config.h11_max_incomplete_size = MAX_HEADING_BYTES
    config.include_server_header = False
    return config
