"""Overlays in force: which signed commands put them there, folded in order (HELM/Overlay/v1)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, JSONValue, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer

ACTIONS: Final = ("add", "remove")

MAX_REASON: Final = 500
MAX_KNOWN: Final = 100_000
"""Ids that were ever used: each keeps its epoch, so that no old overlay comes back (T4, T6)."""

HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class OverlayCommand(Noun, frozen=True, kw_only=True):
    """What a policy key signs of an overlay: that it is added, or takes its older self's place, or that it is removed.

    The epoch rises with every command about one id, so that no old one is obeyed again (T6). Whom it binds is said
    here too: who reads the log without the overlays' texts knows what bound a call.
    """

    action: str
    epoch: int
    issued_at_ms: int
    key_id: str
    log_id: str
    narrows: str
    """The policy_hash of the bundle, "" where it is removed."""
    overlay_hash: str
    """"" where it is removed."""
    overlay_id: str
    principals: tuple[str, ...]
    reason: str
    tenants: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"no such command: {self.action}")
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise ValueError(f"it gives its reason, in one line of at most {MAX_REASON} characters")
        if not self.overlay_id or "/" in self.overlay_id or self.epoch < 1:
            raise ValueError("not an overlay's id and epoch")
        if self.action == "remove":
            if (self.narrows, self.overlay_hash, self.principals, self.tenants) != ("", "", (), ()):
                raise ValueError("what is removed narrows nothing")
        elif not (HASH.fullmatch(self.narrows) and HASH.fullmatch(self.overlay_hash)):
            raise ValueError("an overlay and its bundle are named by their hashes")
        for names in (self.principals, self.tenants):
            if [*names] != sorted(set(names)):
                raise ValueError("the names are not in order, or one stands twice")


OVERLAY_COMMAND = Form(OverlayCommand)


def command_body(command: OverlayCommand) -> dict[str, JSONValue]:
    """Return a command as it is sent and kept."""
    body = OVERLAY_COMMAND.body(command)
    return body | {"principals": [*command.principals], "tenants": [*command.tenants]}


def sign_overlay(command: OverlayCommand, signer: Signer) -> str:
    """Return the policy key's signature, 128 hex digits, over the command."""
    return signer.sign(domains.OVERLAY, ordered_bytes(command))


def check_overlay(command: OverlayCommand, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `command`."""
    try:
        key.verify(domains.OVERLAY, ordered_bytes(command), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "overlay", "sign it with the policy key of this log") from problem


@attrs.frozen(kw_only=True)
class Standing:
    """An overlay in force: the command that put it there, and its text where it is at hand."""

    command: OverlayCommand
    document: bytes = attrs.field(repr=False)


@attrs.define
class Overlays:
    """The overlays in force by id, folded from commands in order."""

    in_force: dict[str, Standing] = attrs.field(factory=dict)
    epochs: dict[str, int] = attrs.field(factory=dict, repr=False)
    """The last epoch of every id that was ever said, also of what was removed."""

    def check_next(self, command: OverlayCommand) -> None:
        """Raise Invalid for a command that does not follow what was said of its id."""
        last = self.epochs.get(command.overlay_id, 0)
        if command.epoch <= last:
            what = f"epoch {command.epoch} of {command.overlay_id} does not follow {last}"
            raise Invalid(what, "overlay", "sign it with a higher epoch: nothing old comes back")
        if command.action == "remove" and command.overlay_id not in self.in_force:
            raise Invalid(f"no overlay {command.overlay_id} is in force", "overlay", "helm policy overlay list")
        if last == 0 and len(self.epochs) >= MAX_KNOWN:
            raise Invalid(f"more than {MAX_KNOWN} ids", "overlay", "use an id again")

    def apply(self, command: OverlayCommand, document: bytes) -> None:
        """Take a checked command into force."""
        self.check_next(command)
        self.epochs[command.overlay_id] = command.epoch
        if command.action == "add":
            self.in_force[command.overlay_id] = Standing(command=command, document=document)
        else:
            del self.in_force[command.overlay_id]

    def after(self, command: OverlayCommand, document: bytes) -> Overlays:
        """Return what they come to with one more command; raise Invalid where it does not follow."""
        changed = Overlays(dict(self.in_force), dict(self.epochs))
        changed.apply(command, document)
        return changed

    def ordered(self) -> Iterator[Standing]:
        """Yield the overlays in force in the order of their ids."""
        for name in sorted(self.in_force):
            yield self.in_force[name]

    def hashes(self, tenant: str, principals: tuple[str, ...]) -> tuple[str, ...]:
        """Return the hashes of those that bind one of these principals in a tenant, in the order of their ids."""
        return tuple(
            one.command.overlay_hash
            for one in self.ordered()
            if (not one.command.tenants or tenant in one.command.tenants)
            and (not one.command.principals or not {*principals}.isdisjoint(one.command.principals))
        )
