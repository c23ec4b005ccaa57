"""helm policy overlay: narrow the bundle in force by a signed overlay, and take one back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.in_force import active_policy
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.policy_file import read_overlay, read_policy, signature_path, write_overlay_signature
from actors.process.clock import SystemClock
from actors.signed_policy import SignedOverlay
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.guardian.overlay import Overlay
from helm.guardian.overlays import OverlayCommand, command_body, sign_overlay
from helm.guardian.policy import Policy

POLICY = f"{API}/policy"

file_argument = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
reason_option = click.option("--reason", required=True, help="Why; it stands in the log for ever.")
bundle_option = click.option(
    "--policy", "bundle", type=click.Path(path_type=Path), help="The bundle that it narrows; the data directory's."
)


@click.group()
def overlay() -> None:
    """Narrow the policy by signed overlays; never widen it.

    An overlay removes tools, lowers budgets and adds requirements, for some callers or for all.
    """


@overlay.command()
@file_argument
@bundle_option
@data_dir_option
@show.json_option
def check(file: Path, bundle: Path | None, data_dir: Path, as_json: bool) -> None:
    """Say what FILE narrows. What would widen is named with its line."""
    compiled = read_overlay(file, bundle_of(data_dir, bundle))
    tell(summary(compiled), as_json=as_json)


@overlay.command()
@file_argument
@bundle_option
@reason_option
@data_dir_option
@show.json_option
def sign(file: Path, bundle: Path | None, reason: str, data_dir: Path, as_json: bool) -> None:
    """Sign FILE with the policy key, to come with its bundle.

    The signature is written beside it. In the directory `overlays` of the data directory it comes into force with
    its bundle, at the next start or SIGHUP.
    """
    place = open_place(data_dir)
    compiled = read_overlay(file, bundle_of(data_dir, bundle))
    write_overlay_signature(file, signed_by(place, compiled, reason))
    tell({**summary(compiled), "signature": str(signature_path(file))}, as_json=as_json)


@overlay.command()
@file_argument
@reason_option
@server_option
@data_dir_option
@show.json_option
def add(file: Path, reason: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Sign FILE and put it in force at once.

    It stays so until it is removed, or a newer epoch takes its place.
    """
    place = open_place(data_dir)
    compiled = read_overlay(file, read_policy(place.policy_path))
    told = put(place, server_url(data_dir, server), signed_by(place, compiled, reason))
    tell_of(told, as_json=as_json)


