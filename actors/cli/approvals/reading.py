"""helm approvals list, show, challenge: what waits, and what is to be signed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from actors.cli import show as showing
from actors.cli.approvals.desk import Told, desk_of
from actors.cli.place import data_dir_option
from actors.cli.server import server_option
from helm.contracts.approval import CHALLENGED, Action

ACTIONS = tuple(action.value for action in Action)


@click.command("list")
@click.option(
    "--state", default="", help="Only these: PENDING, APPROVED, DENIED, EXPIRED, REVOKED, CONSUMED, DISPUTED."
)
@server_option
@data_dir_option
@showing.json_option
def list_(state: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the approvals, the latest first."""
    rows = desk_of(data_dir, server).list(state)
    if as_json:
        showing.as_object(rows)
        return
    heads = ("APPROVAL", "STATE", "TOOL", "ASKED BY", "AGREED", "EXPIRES")
    showing.table(heads, [row_of(one) for one in rows])


def row_of(one: Told) -> tuple[str, ...]:
    by = showing.plain(f"{one['tenant']}/{one['principal']}")
    agreed = f"{len(one['grants'])} of {one['quorum']}"
    return (one["approval_id"], state_of(one), one["tool"], by, agreed, moment(one["expires_at_ms"]))


@click.command()
@click.argument("approval_id")
@server_option
@data_dir_option
@showing.json_option
def show(approval_id: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Show one approval with the very arguments that it is about."""
    one = desk_of(data_dir, server).show(approval_id)
    if as_json:
        showing.as_object(one)
    else:
        showing.fields(fields_of(one))


@click.command()
@click.argument("approval_id")
@click.option("--key-id", required=True, help="The key that is to sign.")
@click.option("--action", type=click.Choice(ACTIONS), default=Action.APPROVE.value, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file, for `sign`.")
@server_option
@data_dir_option
def challenge(approval_id: str, key_id: str, action: str, out: Path | None, data_dir: Path, server: str | None) -> None:
    """Fetch what is to be shown and signed, as JSON: carry it to where the key is."""
    desk = desk_of(data_dir, server)
    offer = (
        desk.challenge(approval_id, key_id, action) if action in CHALLENGED else {"approval": desk.show(approval_id)}
    )
    if out is None:
        showing.as_object(offer)
    else:
        out.write_text(json.dumps(offer, indent=2) + "\n", encoding="utf-8")
        showing.note(f"sign it with: helm approvals sign {out} --key FILE --action {action} --reason ...")


def fields_of(one: Told) -> list[tuple[str, str]]:
    """Return what an approver looks at, line by line; nothing that a caller wrote paints the terminal."""
    arguments = json.dumps(one.get("arguments"), ensure_ascii=False, sort_keys=True)
    rows: list[tuple[str, Any]] = [
        ("approval", one["approval_id"]),
        ("state", state_of(one)),
        ("asked by", f"{one['tenant']}/{one['principal']} in session {one['session_id']}"),
        ("tool", one["tool"]),
        ("risk tier", one["risk_tier"]),
        ("arguments", arguments),
        ("args hash", one["args_hash"]),
        ("why", one["reason_code"]),
        (
            "agreed",
            f"{len(one['grants'])} of {one['quorum']}: {', '.join(grant['principal'] for grant in one['grants'])}",
        ),
        ("approvers", ", ".join(one["approvers"]) or "whoever holds an approval key"),
        ("timelock", "elapsed" if one["unlocked"] else f"until {moment(one['timelock_until_ms'])}"),
        ("expires", moment(one["expires_at_ms"])),
        ("policy", f"{one['policy_hash']} (epoch {one['policy_epoch']})"),
        ("intent", one["intent_hash"]),
        ("ceremony", one["ceremony_hash"]),
    ]
    if one["break_glass"]:
        rows.append(
            ("override", f"{one['break_glass']}, review {one['review']}; no checkpoint was forced: HELM has none")
        )
    return [(name, showing.plain(str(value))) for name, value in rows]


def state_of(one: Told) -> str:
    """Return the state, and that a review is owed where one is."""
    return f"{one['state']} (review owed)" if one["review"] == "OPEN" else str(one["state"])


def moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
