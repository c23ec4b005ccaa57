"""The stage of the demonstration: a real gateway before a small world."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path

import attrs

from actors.cli.demo.service import Orders, order_service
from actors.cli.freeze import FREEZE
from actors.cli.server import Server
from actors.doors.serve import serve
from actors.founding import TENANT, found_installation
from actors.installation import Installation
from actors.keys.bearer import KeyClass
from actors.opening import open_kernel
from actors.policy_file import read_signed, sign_text, write_signature
from actors.process import durable
from actors.process.clock import SystemClock

ORIGIN = "@ORDERS@"
"""What stands in the policy for the origin of the order service."""


@attrs.frozen(kw_only=True)
class Stage:
    """An open gateway, the keys of those who call it, and the service that it stands before."""

    place: Installation
    url: str
    keys: Mapping[str, str] = attrs.field(repr=False)
    service: Orders

    def server(self, whose: str) -> Server:
        """Return the gateway as the holder of a key sees it."""
        return Server(self.url, self.keys[whose])

    def freezes(self) -> int:
        """Return the sequence of the last freeze command."""
        sequence: int = self.server("operator").get(FREEZE, {})["sequence"]
        return sequence


def demo_policy() -> str:
    """Return the demonstration's policy."""
    return (files("actors") / "cli" / "demo" / "policy.toml").read_text(encoding="utf-8")


@asynccontextmanager
async def set_stage(path: Path, policy: str) -> AsyncIterator[Stage]:
    """Make an installation at `path` and serve it for as long as the body runs."""
    with order_service() as service:
        keys = make_place(path, policy.replace(ORIGIN, service.origin))
        place = Installation.open(path, flags={"port": 0})
        async with gateway(place) as url:
            yield Stage(place=place, url=url, keys=keys, service=service)


def make_place(path: Path, policy: str) -> dict[str, str]:
    """Make the installation with its signed policy; return everyone's bearer key."""
    clock = SystemClock()
    first = found_installation(path, clock=clock)
    place = Installation.open(path)
    durable.replace(place.policy_path, policy.encode())
    write_signature(place.policy_path, sign_text(policy, str(place.policy_path), place.policy_key()).signature)
    intruder = place.bearer_keys().issue(KeyClass.TENANT, TENANT, "intruder", at_ms=clock.now_ms())
    return {
        "agent": first.tenant,
        "intruder": intruder,
        "operator": first.admin,
        "stranger": "helm_" + "0" * 43,
        "": "",
    }


@asynccontextmanager
async def gateway(place: Installation) -> AsyncIterator[str]:
    """Serve an installation; yield the URL, and answer what is under way before it ends."""
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        yield door.address.url
        door.close()
        await door.ended.wait()
