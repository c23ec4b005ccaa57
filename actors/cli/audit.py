"""helm audit: every act of administration, and whether one was removed or edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.recovery import read_entry
from actors.stores.glance import glance
from helm.contracts.errors import Invalid
from helm.evidence.audit import Act, act_of
from helm.evidence.refold import Refold

PAGE = 256
"""Rows read at a time: a kernel that tidies its journal never waits for more."""

AUDIT = f"{API}/audit"


@click.group()
def audit() -> None:
    """Every act of administration, as the log's own chain holds it."""


@audit.command("list")
@data_dir_option
@server_option
@show.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List who did what, when and why."""
    url = server_url(data_dir, server)
    acts = told_acts(Server(url)) if url else read_acts(open_place(data_dir)).acts
    if as_json:
        show.as_object({"acts": [attrs.asdict(act, recurse=False) for act in acts]})
        return
    rows = [(str(act.lamport), act.kind, show.plain(act.who), show.plain(act.reason)) for act in acts]
    show.table(("lamport", "act", "who", "reason"), rows)


@audit.command()
@click.option("--head", default="", metavar="HASH", help="The last act that you know of: it must still be there.")
@data_dir_option
@show.json_option
def verify(head: str, data_dir: Path, as_json: bool) -> None:
    """Read the whole log again, every link and signature.

    Exit 1 where an act was removed or edited. A log that was cut off at its end is sound in itself: note
    the head that is shown, and give it the next time.
    """
    log = read_acts(open_place(data_dir))
    if head and all(act.node_hash != head for act in log.acts):
        hint = "the end of the log was cut off, or this is another log: restore the journal from a backup"
        raise Failed(f"the act {head} is not in the log", hint, "VERIFICATION_FAILURE")
    told = {"acts": len(log.acts), "entries": log.entries, "head": log.head, "log_id": log.log_id}
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name, str(value)) for name, value in told.items()])


@attrs.frozen(kw_only=True)
class AuditLog:
    """The acts of a log that was verified from its genesis."""

    acts: list[Act]
    entries: int
    head: str
    """The node of the last act."""
    log_id: str


def read_acts(place: Installation) -> AuditLog:
    """Verify the journal of a data directory, and return its acts. Raises Invalid naming what does not follow."""
    state, acts, done = Refold(place.log_id), [], 0
    with glance(place.journal_at) as journal, bar("verifying the journal") as shown:
        head = journal.head()
        while page := journal.page(done + 1, min(PAGE, head - done)):
            for seq, body in page:
                entry: dict[str, Any] = read_entry(body, seq)
                take(state, entry, f"journal entry {seq}")
                acts += [act] if (act := act_of(entry)) is not None else []
                done = seq
            shown.move(done, head)
    return AuditLog(acts=acts, entries=done, head=state.graph.control_head, log_id=place.log_id)


def take(state: Refold, entry: dict[str, Any], where: str) -> None:
    """Fold one entry in. Raises Invalid that names the entry, also where the fault is a signature's inside."""
    try:
        state.take(entry, where)
    except Invalid as problem:
        if problem.where == where:
            raise
        raise Invalid(f"{problem.where}: {problem.what}", where, problem.hint) from problem


def told_acts(server: Server) -> list[Act]:
    """Return the acts that a running kernel tells of. Raises Failed."""
    found: list[Act] = []
    after: int | None = 0
    while after is not None:
        page = server.get(AUDIT, {"after": after})
        if page is None:
            raise Failed(f"no audit log at {server.url}", "is it a HELM kernel of this version?", "NO_ANSWER")
        found += [Act(**act) for act in page["acts"]]
        after = page["next"]
    return found
