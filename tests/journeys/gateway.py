"""A real gateway for a journey: an installation on disk, a door on a loopback port, callers that each hold a key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import trio

from actors.cli.server import Reply, Server
from actors.connectors.port import Connector
from actors.doors.serve import Door, serve
from actors.founding import TENANT, found_installation
from actors.installation import Installation
from actors.kernel import Kernel, Limits
from actors.keys.bearer import KeyClass
from actors.opening import Ground, break_ground, run_kernel
from actors.policy_file import sign_text
from actors.signed_policy import SignedPolicy

EXECUTE = "/v1/tools/execute"
EVALUATE = "/api/v1/evaluate"
FREEZE = "/api/v1/freeze"


NOON_MS = 1_760_010_000_000
"""A Thursday morning, in the middle of an hour: no window of a budget ends while a journey looks."""


@attrs.define
class SetClock:
    """The time of day, which stands still until a journey sets it forward."""

    ahead_ms: int = 0

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""
        return NOON_MS + self.ahead_ms


@attrs.frozen(eq=False)
class House:
    """An installation, before any kernel stands on it."""

    place: Installation
    keys: Mapping[str, str]
    clock: SetClock

    def sign(self, text: str) -> SignedPolicy:
        """Compile a policy and vouch for it."""
        return sign_text(text, "journey", self.place.policy_key())


def build(path: Path, *principals: str) -> House:
    """Make an installation in which these principals of the default tenant hold keys, and an operator."""
    clock = SetClock()
    first = found_installation(path, clock=clock)
    place = Installation.open(path, flags={"port": 0})
    bearer = place.bearer_keys()
    keys = {name: bearer.issue(KeyClass.TENANT, TENANT, name, at_ms=0) for name in principals}
    return House(place, {"agent": first.tenant, "operator": first.admin, "": "", **keys}, clock)


@attrs.frozen(eq=False)
class Gateway:
    """An open gateway."""

    house: House
    kernel: Kernel
    url: str
    door: Door

    async def send(self, path: str, body: bytes, *, key: str = "agent", **headers: str) -> Reply:
        """Send one POST request and return the answer."""
        server = Server(self.url, self.house.keys[key])
        given = {"content-type": "application/json", **headers}
        return await trio.to_thread.run_sync(partial(server.ask, "POST", path, body, **given))

    async def call(
        self, tool: str, arguments: Any = None, *, path: str = EXECUTE, key: str = "agent", **members: Any
    ) -> Reply:
        """Call a tool in the session of its caller, unless `members` say otherwise."""
        body = {"tool": tool, "session_id": f"of-{key}", "arguments": {} if arguments is None else arguments, **members}
        return await self.send(path, json.dumps(body).encode(), key=key)


@asynccontextmanager
async def gateway(
    house: House,
    policy: SignedPolicy | None,
    connectors: Mapping[str, Connector],
    *,
    limits: Limits | None = None,
    ground: Ground | None = None,
) -> AsyncIterator[Gateway]:
    """Serve the house for as long as the body runs."""
    ground = await break_ground(house.place) if ground is None else ground
    limits = limits or Limits(places=16, places_per_principal=16)
    async with run_kernel(ground, policy=policy, connectors=connectors, limits=limits, clock=house.clock) as kernel:
        door = await kernel.nursery.start(serve, kernel, house.place.config, house.place.bearer_keys())
        yield Gateway(house, kernel, door.address.url, door)
        door.close()
        await door.ended.wait()
