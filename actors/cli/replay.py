"""helm replay: judge the calls of a pack again, each in the world of its time, and say which came out otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.failure import REFUSED
from actors.cli.verify import of_pack, trust_root
from actors.evidence.crew import crew
from actors.evidence.pack_file import pack_in
from helm.evidence.replay import Rejudged
from helm.evidence.replay_report import ReplayReport, replay_report

HEADS = ("lamport", "decision", "tool", "verdict", "reason")


@click.command()
@of_pack
@click.option("--verify", "only_verify", is_flag=True, help="Say only whether every call came out as it was.")
@show.json_option
def replay(pack: Path, only_verify: bool, as_json: bool, **pins: Any) -> int:
    """Verify PACK, then judge each of its calls again by its own policy and facts.

    The verification folds the graph again, and so finds calls that were left out, added, moved, or taken from another
    session. The replay compares every word of each decision and names the first that differs. Exit 0 only when the
    pack is authentic and every call whose facts are in it came out as it was.
    """
    root = trust_root(**pins)
    with pack_in(pack) as raw, crew() as helpers, bar("judging") as shown:
        told = replay_report(raw, root, helpers, shown.move, with_calls=not only_verify)
    if as_json:
        show.as_object(told.body(with_calls=not only_verify))
    else:
        tell(told, with_calls=not only_verify)
    return 0 if told.verified else REFUSED


def tell(told: ReplayReport, *, with_calls: bool) -> None:
    """Write what became of a replay, for people."""
    if told.failed is not None:
        say_no(f"NOT AUTHENTICATED by check {told.failed.number}, {told.failed.name}", str(told.failed))
        return
    if with_calls and told.calls:
        show.table(HEADS, [row(call) for call in told.calls])
    count = f"{told.judged} calls came out as they were, {told.redacted} without facts were not judged"
    if told.diverged is not None:
        say_no(f"DIVERGED at lamport {told.diverged.lamport}, decision {told.diverged.decision_id}", str(told.diverged))
        click.echo(f"Before it, {count}.")
    elif told.problem is not None:
        say_no("NOT JUDGED AGAIN", str(told.problem))
        click.echo(f"Before it, {count}.")
    else:
        click.echo(click.style("REPLAYED", fg="green", bold=True))
        click.echo(count)


def row(call: Rejudged) -> tuple[str, ...]:
    """Return a call as a line of the table."""
    cells = (str(call.lamport), show.short(call.decision_id), show.plain(call.tool))
    return (*cells, show.verdict(call.verdict), call.reason_code or "-")


def say_no(headline: str, because: str) -> None:
    """Write why there is nothing to be believed."""
    click.echo(click.style(headline, fg="red", bold=True))
    click.echo(show.plain(because))
