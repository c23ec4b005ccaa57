"""helm identity: who is known here, and whom a credential would make of its holder."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, Final

import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid

AGENTS: Final = f"{API}/identity/agents"

AGENT_ID: Final = re.compile("agt_[0-9a-f]{32}")

MAX_FILE: Final = 64 * 1024
"""Bytes of a file with a credential (T4)."""


@click.group()
def identity() -> None:
    """Who is calling: by a key of HELM's own, a token, or a certificate. HELM keeps no users."""


@identity.command()
@click.option("--tenant", default="", help="Those of one tenant.")
@click.option("--principal", default="", help="The one of this name.")
@click.option("--source", default="", help='Those who come from there: "key", "oidc:NAME", "spiffe://DOMAIN".')
@server_option
@data_dir_option
@show.json_option
def agents(data_dir: Path, server: str | None, *, as_json: bool, **wanted: str) -> None:
    """List who is known, and those whose word counts."""
    url = server_url(data_dir, server)
    told = Server(url).get(AGENTS, wanted) if url else looked_at(open_place(data_dir), wanted)
    if as_json:
        show.as_object(told)
        return
    heads = ("PRINCIPAL", "TENANT", "FROM", "SESSIONS", "FROZEN", "AGENT")
    show.table(heads, [row_of(one) for one in told["agents"]])
    for one in told["issuers"]:
        show.note(f"oidc:{one['name']} is {one['issuer']}, for {', '.join(one['tenants'])}, at {one['doors']}")
    for one in told["trust_domains"]:
        show.note(f"spiffe://{one['trust_domain']}, for {one['tenant']}, {len(one['roots'])} roots")
    if not told["is_complete"]:
        show.note("there are more: ask for one tenant, source or principal")


@identity.command("show")
@click.argument("agent_id")
@server_option
@data_dir_option
@show.json_option
def show_(agent_id: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Show one identity and its latest sessions.

    AGENT_ID is what the list calls it.
    """
    if not AGENT_ID.fullmatch(agent_id):
        raise Failed(f"{agent_id!r} is no identity's id", "helm identity agents lists them", "NOT_FOUND")
    url = server_url(data_dir, server)
    told = Server(url).get(f"{AGENTS}/{agent_id}", {}) if url else looked_at(open_place(data_dir), {}, agent_id)
    if told is None:
        raise Failed("no such identity", "helm identity agents lists them", "NOT_FOUND")
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value))) for name, value in told.items()])


@identity.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--mcp", "at_mcp", is_flag=True, help="As at the MCP door, where the policy's own profile counts too.")
@click.option("--policy", "policy_file", type=click.Path(path_type=Path), help="Under another policy than this one's.")
@data_dir_option
@show.json_option
def check(file: Path, data_dir: Path, policy_file: Path | None, *, at_mcp: bool, as_json: bool) -> None:
    """Say whom a credential makes of its holder, or why not.

    FILE holds a key of HELM's own, a token, or an X.509-SVID in PEM with the certificates above it; - is stdin. Nothing
    of it is shown or kept. Exits 1 where it does not count.
    """
    from actors.identity.checking import examine
    from actors.identity.holder import Unbelieved

    place = open_place(data_dir)
    policy = read_policy(policy_file or place.policy_path)
    written = read_credential(file)
    try:
        told = examine(written, place.bearer_keys(), policy, SystemClock().now_ms(), at_mcp=at_mcp)
    except Unbelieved as problem:
        if as_json:
            show.as_object({"counts": False, "why": str(problem)})
        else:
            show.note(str(problem))
        sys.exit(REFUSED)
    if as_json:
        show.as_object({"counts": True, **told})
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value))) for name, value in told.items()])


def read_credential(file: Path) -> str:
    """Return what stands in a file, or comes in. Raises Invalid."""
    try:
        raw = sys.stdin.read(MAX_FILE + 1) if str(file) == "-" else read_file(file)
    except (OSError, UnicodeDecodeError) as problem:
        raise Invalid(f"cannot be read: {type(problem).__name__}", str(file)) from problem
    if len(raw) > MAX_FILE:
        raise Invalid(f"more than {MAX_FILE} bytes", str(file), "give one credential")
    return raw.strip()


def read_file(file: Path) -> str:
    with file.open("rb") as opened:
        return opened.read(MAX_FILE + 1).decode()


def row_of(one: dict[str, Any]) -> tuple[str, ...]:
    """Return an identity's line."""
    sessions = one["sessions"]
    return (
        one["principal"],
        one["tenant"] or "(operator)",
        one["source"] if one["trusted"] else f"{one['source']} (no more)",
        f"{sessions['open']} open, {sessions['closed']} closed",
        one["frozen"] or "-",
        one["agent_id"],
    )


def looked_at(place: Installation, wanted: dict[str, str], agent_id: str = "") -> Any:
    """Return who is known in a data directory that no kernel writes now. Raises Invalid."""
    import trio

    from actors.doors.identity import shown, told
    from actors.opening import open_kernel

    async def look() -> Any:
        keys, policy = place.bearer_keys().everyone, read_policy(place.policy_path)
        async with open_kernel(place, policy=None) as kernel:
            if agent_id:
                return await shown(kernel, keys, policy, None, agent_id)
            return await told(kernel, keys, policy, wanted.get("tenant") or None, wanted)

    return trio.run(look)
