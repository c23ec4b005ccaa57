"""helm delegation: let one principal act for another, by a statement that the delegator's key signs."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, Final

import click

from actors.cli import keys, show
from actors.cli.keys import token_options
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import TENANT
from actors.installation import Installation
from actors.policy_file import read_signed
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import digest
from helm.guardian.delegation import (
    GRANT,
    REVOCATION,
    DelegationGrant,
    DelegationRevocation,
    sign_grant,
    sign_revocation,
)

DELEGATIONS: Final = f"{API}/delegations"

key_option = click.option(
    "--key",
    "key_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The delegator's key file; without it the delegation key of the data directory.",
)


@click.group()
def delegation() -> None:
    """Let one principal act in another's name: some tools, under conditions, for a short time."""


@delegation.command()
@click.option("--delegator", required=True, metavar="PRINCIPAL", help="In whose name.")
@click.option("--delegate", required=True, metavar="PRINCIPAL", help="Who acts.")
@click.option("--tool", "tools", multiple=True, required=True, metavar="TOOL[=CEL]", help="What it may use, and when.")
@click.option("--ttl", "ttl_minutes", type=click.IntRange(1, 1440), default=15, show_default=True, metavar="MINUTES")
@click.option("--tenant", default=TENANT, show_default=True)
@click.option("--challenge", default="", help="S256 of the delegate's own PKCE verifier; else one is made, and shown.")
@click.option("--mfa-method", default="", help="How the delegator has just proved to be there, as in webauthn.")
@click.option("--mfa-evidence-hash", default="", metavar="SHA256", help="The hash of that proof.")
@key_option
@token_options
@server_option
@data_dir_option
@show.json_option
def create(data_dir: Path, server: str | None, challenge: str, *, as_json: bool, **said: Any) -> None:
    """Sign a delegation, and bind it. What it does not name is not granted."""
    place, verifier = open_place(data_dir), ""
    if not challenge:
        verifier = secrets.token_urlsafe(32)
        challenge = urlsafe_b64encode(digest(verifier.encode())).rstrip(b"=").decode()
    key = key_of(place, said)
    grant = grant_of(place, key, challenge, said)
    signature = sign_grant(grant, key)
    url = server_url(data_dir, server)
    show.note(f"delegate on {url or place.path}, signed with {key.key_id}")
    body = {"grant": GRANT.body(grant), "signature": signature}
    told = Server(url).post(DELEGATIONS, body) if url else bound_here(place, grant, signature)
    if verifier:
        told["verifier"] = verifier
        show.note("The verifier is shown this once: hand it to the delegate, and to nobody else.")
    tell([told], as_json=as_json)


@delegation.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """List the delegations, the latest first."""
    url = server_url(data_dir, server)
    rows = Server(url).get(DELEGATIONS, {})["delegations"] if url else listed_here(open_place(data_dir))
    if as_json:
        show.as_object(rows)
        return
    show.table(
        ("DELEGATION", "DELEGATOR", "DELEGATE", "TOOLS", "STATE"),
        [
            (
                one["delegation_id"],
                one["grant"]["delegator"],
                one["grant"]["delegate"],
                ", ".join(one["grant"]["capabilities"]),
                state_of(one),
            )
            for one in rows
        ],
    )


@delegation.command()
@click.argument("delegation_id")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@click.option("--emergency", is_flag=True, help="Sign with the emergency key: the delegator's own is not at hand.")
@key_option
@token_options
@server_option
@data_dir_option
@show.json_option
def revoke(delegation_id: str, data_dir: Path, server: str | None, *, as_json: bool, **said: Any) -> None:
    """End a delegation at once."""
    place = open_place(data_dir)
    key = place.emergency_key() if said["emergency"] else key_of(place, said)
    now_ms = SystemClock().now_ms()
    try:
        command = DelegationRevocation(
            delegation_id=delegation_id,
            issued_at_ms=now_ms,
            key_id=key.key_id,
            log_id=place.log_id,
            reason=said["reason"],
        )
    except ValueError as problem:
        raise Invalid(str(problem), "--reason") from problem
    body = {"command": REVOCATION.body(command), "signature": sign_revocation(command, key)}
    url = server_url(data_dir, server)
    show.note(f"revoke on {url or place.path}, signed with {key.key_id}")
    told = Server(url).post(f"{DELEGATIONS}/{delegation_id}/revoke", body) if url else revoked_here(place, command, key)
    tell([told], as_json=as_json)


