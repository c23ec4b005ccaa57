"""Commands: what an operator or an office asks the guardian to change between two calls, each of them a node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import attrs
import trio

from actors.mailbox import Control, KernelStopped
from actors.signed_policy import SignedPolicy
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.guardian.bundle_signature import check_succession
from helm.guardian.exchanges import Ceilings
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, check_command
from helm.guardian.intake import Caller, check_name
from helm.guardian.memory import Active, Boot, Memory
from helm.guardian.servers import SERVER_COMMAND, ServerCommand, check_server_command
from helm.proofgraph.node import Draft, NodeKind
from helm.trust.event import TrustEvent, to_payload
from helm.trust.registry import Registry

MAX_REASON = 500
"""Characters of an operator's reason, as in a freeze command (T4)."""


@attrs.define(eq=False)
class Command(ABC):
    """One change. It either changes the memory and yields the event to write, or is refused and changes nothing."""

    urgent: ClassVar[bool] = False
    """Whether it may take one of the places that are kept for stops."""

    _obeyed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _control: Control | None = attrs.field(default=None, init=False)
    _refusal: Invalid | Refused | None = attrs.field(default=None, init=False)
    _stopped: bool = attrs.field(default=False, init=False)

    @abstractmethod
    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Change `memory` and return the event, None where there was nothing to change; raise to refuse."""

    def obey(self, memory: Memory, now_ms: int) -> Control | None:
        """Make the change. Whoever asked learns of a refusal; the belt goes on."""
        try:
            self._control = self.change(memory, now_ms)
        except (Invalid, Refused) as refusal:
            self._refusal = refusal
        self._obeyed.set()
        return self._control

    @property
    def settled(self) -> bool:
        """Whether nothing of it is on the belt any more: it was refused, changed nothing, or its event is durable."""
        return self._obeyed.is_set() and (self._control is None or self._control.durable.is_set())

    @property
    def owes(self) -> bool:
        """Whether it was obeyed and its event is not durable yet."""
        return self._control is not None and not self._control.durable.is_set()

    def fail(self) -> None:
        """Tell whoever asked that the kernel ended first."""
        if self.settled:
            return
        self._stopped = True
        self._obeyed.set()
        if self._control is not None:
            self._control.durable.set()

    async def done(self) -> Control | None:
        """Return the event once it is durable; raise what refused it, KernelStopped where the kernel ended."""
        await self._obeyed.wait()
        if self._refusal is not None:
            raise self._refusal
        if self._control is not None:
            await self._control.durable.wait()
        if self._stopped:
            raise KernelStopped(unknown=self._control is not None)
        return self._control


def attest(
    payload: Mapping[str, JSONValue], *, caller: Caller | None = None, beside: tuple[bytes, ...] = ()
) -> Control:
    """Return a control event: an ATTESTATION node with `payload`, in the caller's session where it has one."""
    draft = Draft(
        kind=NodeKind.ATTESTATION.value,
        payload=record_bytes(dict(payload)),
        tenant=caller.tenant if caller else "",
        session_id=caller.session_id if caller else "",
        principal=caller.principal if caller else "",
    )
    return Control(draft, beside)


def started(boot: Boot, now_ms: int) -> dict[str, JSONValue]:
    """Return the payload of a kernel's start: its epoch fences out every earlier kernel of this log."""
    return {
        "fingerprint": boot.fingerprint,
        "kernel_epoch": boot.kernel_epoch,
        "started_at_ms": now_ms,
        "type": "KERNEL_STARTED",
    }


def trust_draft(event: TrustEvent) -> Draft:
    """Return the node of a trust event."""
    return Draft(kind=NodeKind.TRUST_EVENT.value, payload=to_payload(event))


@attrs.define(eq=False)
class ActivatePolicy(Command):
    """Make a signed policy the active one, and plug its connectors in the same step."""

    signed: SignedPolicy
    plug: Callable[[], None]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Put the policy in force; refuse one that does not follow the active one. The active one again is no event."""
        policy = self.signed.policy
        check_succession(memory.active, policy)
        again = memory.active is not None and memory.active.policy_hash == policy.policy_hash
        memory.policy = policy
        memory.active = Active(scope=policy.scope, epoch=policy.epoch, policy_hash=policy.policy_hash)
        self.plug()
        if again:
            return None
        return attest(activation(self.signed, now_ms), beside=(b'"bundle":' + policy.document,))


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


@attrs.define(eq=False)
class Freeze(Command):
    """Obey a signed freeze or unfreeze."""

    urgent: ClassVar[bool] = True

    command: FreezeCommand
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature, log and sequence, as every later start will, and put the stop in or out of force."""
        if self.registry is None or self.command.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "freeze command", "sign it for this log")
        key = self.registry.require(self.command.key_id, KeyPurpose.EMERGENCY, self.registry.lamport + 1)
        check_command(self.command, self.signature, key)
        memory.freezes.apply(self.command)
        body = FREEZE_COMMAND.body(self.command)
        return attest({"command": body, "signature": self.signature, "type": "FREEZE"})


