"""helm conform setup, run: make what a server is tested with, and test it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click

from actors.cli import show
from actors.cli.conform.own import gateways
from actors.cli.conform.reading import choosing, wanted
from actors.cli.failure import REFUSED, Failed
from actors.conforming.counterpart import Counterpart, counterpart
from actors.conforming.driver import Restart
from actors.conforming.material import vector_set
from actors.conforming.reports import Reports
from actors.conforming.run import NO_RESTARTS, Run
from actors.conforming.setup import TARGET_FILE, set_up
from actors.conforming.target import Target, read_target
from actors.installation import GENESIS_FILE, Installation, key_path
from actors.keys import keyfile
from actors.process import durable
from actors.process.clock import SystemClock
from helm.conformance.choosing import to_run
from helm.conformance.report import Ran, seal_report
from helm.conformance.result import FAILED, PASSED, SKIPPED, UNOBSERVED, Result
from helm.conformance.vector import SERVERS, Vector
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer

FIRST_PORT = 8431
COUNTERPART = "127.0.0.1:8430"

STATES = {PASSED: "ok", FAILED: "fail", SKIPPED: "warn", UNOBSERVED: "note"}


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--counterpart", default=COUNTERPART, show_default=True, help="Where a run is to listen for dispatches.")
@click.option("--first-port", type=click.IntRange(1, 65_000), default=FIRST_PORT, show_default=True)
@click.option("--only", multiple=True, type=click.Choice(SERVERS), help="Only this server; may be given again.")
@show.json_option
def setup(directory: Path, counterpart: str, first_port: int, only: Sequence[str], as_json: bool) -> None:
    """Make in DIRECTORY what the servers of a run are served with: one data directory for each, and target.json.

    Start each with `helm serve --data-dir DIRECTORY/NAME`; then `helm conform run --target DIRECTORY/target.json`.
    """
    if directory.exists() and any(directory.iterdir()):
        raise Invalid("the directory is not empty", str(directory), "name one that is not there yet")
    target = set_up(directory, only or SERVERS, counterpart, first_port)
    if as_json:
        show.as_object({"servers": {name: one.url for name, one in target.servers.items()}, "target": TARGET_FILE})
        return
    show.table(
        ("server", "url", "start it with"),
        [(name, one.url, f"helm serve --data-dir {one.data_dir}") for name, one in target.servers.items()],
    )
    show.note(f"then: helm conform run --target {directory / TARGET_FILE}")


@click.command()
@choosing
@click.option("--target", type=click.Path(path_type=Path, dir_okay=False), help="What `helm conform setup` wrote.")
@click.option("--server", metavar="URL", help="Where the target's server `main` is, if not where the target says.")
@click.option(
    "--allow-stops", is_flag=True, help="Let vectors freeze, move or kill servers that the run did not start."
)
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="The evidence key that signs the report.")
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Sign with this installation's, and keep it there.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the signed report here.")
@show.json_option
def run(  # noqa: PLR0913 - a command has so many options
    *,
    level: str | None,
    categories: Sequence[str],
    ids: Sequence[str],
    code: str | None,
    target: Path | None,
    server: str | None,
    allow_stops: bool,
    key: Path | None,
    data_dir: Path | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Do to a server what the vectors say, and hold what is seen against them.

    Without --target the servers are this program's own, on loopback ports, in directories that go away. Exit 0 only
    when every wanted vector that anybody can bring about has passed; what was skipped has not.
    """
    if server and target is None:
        raise click.UsageError("say with --target what that server was set up with: helm conform setup")
    if target and key is None and data_dir is None:
        raise click.UsageError("a report about servers of others is signed with a key of yours: --key or --data-dir")
    vectors = to_run(vector_set(), wanted(level, categories, ids, code))
    with tested(target, server, vectors) as stage:
        document = perform(
            attrs.evolve(stage, may_stop=allow_stops), vectors, signer_of(stage, key, data_dir), quiet=as_json
        )
    keep(document, out, data_dir)
    report = document["report"]
    if as_json:
        show.as_object(document)
    else:
        tell(report, document["public_key"])
    summary = report["summary"]
    is_whole = summary[PASSED] > 0 and not (summary[FAILED] or summary[SKIPPED] or report["strays"])
    return 0 if is_whole else REFUSED


