"""helm budget: what every budget allows, what is used of it, and a signed overlay that lowers one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from actors.cli import show
from actors.cli.failure import REFUSED
from actors.cli.in_force import note_where_other
from actors.cli.overlay import known_epochs, signed_by, written_here
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.commands.policy import layers_of
from actors.doors.budgets import MAX_ACCOUNTS, accounts_of
from actors.installation import Installation
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from actors.signed_policy import SignedOverlay
from helm.crypto.canonical import reread
from helm.guardian.bundle_overlay import VERSION, compile_overlay, overlay_bytes
from helm.guardian.layers import Layers
from helm.guardian.ledger import Ledger
from helm.guardian.overlay import Overlay
from helm.guardian.overlays import command_body
from helm.guardian.policy import Policy
from helm.guardian.precedence import Precedence

HEADS = ("BUDGET", "OF", "WINDOW", "CALLS", "CENTS", "WRITES", "BYTES")


@click.group()
def budget() -> None:
    """Ceilings per window: look at them, lower them, verify them."""


@budget.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the budgets, and what is used of each in its window."""
    url = server_url(data_dir, server)
    rows = Server(url).get(f"{API}/budgets", {})["budgets"] if url else looked_at(open_place(data_dir))
    if not url:
        note_where_other(open_place(data_dir))
    if as_json:
        show.as_object(rows)
        return
    show.table(HEADS, [row for one in rows for row in cells(one)])


LIMITS = {
    "tool_calls": "tool_call_limit",
    "spend_cents": "spend_limit_cents",
    "writes": "write_operation_limit",
    "egress_bytes": "egress_limit_bytes",
    "ask_above_cents": "approval_required_above_cents",
}
"""The limits by the names of their options."""


@budget.command("set")
@click.argument("budget_id", metavar="ID")
@click.option("--tool-calls", type=click.IntRange(0), help="Calls in a window.")
@click.option("--spend-cents", type=click.IntRange(0), help="Cents in a window.")
@click.option("--writes", type=click.IntRange(0), help="Write operations in a window.")
@click.option("--egress-bytes", type=click.IntRange(0), help="Bytes to the network in a window.")
@click.option("--ask-above-cents", type=click.IntRange(0), help="Cents from which on a human is asked.")
@click.option("--subject", default="", help='A new budget: "*", each-principal, principal:, tenant: or tool:NAME.')
@click.option("--window", "window_s", type=click.IntRange(1), help="A new budget: seconds of its window.")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@server_option
@data_dir_option
@show.json_option
def set_(budget_id: str, data_dir: Path, server: str | None, reason: str, *, as_json: bool, **said: Any) -> None:
    """Lower the budget ID, or add one, by a signed overlay.

    It takes effect with the next call, and never allows more than the bundle does: to raise a limit beyond that, sign
    the bundle's next epoch, where a raise of P0 waits for its timelock. What an earlier `set` said is replaced.
    """
    limits = {LIMITS[name]: said[name] for name in LIMITS if said[name] is not None}
    if not limits:
        raise click.UsageError("state a limit: --tool-calls, --spend-cents, ...")
    place, url = open_place(data_dir), server_url(data_dir, server)
    whose = {name: said[name] for name in ("subject", "window_s") if said[name]}
    overlay_id = f"budget.{budget_id}"
    document = overlay_of(place, overlay_id, known_epochs(place, url).get(overlay_id, 0) + 1, budget_id, limits | whose)
    signed = signed_by(place, document, reason)
    show.note(f"asking {url or place.path} to set {budget_id}, with the policy key of {place.path}")
    row = set_on(Server(url), budget_id, signed) if url else set_here(place, budget_id, signed)
    if as_json:
        show.as_object(row)
    else:
        show.table(HEADS, cells(row))


def overlay_of(place: Installation, overlay_id: str, epoch: int, budget_id: str, said: dict[str, Any]) -> Overlay:
    """Return the overlay that says this of one budget. Raises Invalid where that would widen."""
    bundle = read_policy(place.policy_path)
    document: dict[str, Any] = {
        "budgets": [{"id": budget_id, **said}],
        "epoch": epoch,
        "id": overlay_id,
        "narrows": bundle.policy_hash,
        "version": VERSION,
    }
    return compile_overlay(overlay_bytes(document), bundle)


