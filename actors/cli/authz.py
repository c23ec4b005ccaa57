"""helm authz: who stands in which relation to what, and how that is changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
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
from helm.evidence.snapshot import CARRIES_SNAPSHOT, SNAPSHOT, snapshot_id_of, snapshot_of
from helm.guardian.relations import RELATIONS_COMMAND, RelationsCommand, sign_relations

AUTHZ: Final = f"{API}/authz"

MAX_FILE: Final = 1024 * 1024
"""Bytes of a file of tuples (T4)."""


@click.group()
def authz() -> None:
    """Relationships: who may do what to which object, by signed tuples."""


@authz.command()
@server_option
@data_dir_option
@show.json_option
def health(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Say how many tuples there are, and whether they still count."""
    url = server_url(data_dir, server)
    told = Server(url).get(f"{AUTHZ}/health", {}) if url else looked_at(open_place(data_dir), "")
    tell(told, as_json=as_json)
    if told["stale"] or told["model_mismatch"]:
        raise SystemExit(REFUSED)


@authz.command()
@click.argument("asked", metavar="OBJECT#RELATION@SUBJECT")
@server_option
@data_dir_option
@show.json_option
def check(asked: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Say whether SUBJECT stands in RELATION to OBJECT. Exits 1 where it does not, or where nobody knows."""
    url = server_url(data_dir, server)
    told = Server(url).get(f"{AUTHZ}/check", {"tuple": asked}) if url else looked_at(open_place(data_dir), asked)
    tell(told, as_json=as_json)
    if told["decision"] != "related" or told["stale"] or told["model_mismatch"]:
        raise SystemExit(REFUSED)


@authz.command()
@click.option("--add", "adds", multiple=True, metavar="TUPLE", help="A tuple that holds from now on.")
@click.option("--remove", "removes", multiple=True, metavar="TUPLE", help="A tuple that holds no more.")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A file of tuples, one a line: + or nothing before one that is added, - before one that is removed.",
)
@server_option
@data_dir_option
@show.json_option
def write(
    data_dir: Path,
    server: str | None,
    adds: tuple[str, ...],
    removes: tuple[str, ...],
    files: tuple[Path, ...],
    *,
    as_json: bool,
) -> None:
    """Sign a change with the policy key, and have it obeyed. With no tuple at all: say that the others still hold."""
    place = open_place(data_dir)
    added, removed = [*adds], [*removes]
    for file in files:
        for line in map(str.strip, lines_of(file)):
            if line and not line.startswith("#"):
                (removed if line.startswith("-") else added).append(line.lstrip("+-").strip())
    url = server_url(data_dir, server)
    show.note(f"asking {url or place.path} to add {len(added)} and remove {len(removed)}, with the policy key")
    told = on_server(place, Server(url), added, removed) if url else written_here(place, added, removed)
    tell(told, as_json=as_json)


@authz.command()
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="At most so many.")
@click.option("--object", "asked_object", default="", metavar="OBJECT", help="Only those of this object.")
@click.option("--subject", default="", help="Only those of this subject, such as user:alice.")
@server_option
@data_dir_option
@show.json_option
def snapshots(
    data_dir: Path, server: str | None, limit: int, asked_object: str, subject: str, *, as_json: bool
) -> None:
    """List what was said when calls were decided, latest first."""
    url = server_url(data_dir, server)
    if url:
        asked: dict[str, str | int] = {"limit": limit, "object": asked_object, "subject": subject}
        told = Server(url).get(f"{AUTHZ}/snapshots", asked)["snapshots"][::-1]
    else:
        wanted = (one for one in decided_with(data_dir, "") if fits(one, asked_object, subject))
        told = list(islice(wanted, limit))
    if as_json:
        show.as_object(told)
        return
    heads = ("SNAPSHOT", "OBJECT", "RELATION", "SUBJECT", "DECISION", "AT")
    show.table(heads, [row_of(one) for one in told])


@authz.command()
@click.argument("name", metavar="SNAPSHOT")
@server_option
@data_dir_option
@show.json_option
def get(name: str, data_dir: Path, server: str | None, *, as_json: bool) -> int:
    """Show one snapshot by its id or its hash.

    It is held against the decision that was made with it.
    """
    snapshot_id = snapshot_id_of(name)
    url = server_url(data_dir, server)
    if url:
        told = Server(url).get(f"{AUTHZ}/snapshots/{name}", {})
    else:
        digits = snapshot_id.removeprefix(SNAPSHOT)
        held = (one for one in decided_with(data_dir, digits) if name in (one["snapshot_id"], one["snapshot_hash"]))
        told = next(held, None)
    if told is None:
        raise Failed(f"no call was decided with {name}", "`helm authz snapshots` names them", "NOT_FOUND")
    tell(told, as_json=as_json)
    return 0


def decided_with(data_dir: Path, digits: str) -> Iterator[dict[str, Any]]:
    """Yield the snapshots of a data directory whose hash begins with these digits, the latest first. Raises Invalid."""
    from actors.cli.receipt_source import holding
    from actors.stores.glance import glance

    with glance(open_place(data_dir).journal_at) as journal:
        for _, entry in holding(journal, CARRIES_SNAPSHOT.decode() + digits):
            told = snapshot_of(entry)
            if told is not None:
                yield told


def fits(told: dict[str, Any], asked_object: str, subject: str) -> bool:
    return asked_object in ("", told["object"]) and subject in ("", told["subject"])


def row_of(told: dict[str, Any]) -> tuple[str, ...]:
    said = told["decision"] if not (told["stale"] or told["model_mismatch"]) else f"{told['decision']}, does not count"
    at = datetime.fromtimestamp(told["checked_at_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    names = (show.plain(str(told[name])) for name in ("object", "relation", "subject"))
    return (told["snapshot_id"], *names, said, at)


def lines_of(file: Path) -> list[str]:
    """Return the lines of a file. Raises Invalid."""
    if file.stat().st_size > MAX_FILE:
        raise Invalid(f"more than {MAX_FILE} bytes", str(file), "write it in parts")
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as problem:
        raise Invalid("not UTF-8", str(file)) from problem


def command_of(place: Installation, sequence: int, added: list[str], removed: list[str]) -> tuple[Any, str]:
    """Return the command that follows `sequence`, and its signature. Raises Invalid."""
    key = place.policy_key()
    try:
        command = RelationsCommand(
            add=tuple(added),
            issued_at_ms=SystemClock().now_ms(),
            key_id=key.key_id,
            log_id=place.log_id,
            model_id=read_policy(place.policy_path).authz.model_id,
            remove=tuple(removed),
            sequence=sequence + 1,
        )
    except ValueError as problem:
        raise Invalid(str(problem), "relations", "helm authz write --help") from problem
    return command, sign_relations(command, key)


def on_server(place: Installation, server: Server, added: list[str], removed: list[str]) -> Any:
    """Send the signed change to a running kernel. Raises Failed."""
    sequence = server.get(f"{AUTHZ}/health", {})["sequence"]
    command, signature = command_of(place, sequence, added, removed)
    return server.post(f"{AUTHZ}/tuples", {"command": RELATIONS_COMMAND.body(command), "signature": signature})


def written_here(place: Installation, added: list[str], removed: list[str]) -> Any:
    """Write the signed change into a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    from actors.commands.relations import ChangeRelations
    from actors.doors.relations import health_of
    from actors.opening import open_kernel

    async def obey() -> Any:
        async with open_kernel(place, policy=None) as kernel:
            relations = kernel.memory.relations
            command, signature = command_of(place, relations.sequence, added, removed)
            await kernel.command(ChangeRelations(command, signature, kernel.parts.state.registry))
            return health_of(relations, read_policy(place.policy_path), place.log_id, SystemClock().now_ms())

    return trio.run(obey)


def looked_at(place: Installation, asked: str) -> Any:
    """Return how the relationships of a data directory stand, or what they say to a question. Raises Invalid."""
    import trio

    from actors.doors.relations import checked, health_of
    from actors.opening import open_kernel

    async def look() -> Any:
        policy, now_ms = read_policy(place.policy_path), SystemClock().now_ms()
        async with open_kernel(place, policy=None) as kernel:
            relations = kernel.memory.relations
            if asked:
                return checked(relations, policy, asked, now_ms)
            return health_of(relations, policy, place.log_id, now_ms)

    return trio.run(look)


def tell(told: Any, *, as_json: bool) -> None:
    """Write an answer."""
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value))) for name, value in told.items()])
