"""helm budget: what every budget allows, and what is used of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.clock import SystemClock
from actors.installation import Installation
from actors.policy_file import read_policy


@click.group()
def budget() -> None:
    """Ceilings per window. They stand in the policy: to change one, sign the next epoch."""


@budget.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the budgets, and what is used of each in its window."""
    url = server_url(data_dir, server)
    rows = Server(url).get(f"{API}/budgets", {})["budgets"] if url else looked_at(open_place(data_dir))
    if as_json:
        show.as_object(rows)
        return
    heads = ("BUDGET", "OF", "WINDOW", "CALLS", "CENTS", "WRITES", "BYTES")
    show.table(heads, [row for one in rows for row in cells(one)])


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
        policy = read_policy(place.policy_path)
        async with open_kernel(place, policy=None) as kernel:
            return told(policy, kernel.memory.ledger, SystemClock().now_ms())

    return trio.run(look)
