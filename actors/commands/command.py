"""A command: what an operator or an office asks the guardian to change between two calls, each of them a node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import attrs
import trio

from actors.mailbox import Control, KernelStopped
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.guardian.intake import Caller
from helm.guardian.memory import Memory
from helm.proofgraph.node import Draft, NodeKind


@attrs.define(eq=False)
class Command(ABC):
    """One change. It either changes the memory and yields the event to write, or is refused and changes nothing."""

    urgent: ClassVar[bool] = False
    """Whether it may take one of the places that are kept for stops."""
    halts: ClassVar[bool] = False
    """Whether effects that are under way may have lost their permission by it."""

    before: tuple[Control, ...] = attrs.field(default=(), init=False)
    """An event that goes before the one that `change` returns: both are written in this order, or neither is."""

    _obeyed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _control: Control | None = attrs.field(default=None, init=False)
    _refusal: Invalid | Refused | None = attrs.field(default=None, init=False)
    _stopped: bool = attrs.field(default=False, init=False)

    @abstractmethod
    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Change `memory` and return the event, None where there was nothing to change; raise to refuse."""

    def told(self) -> tuple[str, ...]:
        """Return the approvals whose waiters look again once this is obeyed."""
        return ()

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
