"""helm receipts: what became of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.failure import REFUSED
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipt_source import PAGE, JournalReceipts, Object, ReceiptSource, Wanted
from actors.cli.server import Server, server_option, server_url
from actors.cli.server_receipts import ServerReceipts
from helm.database import Database

HEADS = ("time (UTC)", "receipt", "tenant", "session", "clock", "principal", "tool", "verdict", "status", "reason")
DEFAULT_LIMIT = 20

SHOWN = (
    ("receipt", "receipt_id"),
    ("verdict", "verdict"),
    ("status", "status"),
    ("reason code", "reason_code"),
    ("tool", "tool"),
    ("risk tier", "risk_tier"),
    ("tenant", "tenant"),
    ("principal", "principal"),
    ("session", "session_id"),
    ("clock", "lamport_clock"),
    ("arguments", "args_hash"),
    ("output", "output_hash"),
    ("policy", "policy_hash"),
    ("policy epoch", "policy_epoch"),
    ("decision", "decision_id"),
    ("record", "record_hash"),
    ("intent node", "intent_node"),
    ("follows", "prev_hash"),
    ("signed by", "key_id"),
    ("log", "log_id"),
)
"""What `show` tells of a receipt, in an order for people; --json has all of it."""


@click.group()
def receipts() -> None:
    """List, show, follow and verify receipts, here or on a running kernel."""


def source_of(data_dir: Path, server: str | None) -> ReceiptSource:
    """Return where receipts come from, and say so on stderr. Raises Invalid."""
    url = server_url(data_dir, server)
    source: ReceiptSource
    source = ServerReceipts(Server(url)) if url else JournalReceipts(open_place(data_dir).journal_at)
    show.note(f"reading {source.where}")
    return source


def filters(command: Any) -> Any:
    """Add the options that say which receipts are wanted."""
    for option in (
        click.option("--verdict", type=click.Choice(("ALLOW", "DENY", "ESCALATE"), case_sensitive=False)),
        click.option("--session", default="", help="Of this session only."),
        click.option("--tenant", default="", help="Of this tenant only."),
    ):
        command = option(command)
    return command


@receipts.command("list")
@data_dir_option
@server_option
@filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=DEFAULT_LIMIT, show_default=True)
@show.json_option
def list_receipts(data_dir: Path, server: str | None, limit: int, as_json: bool, **wanted: str | None) -> None:
    """List the last receipts, oldest first."""
    found = source_of(data_dir, server).latest(wanted_of(wanted), limit)
    if as_json:
        show.as_object(found)
    elif found:
        show.table(HEADS, [row(receipt) for receipt in found])
    else:
        show.note("no receipt")


@receipts.command("show")
@click.argument("receipt_id")
@data_dir_option
@server_option
@show.json_option
def show_receipt(receipt_id: str, data_dir: Path, server: str | None, as_json: bool) -> int:
    """Show one receipt, named by its id. Exit 1 where there is none.

    The first eight digits are enough in a data directory; a running kernel is asked by the whole id.
    """
    found = source_of(data_dir, server).find(receipt_id)
    if found is None:
        show.note(f"there is no receipt {receipt_id}")
        return REFUSED
    if as_json:
        show.as_object(found)
        return 0
    receipt = found["receipt"]
    show.fields([("time", time_of(receipt)), *((name, value_of(receipt, member)) for name, member in SHOWN)])
    if found.get("reason"):
        show.fields([("because", show.plain(found["reason"]))])
    return 0


@receipts.command()
@data_dir_option
@server_option
@filters
@show.json_option
def tail(data_dir: Path, server: str | None, as_json: bool, **wanted: str | None) -> None:
    """Follow receipts as they become durable, until Ctrl-C. With --json, one object per line."""

    def tell(receipt: Object) -> None:
        if as_json:
            show.as_line(receipt)
        else:
            click.echo(show.GAP.join(row(receipt)))

    source_of(data_dir, server).follow(wanted_of(wanted), tell)


@receipts.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, allow_dash=True))
@data_dir_option
@click.option("--log-id", help="The log that was pinned; else the directory's own genesis, or FILE's first.")
@click.option("--execution-key", multiple=True, help="With FILE: a public key that may sign receipts, 64 digits.")
@click.option("--part", is_flag=True, help="With FILE: receipts may be missing within a session; count them.")
@show.json_option
def verify(
    file: str | None, data_dir: Path, log_id: str | None, execution_key: Sequence[str], part: bool, as_json: bool
) -> None:
    """Verify the whole journal, or the receipts in FILE.

    Of the journal that is every node, link, seal and signature, from the genesis on. It asks no kernel, and one may run
    meanwhile.

    FILE holds receipts that somebody sent you, one on a line; - reads stdin. Each must earn its id, be signed by a key
    that you bring, and follow the one before it in its session. What was decided, and whether the key still counted,
    is in an evidence pack: helm verify PACK.
    """
    if log_id == "":
        raise click.UsageError("--log-id is empty and would pin nothing: is the variable set?")
    if file is not None:
        from actors.cli.receipt_lines import verify_file

        told = verify_file(file, execution_key, log_id or "", in_part=part)
    elif execution_key or part:
        raise click.UsageError("--execution-key and --part are about a FILE of receipts: name it")
    else:
        place = open_place(data_dir)
        pinned = log_id or place.log_id
        show.note(f"reading {place.journal_at}, trusting {'the given log' if log_id else 'its own genesis'} {pinned}")
        told = verify_journal(place.journal_at, pinned)
    if as_json:
        show.as_object({"verified": True, **told})
    else:
        show.fields([("verified", show.state("ok")), *((name.replace("_", " "), str(told[name])) for name in told)])


def verify_journal(at: Path | Database, log_id: str) -> dict[str, Any]:
    """Verify every entry of a journal and return what it is. Raises Invalid naming the first that fails."""
    counts: Counter[str] = Counter()
    state = state_of_journal(at, log_id, counts)
    return {
        "log_id": log_id,
        "entries": counts["entries"],
        "receipts": counts["receipts"],
        "sessions": len(state.chains.links),
        "open_intents": len(state.open_intents),
        "kernel_epoch": state.kernel_epoch,
    }


def state_of_journal(at: Path | Database, log_id: str, counts: Counter[str] | None = None) -> Any:
    """Return the verified state of a journal, as far as it is durable now. Raises Invalid."""
    from actors.recovery import read_entry
    from actors.stores.glance import glance
    from helm.evidence.refold import Refold

    state, done, counts = Refold(log_id), 0, Counter() if counts is None else counts
    with glance(at) as journal, bar("verifying") as shown:
        head = journal.head()
        while done < head:
            for seq, body in journal.page(done + 1, min(PAGE, head - done)):
                taken = state.take(read_entry(body, seq), f"journal entry {seq}")
                counts.update(entries=1, receipts=taken.receipt is not None)
                done = seq
            shown.move(done, head)
    return state


def wanted_of(given: Mapping[str, str | None]) -> Wanted:
    return Wanted(**{name: value or "" for name, value in given.items()})


def row(receipt: Object) -> tuple[str, ...]:
    """Return a receipt as a line of the table."""
    return (
        time_of(receipt),
        show.short(receipt["receipt_id"]),
        *(value_of(receipt, member) for member in ("tenant", "session_id", "lamport_clock", "principal", "tool")),
        show.verdict(receipt["verdict"]),
        receipt["status"],
        receipt["reason_code"] or "-",
    )


def value_of(receipt: Object, member: str) -> str:
    """Return a member of a receipt for people."""
    value = receipt[member]
    return show.verdict(value) if member == "verdict" else show.plain(str(value)) or "-"


def time_of(receipt: Object) -> str:
    moment = datetime.fromtimestamp(receipt["issued_at_ms"] / 1000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S")
