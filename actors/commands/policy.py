"""Activating a policy, and what stands around it: overlays that narrow it, raises of a ceiling that wait."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from actors.signed_policy import SignedOverlay, SignedPolicy, check_signed, check_signed_overlay
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.crypto.domains import KeyPurpose
from helm.guardian.bundle_overlay import compile_overlay
from helm.guardian.bundle_signature import InForce, check_succession
from helm.guardian.ceilings import ceilings_of
from helm.guardian.layers import Layers
from helm.guardian.memory import Active, Memory
from helm.guardian.overlay import Overlay
from helm.guardian.overlays import Overlays, Standing, command_body
from helm.guardian.policy import NO_POLICY, Policy
from helm.guardian.precedence import RAISE_CANCEL, Precedence, RaiseCancel, Stated, check_cancel
from helm.trust.registry import Registry


@attrs.frozen(kw_only=True)
class Succession:
    """What comes of putting a signed policy in force; nothing is changed by knowing it."""

    precedence: Precedence
    layers: Layers
    changes: tuple[SignedOverlay, ...]
    """The overlays that come with it and were not said before."""
    again: bool
    """It is the active one already."""


def succession_of(
    signed: SignedPolicy, registry: Registry | None, active: InForce | None, precedence: Precedence, at_ms: int
) -> Succession:
    """Return what comes of putting a signed policy in force after the active one.

    Raises Refused for a signature that does not vouch for it and for a policy that may not follow, Invalid for a key
    that does not count and for an overlay that does not only narrow this policy.
    """
    policy = signed.policy
    check_signed(signed, registry)
    check_succession(active, policy)
    again = active is not None and active.policy_hash == policy.policy_hash
    precedence = precedence if again else precedence.activated(stated_by(policy), at_ms)
    changes = tuple(one for one in signed.overlays if is_news(one, precedence.overlays))
    overlays = with_changes(precedence.overlays, changes, registry, policy)
    precedence = attrs.evolve(precedence, overlays=overlays)
    return Succession(precedence=precedence, layers=layers_of(precedence, policy), changes=changes, again=again)


@attrs.define(eq=False)
class ActivatePolicy(Command):
    """Make a signed policy the active one, with its overlays, and plug its connectors in the same step."""

    signed: SignedPolicy
    registry: Registry | None
    plug: Callable[[], None]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Put the policy in force; refuse one that does not follow the active one. The active one again is no event.

        What it raises of the ceilings waits. Overlays in force stay so, and must be about it: each that is not comes
        with it, signed anew, or was removed before.
        """
        policy, at_ms = self.signed.policy, max(now_ms, memory.latest_ms)
        # here: a key revoked a moment ago puts nothing in force
        next_ = succession_of(self.signed, self.registry, memory.active, memory.precedence, at_ms)
        memory.put(next_.layers)
        memory.precedence = next_.precedence
        memory.latest_ms = at_ms
        memory.active = Active(scope=policy.scope, epoch=policy.epoch, policy_hash=policy.policy_hash)
        self.plug()
        bundle = (b'"bundle":' + policy.document,)
        events = [] if next_.again else [attest(activation(self.signed, at_ms), beside=bundle)]
        if next_.changes:
            events.append(overlaid(next_.changes, at_ms))
        self.before = tuple(events[:-1])
        return events[-1] if events else None


@attrs.define(eq=False)
class ChangeOverlays(Command):
    """Put signed overlays in force, or take them out of it."""

    changes: tuple[SignedOverlay, ...]
    registry: Registry | None
    bundle: Policy = NO_POLICY
    """The active bundle, for a kernel that runs without a policy."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check keys, signatures, epochs and that each only narrows; refuse all of them where one is refused."""
        runs = memory.bundle is not NO_POLICY
        bundle = memory.bundle if runs else self.bundle
        stated = memory.precedence.stated
        if stated is None or bundle.policy_hash != stated.policy_hash:
            hint = "start the gateway with it first, or bring back the file that it was started with"
            raise Invalid("the bundle at hand is not the active one", "policy", hint)
        overlays = with_changes(memory.precedence.overlays, self.changes, self.registry, bundle)
        precedence = attrs.evolve(memory.precedence, overlays=overlays)
        layers = layers_of(precedence, bundle)
        if runs:
            memory.put(layers)
        memory.precedence = precedence
        return overlaid(self.changes, max(now_ms, memory.latest_ms))


@attrs.define(eq=False)
class PassRaise(Command):
    """Put a raise of P0 ceilings in force whose timelock has elapsed."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Raise the ceilings, unless the raise was given up or replaced meanwhile."""
        precedence = memory.precedence
        if not precedence.due_at_ms or now_ms < precedence.due_at_ms:
            return None
        put(memory, precedence.raised(now_ms))
        return attest({"due_at_ms": precedence.due_at_ms, "raised_at_ms": now_ms, "type": "P0_RAISED"})


