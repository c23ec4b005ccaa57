"""helm policy show, helm policy cancel-raise: what is in force around the bundle, and a raise that is given up."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from actors.cli import show as written
from actors.cli.failure import Failed
from actors.cli.overlay import POLICY, row_of, state_of
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.installation import Installation
from actors.process.clock import SystemClock
from helm.guardian.precedence import RAISE_CANCEL, RaiseCancel, sign_cancel


@click.command()
@server_option
@data_dir_option
@written.json_option
def show(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Show the ceilings and overlays in force, and what waits."""
    tell(state_of(open_place(data_dir), server_url(data_dir, server)), as_json=as_json)


@click.command("cancel-raise")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@server_option
@data_dir_option
@written.json_option
def cancel_raise(reason: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Give up the raise of P0 ceilings that waits.

    The ones in force stay, until a newer bundle states others.
    """
    place, url = open_place(data_dir), server_url(data_dir, server)
    p0 = state_of(place, url)["p0"]
    if p0 is None or not p0["due_at_ms"]:
        raise Failed("no raise of a ceiling waits", "helm policy show", "INVALID")
    key = place.policy_key()
    cancel = RaiseCancel(
        due_at_ms=p0["due_at_ms"],
        issued_at_ms=SystemClock().now_ms(),
        key_id=key.key_id,
        log_id=place.log_id,
        p0_ceiling_hash=p0["stated_hash"],
        reason=reason,
    )
    written.note(f"give up the raise on {url or place.path}, signed with the policy key")
    body = {"command": RAISE_CANCEL.body(cancel), "signature": sign_cancel(cancel, key)}
    told = Server(url).post(f"{POLICY}/p0/cancel", body) if url else cancelled_here(place, cancel, body["signature"])
    tell(told, as_json=as_json)


def cancelled_here(place: Installation, cancel: RaiseCancel, signature: Any) -> Any:
    """Write the command into a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    from actors.commands.policy import CancelRaise
    from actors.doors.policies import shown
    from actors.opening import open_kernel

    async def obey() -> Any:
        async with open_kernel(place, policy=None) as kernel:
            await kernel.command(CancelRaise(cancel, signature, kernel.parts.state.registry))
            return shown(kernel.memory.precedence, kernel.memory.active, place.log_id)

    return trio.run(obey)


def tell(told: Any, *, as_json: bool) -> None:
    """Write what is in force."""
    if as_json:
        written.as_object(told)
        return
    written.fields([*bundle_of(told), *ceilings(told["p0"])])
    if told["overlays"]:
        click.echo()
        heads = ("OVERLAY", "EPOCH", "BINDS", "IN", "HASH", "WHY")
        written.table(heads, [row_of(row["command"]) for row in told["overlays"]])


def bundle_of(told: Any) -> list[tuple[str, str]]:
    """Return which bundle is in force for people; a gateway of an older version does not tell its scope and epoch."""
    if not told["bundle_hash"]:
        return [("bundle", "none was ever activated")]
    known = [(name, str(told[name])) for name in ("scope", "epoch") if name in told]
    return [*known, ("bundle", told["bundle_hash"])]


def ceilings(p0: Any) -> list[tuple[str, str]]:
    """Return the ceilings in force for people, and what waits."""
    if p0 is None:
        return []
    rows = [
        ("P0 in force", p0["in_force_hash"]),
        *((f"P0 {name}", said(value)) for name, value in p0["in_force"].items()),
    ]
    if p0["in_force_hash"] != p0["stated_hash"]:
        when = f"waits until {moment(p0['due_at_ms'])}" if p0["due_at_ms"] else "was given up"
        changed = [name for name, value in p0["stated"].items() if value != p0["in_force"][name]]
        rows += [("a raise", when), *((f"raise of {name}", said(p0["stated"][name])) for name in changed)]
    return rows


def said(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(said(one) for one in value) or "-"
    if isinstance(value, dict) and "window_s" not in value:
        return ", ".join(f"{name} {said(one)}" for name, one in value.items())
    if isinstance(value, dict):
        limits = ((value["tool_calls"], "calls"), (value["spend_cents"], "cents"))
        stated = ", ".join(f"{limit} {what}" for limit, what in limits if limit is not None)
        return f"{value['id']}: {stated or 'no ceiling'} in {value['window_s']} s"
    return "-" if value is None else str(value)


def moment(at_ms: int) -> str:
    """Return an hour for people."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")
