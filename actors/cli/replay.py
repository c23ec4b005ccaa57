"""helm replay: judge the calls of a pack again, each in the world of its time, and say which came out otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.failure import REFUSED
from actors.cli.verify import of_pack, read_pack, trust_root
from actors.crew import crew
from helm.contracts.errors import Invalid
from helm.evidence.reading import Reading
from helm.evidence.replay import Diverged, Rejudged, replay_calls
from helm.evidence.verify import CheckFailed, check_pack

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
    told = run(read_pack(pack), root)
    if as_json:
        show.as_object(told.body(with_calls=not only_verify))
    else:
        told.tell(with_calls=not only_verify)
    return 0 if told.verified else REFUSED


@attrs.define
class Told:
    """What became of one replay."""

    calls: list[Rejudged] = attrs.field(factory=list)
    redacted: tuple[str, ...] = ()
    failed: CheckFailed | None = None
    """The check of the pack that did not hold: then nothing was judged."""
    diverged: Diverged | None = None
    problem: Invalid | None = None
    """Why a call could not be judged again."""

    @property
    def verified(self) -> bool:
        """Whether the pack is authentic and everything that could be judged came out as it was."""
        return self.failed is None and self.diverged is None and self.problem is None

    def body(self, *, with_calls: bool) -> dict[str, Any]:
        """Return the outcome as a JSON object."""
        said: dict[str, Any] = {
            "verified": self.verified,
            "authenticated": self.failed is None,
            "failed_check": None if self.failed is None else check_body(self.failed),
            "judged": len(self.calls),
            "redacted": [*self.redacted],
            "divergence": None if self.diverged is None else divergence_body(self.diverged),
            "problem": None if self.problem is None else str(self.problem),
        }
        return said | ({"calls": [attrs.asdict(call) for call in self.calls]} if with_calls else {})

    def tell(self, *, with_calls: bool) -> None:
        """Write the outcome for people."""
        if self.failed is not None:
            say_no(f"NOT AUTHENTICATED by check {self.failed.number}, {self.failed.name}", str(self.failed))
            return
        if with_calls and self.calls:
            show.table(HEADS, [row(call) for call in self.calls])
        count = f"{len(self.calls)} calls came out as they were, {len(self.redacted)} without facts were not judged"
        if self.diverged is not None:
            say_no(
                f"DIVERGED at lamport {self.diverged.lamport}, decision {self.diverged.decision_id}", str(self.diverged)
            )
            click.echo(f"Before it, {count}.")
        elif self.problem is not None:
            say_no("NOT JUDGED AGAIN", str(self.problem))
            click.echo(f"Before it, {count}.")
        else:
            click.echo(click.style("REPLAYED", fg="green", bold=True))
            click.echo(count)


def run(raw: bytes, root: Any) -> Told:
    """Verify a pack and judge its calls again, up to the first that is decided otherwise."""
    told = Told()
    try:
        with crew() as helpers:
            reading = check_pack(raw, root, helpers)
    except CheckFailed as failed:
        told.failed = failed
        return told
    told.redacted = reading.manifest.cover.redacted
    try:
        judge(reading, told)
    except Diverged as diverged:
        told.diverged = diverged
    except Invalid as problem:
        told.problem = problem
    return told


def judge(reading: Reading, told: Told) -> None:
    """Judge every call again. Raises Diverged, Invalid."""
    total = len(reading.calls) - len(told.redacted)
    with bar("judging") as shown:
        for call in replay_calls(reading):
            told.calls.append(call)
            shown.move(len(told.calls), total)


def check_body(failed: CheckFailed) -> dict[str, Any]:
    """Return the check that did not hold as a JSON object."""
    return {"number": failed.number, "name": failed.name, "detail": str(failed)}


def divergence_body(diverged: Diverged) -> dict[str, Any]:
    """Return the first call that came out otherwise as a JSON object."""
    return {
        "lamport": diverged.lamport,
        "decision_id": diverged.decision_id,
        "member": diverged.member,
        "was": diverged.was,
        "now": diverged.now,
    }


def row(call: Rejudged) -> tuple[str, ...]:
    """Return a call as a line of the table."""
    cells = (str(call.lamport), show.short(call.decision_id), show.plain(call.tool))
    return (*cells, show.verdict(call.verdict), call.reason_code or "-")


def say_no(headline: str, because: str) -> None:
    """Write why there is nothing to be believed."""
    click.echo(click.style(headline, fg="red", bold=True))
    click.echo(show.plain(because))
