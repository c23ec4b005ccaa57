"""helm verify: believe an evidence pack, or name the check that refuses it. It opens no socket, it asks no kernel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.evidence.crew import crew
from actors.evidence.pack_file import pack_in
from helm.contracts.errors import Invalid
from helm.evidence.report import Outcome, Report
from helm.evidence.scope import RANGE, WHOLE
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import CHECKS, verify_pack

EXTERNAL_RECEIPT = "external-receipt"

NAME_COLUMNS = max(len(name) for name, _ in CHECKS)

host_key_option = click.option(
    "--host-key",
    multiple=True,
    metavar="SOURCE=KEY",
    help="The public key, or the file of it, of a recorder whose chain stands beside the pack.",
)


def of_pack(command: Any) -> Any:
    """Add the pack, and the options that say what its reader trusts."""
    for option in (
        click.argument("pack", type=click.Path(path_type=Path, dir_okay=False)),
        click.option("--log-id", default="", help="The log that you were told of: sha256: and 64 digits."),
        click.option("--genesis-key", default="", help="The public key of the log's first event, 64 digits."),
        click.option("--execution-key", default="", help="The only public key that may sign receipts, 64 digits."),
        click.option("--checkpoint", default="", help="The hash of a checkpoint that the pack must hold."),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path),
            help="Trust the genesis of this data directory: your own log.",
        ),
    ):
        command = option(command)
    return command


class Verify(click.Command):
    """The command about a pack, and the one about what is no pack, by the word it begins with."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Hand over to `external-receipt` where that is the first word; a pack of that name is ./external-receipt."""
        if args[:1] != [EXTERNAL_RECEIPT]:
            return super().make_context(info_name, args, parent, **extra)
        from actors.cli.external_receipt import external_receipt

        return external_receipt.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)


@click.command(cls=Verify, short_help="Verify an evidence pack offline.")
@of_pack
@host_key_option
@show.json_option
def verify(pack: Path, host_key: Sequence[str], as_json: bool, **pins: Any) -> int:
    """Verify PACK against a trust root that you bring: never one that the pack brings.

    Exit 0 only when every check was made and held.

    `helm verify external-receipt --help`: what a recorder outside HELM wrote.
    """
    root = trust_root(**pins)
    keys = host_keys(host_key)
    with pack_in(pack) as raw, crew() as helpers:
        report = verify_pack(raw, root, helpers, keys)
    if as_json:
        show.as_object(report.body())
    else:
        tell(report)
    return 0 if report.authenticated else REFUSED


def trust_root(
    *,
    log_id: str,
    genesis_key: str,
    execution_key: str,
    checkpoint: str,
    data_dir: Path | None,
) -> TrustRoot:
    """Return what the caller trusts. Raises Invalid, and UsageError where that is nothing, or two logs."""
    own = log_of(data_dir) if data_dir is not None else ""
    if own and log_id not in ("", own):
        raise click.UsageError(f"--log-id is not the log of {data_dir}: which one do you trust?")
    if not (own or log_id or genesis_key or execution_key or checkpoint):
        raise click.UsageError("a pack cannot vouch for itself: give --log-id, a key, or --data-dir for your own log")
    return TrustRoot(
        log_id=own or log_id,
        genesis_key=genesis_key,
        execution_key=execution_key,
        checkpoint=checkpoint,
    )


def host_keys(given: Sequence[str]) -> dict[str, str]:
    """Return the keys of recorders by the names of their sources. Raises Invalid, UsageError."""
    if not given:
        return {}
    from actors.cli.external_receipt import read_key

    pairs = [text.partition("=") for text in given]
    if not all(source and equals and key for source, equals, key in pairs) or len({one for one, _, _ in pairs}) < len(
        pairs
    ):
        raise click.UsageError("--host-key is SOURCE=KEY, once for each source")
    return {source: read_key(key).hex for source, _, key in pairs}


def log_of(data_dir: Path) -> str:
    """Return the log that a data directory pins, without opening it. Raises Invalid."""
    from actors.installation import GENESIS_FILE, read_genesis

    log_id, _ = read_genesis(data_dir / GENESIS_FILE)
    show.note(f"trusting the genesis of {data_dir}: {log_id}")
    return log_id


def read_pack(pack: Path) -> bytes:
    """Return the bytes of a pack. Raises Invalid."""
    try:
        return pack.read_bytes()
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(pack), "name a pack that is there") from problem


def tell(report: Report) -> None:
    """Write each check by number and name, then the whole."""
    failed = report.failed
    for outcome in report.outcomes:
        reached = failed is None or outcome.number <= failed.number
        click.echo(line(outcome, "ok" if outcome.ok else "fail" if reached else "note"))
    if failed is not None:
        click.echo(click.style(f"\nNOT AUTHENTICATED by check {failed.number}, {failed.name}", fg="red", bold=True))
        click.echo("Believe nothing in it.")
        return
    about = report.subject
    click.echo(click.style("\nAUTHENTICATED", fg="green", bold=True))
    rest = f"{about.open_intents} open, {about.redacted} redacted"
    whose = f"session {about.session_id} of {about.tenant}" if about.session_id else f"{about.sessions} sessions"
    wide = {RANGE: ", those with calls in a range of time", WHOLE: ", the whole log up to its last node"}
    click.echo(f"{about.receipts} receipts of {show.plain(whose)}{wide.get(about.scope, '')}, {rest}")
    click.echo(f"log {about.log_id}")
    if about.host_receipts:
        seen = f"{about.drifts} boundary drift, {about.host_unsigned} sources whose key you did not bring"
        click.echo(f"{about.host_receipts} host receipts beside it, which are not HELM's word: {seen}")


def line(outcome: Outcome, state: str) -> str:
    """Return one check as a line: what it makes sure of, or why it does not hold."""
    mark = show.marked(state.ljust(4) if state != "note" else "-   ", *show.STATES[state])
    return f"{outcome.number:2d} {mark}  {outcome.name:<{NAME_COLUMNS}} {show.plain(outcome.detail or outcome.promise)}"