def set_on(server: Server, budget_id: str, signed: SignedOverlay) -> Any:
    """Have a running kernel obey. Raises Failed."""
    body = {
        "command": command_body(signed.command),
        "document": reread(signed.document),
        "signature": signed.signature,
    }
    path = f"{API}/budgets/{quote(budget_id, safe='')}"
    reply = server.ask("PUT", path, json.dumps(body).encode(), **{"content-type": "application/json"})
    reply.check()
    return reply.json()


def set_here(place: Installation, budget_id: str, signed: SignedOverlay) -> Any:
    """Write the overlay into a log that no kernel writes now, and return the budget. Raises Invalid."""
    written_here(place, signed)
    return next(row for row in looked_at(place) if row["budget_id"] == budget_id)


@budget.command()
@server_option
@data_dir_option
@show.json_option
def verify(data_dir: Path, server: str | None, *, as_json: bool) -> int:
    """Count every budget anew from the journal, and compare.

    The whole journal is verified, and its counts are held against what the kernel says. Exits 1 where they differ.
    A call that is under way at that moment is looked for again before that is said.
    """
    place, url = open_place(data_dir), server_url(data_dir, server)
    if not url:
        show.note("no kernel is named: its counters are those of the journal, which is verified")
    differing, counted = compared(place, Server(url) if url else None)
    told = {"accounts": len(counted), "differing": differing, "kernel": url or "", "verified": not differing}
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name, show.plain(str(value))) for name, value in told.items()])
    return REFUSED if differing else 0


TRIES = 5
"""How often a difference is looked at again: a call may have come in between two looks."""

Account = tuple[int, ...]


def compared(place: Installation, server: Server | None) -> tuple[list[str], dict[str, Account]]:
    """Return the accounts in which kernel and journal differ, and what the journal comes to. Raises Invalid."""
    differing: list[str] = []
    counted: dict[str, Account] = {}
    for _ in range(TRIES):
        rows = server.get(f"{API}/budgets", {})["budgets"] if server is not None else None
        ledger = ledger_of(place)
        counted = {usage[0]: usage[1:] for usage in ledger.accounts.values()}
        if rows is None:
            return [], counted
        differing = sorted(differences(rows, ledger))
        if not differing:
            break
    return differing, counted


def differences(rows: list[Any], ledger: Ledger) -> Iterator[str]:
    """Yield the accounts of present windows in which a kernel's counters are not those of the journal."""
    for row in rows:
        said = {account["account"]: account for account in row["accounts"]}
        counted = {
            str(account["account"]): account
            for account in accounts_of(row["budget_id"], ledger, row["window_start_ms"])
        }
        if len(said) >= MAX_ACCOUNTS:  # the kernel shows no more: only what it shows can be compared
            counted = {name: counted[name] for name in counted if name in said}
        yield from (name for name in said.keys() | counted.keys() if said.get(name) != counted.get(name))


def ledger_of(place: Installation) -> Ledger:
    """Return what the journal comes to, every entry of it verified. Raises Invalid naming the first that fails."""
    from actors.cli.receipts import state_of_journal

    ledger: Ledger = state_of_journal(place.journal_at, place.log_id).memory.ledger
    return ledger


def layers_beside(precedence: Precedence, bundle: Policy) -> Layers | Policy:
    """Return the layers of a data directory; the bundle alone where it is not the active one. Raises Invalid."""
    stated = precedence.stated
    return layers_of(precedence, bundle) if stated and stated.policy_hash == bundle.policy_hash else bundle


def cells(one: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return a line for each account of a budget, one of nothing used where it has none."""
    accounts = one["accounts"] or [{"account": one["budget_id"]}]
    return [
        (
            account["account"],
            one["subject"],
            f"{one['window_s']} s",
            used(account, "tool_calls", one["tool_call_limit"]),
            used(account, "spend_cents", one["spend_limit_cents"]),
            used(account, "write_operations", one["write_operation_limit"]),
            used(account, "egress_bytes", one["egress_limit_bytes"]),
        )
        for account in accounts
    ]


def used(account: dict[str, Any], what: str, limit: int | None) -> str:
    """Return what is used, of how much."""
    return f"{account.get(what, 0)}/{'-' if limit is None else limit}"


def looked_at(place: Installation) -> list[Any]:
    """Return the budgets of a data directory that no kernel writes now."""
    import trio

    from actors.doors.budgets import told
    from actors.opening import open_kernel

    async def look() -> list[Any]:
        async with open_kernel(place, policy=None) as kernel:
            policy = layers_beside(kernel.memory.precedence, read_policy(place.policy_path))
            return told(policy, kernel.memory.ledger, SystemClock().now_ms())

    return trio.run(look)
