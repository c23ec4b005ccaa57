"""The events of the kernel's own, and what a reader can check of them."""

from __future__ import annotations

from typing import Final, Protocol

import attrs

from helm.contracts.approval import Assertion, Challenge
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.evidence.payloads import EDITED, OF_LOG, OF_SESSION
from helm.guardian.approvals import Approvals
from helm.guardian.delegation import (
    SKEW_MS,
    DelegationGrant,
    DelegationRevocation,
    check_grant,
    check_revocation,
)
from helm.guardian.delegations import Delegations
from helm.guardian.freezes import FreezeCommand, Freezes, check_command
from helm.guardian.overlays import OverlayCommand, Overlays, check_overlay
from helm.guardian.precedence import RaiseCancel, check_cancel
from helm.guardian.relations import Relations, RelationsCommand, check_relations
from helm.guardian.servers import ServerCommand, Servers, check_server_command
from helm.trust.registry import Registry
from helm.wire import structure


def check_event(payload: dict[str, JSONValue], *, in_session: bool, where: str) -> str:
    """Return the type of an event that says exactly what its type says. Raises Invalid."""
    kind = payload.get("type")
    shape = (OF_SESSION if in_session else OF_LOG).get(kind) if type(kind) is str else None
    if shape is None:
        raise Invalid(f"an event of unknown type {kind!r}", where, "a newer HELM wrote this log: use it")
    shape.check(payload, where)
    return str(kind)


SIGNED: Final = frozenset({"DELEGATION_BOUND", "DELEGATION_REVOKED", "FREEZE", "MCP_SERVER", "RELATIONS"})
"""Events that carry somebody's signature: the kernel only obeyed."""


class Session(Protocol):
    """A node of a session, whoever read it back."""

    @property
    def lamport(self) -> int:
        """Its place on the clock."""

    @property
    def node_hash(self) -> str:
        """Its name."""

    @property
    def principal(self) -> str:
        """Whose session it is."""

    @property
    def session(self) -> tuple[str, str]:
        """Tenant and session."""


OF_APPROVAL: Final = frozenset({"APPROVAL_ASSERTED", "APPROVAL_CHALLENGED"})
"""Events of a ceremony, in the session of the call that asked."""

OF_PRECEDENCE: Final = frozenset({"OVERLAID", "P0_RAISED", "P0_RAISE_CANCELLED", "POLICY_ACTIVATED"})
"""Events of the bundle in force, and of what stands around it."""

HOURS: Final = frozenset({"APPROVALS_EXPIRED", "APPROVALS_UNLOCKED"})
"""Events of the timelock."""