@overlay.command()
@click.argument("overlay_id", metavar="ID")
@reason_option
@server_option
@data_dir_option
@show.json_option
def remove(overlay_id: str, reason: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Take the overlay ID out of force.

    What the bundle says counts again, never more.
    """
    place, url = open_place(data_dir), server_url(data_dir, server)
    epoch = known_epochs(place, url).get(overlay_id, 0) + 1
    signed = signed_as(place, reason, action="remove", overlay_id=overlay_id, epoch=epoch)
    tell_of(put(place, url, signed), as_json=as_json)


@overlay.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the overlays in force, and whom each binds."""
    tell_of(state_of(open_place(data_dir), server_url(data_dir, server)), as_json=as_json)


def bundle_of(data_dir: Path, bundle: Path | None) -> Policy:
    """Return the bundle that an overlay is read against. Raises Invalid."""
    return read_policy(bundle or open_place(data_dir).policy_path)


def signed_by(place: Installation, compiled: Overlay, reason: str) -> SignedOverlay:
    """Return an overlay under the policy key's signature. Raises Invalid."""
    return signed_as(
        place,
        reason,
        document=compiled.document,
        action="add",
        epoch=compiled.epoch,
        narrows=compiled.narrows,
        overlay_hash=compiled.overlay_hash,
        overlay_id=compiled.id,
        principals=tuple(sorted(compiled.principals)),
        tenants=tuple(sorted(compiled.tenants)),
    )


def signed_as(place: Installation, reason: str, document: bytes = b"", **said: Any) -> SignedOverlay:
    """Return a command about an overlay under the policy key's signature. Raises Invalid."""
    key = place.policy_key()
    nothing: dict[str, Any] = {"narrows": "", "overlay_hash": "", "principals": (), "tenants": ()}
    try:
        command = OverlayCommand(
            **{**nothing, **said},
            issued_at_ms=SystemClock().now_ms(),
            key_id=key.key_id,
            log_id=place.log_id,
            reason=reason,
        )
    except ValueError as problem:
        raise Invalid(str(problem), "overlay", "helm policy overlay --help") from problem
    return SignedOverlay(command=command, signature=sign_overlay(command, key), document=document)


def put(place: Installation, url: str | None, signed: SignedOverlay) -> Any:
    """Have the running kernel obey, or, where none is named, the data directory itself."""
    command = signed.command
    show.note(f"{command.action} {command.overlay_id} on {url or place.path}, signed with the policy key")
    if not url:
        return written_here(place, signed)
    body: dict[str, Any] = {"command": command_body(command), "signature": signed.signature}
    if command.action == "remove":
        return Server(url).post(f"{POLICY}/overlays/{command.overlay_id}/remove", body)
    return Server(url).post(f"{POLICY}/overlays", {**body, "document": reread(signed.document)})


def written_here(place: Installation, signed: SignedOverlay) -> Any:
    """Write the signed change into a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    from actors.commands.policy import ChangeOverlays
    from actors.doors.policies import shown
    from actors.opening import open_kernel

    async def obey() -> Any:
        bundle = read_policy(place.policy_path)
        async with open_kernel(place, policy=None) as kernel:
            await kernel.command(ChangeOverlays((signed,), kernel.parts.state.registry, bundle))
            return shown(kernel.memory.precedence, kernel.memory.active, place.log_id)

    return trio.run(obey)


def state_of(place: Installation, url: str | None) -> Any:
    """Return what is in force around the bundle, by the running kernel or by the journal."""
    if url:
        return Server(url).get(POLICY, {})
    from actors.doors.policies import shown
    from actors.policy_log import precedence_of

    return shown(precedence_of(place), active_policy(place), place.log_id)


def known_epochs(place: Installation, url: str | None) -> dict[str, int]:
    """Return the last epoch of every overlay that was ever said."""
    epochs: dict[str, int] = state_of(place, url)["overlay_epochs"]
    return epochs


def summary(compiled: Overlay) -> dict[str, Any]:
    """Return what an overlay says, in a few words."""
    return {
        "overlay_id": compiled.id,
        "epoch": compiled.epoch,
        "overlay_hash": compiled.overlay_hash,
        "narrows": compiled.narrows,
        "principals": sorted(compiled.principals),
        "tenants": sorted(compiled.tenants),
        "removes": sorted(compiled.removed),
        "narrows_tools": sorted(compiled.tools),
        "lowers_budgets": sorted(compiled.lowered),
        "adds_budgets": sorted(budget.id for budget in compiled.added),
    }


def tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show.as_object(told)
    else:
        show.fields([(name.replace("_", " "), words(value)) for name, value in told.items()])


def words(value: Any) -> str:
    """Return a value for people; an empty list of callers is everyone, any other nothing."""
    return (", ".join(value) or "-") if isinstance(value, list) else show.plain(str(value))


def tell_of(told: Any, *, as_json: bool) -> None:
    """Write the overlays in force."""
    rows = told["overlays"]
    if as_json:
        show.as_object(rows)
        return
    heads = ("OVERLAY", "EPOCH", "BINDS", "IN", "HASH", "WHY")
    show.table(heads, [row_of(row["command"]) for row in rows])


def row_of(command: dict[str, Any]) -> tuple[str, ...]:
    return (
        command["overlay_id"],
        str(command["epoch"]),
        ", ".join(command["principals"]) or "everyone",
        ", ".join(command["tenants"]) or "every tenant",
        show.short(command["overlay_hash"]),
        show.plain(command["reason"]),
    )
