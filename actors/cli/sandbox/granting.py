"""helm sandbox profiles, grant, list, get, verify, preflight, inspect: what guests are granted, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Protocol

import attrs
import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.sandbox.asking import asked_grant, grant_options, policy_lines
from actors.cli.server import API, Server, server_option, server_url
from actors.connectors.drafts import MAX_DRAFT_BYTES, Drafts
from actors.connectors.grant_host import content_hash_of, host_findings
from actors.connectors.grant_host import profiles as known_profiles
from actors.plugging import MODULES
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.sandbox import PreopenMode
from helm.crypto.canonical import parse
from helm.guardian.grants import preflight as judged
from helm.guardian.grants import read_asked, read_view, verified, views_of
from helm.guardian.policy import Policy
from helm.runtime.sandbox.port import Denied, GuestEnded
from helm.runtime.sandbox.tree import TooLarge

SANDBOX: Final = f"{API}/sandbox"
GRANTS: Final = f"{SANDBOX}/grants"


class Source(Protocol):
    """Where grants are looked at: a kernel that runs, or a data directory."""

    def all(self) -> list[dict[str, JSONValue]]: ...

    def draft(self, asked: dict[str, JSONValue]) -> dict[str, JSONValue]: ...

    def find(self, grant_id: str) -> dict[str, JSONValue]: ...

    def verify(self, grant_id: str) -> dict[str, JSONValue]: ...

    def preflight(self, grant_id: str) -> dict[str, JSONValue]: ...

    def inspect(self, body: JSONValue) -> dict[str, JSONValue]: ...


@attrs.frozen
class Running:
    """A kernel that runs. Every method raises Failed."""

    server: Server

    def all(self) -> list[dict[str, JSONValue]]:
        told: list[dict[str, JSONValue]] = self.server.get(GRANTS, {})["grants"]
        return told

    def draft(self, asked: dict[str, JSONValue]) -> dict[str, JSONValue]:
        return dict(self.server.post(GRANTS, {"grant": asked}))

    def find(self, grant_id: str) -> dict[str, JSONValue]:
        told = self.server.get(f"{GRANTS}/{grant_id}", {})
        if told is None:
            raise not_found(grant_id)
        return dict(told)

    def verify(self, grant_id: str) -> dict[str, JSONValue]:
        return dict(self.server.post(f"{GRANTS}/{grant_id}/verify", {}))

    def preflight(self, grant_id: str) -> dict[str, JSONValue]:
        return dict(self.server.post(f"{SANDBOX}/preflight", {"grant_id": grant_id}))

    def inspect(self, body: JSONValue) -> dict[str, JSONValue]:
        return dict(self.server.post(f"{GRANTS}/inspect", {"grant": body}))


@attrs.frozen
class Standing:
    """A data directory, with the policy file that it names. Every method raises Invalid or Failed."""

    data_dir: Path
    policy: Policy

    def all(self) -> list[dict[str, JSONValue]]:
        return [*views_of(self.policy), *Drafts.of(self.data_dir).all()]

    def draft(self, asked: dict[str, JSONValue]) -> dict[str, JSONValue]:
        return Drafts.of(self.data_dir).keep(read_asked(asked), SystemClock().now_ms())

    def find(self, grant_id: str) -> dict[str, JSONValue]:
        for one in self.all():
            if one["grant_id"] == grant_id:
                return one
        raise not_found(grant_id)

    def verify(self, grant_id: str) -> dict[str, JSONValue]:
        found = self.find(grant_id)
        read_view(found)
        return verified(found, self.policy)

    def preflight(self, grant_id: str) -> dict[str, JSONValue]:
        return self.inspect(self.find(grant_id))

    def inspect(self, body: JSONValue) -> dict[str, JSONValue]:
        grant = read_view(body)
        found = host_findings(grant, self.data_dir / MODULES)
        return judged(grant, self.policy, found, SystemClock().now_ms())


def not_found(grant_id: str) -> Failed:
    return Failed("no such grant", "helm sandbox list", grant_id)


def source_of(data_dir: Path, server: str | None) -> Source:
    """Return where to look. Raises Invalid."""
    url = server_url(data_dir, server)
    if url:
        return Running(Server(url))
    place = open_place(data_dir)
    return Standing(place.path, read_policy(place.policy_path))


@click.command()
@server_option
@show.json_option
def profiles(server: str | None, *, as_json: bool) -> None:
    """List the profiles: what a grant under each may say, and what stands behind its name on this machine."""
    rows = Server(server).get(f"{SANDBOX}/profiles", {})["profiles"] if server else known_profiles()
    if as_json:
        show.as_object({"profiles": rows})
    else:
        heads = ("PROFILE", "RUNTIME", "DISPATCHED", "CLAIM")
        show.table(heads, [(p["name"], p["runtime"], "yes" if p["dispatchable"] else "no", p["claim"]) for p in rows])


@click.command()
@grant_options
@server_option
@data_dir_option
@show.json_option
def grant(data_dir: Path, server: str | None, *, as_json: bool, **options: Any) -> None:
    """Draft a grant for a module. It grants nothing: what is written belongs into the policy, which is signed."""
    asked = asked_grant(**options)
    if options["hash_preopens"]:
        pin_folders(asked, data_dir, server)
    draft = source_of(data_dir, server).draft(asked)
    if as_json:
        show.as_object(draft)
    else:
        show.note(f"{draft['grant_id']} {draft['grant_hash']}")
        click.echo(policy_lines(asked))


def pin_folders(asked: dict[str, JSONValue], data_dir: Path, server: str | None) -> None:
    """Add to each folder for reading the hash of what it holds now. Raises Invalid."""
    if server_url(data_dir, server):
        hint = "run this at the kernel's machine, without --server"
        raise Invalid("the folders of another machine are not at hand", "--hash-preopens", hint)
    for preopen in asked.get("preopens", ()):
        if preopen["mode"] == PreopenMode.READ:
            try:
                preopen["content_hash"] = content_hash_of(preopen["path"], data_dir)
            except (GuestEnded, Denied, TooLarge) as problem:
                raise Invalid(f"cannot be pinned: {problem}", preopen["path"]) from problem


@click.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List what the policy grants, and the drafts."""
    rows = source_of(data_dir, server).all()
    if as_json:
        show.as_object({"grants": rows})
    else:
        heads = ("GRANT", "PROFILE", "SOURCE", "CONNECTOR", "MODULE")
        members = ("grant_id", "profile", "source", "connector", "module_hash")
        show.table(heads, [tuple(show.plain(str(one[name])) for name in members) for one in rows])


