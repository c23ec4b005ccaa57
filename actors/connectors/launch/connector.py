"""Agents in containers as tools: run, status and stop, behind the tier that the policy demands or not at all (T10).

A container is made, looked at, and only then started: what the engine made must be what the spec asks for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import trio

from actors.connectors.launch import engine as engines
from actors.connectors.launch.engine import Engine, EngineFailed
from actors.connectors.port import ConnectorFailed, ConnectorUnknown, Dispatch, Kept, NotDispatched, Unreachable
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.connection import HARDENED, LaunchConnection, LaunchOperation, Tier
from helm.launch.substrate import LABEL, create_words, shortfalls
from helm.launch.tiers import Found, tiers

NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
PREFIX: Final = "helm-"
STOP_S: Final = "10"
REMOVE_S: Final = 10.0

Find = Callable[[str], Engine | None]


class LaunchConnector:
    """Launches one agent, as often as it is called."""

    def __init__(self, connection: LaunchConnection, *, find: Find = engines.find) -> None:
        self._connection = connection
        self._find = find

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return what the engine says of the agent afterwards. Raises NotDispatched where nothing was started."""
        if order.sandbox_grant_hash != self._connection.grant_hash:
            raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, "the order is for another spec than this agent's")
        name = name_of(order)
        match order.operation or order.tool:
            case LaunchOperation.RUN:
                return await self._run(order, name)
            case LaunchOperation.STATUS:
                engine = self._engine()
                return Kept(state_of(await self._own(engine, name)))
            case LaunchOperation.STOP:
                return await self._stop(name)
            case operation:
                raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"an agent has no operation {operation!r}")

    async def aclose(self) -> None:
        """Nothing is held: agents go on, and are stopped by being stopped."""

    async def _run(self, order: Dispatch, name: str) -> JSONValue:
        grant, engine = self._connection.grant, self._engine()
        found = await self._tier(engine)
        labels = {LABEL: self._connection.grant_hash, "helm.tier": grant.tier, "helm.decision": order.decision_id}
        try:
            await engine.do(*create_words(grant, found, name, labels))
        except EngineFailed as failure:
            what = f"{failure.reason}: is the image there, and the name free? Nothing was started"
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, what) from failure
        try:
            made = await self._own(engine, name)
            lacking = shortfalls(made, grant, found)
            if lacking:
                what = f"what the engine made is less than its spec: {'; '.join(lacking)}"
                raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, what)
        except BaseException:
            await remove(engine, name)
            raise
        try:
            await engine.do("start", name)
        except EngineFailed as failure:
            await remove(engine, name)
            raise ConnectorFailed(failure.reason) from failure
        started = await self._afterwards(engine, name)
        return Kept(
            {
                "engine": engine.name,
                "evidence": found.evidence,
                "hardened": Tier(grant.tier) in HARDENED,
                "image": grant.image,
                "runtime": found.runtime or "the engine's own",
                "spec_hash": self._connection.grant_hash,
                "tier": grant.tier,
                **started,
            },
            said=f"launched behind {grant.tier}: {found.evidence}; spec {self._connection.grant_hash}",
        )

    async def _stop(self, name: str) -> JSONValue:
        engine = self._engine()
        await self._own(engine, name)
        try:
            await engine.do("stop", "-t", STOP_S, name)
            stopped = await self._afterwards(engine, name)
            await engine.do("rm", "--force", name)
        except EngineFailed as failure:
            raise ConnectorFailed(failure.reason) from failure
        return Kept(stopped)

    async def _afterwards(self, engine: Engine, name: str) -> dict[str, JSONValue]:
        """Return what became of an agent by what was done. Raises ConnectorUnknown where nobody says."""
        try:
            return state_of(await self._own(engine, name))
        except NotDispatched as problem:
            raise ConnectorUnknown(f"it was done, and what became of it is not told: {problem.reason}") from problem

    def _engine(self) -> Engine:
        """Return the engine of the spec. Raises NotDispatched."""
        name = self._connection.grant.engine
        engine = self._find(name)
        if engine is None:
            raise Unreachable(ReasonCode.ERR_ISOLATION_TIER_UNAVAILABLE, f"this host has no {name}")
        return engine

    async def _tier(self, engine: Engine) -> Found:
        """Return what says that the demanded tier is there. Raises NotDispatched where nothing does."""
        grant = self._connection.grant
        host = await engine.host()
        if host is None:
            what = f"{engine.name} does not answer: which tiers there are is unknown"
            raise Unreachable(ReasonCode.ERR_ISOLATION_TIER_UNAVAILABLE, what)
        there = tiers(host, dedicated=grant.dedicated)
        found = there.get(Tier(grant.tier))
        if found is None:
            what = f"the policy demands {grant.tier}; this host has {', '.join(there)}"
            raise Unreachable(ReasonCode.ERR_ISOLATION_TIER_UNAVAILABLE, what)
        return found

    async def _own(self, engine: Engine, name: str) -> dict[str, JSONValue]:
        """Return what the engine says of a container. Raises NotDispatched for one that is not of this spec."""
        try:
            said = await engine.ask("inspect", "--type", "container", name)
        except EngineFailed as failure:
            raise NotDispatched(ReasonCode.ERR_CONNECTOR_ERROR, f"there is no agent {name}") from failure
        inspected = said[0] if type(said) is list and said else None
        config = inspected.get("Config") if type(inspected) is dict else None
        labels = config.get("Labels") if type(config) is dict else None
        if type(labels) is not dict or labels.get(LABEL) != self._connection.grant_hash:
            raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, f"{name} was not launched under this spec")
        return inspected or {}


def name_of(order: Dispatch) -> str:
    """Return the container's name. Raises NotDispatched."""
    name = order.parsed.get("name") if type(order.parsed) is dict else None
    if type(name) is not str or NAME.fullmatch(name) is None:
        raise NotDispatched(
            ReasonCode.SCHEMA_VIOLATION, "the argument 'name' must be lower-case letters, digits, hyphens"
        )
    return PREFIX + name


def state_of(inspected: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return what is told of a container."""
    state = inspected.get("State")
    given = state if type(state) is dict else {}
    return {
        "container": str(inspected.get("Id", "")),
        "exit_code": given["ExitCode"] if type(given.get("ExitCode")) is int else -1,
        "status": str(given.get("Status", "unknown")),
    }


async def remove(engine: Engine, name: str) -> None:
    """Take away what was made and never started; whoever was cancelled waits for that."""
    with trio.move_on_after(REMOVE_S, shield=True):
        try:
            await engine.do("rm", "--force", name)
        except EngineFailed:
            pass
