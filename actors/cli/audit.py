"""helm audit: every act of administration, and whether one was removed or edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.checkpoint.source import entries
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.recovery import read_entry
from actors.stores.glance import glance
from helm.contracts.errors import Invalid
from helm.evidence.act_proof import ActSearch
from helm.evidence.audit import Act, act_of
from helm.evidence.checkpoint_document import act_document
from helm.evidence.checkpoints import unseal_checkpoint
from helm.evidence.refold import Refold
from helm.proofgraph.node import NodeKind

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
    rows = [(str(act.lamport), called(act), show.plain(act.who), show.plain(act.reason)) for act in acts]
    show.table(("lamport", "act", "who", "reason"), rows)


def called(act: Act) -> str:
    """Return what an act is called in a table: a freeze and its end are of one kind, and differ in their command."""
    command = act.says.get("command")
    if act.kind != "FREEZE" or not isinstance(command, dict):
        return act.kind
    words = (str(command.get(name, "")) for name in ("scope", "target"))
    return show.plain(" ".join(word for word in (str(command.get("action", "")).upper(), *words) if word))


@audit.command()
@click.argument("act")
@click.option(
    "--through", type=int, default=0, metavar="NUMBER", help="Under this checkpoint, not the first behind it."
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write the proof to this file.")
@data_dir_option
def prove(act: str, through: int, output: Path | None, data_dir: Path) -> None:
    """Prove that the act of the node ACT lies under a checkpoint.

    The proof is one JSON document; `helm checkpoint verify` checks it with the log's execution key alone.
    """
    document = proof_of(open_place(data_dir), act, through)
    if output is None:
        show.as_object(document)
        return
    output.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show.note(f"wrote {output}; check it with: helm checkpoint verify {output} --execution-key ...")


def proof_of(place: Installation, act: str, through: int) -> dict[str, Any]:
    """Return the proof of an act from a journal. Raises Failed."""
    search = ActSearch(act, through)
    for entry in entries(place):
        found = search.take(entry)
        if found is not None:
            return act_document(found)
    if search.chain:
        raise Failed(f"no such checkpoint covers {act} yet", "take one: helm checkpoint now", "NOT_COVERED")
    raise Failed(f"there is no act {act}", "`helm audit list --json` shows their nodes", "NOT_FOUND")


@audit.command()
@click.option("--head", default="", metavar="HASH", help="The last act that you know of: it must still be there.")
@click.option("--checkpoint", default="", metavar="HASH", help="A checkpoint that you trust: the log must hold it.")
@click.option("--act", default="", metavar="HASH", help="An act, by its node, that must lie under that checkpoint.")
@data_dir_option
@show.json_option
def verify(head: str, checkpoint: str, act: str, data_dir: Path, as_json: bool) -> None:
    """Read the whole log again, every link and signature.

    Exit 1 where an act was removed or edited. A log that was cut off at its end is sound in itself: note
    the head that is shown, and give it the next time; or bring the hash of a checkpoint that somebody else kept.
    """
    if act and not checkpoint:
        raise click.UsageError("--act is held against the checkpoint that you trust: give --checkpoint")
    log = read_acts(open_place(data_dir))
    if checkpoint:
        check_covered(log, checkpoint, act)
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
    checkpoints: dict[str, int]
    """The clock of each checkpoint, by its hash."""
    entries: int
    head: str
    """The node of the last act."""
    log_id: str


def read_acts(place: Installation) -> AuditLog:
    """Verify the journal of a data directory, and return its acts. Raises Invalid naming what does not follow."""
    state, acts, done, checkpoints = Refold(place.log_id), [], 0, dict[str, int]()
    with glance(place.journal_at) as journal, bar("verifying the journal") as shown:
        head = journal.head()
        while page := journal.page(done + 1, min(PAGE, head - done)):
            for seq, body in page:
                entry: dict[str, Any] = read_entry(body, seq)
                take(state, entry, f"journal entry {seq}")
                acts += [act] if (act := act_of(entry)) is not None else []
                if entry["node"]["kind"] == NodeKind.CHECKPOINT:
                    sealed = unseal_checkpoint(entry["node"]["payload"], f"journal entry {seq}")
                    checkpoints[sealed.checkpoint_hash] = sealed.content.lamport
                done = seq
            shown.move(done, head)
    head_now = state.graph.control_head
    return AuditLog(acts=acts, checkpoints=checkpoints, entries=done, head=head_now, log_id=place.log_id)


def check_covered(log: AuditLog, checkpoint: str, act: str) -> None:
    """Raise Failed unless a verified log holds a checkpoint, and the act, where one is named, lies under it."""
    lamport = log.checkpoints.get(checkpoint)
    if lamport is None:
        hint = "the log was cut off or written anew, or this is another log: restore the journal from a backup"
        raise Failed(f"the checkpoint {checkpoint} is not in the log", hint, "VERIFICATION_FAILURE")
    if act and not any(one.node_hash == act and one.lamport < lamport for one in log.acts):
        hint = "it came later, was written in later, or is of another log"
        raise Failed(f"the act {act} does not lie under that checkpoint", hint, "VERIFICATION_FAILURE")


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