@attrs.define(eq=False)
class CommandServer(Command):
    """Obey a signed approval, or revocation, of an MCP server."""

    urgent: ClassVar[bool] = True

    command: ServerCommand
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature, log and sequence, as every later start will, and put it in force."""
        if self.registry is None or self.command.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "server command", "sign it for this log")
        key = self.registry.require(self.command.key_id, KeyPurpose.APPROVAL, self.registry.lamport + 1)
        check_server_command(self.command, self.signature, key)
        memory.servers.apply(self.command)
        body = SERVER_COMMAND.body(self.command)
        return attest({"command": body, "signature": self.signature, "type": "MCP_SERVER"})


@attrs.define(eq=False)
class NoteDrift(Command):
    """Remember that an MCP server lists a tool as another one than was pinned."""

    server_id: str
    operation: str
    listed: str
    """The pin of what is listed now, "" for a tool that is gone."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Bar the tool until an approver has looked; the same drift again changes nothing."""
        if memory.servers.drifted.get(self.server_id, {}).get(self.operation) == self.listed:
            return None
        memory.servers.note_drift(self.server_id, self.operation, self.listed)
        return attest(
            {
                "listed": self.listed,
                "noted_at_ms": now_ms,
                "operation": self.operation,
                "server_id": self.server_id,
                "type": "MCP_DRIFT",
            }
        )


@attrs.define(eq=False)
class OpenSession(Command):
    """Open a session before its first call."""

    caller: Caller

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Bind the session; refuse one that exists."""
        for name, where in (
            (self.caller.tenant, "tenant"),
            (self.caller.principal, "principal"),
            (self.caller.session_id, "session_id"),
        ):
            check_name(name, where)
        key = (self.caller.tenant, self.caller.session_id)
        if memory.sessions.find(key) is not None:
            raise Invalid(
                "the session exists already", self.caller.session_id, "choose a session id that was never used"
            )
        memory.sessions.bind(key, self.caller.principal, now_ms)
        return attest({"opened_at_ms": now_ms, "type": "SESSION_OPENED"}, caller=self.caller)


@attrs.define(eq=False)
class CloseSession(Command):
    """Close a session for ever."""

    caller: Caller

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Close the caller's own session; closing twice changes nothing."""
        key = (self.caller.tenant, self.caller.session_id)
        binding = memory.sessions.find(key)
        if binding is None or binding.principal != self.caller.principal:
            raise Invalid("there is no such session of this principal", self.caller.session_id, "open it first")
        if binding.closed:
            return None
        memory.sessions.close(key, self.caller.principal, now_ms)
        return attest({"closed_at_ms": now_ms, "type": "SESSION_CLOSED"}, caller=self.caller)


@attrs.define(eq=False)
class BeginExchange(Command):
    """Count one exchange with a model, and reserve the most that it may cost, before anything is sent."""

    caller: Caller
    reserved_microcents: int
    ceilings: Ceilings
    began_at_ms: int = attrs.field(default=0, init=False)
    """When the guardian let it begin."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Refuse what goes beyond a ceiling, and whose session it is not."""
        caller, key = self.caller, (self.caller.tenant, self.caller.session_id)
        binding = memory.sessions.find(key)
        if binding is not None and (binding.principal != caller.principal or binding.closed_at(now_ms)):
            what = "the session is closed, or belongs to another principal"
            raise Refused(ReasonCode.IDENTITY_ISOLATION_VIOLATION, what)
        memory.exchanges.check(key, caller.principal, now_ms, self.reserved_microcents, self.ceilings)
        memory.sessions.bind(key, caller.principal, now_ms)
        memory.exchanges.begin(key, caller.principal, now_ms, self.reserved_microcents)
        self.began_at_ms = now_ms
        return attest(
            {
                "began_at_ms": now_ms,
                "reserved_microcents": self.reserved_microcents,
                "type": "EXCHANGE_BEGUN",
            },
            caller=caller,
        )


@attrs.define(eq=False)
class SettleExchange(Command):
    """Put what an exchange cost in the place of what it reserved."""

    caller: Caller
    began_at_ms: int
    change_microcents: int

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Correct the account of the day on which the exchange began."""
        key = (self.caller.tenant, self.caller.session_id)
        memory.exchanges.settle(key, self.caller.principal, self.began_at_ms, self.change_microcents)
        return attest(
            {
                "began_at_ms": self.began_at_ms,
                "change_microcents": self.change_microcents,
                "type": "EXCHANGE_SETTLED",
            },
            caller=self.caller,
        )


@attrs.define(eq=False)
class ResumeConnector(Command):
    """Let a halted connector serve again, because an operator looked at it."""

    connector: str
    reason: str

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Lift the halt; refuse where there is none, and without a reason that a record can hold."""
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise Invalid(f"a reason is one line of 1 to {MAX_REASON} characters", "reason", "say why it may serve")
        halt = memory.halted.get(self.connector)
        if halt is None:
            raise Invalid("the connector is not halted", self.connector, "nothing to resume")
        memory.resume(self.connector, halt)
        return attest(
            {
                "connector": self.connector,
                "lifted": halt,
                "reason": self.reason,
                "resumed_at_ms": now_ms,
                "type": "CONNECTOR_RESUMED",
            }
        )


@attrs.define(eq=False)
class ExpireApprovals(Command):
    """End the wait of these approvals, as far as their deadlines have passed."""

    approval_ids: list[str]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Expire what is due; nothing due changes nothing."""
        due = [name for name in self.approval_ids if memory.approvals.is_due(name, now_ms)]
        if not due:
            return None
        for approval_id in due:
            memory.approvals.expire(approval_id)
        return attest({"approval_ids": due, "expired_at_ms": now_ms, "type": "APPROVALS_EXPIRED"})
