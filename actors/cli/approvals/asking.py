"""helm approvals create: ask in advance that one call be approved."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import trio

from actors.cli import show as showing
from actors.cli.approvals.desk import APPROVALS, Told
from actors.cli.approvals.reading import fields_of
from actors.cli.deciding import deciding_kernel, key_of
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.founding import TENANT
from actors.installation import Installation
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse


@click.command()
@click.argument("tool")
@click.option("--args", "arguments", default="{}", help="The arguments, an object of JSON; - is stdin.")
@click.option("--session", "session_id", required=True, help="The session that the call will be made in.")
@click.option("--idempotency-key", default="", help="The key that the call will carry.")
@click.option("--principal", default="agent", show_default=True, help="Who will call, in the data directory itself.")
@click.option("--tenant", default=TENANT, show_default=True, help="Whose principal it is, likewise.")
@server_option
@data_dir_option
@showing.json_option
def create(*, principal: str, tenant: str, server: str | None, data_dir: Path, as_json: bool, **asked: Any) -> None:
    """Ask that one call of TOOL be approved before it is made.

    It is judged like the call itself, and nothing is executed: what the policy refuses is refused here already. The
    call is then made in the same session, with the same arguments, and names the approval. With --server, whoever
    holds the key in HELM_API_KEY asks, and will call.
    """
    body = body_of(**asked)
    url = server_url(data_dir, server)
    if url:
        told: Told = Server.of_caller(url).post(APPROVALS, body)
    else:
        told = trio.run(ask_here, open_place(data_dir), tenant, principal, body)
    if as_json:
        showing.as_object(told)
    else:
        showing.fields(fields_of(told))


def body_of(*, tool: str, arguments: str, session_id: str, idempotency_key: str) -> dict[str, JSONValue]:
    """Return what the route is asked. Raises Invalid for arguments that are no JSON."""
    try:
        parsed = parse((sys.stdin.read() if arguments == "-" else arguments).encode())
    except Malformed as problem:
        raise Invalid(str(problem), "--args", 'write an object of JSON, such as {"path": "a"}') from problem
    body: dict[str, JSONValue] = {"arguments": parsed, "session_id": session_id, "tool": tool}
    return body | ({"idempotency_key": idempotency_key} if idempotency_key else {})


async def ask_here(place: Installation, tenant: str, principal: str, body: dict[str, JSONValue]) -> Told:
    """Have a kernel of our own open the ceremony. Raises Failed for a call that is refused, Invalid for none."""
    from actors.approving import Approving
    from actors.doors.asking import IN_ADVANCE, ask
    from actors.doors.entry import Entry
    from actors.doors.heading import heading_of
    from actors.doors.problem import Problem

    async with deciding_kernel(place) as kernel:
        try:
            key = key_of(tenant, principal, "approvals create")
            decided = await ask(Entry(kernel, place.config, IN_ADVANCE), key, body, heading_of([]))
        except Problem as problem:
            raise Invalid(problem.detail, problem.place or "the call") from problem
        if not decided.approval_id:
            hint = f"receipt {decided.receipt.receipt_id} says so; `helm policy explain` says which rule"
            raise Failed(decided.reason, hint, decided.reason_code.value)
        return await Approving(kernel).show(decided.approval_id)
