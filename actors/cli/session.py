"""helm session: the sessions of a tenant, opened, closed and listed."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from actors.cli import show
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipts import state_of_journal
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import PRINCIPAL, TENANT
from actors.installation import Installation
from actors.process.clock import SystemClock

SESSIONS = f"{API}/sessions"

HEADS = ("session", "tenant", "principal", "clock", "state", "labels")

whose = (
    click.option("--tenant", default=TENANT, show_default=True, help="Without --server: whose session."),
    click.option("--principal", default=PRINCIPAL, show_default=True, help="Without --server: who acts in it."),
)


def of_whom(command: Any) -> Any:
    """Add the options that say whose session it is, where no key says it."""
    for option in whose:
        command = option(command)
    return command


@click.group()
def session() -> None:
    """Sessions: each belongs for ever to the principal that opened it."""


@session.command("list")
@data_dir_option
@server_option
@show.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the sessions, in the order in which they were opened."""
    url = server_url(data_dir, server)
    found = told_sessions(Server(url)) if url else sessions_here(open_place(data_dir))
    if as_json:
        show.as_object({"sessions": found})
    else:
        show.table(HEADS, [row(one) for one in found])


@session.command("open")
@click.argument("session_id", metavar="ID", default="")
@of_whom
@data_dir_option
@server_option
@show.json_option
def open_(session_id: str, tenant: str, principal: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Open a session, under the name ID or under one of HELM's."""
    url = server_url(data_dir, server)
    if url:
        told = Server.of_caller(url).post(SESSIONS, {"session_id": session_id} if session_id else {})
    else:
        told = changed_here(open_place(data_dir), (tenant, principal, session_id), closing=False)
    tell(told, as_json=as_json)


@session.command()
@click.argument("session_id", metavar="ID")
@of_whom
@data_dir_option
@server_option
@show.json_option
def close(session_id: str, tenant: str, principal: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Close a session for ever."""
    url = server_url(data_dir, server)
    if url:
        reply = Server.of_caller(url).ask("DELETE", f"{SESSIONS}/{quote(session_id, safe='')}")
        reply.check()
        told = reply.json()
    else:
        told = changed_here(open_place(data_dir), (tenant, principal, session_id), closing=True)
    tell(told, as_json=as_json)


def changed_here(place: Installation, named: tuple[str, str, str], *, closing: bool) -> dict[str, Any]:
    """Open or close a session in a log that no kernel writes now. Raises Invalid where one does."""
    import secrets

    import trio

    from actors.commands.sessions import CloseSession, OpenSession
    from actors.opening import open_kernel
    from helm.guardian.intake import Caller, check_name

    tenant, principal, session_id = named
    caller = Caller(tenant=tenant, principal=principal, session_id=session_id or "ses_" + secrets.token_hex(16))
    for name, value in (("--tenant", tenant), ("--principal", principal), ("ID", caller.session_id)):
        check_name(value, name)

    async def obey() -> None:
        async with open_kernel(place, policy=None) as kernel:
            await kernel.command(CloseSession(caller) if closing else OpenSession(caller))

    trio.run(obey)
    return next(
        one for one in sessions_here(place) if (one["tenant"], one["session_id"]) == (tenant, caller.session_id)
    )


def told_sessions(server: Server) -> list[dict[str, Any]]:
    """Return the sessions that a running kernel tells of. Raises Failed."""
    found: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = server.get(SESSIONS, {"after": after, "limit": 200})
        found, after = found + page["sessions"], page["next"]
    return found


def sessions_here(place: Installation) -> list[dict[str, Any]]:
    """Return the sessions of a journal, which is verified on the way. Raises Invalid."""
    state, now_ms = state_of_journal(place.journal_at, place.log_id), SystemClock().now_ms()
    return [
        {
            "closed": binding.closed_at(now_ms),
            "labels": list(binding.labels),
            "lamport_clock": state.chains.latest(key).lamport_clock,
            "opened_at_ms": binding.opened_at_ms,
            "principal": binding.principal,
            "session_id": key[1],
            "tenant": key[0],
        }
        for key, binding in state.memory.sessions.bindings.items()
    ]


def tell(told: dict[str, Any], *, as_json: bool) -> None:
    """Write one session."""
    if as_json:
        show.as_object(told)
    else:
        show.table(HEADS, [row(told)])


def row(one: dict[str, Any]) -> tuple[str, ...]:
    """Return a session as a line of the table."""
    names = (show.plain(one[name]) for name in ("session_id", "tenant", "principal"))
    return (*names, str(one["lamport_clock"]), "closed" if one["closed"] else "open", ", ".join(one["labels"]) or "-")