@click.command()
@click.argument("grant_id")
@server_option
@data_dir_option
@show.json_option
def get(grant_id: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Show one grant: the object that `inspect` reads."""
    show.as_object(source_of(data_dir, server).find(grant_id))


@click.command()
@click.argument("grant_id")
@server_option
@data_dir_option
@show.json_option
def verify(grant_id: str, data_dir: Path, server: str | None, *, as_json: bool) -> int:
    """Verify that a grant is what its hash says. Exits 1 where the policy does not have it."""
    told = source_of(data_dir, server).verify(grant_id)
    tell(told, as_json=as_json)
    return 0 if told["in_policy"] else REFUSED


@click.command()
@click.argument("grant_id")
@server_option
@data_dir_option
@show.json_option
def preflight(grant_id: str, data_dir: Path, server: str | None, *, as_json: bool) -> int:
    """Name what stands against a dispatch under a grant, one by one. Exits 1 where anything does."""
    return told_findings(source_of(data_dir, server).preflight(grant_id), as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@server_option
@data_dir_option
@show.json_option
def inspect(file: Path, data_dir: Path, server: str | None, *, as_json: bool) -> int:
    """Do the same with the grant object in FILE, which is not kept."""
    try:
        with file.open("rb") as opened:
            body = parse(opened.read(MAX_DRAFT_BYTES + 1), max_bytes=MAX_DRAFT_BYTES)
    except Malformed as problem:
        raise Invalid(str(problem), str(file), "write it as `helm sandbox get` does") from problem
    return told_findings(source_of(data_dir, server).inspect(body), as_json=as_json)


def told_findings(told: dict[str, JSONValue], *, as_json: bool) -> int:
    """Write a preflight; return the exit code."""
    if as_json:
        show.as_object(told)
    else:
        click.echo(f"{show.verdict(told['verdict'])} {told['grant_id']}")
        for one in told["findings"]:
            click.echo(f"  {one['code']}  {show.plain(one['detail'])}")
    return 0 if told["dispatch_ready"] else REFUSED


def tell(told: dict[str, JSONValue], *, as_json: bool) -> None:
    """Write an answer."""
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value))) for name, value in told.items()])
