"""Overlays for tests: written for a bundle, signed with the installation's policy key."""

from __future__ import annotations

from typing import Any

from actors.commands.policy import CancelRaise, ChangeOverlays
from actors.installation import Installation
from actors.kernel import Kernel
from actors.process.clock import Clock
from actors.signed_policy import SignedOverlay
from helm.crypto.canonical import canonical
from helm.crypto.ed25519 import Signer
from helm.guardian.bundle_overlay import VERSION, overlay_hash_of
from helm.guardian.overlays import OverlayCommand, sign_overlay
from helm.guardian.policy import Policy
from helm.guardian.precedence import RaiseCancel, sign_cancel


def overlay(bundle: Policy, name: str = "one", epoch: int = 1, **members: Any) -> dict[str, Any]:
    """Return the document of an overlay."""
    return {"version": VERSION, "id": name, "epoch": epoch, "narrows": bundle.policy_hash, **members}


def signed(document: dict[str, Any], place: Installation, key: Signer | None = None, **changes: Any) -> SignedOverlay:
    """Return an overlay under its signature; `changes` are what the signature says otherwise."""
    signer = place.policy_key() if key is None else key
    text = canonical(document)
    fields: dict[str, Any] = {
        "action": "add",
        "epoch": document["epoch"],
        "issued_at_ms": 0,
        "key_id": signer.key_id,
        "log_id": place.log_id,
        "narrows": document["narrows"],
        "overlay_hash": overlay_hash_of(text),
        "overlay_id": document["id"],
        "principals": tuple(sorted(document.get("principals", ()))),
        "reason": "test",
        "tenants": tuple(sorted(document.get("tenants", ()))),
    }
    command = OverlayCommand(**fields | changes)
    return SignedOverlay(command=command, signature=sign_overlay(command, signer), document=text)


def removal(place: Installation, name: str = "one", epoch: int = 2, **changes: Any) -> SignedOverlay:
    """Return the removal of an overlay under its signature."""
    signer = place.policy_key()
    fields: dict[str, Any] = {
        "action": "remove",
        "epoch": epoch,
        "issued_at_ms": 0,
        "key_id": signer.key_id,
        "log_id": place.log_id,
        "narrows": "",
        "overlay_hash": "",
        "overlay_id": name,
        "principals": (),
        "reason": "test",
        "tenants": (),
    }
    command = OverlayCommand(**fields | changes)
    return SignedOverlay(command=command, signature=sign_overlay(command, signer), document=b"")


async def put(kernel: Kernel, *changes: SignedOverlay) -> None:
    """Have a kernel obey signed changes of overlays, at once."""
    await kernel.command(ChangeOverlays(changes, kernel.parts.state.registry))


async def narrow(kernel: Kernel, place: Installation, name: str = "one", epoch: int = 1, **members: Any) -> None:
    """Put an overlay in force."""
    await put(kernel, signed(overlay(kernel.memory.bundle, name, epoch, **members), place))


async def give_up(kernel: Kernel, place: Installation, clock: Clock, **changes: Any) -> None:
    """Give up the raise of ceilings that waits."""
    precedence, signer = kernel.memory.precedence, place.policy_key()
    assert precedence.stated is not None
    fields: dict[str, Any] = {
        "due_at_ms": precedence.due_at_ms,
        "issued_at_ms": clock.now_ms(),
        "key_id": signer.key_id,
        "log_id": place.log_id,
        "p0_ceiling_hash": precedence.stated.p0_ceiling_hash,
        "reason": "test",
    }
    cancel = RaiseCancel(**fields | changes)
    await kernel.command(CancelRaise(cancel, sign_cancel(cancel, signer), kernel.parts.state.registry))
