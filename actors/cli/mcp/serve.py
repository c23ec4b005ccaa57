"""helm mcp serve: the policy's tools, for one MCP client that starts this program, or for many over HTTP."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

import click
import trio

from actors.cli import show
from actors.cli.place import data_dir_option, open_place
from actors.doors.entry import Entry
from actors.doors.mcp.core import Core
from actors.doors.mcp.stdio import NotRead, StdioDoor, TooLong
from actors.founding import TENANT
from actors.installation import Installation
from actors.keys.bearer import KEY_BYTES, BearerKey, KeyClass
from actors.opening import open_kernel
from actors.policy_file import read_signed
from actors.process.environs import environs
from actors.signed_policy import SignedPolicy
from actors.telemetry.observers import Observers, observers_of
from helm.contracts.call import Source
from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.guardian.identity import is_from_elsewhere
from helm.guardian.intake import check_name

STDIO: Final = Source(door="mcp", transport="stdio")


@click.command()
@data_dir_option
@click.option("--policy", type=click.Path(path_type=Path), help="A signed bundle other than the data directory's.")
@click.option("--transport", type=click.Choice(["stdio", "http"]), default="stdio", show_default=True)
@click.option("--principal", default="agent", show_default=True, help="Whom calls over stdio are judged as.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port, for http; 0 takes a free one.")
def serve(data_dir: Path, policy: Path | None, transport: str, principal: str, port: int | None) -> None:
    """Serve the policy's tools over MCP until the client closes its side, or over HTTP until told to stop.

    Nothing but MCP goes to stdout. Over HTTP this is the gateway of `helm serve`, at /mcp.
    """
    place = open_place(data_dir, policy=None if policy is None else str(policy.resolve()), port=port)
    signed = read_signed(place.policy_path, place.overlays_path)
    if transport == "http":
        from actors.cli.serve import Gateway, run_gateway

        run_gateway(Gateway(place, signed, show.note))
        return
    check_name(principal, "principal")
    run_over_stdio(place, signed, principal)


def run_over_stdio(place: Installation, signed: SignedPolicy, principal: str, server_id: str = "") -> None:
    """Serve one client before the observers that the settings ask for. Raises Invalid."""
    observers = observers_of(place, environs(os.environ))
    with observers.running():
        trio.run(over_stdio, place, signed, principal, server_id, observers)


async def over_stdio(
    place: Installation, signed: SignedPolicy, principal: str, server_id: str, observers: Observers
) -> None:
    """Serve one client, all tools or those of one server. Raises Invalid where it floods, or does not read."""
    if is_from_elsewhere(principal):
        raise Invalid(f"{principal!r} is a name that only a token or a certificate gives", "--principal")
    own = sha256(secrets.token_bytes(KEY_BYTES))  # nobody holds it: the session of this process is its own
    key = BearerKey(credential_hash=own, created_at_ms=0, key_class=KeyClass.TENANT, tenant=TENANT, principal=principal)
    async with open_kernel(place, policy=signed, observing=observers.observing) as kernel:
        door = StdioDoor(Core(Entry(kernel, place.config, STDIO), place.config.max_body_bytes, server_id), key)
        show.note(f"MCP on stdio, log {place.log_id}, policy epoch {signed.policy.epoch}")
        async with trio.lowlevel.FdStream(0) as source, trio.lowlevel.FdStream(1) as sink:
            try:
                with observers.reading.of(kernel):
                    await door.serve(source, sink)
            except* (TooLong, NotRead) as gone:
                raise Invalid(str(gone.exceptions[0]), "stdin", "the client was let go") from gone
            except* trio.BrokenResourceError:
                show.note("the client is gone")
