"""helm launch preflight: which isolation tiers there are, and whether the policy's agents could be launched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import trio

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.place import data_dir_option, open_place
from actors.policy_file import read_policy
from helm.guardian.connection import HARDENED, LaunchConnection, Tier
from helm.launch.tiers import Host, tiers

ENGINES = ("docker", "podman")


@click.command()
@data_dir_option
@show.json_option
def preflight(data_dir: Path, as_json: bool) -> int:
    """Say which isolation tiers this host has, and which the policy demands. It starts nothing.

    Exit 1 where an agent of the policy could not be launched, or where there is no engine at all.
    """
    policy = read_policy(open_place(data_dir).policy_path)
    agents = [one for one in policy.connectors.values() if isinstance(one, LaunchConnection)]
    hosts = trio.run(look)
    told = {
        "engines": [told_of(name, hosts[name]) for name in ENGINES],
        "agents": [ready(one, hosts) for one in agents],
    }
    if as_json:
        show.as_object(told)
    else:
        tell(told)
    is_ready = all(one["ready"] for one in told["agents"]) and any(hosts.values())
    return 0 if is_ready else REFUSED


async def look() -> dict[str, Host | None]:
    """Return what every engine says of itself, None for one that is not there or does not answer."""
    from actors.connectors.launch.engine import find

    hosts: dict[str, Host | None] = {}
    for name in ENGINES:
        engine = find(name)
        hosts[name] = None if engine is None else await engine.host()
    return hosts


def told_of(name: str, host: Host | None) -> dict[str, Any]:
    """Return an engine with its tiers. A dedicated machine is nobody's but an agent's own policy's to state."""
    found = {} if host is None else tiers(host)
    return {
        "engine": name,
        "version": "" if host is None else host.version,
        "tiers": [
            {"tier": one.tier.value, "hardened": one.tier in HARDENED, "evidence": one.evidence}
            for one in found.values()
        ],
    }


def ready(agent: LaunchConnection, hosts: dict[str, Host | None]) -> dict[str, Any]:
    """Return whether an agent could be launched now, and why."""
    grant = agent.grant
    host = hosts[grant.engine]
    found = None if host is None else tiers(host, dedicated=grant.dedicated).get(Tier(grant.tier))
    why = found.evidence if found else f"{grant.engine} is not there" if host is None else "the tier is not there"
    return {
        "agent": agent.name,
        "tier": grant.tier,
        "spec_hash": agent.grant_hash,
        "ready": found is not None,
        "why": why,
    }


def tell(told: dict[str, Any]) -> None:
    """Write it for a person."""
    rows = [
        (engine["engine"], one["tier"], "hardened" if one["hardened"] else "baseline", one["evidence"])
        for engine in told["engines"]
        for one in engine["tiers"]
    ]
    if rows:
        show.table(("engine", "tier", "", "evidence"), rows)
    else:
        show.note("there is no docker and no podman that answers: nothing can be launched here")
    for one in told["agents"]:
        state = show.state("ok" if one["ready"] else "fail")
        click.echo(f"{state}  {show.plain(one['agent'])}  {one['tier']}  {one['why']}")