@attrs.define(eq=False)
class CancelRaise(Command):
    """Give up a raise of P0 ceilings that waits."""

    cancel: RaiseCancel
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature and log, as every later start will; the ceilings in force stay so."""
        if self.registry is None or self.cancel.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "cancel", "sign it for this log")
        key = self.registry.require(self.cancel.key_id, KeyPurpose.POLICY, self.registry.lamport + 1)
        check_cancel(self.cancel, self.signature, key)
        put(memory, memory.precedence.cancelled(self.cancel))
        body = RAISE_CANCEL.body(self.cancel)
        said: dict[str, JSONValue] = {"cancelled_at_ms": now_ms, "command": body}
        return attest(said | {"signature": self.signature, "type": "P0_RAISE_CANCELLED"})


def put(memory: Memory, precedence: Precedence) -> None:
    """Let other ceilings bind; a kernel without a policy only remembers them."""
    bundle = memory.bundle
    if bundle is not NO_POLICY:
        memory.put(layers_of(precedence, bundle))
    memory.precedence = precedence


def stated_by(policy: Policy) -> Stated:
    """Return what a bundle states of ceilings."""
    p0 = parse(policy.document, max_bytes=len(policy.document)).get("p0", {})
    return Stated(policy_hash=policy.policy_hash, p0_ceiling_hash=policy.p0_ceiling_hash, ceilings=ceilings_of(p0))


def is_news(signed: SignedOverlay, overlays: Overlays) -> bool:
    """Tell whether an overlay that comes with its bundle has yet to be said: a file is read again at every start."""
    command = signed.command
    known = overlays.epochs.get(command.overlay_id, 0)
    found = overlays.in_force.get(command.overlay_id)
    same = found is not None and found.command.overlay_hash == command.overlay_hash
    return command.epoch > known or (command.epoch == known and not same)


def with_changes(
    overlays: Overlays, changes: Iterable[SignedOverlay], registry: Registry | None, bundle: Policy
) -> Overlays:
    """Return what comes of signed changes. Raises Invalid for one that may not be."""
    seen: set[str] = set()
    for one in changes:
        check_signed_overlay(one, registry)
        if one.command.overlay_id in seen:
            raise Invalid(f"two changes of {one.command.overlay_id} at once", "overlays", "leave one out")
        seen.add(one.command.overlay_id)
        if one.command.action == "add":
            check_same(one, bundle)
        overlays = overlays.after(one.command, one.document)
    return overlays


def check_same(signed: SignedOverlay, bundle: Policy) -> None:
    """Raise Invalid unless a command says of its overlay what the overlay says itself."""
    overlay, command = compile_overlay(signed.document, bundle), signed.command
    said = (command.overlay_id, command.epoch, command.narrows, command.overlay_hash)
    whom = (frozenset(command.principals), frozenset(command.tenants))
    is_so = (overlay.id, overlay.epoch, overlay.narrows, overlay.overlay_hash), (overlay.principals, overlay.tenants)
    if (said, whom) != is_so:
        raise Invalid("the signature is about another overlay than this text", "overlay", "sign it as it is now")


def layers_of(precedence: Precedence, bundle: Policy) -> Layers:
    """Return what binds whom. Raises Invalid for overlays that are about another bundle, or that clash."""
    overlays = tuple(compiled(one, bundle) for one in precedence.overlays.ordered())
    return Layers(bundle, precedence.held, overlays)


def compiled(standing: Standing, bundle: Policy) -> Overlay:
    """Return an overlay in force, compiled against its bundle. Raises Invalid for one that is about another."""
    command = standing.command
    if command.narrows != bundle.policy_hash:
        hint = f"sign it anew for the bundle of epoch {bundle.epoch} and put it beside the others, or remove it before"
        raise Invalid(f"the overlay {command.overlay_id} in force narrows another bundle", "overlays", hint)
    return compile_overlay(standing.document, bundle)


def overlaid(changes: Iterable[SignedOverlay], at_ms: int) -> Control:
    """Return the event of signed changes of overlays, their texts beside it."""
    ordered = sorted(changes, key=lambda one: one.command.overlay_id)
    commands: dict[str, JSONValue] = {
        one.command.overlay_id: {"command": command_body(one.command), "signature": one.signature} for one in ordered
    }
    texts = [canonical(one.command.overlay_id) + b":" + one.document for one in ordered if one.document]
    payload: dict[str, JSONValue] = {"commands": commands, "obeyed_at_ms": at_ms, "type": "OVERLAID"}
    return attest(payload, beside=(b'"overlays":{' + b",".join(texts) + b"}",))


def activation(signed: SignedPolicy, now_ms: int) -> dict[str, JSONValue]:
    """Return the payload of a policy's activation."""
    policy, signature = signed.policy, signed.signature
    return {
        "activated_at_ms": now_ms,
        "epoch": policy.epoch,
        "key_id": signature.key_id,
        "p0_ceiling_hash": policy.p0_ceiling_hash,
        "policy_hash": policy.policy_hash,
        "scope": policy.scope,
        "signature": signature.signature,
        "type": "POLICY_ACTIVATED",
    }