@attrs.frozen(kw_only=True)
class Stage:
    """Servers that are open, and the counterpart before which they are tested."""

    target: Target
    service: Counterpart
    restarts: dict[str, Restart] = attrs.field(factory=dict)
    is_own: bool
    may_stop: bool = False


@contextmanager
def tested(target: Path | None, server: str | None, vectors: Sequence[Vector]) -> Iterator[Stage]:
    """Yield what is tested: what a target names, or servers of our own. Raises Invalid, Failed."""
    if target is not None:
        named = read_target(target)
        if server and "main" not in named.servers:
            raise Invalid("it names no server main", str(target), "--server says where that one is")
        if server:
            named = attrs.evolve(named, servers={"main": attrs.evolve(named.servers["main"], url=server)})
        with listening(named) as service:
            yield Stage(target=named, service=service, is_own=False)
        return
    with tempfile.TemporaryDirectory(prefix="helm-conform-") as temporary, counterpart() as service:
        names = dict.fromkeys(one.server for one in vectors if not one.inside)
        made = set_up(Path(temporary) / "servers", names, service.origin.removeprefix("http://"))
        with gateways(made) as (opened, restarts):
            yield Stage(target=opened, service=service, restarts=dict(restarts), is_own=True)


@contextmanager
def listening(target: Target) -> Iterator[Counterpart]:
    """Serve the counterpart where the target's policy says. Raises Failed."""
    try:
        with counterpart(*target.address) as service:
            yield service
    except OSError as problem:
        hint = "is another run under way, or does a service of another kind stand there?"
        raise Failed(f"the counterpart cannot listen at {target.counterpart}: {problem.strerror}", hint) from problem


def perform(stage: Stage, vectors: Sequence[Vector], signer: Signer, *, quiet: bool) -> dict[str, Any]:
    """Run the vectors, and return the signed report."""
    clock, restarts = SystemClock(), stage.restarts or NO_RESTARTS
    run = Run(
        target=stage.target, service=stage.service, restarts=restarts, is_own=stage.is_own, may_stop=stage.may_stop
    )
    begun_at_ms = clock.now_ms()
    results = run.run(vectors, untold if quiet else line)
    ran = Ran(
        results=results,
        subjects=run.subjects,
        strays=run.strays,
        begun_at_ms=begun_at_ms,
        ended_at_ms=clock.now_ms(),
    )
    return seal_report(ran, vector_set(), signer)


def signer_of(stage: Stage, key: Path | None, data_dir: Path | None) -> Signer:
    """Return the key that signs the report: the caller's, or one of the run's own. Raises Invalid."""
    if key is not None:
        return keyfile.read(key, KeyPurpose.EVIDENCE)
    if data_dir is not None:
        return Installation.open(data_dir).evidence_key()
    show.note("signed with a key of this run's own: it shows that nothing was changed since, not who ran it")
    first = next(iter(stage.target.servers.values()))
    return keyfile.read(key_path(Path(first.data_dir), KeyPurpose.EVIDENCE), KeyPurpose.EVIDENCE)


def keep(document: dict[str, Any], out: Path | None, data_dir: Path | None) -> None:
    """Write the report where it is wanted."""
    if out is not None:
        durable.replace(out, (json.dumps(document, indent=2) + "\n").encode())
    if data_dir is not None and (data_dir / GENESIS_FILE).exists():
        Reports(data_dir).keep(document)


def line(result: Result) -> None:
    """Write one result as it comes."""
    state = STATES[result.outcome]
    mark = show.marked(result.outcome.ljust(10), *show.STATES[state])
    why = "" if result.outcome in (PASSED, UNOBSERVED) else f"  {show.plain(result.why)}"
    click.echo(f"{mark}  {result.vector.level}  {result.vector.id}{why}")


def untold(_: Result) -> None:
    """Say nothing: the report says it all."""


def tell(report: dict[str, Any], public_key: str) -> None:
    """Write what the run came to."""
    counted = ", ".join(f"{count} {outcome}" for outcome, count in report["summary"].items())
    click.echo(f"\n{counted}" + (f", {report['strays']} strays at the counterpart" if report["strays"] else ""))
    show.fields(
        [
            ("level reached", report["level"]),
            ("vectors", report["vectors_hash"]),
            ("report", report["report_id"]),
            ("signed by", public_key),
        ]
    )
