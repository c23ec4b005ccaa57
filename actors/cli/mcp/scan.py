"""helm mcp scan: what somebody should know of a server before they approve it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import click
import trio

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.mcp.declaring import connection_of
from actors.cli.mcp.reaching import Reach
from actors.cli.place import data_dir_option, open_place
from actors.policy_file import read_policy
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.guardian.connection import McpConnection
from helm.guardian.policy import Policy
from helm.mcp.finding import Finding, Severity
from helm.mcp.scan import MAX_LISTING_BYTES, Subject, tools_of
from helm.mcp.scan import scan as held_against

COLOURS: Final = {"critical": "red", "high": "red", "medium": "yellow", "low": "white", "info": "white"}

SCANNED: Final = "scanned"
"""What a server is called that has no name yet."""


@click.command()
@click.option("--server", "server_id", help="One server of the policy; it is started and asked.")
@click.option("--listing", type=click.Path(path_type=Path, dir_okay=False), help="A saved result of tools/list.")
@click.argument("command", nargs=-1)
@click.option(
    "--fail-on",
    type=click.Choice([one.value for one in Severity]),
    default=Severity.HIGH.value,
    show_default=True,
    help="Exit 1 for a finding that is at least this grave.",
)
@data_dir_option
@show.json_option
def scan(
    *,
    server_id: str | None,
    listing: Path | None,
    command: tuple[str, ...],
    fail_on: str,
    data_dir: Path,
    as_json: bool,
) -> int:
    """Scan one server: --server of the policy, a --listing, or COMMAND (write -- before it); else all of the policy."""
    if sum(bool(one) for one in (server_id, listing, command)) > 1:
        raise click.UsageError("one of --server, --listing and COMMAND")
    policy = read_policy(open_place(data_dir).policy_path) if data_dir.exists() else None
    if listing is not None:
        subjects = [Subject(server_id=SCANNED, tools=tools_of(read_listing(listing), str(listing)))]
    elif command:
        subjects = [started(reach(command))]
    else:
        if policy is None:
            raise Invalid("there is no data directory", str(data_dir), "name one, or --listing FILE, or -- COMMAND...")
        place = open_place(data_dir).policy_path
        wanted = [connection_of(policy, server_id, place)] if server_id else servers_of(policy)
        subjects = [started(one) for one in wanted]
    findings = [one for subject in subjects for one in held_against(subject, known(policy, subjects))]
    tell(findings, [subject.server_id for subject in subjects], as_json=as_json)
    return REFUSED if any(one.severity.rank >= Severity(fail_on).rank for one in findings) else 0


def servers_of(policy: Policy) -> list[McpConnection]:
    """Return every MCP server of a policy."""
    return [one for one in policy.connectors.values() if isinstance(one, McpConnection)]


def reach(command: tuple[str, ...]) -> McpConnection:
    """Return the server that a command starts. Raises Invalid."""
    said = Reach(command=command, environment=(), url=None, bearer=None, allow_private=False)
    return said.connection(SCANNED)


def started(connection: McpConnection) -> Subject:
    """Return what a server says now. Raises Invalid where it says nothing."""
    from actors.connectors.mcp import look_closely

    tools = tools_of(trio.run(look_closely, connection), f"server {connection.name}")
    return Subject(server_id=connection.name, command=connection.command, url=connection.url or "", tools=tools)


def known(policy: Policy | None, subjects: Iterable[Subject]) -> Mapping[str, frozenset[str]]:
    """Return the tools of every server that the policy declares, or that is scanned with this one."""
    names: dict[str, set[str]] = {one.server_id: set(one.names) for one in subjects}
    for rule in () if policy is None else policy.tools.values():
        if rule.pin:
            names.setdefault(rule.connector, set()).add(rule.operation or rule.name)
    return {server: frozenset(tools) for server, tools in names.items()}


def read_listing(path: Path) -> JSONValue:
    """Return the JSON value of a file. Raises Invalid."""
    try:
        raw = path.read_bytes()
        return parse(raw, max_bytes=MAX_LISTING_BYTES)
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), "name a file of JSON") from problem
    except Malformed as problem:
        raise Invalid(str(problem), str(path), "save the result of tools/list as it came") from problem


def tell(findings: list[Finding], scanned: list[str], *, as_json: bool) -> None:
    """Write the findings, the gravest first; the words of a server are shown, never obeyed by a terminal."""
    if as_json:
        show.as_object({"findings": [one.body() for one in findings], "scanned": scanned})
        return
    for one in findings:
        grave = click.style(one.severity.value.ljust(8), fg=COLOURS[one.severity.value])
        click.echo(f"{grave}  {one.rule}  {show.plain(one.where)}")
        click.echo(f"          {show.plain(one.why)}")
        if one.quoted:
            click.echo(f"          > {show.plain(one.quoted)}")
        click.echo(f"          {one.remedy}")
    show.note(f"{len(findings)} findings in {len(scanned)} servers: that nothing is found proves nothing")
