"""The street before the door: clients on real loopback sockets, polite ones and others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import h11
import trio

from actors.connectors.port import Connector
from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.calls import EVALUATE, EXECUTE
from actors.doors.serve import Door, serve
from actors.doors.sockets import Address
from actors.kernel import Kernel, Limits
from actors.keys.bearer import BearerKeys, KeyClass
from actors.observing import UNOBSERVED, Observing
from helm.config import Config
from tests.actors.kit import LIMITS, House
from tests.actors.policies import POLICY

SOON_S = 20.0
"""Longest wait of any client here: a door that hangs fails the test instead of stopping it."""

JSON = {"content-type": "application/json"}


@attrs.frozen(kw_only=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def receipt(self) -> dict[str, Any]:
        """The signed receipt in the answer."""
        receipt: dict[str, Any] = self.json()["receipt"]
        return receipt


@attrs.define(eq=False)
class Client:
    """One connection, used for one request after another."""

    stream: trio.SocketStream
    machine: h11.Connection = attrs.field(factory=lambda: h11.Connection(h11.CLIENT))

    async def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send one request and return the answer."""
        fields = {"host": "helm", "content-length": str(len(body)), **(headers or {})}
        await self.send(method, path, body, fields)
        return await self.reply()

    async def send(self, method: str, path: str, body: bytes, fields: Mapping[str, str]) -> None:
        """Send one request; a door that answers early need not have read all of it."""
        headers = [(name.encode(), value.encode("latin-1")) for name, value in fields.items()]
        events: list[Any] = [h11.Request(method=method, target=path, headers=headers)]
        events += [h11.Data(data=body)] if body else []
        with trio.fail_after(SOON_S):
            try:
                for event in [*events, h11.EndOfMessage()]:
                    await self.stream.send_all(self.machine.send(event) or b"")
            except trio.BrokenResourceError:
                pass

    async def reply(self) -> Reply:
        """Return the next answer."""
        response: h11.Response | None = None
        body = b""
        with trio.fail_after(SOON_S):
            while not isinstance(event := self.machine.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    self.machine.receive_data(await self.stream.receive_some())
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
        assert response is not None
        headers = {name.decode(): value.decode() for name, value in response.headers}
        if self.machine.our_state is self.machine.their_state is h11.DONE:
            self.machine.start_next_cycle()
        return Reply(status=response.status_code, headers=headers, body=body)


@attrs.define(eq=False)
class Street:
    """An open door, its kernel, and keys for everyone who lives here."""

    kernel: Kernel
    door: Door
    agent: str
    """The key of acme's agent."""
    rival: str
    """The key of globex's agent."""
    admin: str

    @property
    def address(self) -> Address:
        return self.door.address

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> Reply:
        """Send one request on a connection of its own, by default with the key of acme's agent."""
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        key = self.agent if key is None else key
        fields = {"authorization": f"Bearer {key}"} if key else {}
        fields |= JSON if body is not None else {}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.connected() as client:
            return await client.ask(method, path, raw, fields)

    async def call(self, body: Any, *, key: str | None = None, **headers: str) -> Reply:
        """Ask for a tool to be executed."""
        return await self.ask("POST", EXECUTE, body, key=key, **headers)

    async def evaluate(self, body: Any, **headers: str) -> Reply:
        """Ask for a verdict."""
        return await self.ask("POST", EVALUATE, body, **headers)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """Yield a connection to the door."""
        stream = await trio.open_tcp_stream(self.address.host, self.address.port)
        try:
            yield Client(stream)
        finally:
            await trio.aclose_forcefully(stream)

    async def shout(self, raw: bytes) -> bytes:
        """Send bytes as they are, and return all that is said before the door hangs up."""
        async with self.connected() as client:
            with trio.fail_after(SOON_S):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(push, client.stream, raw)
                    return await heard(client.stream)


async def push(stream: trio.SocketStream, raw: bytes) -> None:
    """Send what the other side takes."""
    try:
        await stream.send_all(raw)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


async def heard(stream: trio.SocketStream) -> bytes:
    """Return everything until the end, be it a rude one."""
    said = b""
    try:
        while piece := await stream.receive_some():
            said += piece
    except trio.BrokenResourceError:
        pass
    return said


def raw_request(key: str, body: bytes, *, path: str = EXECUTE, extra: bytes = b"") -> bytes:
    """Return the bytes of a request to call a tool."""
    heading = f"POST {path} HTTP/1.1\r\nhost: helm\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
    return heading.encode() + b"content-length: %d\r\n" % len(body) + extra + b"\r\n" + body


def issue_keys(path: Path) -> tuple[BearerKeys, list[str]]:
    """Return keys for acme's agent, globex's agent and an operator."""
    keys = BearerKeys(path / "street-keys.json", ())
    agent = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=0)
    rival = keys.issue(KeyClass.TENANT, "globex", "agent", at_ms=0)
    return keys, [agent, rival, keys.issue(KeyClass.ADMIN, "", "operator", at_ms=0)]


@asynccontextmanager
async def open_street(
    house: House,
    puppet: Connector | Mapping[str, Connector] | None = None,
    *,
    policy: str | None = POLICY,
    limits: Limits = LIMITS,
    config: Config | None = None,
    bounds: Bounds = BOUNDS,
    real: bool = False,
    observing: Observing = UNOBSERVED,
) -> AsyncIterator[Street]:
    """Run a kernel and its door on a free loopback port; on the disk's journal where it must be a `real` one."""
    keys, plain = issue_keys(house.path)
    ground = await house.real_ground() if real else None
    async with house.kernel(puppet, policy=policy, limits=limits, ground=ground, observing=observing) as kernel:
        settings = config or Config(port=0, grace_s=2.0)
        door = await kernel.nursery.start(partial(serve, kernel, settings, keys, bounds=bounds))
        yield Street(kernel, door, *plain)