def key_of(place: Installation, said: dict[str, Any]) -> Signer:
    """Return the delegator's key. Raises Invalid."""
    key = keys.chosen(KeyPurpose.DELEGATION, said["key_file"], said["module"], said["label"])
    return place.delegation_key() if key is None else key


def grant_of(place: Installation, key: Signer, challenge: str, said: dict[str, Any]) -> DelegationGrant:
    """Return the delegation that the options describe. Raises Invalid."""
    capabilities: dict[str, str] = {}
    for one in said["tools"]:
        tool, _, condition = one.partition("=")
        if tool in capabilities:
            raise Invalid(f"{tool} is named twice", "--tool", "write one condition, with && in it")
        capabilities[tool] = condition
    now_ms = SystemClock().now_ms()
    method = said["mfa_method"]
    try:
        return DelegationGrant(
            capabilities=dict(sorted(capabilities.items())),
            challenge=challenge,
            delegate=said["delegate"],
            delegator=said["delegator"],
            expires_at_ms=now_ms + said["ttl_minutes"] * 60_000,
            issued_at_ms=now_ms,
            key_id=key.key_id,
            log_id=place.log_id,
            mfa_at_ms=now_ms if method else 0,
            mfa_evidence_hash=said["mfa_evidence_hash"],
            mfa_method=method,
            nonce=secrets.token_hex(16),
            tenant=said["tenant"],
        )
    except ValueError as problem:
        raise Invalid(str(problem), "delegation", "helm delegation create --help") from problem


def state_of(one: dict[str, Any]) -> str:
    """Return what has become of a delegation, for people."""
    if one["ended"]:
        return f"ended: {show.plain(one['ended'])}"
    return "in force" if SystemClock().now_ms() < one["grant"]["expires_at_ms"] else "expired"


def tell(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Write one delegation."""
    [one] = rows
    if as_json:
        show.as_object(one)
        return
    granted = [f"{tool} when {when}" if when else tool for tool, when in one["grant"]["capabilities"].items()]
    pairs = [
        ("delegation", one["delegation_id"]),
        ("delegator", one["grant"]["delegator"]),
        ("delegate", one["grant"]["delegate"]),
        ("tools", ", ".join(granted)),
        ("state", state_of(one)),
    ]
    if "verifier" in one:
        pairs.append(("verifier", one["verifier"]))
    show.fields(pairs)


def bound_here(place: Installation, grant: DelegationGrant, signature: str) -> dict[str, Any]:
    """Bind a delegation in a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    from actors.commands.delegation import BindDelegation
    from actors.doors.delegations import shown
    from actors.opening import break_ground, run_kernel
    from helm.guardian.delegation import delegation_id

    async def bind() -> dict[str, Any]:
        policy = read_signed(place.policy_path, place.overlays_path)
        async with run_kernel(await break_ground(place), policy=policy, connectors={}) as kernel:
            await kernel.command(BindDelegation(grant, signature, kernel.parts.state.registry))
            name = delegation_id(grant)
            return shown(name, kernel.memory.delegations.bound[name])

    return trio.run(bind)


def revoked_here(place: Installation, command: DelegationRevocation, key: Signer) -> dict[str, Any]:
    """End a delegation in a log that no kernel writes now. Raises Invalid."""
    import trio

    from actors.commands.delegation import RevokeDelegation
    from actors.doors.delegations import shown
    from actors.opening import open_kernel

    async def end() -> dict[str, Any]:
        async with open_kernel(place, policy=None) as kernel:
            signature = sign_revocation(command, key)
            await kernel.command(RevokeDelegation(command, signature, kernel.parts.state.registry))
            return shown(command.delegation_id, kernel.memory.delegations.bound[command.delegation_id])

    return trio.run(end)


def listed_here(place: Installation) -> list[dict[str, Any]]:
    """Return the delegations of a log that no kernel writes now."""
    import trio

    from actors.doors.delegations import shown
    from actors.opening import open_kernel

    async def look() -> list[dict[str, Any]]:
        async with open_kernel(place, policy=None) as kernel:
            bound = kernel.memory.delegations.bound.items()
            rows = [shown(name, found) for name, found in bound]
            return sorted(rows, key=lambda row: -row["grant"]["issued_at_ms"])

    return trio.run(look)
