"""helm freeze, helm unfreeze: stops by a command that the emergency key signs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.process.clock import SystemClock
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, Freezes, sign_command

FREEZE = f"{API}/freeze"


class Stop(NamedTuple):
    """What is to be frozen or unfrozen, and why."""

    action: str
    scope: str
    target: str
    reason: str


class Signed(NamedTuple):
    """A command, and the emergency key's signature."""

    command: FreezeCommand
    signature: str

    def body(self) -> dict[str, Any]:
        """Return the command as a kernel takes it over HTTP."""
        return {"command": FREEZE_COMMAND.body(self.command), "signature": self.signature}


def options(command: Any) -> Any:
    """Add what both commands take."""
    for option in (
        show.json_option,
        server_option,
        data_dir_option,
        click.option("--agent", default="", metavar="TENANT/PRINCIPAL", help="One agent only."),
        click.option("--tenant", default="", help="One tenant only."),
        click.option("--reason", required=True, help="Why; it stands in the log for ever."),
    ):
        command = option(command)
    return command


@click.command()
@options
def freeze(reason: str, tenant: str, agent: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Stop everything at once, or one tenant, or one agent; nothing is dispatched until it is lifted."""
    obey(stop_of("freeze", tenant, agent, reason), data_dir, server_url(data_dir, server), as_json=as_json)


@click.command()
@options
def unfreeze(reason: str, tenant: str, agent: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Lift a freeze of the same scope."""
    obey(stop_of("unfreeze", tenant, agent, reason), data_dir, server_url(data_dir, server), as_json=as_json)


def stop_of(action: str, tenant: str, agent: str, reason: str) -> Stop:
    """Return what the options ask for. Raises UsageError."""
    if tenant and agent:
        raise click.UsageError("--tenant or --agent, not both")
    if agent and not all(agent.partition("/")):
        raise click.UsageError("--agent is TENANT/PRINCIPAL")
    scope = "agent" if agent else "tenant" if tenant else "global"
    return Stop(action, scope, agent or tenant, reason)


def obey(stop: Stop, data_dir: Path, url: str, *, as_json: bool) -> None:
    """Have the running kernel obey, or, where none is named, the data directory itself."""
    place = open_place(data_dir)
    show.note(f"asking {url or place.path} to {stop.action}, with the emergency key of {place.path}")
    told = on_server(stop, place, Server(url)) if url else on_directory(stop, place)
    if as_json:
        show.as_object(told)
        return
    in_force = [f"{one['scope']} {one['target']}".strip() for one in told["in_force"]]
    show.fields([("frozen", ", ".join(in_force) or "nothing"), ("sequence", str(told["sequence"]))])


def sign(stop: Stop, place: Installation, sequence: int) -> Signed:
    """Return the command that follows `sequence`, signed for this log. Raises Invalid."""
    key = place.emergency_key()
    command = FreezeCommand(
        action=stop.action,
        issued_at_ms=SystemClock().now_ms(),
        key_id=key.key_id,
        log_id=place.log_id,
        reason=stop.reason,
        scope=stop.scope,
        sequence=sequence + 1,
        target=stop.target,
    )
    return Signed(command, sign_command(command, key))


def on_server(stop: Stop, place: Installation, server: Server) -> dict[str, Any]:
    """Send the signed command to a running kernel; its route asks for an admin key. Raises Failed."""
    stops = server.get(FREEZE, {})
    if stops["log_id"] != place.log_id:
        hint = "name the data directory of that kernel: its emergency key is the one that counts"
        raise Failed(f"the kernel writes log {stops['log_id']}, the key is for {place.log_id}", hint, "INVALID")
    told: dict[str, Any] = server.post(FREEZE, sign(stop, place, stops["sequence"]).body())
    return told


def on_directory(stop: Stop, place: Installation) -> dict[str, Any]:
    """Write the signed command into a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    return trio.run(write_stop, stop, place)


async def write_stop(stop: Stop, place: Installation) -> dict[str, Any]:
    """Run a kernel without a policy for as long as it takes to obey one command."""
    from actors.commands.freeze import Freeze
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        freezes = kernel.memory.freezes
        signed = sign(stop, place, freezes.sequence)
        await kernel.command(Freeze(signed.command, signed.signature, kernel.parts.state.registry))
        return told_of(freezes, place.log_id)


def told_of(freezes: Freezes, log_id: str) -> dict[str, Any]:
    """Return the stops in force as the HTTP route tells them."""
    in_force = [{"scope": scope, "target": target} for scope, target in sorted(freezes.in_force)]
    return {"in_force": in_force, "log_id": log_id, "sequence": freezes.sequence}
