"""helm demo: the demonstration from curtain to curtain."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from actors.cli import show
from actors.cli.demo import curtain
from actors.cli.demo.play import Result, play
from actors.cli.demo.proof import Proof, prove
from actors.cli.demo.stage import demo_policy, set_stage
from actors.cli.demo.steps import STEPS
from actors.cli.failure import REFUSED
from helm.contracts.errors import Invalid


@attrs.frozen(kw_only=True)
class Ending:
    """How it went."""

    log_id: str
    results: Sequence[Result]
    proof: Proof
    seconds: float

    @property
    def as_expected(self) -> bool:
        """Whether every answer and every proof was the expected one."""
        return self.proof.holds and not any(result.complaint for result in self.results)

    def body(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            "ok": self.as_expected,
            "log_id": self.log_id,
            "steps": [result.body() for result in self.results],
            **self.proof.body(),
            "seconds": round(self.seconds, 2),
        }


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="Make the data directory here, and leave it.")
@click.option(
    "--policy",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Play under another policy, such as a weaker one, and see which answers change.",
)
@show.json_option
def demo(keep: Path | None, policy: Path | None, as_json: bool) -> int:
    """Start a real gateway on a loopback port, send it calls of every kind, and have the evidence verified.

    Exit 0 only when every answer is the expected one, the world behind the gateway saw nothing else, and a second
    process without network believes the evidence, and does not believe it any more with one byte changed.
    """
    text = demo_policy() if policy is None else policy.read_text(encoding="utf-8")
    with directory(keep) as path:
        ending = trio.run(partial(perform, text, path, quiet=as_json))
        if as_json:
            show.as_object(ending.body())
    kept = (
        "To keep what was made: helm demo --keep DIR" if keep is None else f"Kept: helm receipts list --data-dir {keep}"
    )
    show.note(f"\n{kept}")
    return 0 if ending.as_expected else REFUSED


async def perform(policy: str, path: Path, *, quiet: bool) -> Ending:
    """Play under a policy in a new installation at `path`, and prove what was done. Raises Invalid, Failed."""
    start = time.monotonic()
    async with set_stage(path, policy) as stage:
        if not quiet:
            curtain.opening(str(path), stage.url, stage.service.origin)
        results = await play(stage, STEPS, untold if quiet else curtain.line)
        place, seen = stage.place, stage.service.seen
    proof = await trio.to_thread.run_sync(prove, place, results, seen)
    ending = Ending(log_id=place.log_id, results=results, proof=proof, seconds=time.monotonic() - start)
    if not quiet:
        curtain.closing(ending.results, proof, ending.seconds)
    return ending


def untold(_: Result) -> None:
    """Say nothing: the end says it all."""


@contextmanager
def directory(keep: Path | None) -> Iterator[Path]:
    """Yield where to make the installation: a directory that goes away, unless one is to stay. Raises Invalid."""
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise Invalid("the directory is not empty", str(keep), "name one that is not there yet")
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="helm-demo-") as temporary:
        yield Path(temporary) / "data"
