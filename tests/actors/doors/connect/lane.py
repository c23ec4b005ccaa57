"""A lane through the CONNECT proxy: a real kernel, real sockets on loopback, and names that a test resolves."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from actors.connectors.port import Connector
from actors.connectors.tunnel import TunnelConnector
from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.connect.door import ConnectDoor, serve_tunnels
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys
from helm.config import Config
from helm.guardian.bundle import load_toml
from helm.guardian.connection import TunnelConnection
from helm.guardian.lasting import denied_to
from helm.guardian.policy import Policy
from tests.actors.doors.street import SOON_S, heard, issue_keys
from tests.actors.kit import LIMITS, House
from tests.actors.puppet import Puppet

POLICY = """
version = "helm.policy/1"
scope = "test"
epoch = 1

[p0]
max_risk_tier = "T2"
denied_destinations = ["169.254.169.254", "127.0.0.9"]

[connectors.egress]
kind = "tunnel"
allow_private = true
idle_s = 60
max_sent_bytes = 100000
max_received_bytes = 200000

[tools.tunnel]
connector = "egress"
effect_type = "egress"
risk_tier = "T2"
principals = ["*"]
timeout_ms = 60000
allow_destinations = ["127.0.0.1", "::1", "*.example.com", "one.test:4433"]
input = '''{
  "type": "object", "properties": {"destination": {"type": "string"}},
  "required": ["destination"], "additionalProperties": false
}'''
output = '''{
  "type": "object",
  "properties": {
    "address": {"type": "string"},
    "bytes_received": {"type": "integer"},
    "bytes_sent": {"type": "integer"},
    "destination": {"type": "string"},
    "ended_by": {"type": "string"},
    "network_proof": {"const": "destination_allowlist_only"},
    "payload_inspection": {"const": "opaque_connect"}
  },
  "required": [
    "address", "bytes_received", "bytes_sent", "destination", "ended_by", "network_proof", "payload_inspection"
  ],
  "additionalProperties": false
}'''
"""


@attrs.define
class Names:
    """A resolver whose answers a test sets: each is used once, the last one for ever."""

    answers: dict[str, list[Sequence[str]]] = attrs.field(factory=dict)
    asked: list[str] = attrs.field(factory=list)

    async def __call__(self, host: str) -> Sequence[str]:
        """Return the next answer for a name; an address is its own."""
        await trio.lowlevel.checkpoint()
        self.asked.append(host)
        answers = self.answers.get(host)
        if answers is None:
            return [host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


@attrs.frozen(kw_only=True)
class Said:
    """What the proxy said before it opened a tunnel, or instead."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def refusal(self) -> Any:
        return json.loads(self.body)


@attrs.define(eq=False)
class Lane:
    """An open proxy."""

    house: House
    kernel: Kernel
    door: ConnectDoor
    agent: str
    rival: str
    admin: str
    names: Names

    async def connect(self) -> trio.SocketStream:
        """Return a connection to the proxy."""
        return await trio.open_tcp_stream(self.door.address.host, self.door.address.port)

    def head(self, target: str, *, key: str | None = None, method: str = "CONNECT", **headers: str) -> bytes:
        """Return the head of a request, by default with the key of acme's agent."""
        key = self.agent if key is None else key
        fields = {"host": "proxy", **({"proxy-authorization": f"Bearer {key}"} if key else {})}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")

    @asynccontextmanager
    async def tunnel(self, target: str, early: bytes = b"", **more: str) -> AsyncIterator[trio.SocketStream]:
        """Yield the client's end of an open tunnel."""
        stream = await self.connect()
        try:
            await stream.send_all(self.head(target, **more) + early)
            with trio.fail_after(SOON_S):
                said = await opened(stream)
            assert said.status == 200, said
            yield stream
        finally:
            await trio.aclose_forcefully(stream)

    async def ask(self, target: str, **more: str) -> Said:
        """Ask for a tunnel that is refused; return all that is said."""
        return await self.shout(self.head(target, **more))

    async def shout(self, raw: bytes) -> Said:
        """Send bytes, and return the one answer; the proxy hangs up after it."""
        stream = await self.connect()
        try:
            with trio.fail_after(SOON_S):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(push, stream, raw)
                    whole = await heard(stream)
                    nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)
        head, _, body = whole.partition(b"\r\n\r\n")
        return said_of(head, body)

    async def receipts(self, at_least: int = 1) -> list[dict[str, Any]]:
        """Return every call's receipt with its output, once there are so many."""
        with trio.fail_after(SOON_S):
            while len(found := self._receipts()) < at_least or self.kernel.cases:  # noqa: ASYNC110
                await trio.sleep(0.01)
        return found

    def _receipts(self) -> list[dict[str, Any]]:
        rows = [json.loads(row)["beside"] for row in self.house.disk.rows]
        return [beside["receipt"] | {"output": beside.get("output")} for beside in rows if "receipt" in beside]


async def push(stream: trio.SocketStream, raw: bytes) -> None:
    """Send what the other side takes."""
    try:
        await stream.send_all(raw)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def opened(stream: trio.abc.Stream) -> Said:
    """Read the head of the answer, a byte at a time: what follows is the tunnel's."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = await stream.receive_some(1)
        assert piece, head
        head += piece
    return said_of(head[:-4])


def said_of(head: bytes, body: bytes = b"") -> Said:
    """Return an answer."""
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Said(status=int(first.split()[1]) if first else 0, headers=headers, body=body)


def basic(user: str, password: str) -> str:
    """Return the header of a client whose proxy is set by a URL."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def connection_of(policy: Policy) -> TunnelConnection:
    """Return the one connection for tunnels."""
    connection = policy.connectors["egress"]
    assert isinstance(connection, TunnelConnection)
    return connection


@asynccontextmanager
async def open_lane(
    house: House, *, policy: str = POLICY, bounds: Bounds = BOUNDS, names: Names | None = None, **settings: Any
) -> AsyncIterator[Lane]:
    """Run a kernel and its proxy on a free loopback port."""
    keys, (agent, rival, admin) = issue_keys(house.path)
    compiled = load_toml(policy, "test")
    names = names or Names()
    connector = TunnelConnector(connection_of(compiled), denied_to(compiled, "egress"), resolver=names)
    plugged: Mapping[str, Connector] = {name: Puppet() for name in compiled.connectors} | {"egress": connector}
    async with house.kernel(plugged, policy=policy, limits=LIMITS) as kernel:
        door = await start(kernel, keys, bounds, settings)
        yield Lane(house, kernel, door, agent, rival, admin, names)


async def start(kernel: Kernel, keys: BearerKeys, bounds: Bounds, settings: Mapping[str, Any]) -> ConnectDoor:
    """Open the proxy's door."""
    given: dict[str, Any] = {"egress_tool": "tunnel", "egress_port": 0, "grace_s": 2.0, **settings}
    config = Config(**given)
    door: ConnectDoor = await kernel.nursery.start(partial(serve_tunnels, kernel, config, keys, bounds=bounds))
    return door


Serve = Callable[[trio.SocketStream], Any]


@asynccontextmanager
async def place(serve: Serve, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Listen at a place that tunnels lead to; yield its port."""
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host=host))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def echo(stream: trio.SocketStream) -> None:
    """Say what is heard, until the end, and then the end."""
    try:
        async for piece in stream:
            await stream.send_all(piece)
        await stream.send_eof()
    except trio.BrokenResourceError:
        pass  # the tunnel was cut: that is what some tests are about


def descriptors() -> int:
    """Return how many file descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else 0
