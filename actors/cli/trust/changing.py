"""helm trust add, helm trust rotate, helm trust revoke: changes of the keys, signed here by the trust-admin key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.cli.trust.reading import EVENTS, read_registry
from actors.installation import KEYS, Installation, next_path
from actors.keys import keyfile
from actors.keys.trust_file import TrustFile
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.trust.event import EventKind, KeyChange, TrustEvent, event_hash, sign_event, to_body
from helm.trust.known_key import KnownKey
from helm.trust.registry import Registry

PURPOSES = click.Choice([purpose.value for purpose in KeyPurpose])
OWN_PURPOSES = click.Choice([purpose.value for purpose in KEYS])

AGAIN = "say the same again when it is known: a new key that was made is kept until then"


def options(command: Any) -> Any:
    """Add what every change takes."""
    for option in (
        show.json_option,
        server_option,
        data_dir_option,
        click.option("--reason", required=True, help="Why; it stands in the log for ever."),
        click.option(
            "--out", type=click.Path(path_type=Path), help="Write the event here, for others to sign, and stop."
        ),
    ):
        command = option(command)
    return command


@attrs.frozen(kw_only=True)
class Desk:
    """Where a change is made: the directory whose trust-admin key signs, and the running kernel, if one is named."""

    place: Installation
    url: str
    registry: Registry
    out: Path | None
    """Where the event goes that others are to sign."""

    @classmethod
    def open(cls, where: Mapping[str, Any]) -> Desk:
        """Return the desk of the options. Raises Invalid and Failed."""
        data_dir, url = where["data_dir"], server_url(where["data_dir"], where["server"])
        registry = read_registry(data_dir, url, None)
        return cls(place=open_place(data_dir), url=url, registry=registry, out=where.get("out"))

    def make(self, change: KeyChange) -> dict[str, Any]:
        """Sign the next event, and hand it in or write it down for others to sign. Raises Invalid and Failed."""
        event = sign_event(change, self.registry.place, SystemClock().now_ms(), self.place.trust_admin_key())
        if self.out is None:
            return self.hand_in(event)
        if self.out.exists():
            raise Failed(f"{self.out} is there already", "name another file", "EXISTS")
        TrustFile(self.place.log_id, (event,)).write(self.out)
        show.note(
            f"Next, {self.registry.threshold - 1} others: helm trust sign {self.out} --key ... Then: helm trust apply"
        )
        return {"event_hash": event_hash(event), "height": event.height, "lamport": None, "out": str(self.out)}

    def hand_in(self, event: TrustEvent) -> dict[str, Any]:
        """Have the kernel take the event, the running one or one of our own. Raises Invalid and Failed.

        What a kernel would refuse is refused here.
        """
        self.registry.apply_ahead(event, self.registry.lamport)
        if self.url:
            told: dict[str, Any] = Server(self.url).post(EVENTS, {"event": to_body(event)})
            return told
        return trio.run(write_event, event, self.place)


@click.command()
@click.argument("purpose", type=PURPOSES)
@click.option("--public-key", default="", metavar="HEX", help="The key to add: 64 hex digits.")
@click.option("--new-key", type=click.Path(path_type=Path), help="Make the key, and write it to this new file.")
@options
def add(purpose: str, public_key: str, new_key: Path | None, reason: str, **where: Any) -> None:
    """Add a key for PURPOSE: an approver's, a delegator's, another administrator's."""
    if bool(public_key) == (new_key is not None):
        raise click.UsageError("--public-key or --new-key, one of the two")
    desk = Desk.open(where)
    if new_key is not None:
        public_key = keyfile.write_new(new_key, KeyPurpose(purpose)).public_key
    key = checked(public_key)
    tell(desk.make(change_of(EventKind.KEY_ADDED, key, purpose, reason)), key, as_json=where["as_json"])


@click.command()
@click.argument("purpose", type=OWN_PURPOSES)
@click.option("--lost", default="", metavar="KEY_ID", help="The key to replace, where its file is gone for good.")
@options
def rotate(purpose: str, lost: str, reason: str, **where: Any) -> None:
    """Put a new key in the place of this directory's key for PURPOSE. What the old one signed keeps verifying.

    The execution key signs receipts: it is rotated while no kernel runs. Said again after a crash, it ends what was
    begun.
    """
    desk = Desk.open(where)
    if lost:
        check_lost(desk, KeyPurpose(purpose), lost)
    new = desk.place.next_key(KeyPurpose(purpose))
    known, key = desk.registry.keys.get(new.key_id), checked(new.public_key)
    if known is not None and known.is_active:
        check_begun(desk.registry, known, KeyPurpose(purpose), lost)
        told: dict[str, Any] = {"height": known.added.height, "lamport": known.added.lamport}
    else:
        old = lost or desk.place.key(KeyPurpose(purpose)).key_id
        change = attrs.evolve(change_of(EventKind.KEY_ROTATED, key, purpose, reason), replaces=old)
        told = desk.make(change)
    if "out" not in told:
        promote(desk.place, KeyPurpose(purpose))
    tell(told, key, as_json=where["as_json"])


def check_lost(desk: Desk, purpose: KeyPurpose, lost: str) -> None:
    """Raise Invalid unless `lost` is a key for `purpose`, and this directory has none that counts."""
    known = known_key(desk.registry, lost)
    if known.purpose is not purpose:
        raise Invalid(f"the key is for {known.purpose}, not for {purpose}", lost, "helm trust keys lists them")
    try:
        here = desk.registry.keys.get(desk.place.key(purpose).key_id)
    except Invalid:
        return
    if here is not None and here.is_active:
        hint = f"rotate that one without --lost; a lost one beside it: helm trust revoke {lost}"
        raise Invalid(f"this directory's key for {purpose} is there, and counts", here.public_key.key_id, hint)