@attrs.define
class Control:
    """What the control chain has come to."""

    freezes: Freezes = attrs.field(factory=Freezes)
    servers: Servers = attrs.field(factory=Servers)
    delegations: Delegations = attrs.field(factory=Delegations)
    approvals: Approvals = attrs.field(factory=Approvals)
    relations: Relations = attrs.field(factory=Relations)
    kernel_epoch: int = 0

    def start(self, payload: dict[str, JSONValue], where: str) -> None:
        """Take a kernel's start. Raises Invalid unless its epoch is the next: it fences earlier kernels out."""
        if payload["kernel_epoch"] != self.kernel_epoch + 1:
            what = f"kernel epoch {payload['kernel_epoch']} follows {self.kernel_epoch}"
            raise Invalid(what, where, "two kernels wrote here")
        self.kernel_epoch += 1

    def obey(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a signed command, whatever it is about. Raises Invalid."""
        obeyed = {
            "DELEGATION_BOUND": self.delegate,
            "DELEGATION_REVOKED": self.undelegate,
            "FREEZE": self.freeze,
            "RELATIONS": self.relate,
            "MCP_SERVER": self.server,
        }
        obeyed[payload["type"]](payload, registry, lamport, where)

    def delegate(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a delegation. Raises Invalid unless a delegation key signed it, in its time, and never before."""
        grant = structure(payload["grant"], DelegationGrant, where)
        if registry is None or grant.log_id != registry.log_id:
            raise Invalid("the delegation belongs to another log", where)
        check_grant(grant, payload["signature"], registry.require(grant.key_id, KeyPurpose.DELEGATION, lamport))
        if not grant.issued_at_ms - SKEW_MS <= payload["bound_at_ms"] < grant.expires_at_ms:
            raise Invalid("the delegation was not in force when it was bound", where)
        if self.delegations.bind(grant) != payload["delegation_id"]:
            raise Invalid("the delegation is not the one that its event names", where)

    def undelegate(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a revocation. Raises Invalid unless the delegator's own key signed it, or an emergency key."""
        revocation = structure(payload["command"], DelegationRevocation, where)
        if registry is None or revocation.log_id != registry.log_id:
            raise Invalid("the revocation belongs to another log", where)
        purpose = self.delegations.revoker(revocation)
        key = registry.require(revocation.key_id, purpose, lamport)
        check_revocation(revocation, payload["signature"], key, purpose)
        self.delegations.end(revocation.delegation_id, revocation.reason)

    def approve(self, payload: dict[str, JSONValue], registry: Registry | None, node: Session, where: str) -> None:
        """Take a challenge, or what an approver signed. Raises Invalid unless it is possible, as it was then."""
        if registry is None:
            raise Invalid("an approval before any key that could vouch for it", where)
        try:
            self._approve(payload, registry, node, where)
        except Invalid as problem:
            raise Invalid(problem.what, where, problem.hint) from problem

    def _approve(self, payload: dict[str, JSONValue], registry: Registry, node: Session, where: str) -> None:
        if payload["type"] == "APPROVAL_CHALLENGED":
            challenge = structure(payload["challenge"], Challenge, where)
            self.check_of(challenge.approval_id, node, where)
            self.approvals.put_challenge(challenge, payload["signature"], registry, node.lamport)
            return
        assertion = structure(payload["assertion"], Assertion, where)
        self.check_of(assertion.approval_id, node, where)
        at_ms, signature = payload["asserted_at_ms"], payload["signature"]
        self.approvals.put_assertion(assertion, signature, registry, node.lamport, at_ms)
        self.approvals.stand(assertion.approval_id, node.node_hash)

    def check_of(self, approval_id: str, node: Session, where: str) -> None:
        """Raise Invalid unless the event stands in the session of the call that asked."""
        one = self.approvals.find(approval_id)
        if (one.tenant, one.session_id, one.principal) != (*node.session, node.principal):
            raise Invalid("the event stands in another session than its approval", where)

    def pass_hours(self, payload: dict[str, JSONValue]) -> None:
        """Take note of approvals whose timelock elapsed, or whose time was over."""
        for approval_id in payload["approval_ids"]:
            if payload["type"] == "APPROVALS_UNLOCKED":
                self.approvals.unlock(approval_id, payload["unlocked_at_ms"])
            else:
                self.approvals.expire(approval_id)

    def freeze(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a freeze or unfreeze. Raises Invalid unless an emergency key signed it, next in sequence."""
        command = structure(payload["command"], FreezeCommand, where)
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the freeze command belongs to another log", where)
        key = registry.require(command.key_id, KeyPurpose.EMERGENCY, lamport)
        check_command(command, payload["signature"], key)
        self.freezes.apply(command)

    def relate(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take a change of relationships. Raises Invalid unless a policy key signed it, next in sequence."""
        command = structure(payload["command"], RelationsCommand, where)
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the relations belong to another log", where)
        key = registry.require(command.key_id, KeyPurpose.POLICY, lamport)
        check_relations(command, payload["signature"], key)
        self.relations.apply(command, payload["obeyed_at_ms"])

    def server(self, payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> None:
        """Take what was said of an MCP server. Raises Invalid unless an approval key signed it, next in sequence."""
        command = structure(payload["command"], ServerCommand, where)
        if registry is None or command.log_id != registry.log_id:
            raise Invalid("the server command belongs to another log", where)
        key = registry.require(command.key_id, KeyPurpose.APPROVAL, lamport)
        check_server_command(command, payload["signature"], key)
        self.servers.apply(command)


def said_of_overlays(
    payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str
) -> list[OverlayCommand]:
    """Return the commands of an OVERLAID event. Raises Invalid unless a policy key signed each, for this log."""
    found: list[OverlayCommand] = []
    for name, said in payload["commands"].items():
        if type(said) is not dict or [*said] != ["command", "signature"] or type(said["signature"]) is not str:
            raise Invalid("not a signed command about an overlay", where, EDITED)
        command = structure(said["command"], OverlayCommand, where)
        if registry is None or command.log_id != registry.log_id or command.overlay_id != name:
            raise Invalid("the overlay belongs to another log, or under another name", where)
        check_overlay(command, said["signature"], registry.require(command.key_id, KeyPurpose.POLICY, lamport))
        found.append(command)
    return found


def said_of_raise(payload: dict[str, JSONValue], registry: Registry | None, lamport: int, where: str) -> RaiseCancel:
    """Return the command of a P0_RAISE_CANCELLED event. Raises Invalid unless a policy key signed it, for this log."""
    cancel = structure(payload["command"], RaiseCancel, where)
    if registry is None or cancel.log_id != registry.log_id:
        raise Invalid("the command belongs to another log", where)
    check_cancel(cancel, payload["signature"], registry.require(cancel.key_id, KeyPurpose.POLICY, lamport))
    return cancel


def take_overlays(overlays: Overlays, commands: list[OverlayCommand], texts: dict[str, bytes]) -> Overlays:
    """Return what they come to with the commands of one event. Raises Invalid for one that does not follow."""
    for command in commands:
        overlays = overlays.after(command, texts.get(command.overlay_id, b""))
    return overlays
