"""helm mcp authorize-call: would this call be allowed? It decides, and does nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import click
import trio

from actors.cli import show
from actors.cli.deciding import deciding_kernel, key_of
from actors.cli.failure import REFUSED
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import TENANT
from actors.installation import Installation
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse

AUTHORIZE: Final = f"{API}/mcp/authorize-call"


@click.command("authorize-call")
@click.argument("tool")
@click.option("--server-id", default="", help="The MCP server whose tool it is; without it, TOOL is the policy's name.")
@click.option("--args", "arguments", default="{}", help="The arguments, an object of JSON; - is stdin.")
@click.option("--scope", "scopes", multiple=True, help="As if with an access token that carries it.")
@click.option("--principal", default="agent", show_default=True, help="Who would call, in the data directory itself.")
@click.option("--session", "session_id", default="", help="The session that it would be a call of.")
@server_option
@data_dir_option
@show.json_option
def authorize_call(*, principal: str, server: str | None, data_dir: Path, as_json: bool, **asked: Any) -> int:
    """Say whether a call of TOOL would be allowed. It leaves a record and a receipt, and nothing is executed.

    Exit 0 is ALLOW, 1 is DENY or ESCALATE. With --server, whoever holds the key in HELM_API_KEY would call.
    """
    body = body_of(**asked)
    url = server_url(data_dir, server)
    if url:
        decided = Server.of_caller(url).post(AUTHORIZE, body)
    else:
        place = open_place(data_dir)
        decided = trio.run(decide, place, principal, body)
    told = {name: decided[name] for name in ("decision_id", "reason", "reason_code", "record_id", "tool", "verdict")}
    told["receipt_id"] = decided["receipt"]["receipt_id"]
    if as_json:
        show.as_object(told)
    else:
        click.echo(f"{show.verdict(told['verdict'])}  {show.plain(told['tool'])}  {told['reason_code']}")
        if told["reason"] and told["verdict"] != "ALLOW":
            click.echo(f"  {show.plain(told['reason'])}")
    return 0 if told["verdict"] == "ALLOW" else REFUSED


def body_of(
    *, tool: str, server_id: str, arguments: str, scopes: tuple[str, ...], session_id: str
) -> dict[str, JSONValue]:
    """Return what the route is asked. Raises Invalid for arguments that are no JSON."""
    try:
        parsed = parse((sys.stdin.read() if arguments == "-" else arguments).encode())
    except Malformed as problem:
        raise Invalid(str(problem), "--args", 'write an object of JSON, such as {"path": "a"}') from problem
    body: dict[str, JSONValue] = {"arguments": parsed, "server_id": server_id, "session_id": session_id, "tool": tool}
    return body | ({"scopes": list(scopes)} if scopes else {})


async def decide(place: Installation, principal: str, body: dict[str, JSONValue]) -> dict[str, Any]:
    """Have a kernel of our own decide, with nobody behind its connectors. Raises Invalid, Problem."""
    from actors.doors.entry import Entry
    from actors.doors.mcp.authorize import ASKED, asked_of, with_scopes
    from actors.doors.problem import Problem

    key = key_of(TENANT, principal, "authorize-call")
    async with deciding_kernel(place) as kernel:
        try:
            asked, raw = asked_of(body, kernel.memory.policy)
            caller = with_scopes(key, body["scopes"], kernel.memory.policy) if "scopes" in body else key
            answer = await kernel.govern(Entry(kernel, place.config, ASKED).admit(caller, asked, raw), decide_only=True)
        except Problem as problem:
            raise Invalid(problem.detail, problem.place or "the call") from problem
    return {
        "decision_id": answer.receipt.content.decision_id,
        "reason": answer.reason,
        "reason_code": answer.reason_code.value,
        "receipt": {"receipt_id": answer.receipt.receipt_id},
        "record_id": answer.record_id,
        "tool": asked.tool,
        "verdict": answer.verdict.value,
    }