def check_begun(registry: Registry, waits: KnownKey, purpose: KeyPurpose, lost: str) -> None:
    """Raise Invalid unless the key that waits counts because it took a key's place: the lost one's, where one is (T8).

    One that was added beside it would be put over the old key's file, and the old key would count for ever.
    """
    key_id = waits.public_key.key_id
    if waits.purpose is not purpose:
        raise Invalid(f"the key is for {waits.purpose}, not for {purpose}", key_id, f"take {purpose}.next away")
    replaced = [name for name, known in registry.keys.items() if known.replaced_by == key_id]
    if not replaced or (lost and lost not in (key_id, *replaced)):
        hint = f"take {purpose}.next away from keys/, and say it again: another new key is made"
        raise Invalid("the key that waits counts already, and not in the other's place", key_id, hint)


def promote(place: Installation, purpose: KeyPurpose) -> None:
    """Put the new key in the old one's place, and say what is to be signed anew. Raises Invalid."""
    place.promote_next_key(purpose)
    if purpose == KeyPurpose.POLICY:
        show.note("The policy is still signed by the old key: helm policy sign")


@click.command()
@click.argument("key_id")
@options
def revoke(key_id: str, reason: str, **where: Any) -> None:
    """Revoke KEY_ID: whatever it signs from now on counts for nothing, for ever."""
    desk = Desk.open(where)
    known = known_key(desk.registry, key_id)
    change = change_of(EventKind.KEY_REVOKED, known.public_key, known.purpose.value, reason)
    tell(desk.make(change), known.public_key, as_json=where["as_json"])


@click.command()
@click.argument("key_id")
@click.argument("role")
@options
def grant(key_id: str, role: str, reason: str, **where: Any) -> None:
    """Give KEY_ID a ROLE: a tool whose approval asks for it can be approved with this key."""
    change_role(EventKind.ROLE_GRANTED, key_id, role, reason, where)


@click.command()
@click.argument("key_id")
@click.argument("role")
@options
def withdraw(key_id: str, role: str, reason: str, **where: Any) -> None:
    """Take a ROLE from KEY_ID. What it has agreed to before stands."""
    change_role(EventKind.ROLE_REVOKED, key_id, role, reason, where)


def change_role(kind: EventKind, key_id: str, role: str, reason: str, where: Mapping[str, Any]) -> None:
    desk = Desk.open(where)
    known = known_key(desk.registry, key_id)
    change = attrs.evolve(change_of(kind, known.public_key, known.purpose.value, reason), role=role)
    tell(desk.make(change), known.public_key, as_json=where["as_json"])


def known_key(registry: Registry, key_id: str) -> KnownKey:
    """Return a key by its name. Raises Invalid."""
    known = registry.keys.get(key_id)
    if known is None:
        raise Invalid("no trust event ever added this key", key_id, "helm trust keys lists them")
    return known


async def write_event(event: TrustEvent, place: Installation) -> dict[str, Any]:
    """Run a kernel without a policy for as long as it takes to write one event. Raises Invalid."""
    from actors.commands.trust import ChangeTrust
    from actors.opening import open_kernel

    if event.purpose == KeyPurpose.EXECUTION and replaces_own(event, place):
        return await write_succession(event, place)
    async with open_kernel(place, policy=None) as kernel:
        parts = kernel.parts
        control = await kernel.command(ChangeTrust(event, parts.state.registry, parts.pen.key_id))
        if control is None:
            raise Failed("the event changed nothing", AGAIN)
        return {"event_hash": event_hash(event), "height": event.height, "lamport": control.lamport}


async def write_succession(event: TrustEvent, place: Installation) -> dict[str, Any]:
    """Run a kernel with the new execution key, and the event as its first word. Raises Invalid.

    The old key signs nothing here: it may be lost.
    """
    from actors.opening import break_ground, run_kernel
    from actors.stores.port import JournalHeld

    try:
        ground = await break_ground(place, event)
    except JournalHeld as held:  # it would refuse this over --server too
        hint = f"nothing was done: {held.holder}. Stop that kernel, whose receipts this key signs, then say it again"
        raise Invalid(held.what, held.where, hint) from held
    async with run_kernel(ground, policy=None, connectors={}) as kernel:
        registry = kernel.parts.state.registry
        lamport = registry.keys[event.key_id].added.lamport if registry is not None else 0
    return {"event_hash": event_hash(event), "height": event.height, "lamport": lamport}


def replaces_own(event: TrustEvent, place: Installation) -> bool:
    """Tell whether the event puts the key in place that waits in the data directory."""
    purpose = KeyPurpose(event.purpose)
    if event.kind != EventKind.KEY_ROTATED or not next_path(place.path, purpose, place.token).exists():
        return False
    return place.next_key(purpose).key_id == event.key_id


def change_of(kind: EventKind, key: PublicKey, purpose: str, reason: str) -> KeyChange:
    """Return a change that replaces nothing."""
    return KeyChange(key_id=key.key_id, kind=kind.value, public_key=key.hex, purpose=purpose, reason=reason)


def checked(public_key: str) -> PublicKey:
    """Return the key of 64 hex digits. Raises Invalid."""
    try:
        return PublicKey.from_hex(public_key)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "--public-key", "64 lower-case hex digits") from problem


def tell(told: dict[str, Any], key: PublicKey, *, as_json: bool) -> None:
    """Say where the event stands."""
    body = {**told, "key_id": key.key_id, "public_key": key.hex}
    if as_json:
        show.as_object(body)
        return
    show.fields(
        [
            ("key", key.key_id),
            ("public key", key.hex),
            ("height", str(told["height"])),
            ("lamport", str(told["lamport"] or "not in the log yet")),
        ]
    )
