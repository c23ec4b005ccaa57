"""helm trust events, helm trust keys, helm trust snapshot: the registry here or in a running kernel, at any height."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.trust_log import registry_of
from helm.trust.event import event_hash, from_body
from helm.trust.registry import PlacedEvent, Registry, fold

EVENTS = f"{API}/trust/events"


def options(command: Any) -> Any:
    """Add what every command that reads takes."""
    for option in (
        show.json_option,
        server_option,
        data_dir_option,
        click.option("--at-lamport", type=click.IntRange(0), help="As the registry stood at this node of the log."),
    ):
        command = option(command)
    return command


@click.command()
@options
def events(at_lamport: int | None, data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the signed events, folded from the pinned genesis on."""
    registry = read_registry(data_dir, server_url(data_dir, server), at_lamport)
    if as_json:
        rows = [{"event": attested(event), "lamport": lamport} for event, lamport in registry.events]
        show.as_object({"events": rows, "log_id": registry.log_id})
        return
    heads = ("height", "lamport", "kind", "purpose", "key", "signed by", "reason")
    show.table(
        heads,
        [
            (
                str(event.height),
                str(lamport),
                f"{event.kind} {event.role}".rstrip(),
                event.purpose,
                show.short(event.key_id),
                show.short(event.signed_by),
                show.plain(event.reason),
            )
            for event, lamport in registry.events
        ],
    )


@click.command()
@options
def keys(at_lamport: int | None, data_dir: Path, server: str | None, as_json: bool) -> None:
    """List every key ever known, and what became of it."""
    registry = read_registry(data_dir, server_url(data_dir, server), at_lamport)
    if as_json:
        show.as_object(
            {"keys": [known.body() for _, known in sorted(registry.keys.items())], "log_id": registry.log_id}
        )
        return
    rows = [
        (known.purpose.value, known.status.value, key_id, known.public_key.hex, " ".join(known.current_roles))
        for key_id, known in sorted(registry.keys.items())
    ]
    show.table(("purpose", "status", "key", "public key", "roles"), sorted(rows))


@click.command()
@options
def snapshot(at_lamport: int | None, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Write the registry as the fold of its events. It proves nothing by itself: the events do."""
    registry = read_registry(data_dir, server_url(data_dir, server), at_lamport)
    if as_json:
        show.as_object(registry.snapshot())
        return
    active = sum(known.is_active for known in registry.keys.values())
    show.fields(
        [
            ("log", registry.log_id),
            ("height", str(registry.height)),
            ("lamport", str(registry.lamport)),
            ("last event", registry.place.prev_event_hash),
            ("keys", f"{len(registry.keys)}, of which {active} count"),
        ]
    )


def read_registry(data_dir: Path, url: str, at_lamport: int | None) -> Registry:
    """Return the registry of the running kernel, or of the data directory, folded here. Raises Invalid and Failed."""
    place = open_place(data_dir)
    registry = fold(told_events(Server(url)), place.log_id) if url else registry_of(place)
    return registry if at_lamport is None else registry.at(at_lamport)


def told_events(server: Server) -> list[PlacedEvent]:
    """Return every event that a running kernel tells of; the fold finds out whether they are the pinned log's."""
    found: list[PlacedEvent] = []
    after: int | None = 0
    while after is not None:
        page = server.get(EVENTS, {"after": after})
        if page is None:
            raise Failed(f"no trust events at {server.url}", "is it a HELM kernel of this version?", "NO_ANSWER")
        found += [(from_body(row["event"]), row["lamport"]) for row in page["events"]]
        after = page["next"]
    return found


def attested(event: Any) -> dict[str, Any]:
    """Return an event with the hash that the next one signs over."""
    from helm.trust.event import to_body

    return {**to_body(event), "event_hash": event_hash(event)}
