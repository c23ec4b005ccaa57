"""The kernel: the one place where the belt is wired.

    call -> intake -> guardian -> appender (intent durable) -> executor -> signer -> appender -> answer
                         |                                                  ^
                         +---------------- a refusal -----------------------+

What runs under what, and ends in which order, is supervision.py's; who holds a place, places.py's and commanding.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from actors.appender import Appender
from actors.checkpointer import Checkpointer
from actors.claims import Claims
from actors.commanding import CAPACITY, Commanding
from actors.commands.checkpoints import TakeCheckpoint
from actors.commands.command import Command, attest
from actors.commands.policy import ActivatePolicy
from actors.commands.servers import NoteDrift
from actors.commands.start import started, trust_draft
from actors.commands.trust import ChangeTrust
from actors.connectors.attendance import Attendance
from actors.connectors.keeping import kept
from actors.connectors.port import Connector
from actors.fingerprint import Sensor
from actors.guardian import Guardian
from actors.intake import Intake
from actors.keys.hsm import TokenKey
from actors.library import Library
from actors.line import Line
from actors.mailbox import Answer, Case, Control, Inbox, KernelStopped, Overloaded
from actors.news import News
from actors.notary import Notary
from actors.observing import UNOBSERVED, Observing
from actors.origin import NOWHERE, Origin
from actors.pdp import DecisionPoints
from actors.places import Places
from actors.process.clock import Clock
from actors.recovery import reopened
from actors.signed_policy import SignedPolicy
from actors.signer import Signer
from actors.stores.index import IdIndex, IndexFailed
from actors.stores.port import Journal
from actors.supervision import Supervision
from actors.timelock import Timelock
from actors.vouching import vouch
from helm.contracts.call import ToolCall
from helm.contracts.decision import ESCALATE
from helm.contracts.errors import Broken
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.refold import Refold
from helm.guardian.ceremony import APPROVED
from helm.guardian.intake import PLAIN, Caller, Terms, admit
from helm.guardian.memory import Boot
from helm.proofgraph.checkpoint import Cause
from helm.trust.event import TrustEvent
from helm.trust.registry import Registry, fold

VERDICTS = {verdict.value: verdict for verdict in Verdict}


@attrs.frozen(kw_only=True)
class Limits:
    """How much a kernel takes on at once, how long its last words may take, and how often it takes a checkpoint."""

    places: int = 256
    """Calls in flight; one more is refused as overload, here and nowhere else (T4)."""
    places_per_principal: int = 64
    """Of these, for any one principal: one slow tool must not overload everyone (T4)."""
    grace_s: float = 5.0
    """How long the last words may take."""
    checkpoint_every: int = 1024
    """Receipts between two checkpoints, 0 for none by count: a proof needs the leaves between two of them (T4)."""
    checkpoint_interval_s: float = 3600.0
    """The longest that something new waits for a checkpoint, 0 for ever."""


@attrs.frozen(kw_only=True)
class Parts:
    """What a kernel is made of."""

    journal: Journal
    index: IdIndex
    pen: Pen = attrs.field(repr=False)
    state: Refold
    claims: Claims
    """Every claim that the journal knows of."""
    connectors: Mapping[str, Connector]
    boot: Boot
    sensor: Sensor
    clock: Clock
    limits: Limits
    observing: Observing = UNOBSERVED
    """How its calls are observed."""


class Kernel:
    """One running belt. Made by `open_kernel`; ends once, and is not used again."""

    def __init__(self, parts: Parts) -> None:
        limits, state = parts.limits, parts.state
        self.parts = parts
        self.memory = state.memory
        self.library = Library(parts.journal, parts.index)
        self.meter = parts.observing.meter()
        self.places = Places(limits.places, limits.places_per_principal)
        self.cases = self.places.cases
        self.supervision = Supervision(limits.grace_s, self._owes, self._begin_nothing)
        self.nursery: trio.Nursery
        """Where a door is started: it ends with the offices beside it, and they end with it."""
        self.attendance: Attendance
        self.owed = 0
        """Intents that ended without an outcome, once the kernel has ended."""
        self.news = News(self.memory.approvals, self.check_running)
        capacity = limits.places + CAPACITY
        self._at_guardian = Inbox[Case | Command](capacity)
        self._at_signer = Inbox[Case](capacity)
        self._at_appender = Inbox[Case | Control](capacity)
        self._at_executor = Inbox[Case](capacity)
        self.commands = Commanding(self._at_guardian.post)
        self.executor = parts.observing.executor(
            parts.connectors,
            self.memory,
            parts.clock,
            self._at_signer.post,
            partial(vouch, log_id=parts.boot.log_id, pen=parts.pen),
        )
        self.points = DecisionPoints(parts.clock, self._at_guardian.post, self._start_asking)
        self.guardian = Guardian(
            self.memory,
            parts.boot,
            parts.clock,
            parts.sensor,
            self._at_appender.post,
            self._at_signer.post,
            self.points.send,
            self.executor.halt,
            self.news.tell,
        )
        pen_blocks = isinstance(parts.pen, TokenKey)
        self.signer = Signer(parts.pen, state.chains, parts.clock, pen_blocks=pen_blocks)
        self.notary = Notary(
            parts.pen,
            parts.boot.log_id,
            parts.clock,
            state.trees,
            state.checkpoints,
            limits.checkpoint_every,
            durable=state.checkpoints.latest,
        )
        self.appender = Appender(
            state.graph,
            parts.journal,
            parts.index,
            self.finish,
            self.supervision.maybe_fall_silent,
            self.memory.approvals.nodes,
            self.notary,
        )
        self.timelock = Timelock(self.memory, parts.clock, self.commands.pass_on)
        self.checkpointer = Checkpointer(self.notary, parts.clock, limits.checkpoint_interval_s, self.commands.pass_on)
        self.intake = Intake(self.library, parts.claims, self.submit)

    # -- intake ---------------------------------------------------------------------------------------------------

    async def call(  # noqa: PLR0913 - all that an embedding program may say of a call, by name
        self,
        tool: str,
        arguments: bytes | JSONValue,
        *,
        principal: str = "local",
        session: str = "default",
        tenant: str = "local",
        terms: Terms = PLAIN,
        wait_for_approval: float = 0,
        origin: Origin = NOWHERE,
    ) -> Answer:
        """Govern one call of an embedding program: `arguments` are a JSON value or JSON bytes.

        With `wait_for_approval` a call that is escalated waits for its approvers, for so many seconds at most and
        without one of the places in flight, and is then made again: judged anew, in the world of that moment. What
        was escalated and not approved in time is answered as it was; so is a delegated call, because it is made again
        by its delegate alone, under the next sequence of the delegation.

        Raises Invalid for a name that cannot stand in a record, and whatever `govern` raises.
        """
        caller = Caller(tenant=tenant, principal=principal, session_id=session)
        call = admit(caller, tool, arguments, terms)
        answer = await self.govern(call, origin=origin)
        if answer.approval_id and wait_for_approval > 0 and not call.delegation_id:
            await self.news.until_answered(answer.approval_id, wait_for_approval)
            if self.memory.approvals.find(answer.approval_id).state == APPROVED:
                return await self.govern(call.but(approval_id=answer.approval_id), origin=origin)
        return answer

    async def govern(
        self, call: ToolCall, *, decide_only: bool = False, line: Line | None = None, origin: Origin = NOWHERE
    ) -> Answer:
        """Have one call judged and, if it is allowed, executed; return its answer, refusals included.

        `line` is the way back to its client while it is under way, None where there is none; `origin` is what
        observers are told of the request that it came in with.

        Raises Overloaded where no place is free, KernelStopped where there is no kernel to answer. A caller that is
        cancelled leaves; its case goes on.
        """
        if call.idempotency_key and not decide_only:
            return await self.intake.claim(call, line, origin)
        return await self.submit(Case(call, decide_only, line=line, origin=origin)).slot.wait()

    def submit(self, case: Case) -> Case:
        """Take an in-flight place for `case` and put it on the belt. No await lies between the two."""
        self.check_ready()
        self.places.check_free(case)
        self.places.take(case)
        self.meter.begin(case)
        self._at_guardian.post(case)
        return case

    def finish(self, case: Case) -> None:
        """Answer `case` with its durable receipt and give its place back. The only regular exit."""
        if case not in self.cases:
            return
        sealed = case.sealed
        if sealed is None or case.status is None:
            raise Broken("a case was finished without a receipt")
        judgement = case.judged()
        decision = judgement.decision.content
        if judgement.effect is not None and case.intent_node:
            self.memory.note_outcome(decision, sealed.content, judgement.effect.connector)
        else:
            self.memory.note_written(decision, judgement.record.id)
        self.meter.end(case, decision.verdict)
        self.places.leave(case)
        self.intake.release(case)
        case.slot.resolve(
            Answer(
                verdict=VERDICTS[decision.verdict],
                status=case.status,
                reason_code=case.code,
                reason=case.reason,
                record_id=judgement.record.id,
                receipt=sealed,
                output_json=case.output_json,
                approval_id=decision.approval_id if decision.verdict == ESCALATE else "",
                retry_after_s=case.retry_after_s,
            )
        )
        if decision.approval_id:
            self.timelock.watch(decision.approval_id)
        if self.supervision.ending:
            self.supervision.maybe_fall_silent()

    async def command(self, command: Command) -> Control | None:
        """Have the guardian obey `command`; return its event once it is durable, None where nothing changed.

        Raises Invalid or Refused where it is refused, Overloaded and KernelStopped like a call. Like a case, a
        command holds its place until it has left the belt, whether or not anyone still waits for it.
        """
        self.check_running()
        return await self.commands.command(command)

    async def activate(self, signed: SignedPolicy, connectors: Mapping[str, Connector], *, anew: bool = False) -> None:
        """Put a newer policy in force, with its connectors, between two calls; keep the active one where it is refused.

        Of these, one that is as a running one was made is not plugged in: the running one goes on, unless `anew`.

        Raises Refused for a signature that does not vouch for it and for a policy that may not follow the active
        one, Invalid for a key that does not count and for an overlay that does not only narrow this policy.
        """
        await self.command(ActivatePolicy(signed, self.parts.state.registry, lambda: self._plug(connectors, anew)))
        self.timelock.look()

    def _plug(self, connectors: Mapping[str, Connector], anew: bool) -> None:
        if not anew:
            connectors = kept(self.executor.connectors, connectors)
        self.executor.plug(connectors)
        self.attendance.turn_to(connectors)

    async def _note_drift(self, server_id: str, operation: str, listed: str) -> None:
        await self.supervision.opened.wait()  # not before the kernel's own first word
        await self.commands.pass_on(NoteDrift(server_id, operation, listed))

    async def write_start(self, genesis: tuple[TrustEvent, ...], succession: TrustEvent | None = None) -> None:
        """Write what every start writes: a new log's genesis, then this kernel's epoch, before any call is taken.

        `succession` is the event by which the pen counts; it goes before the first word of the pen. Raises Invalid
        where the pen is not an execution key that counts.
        """
        parts = self.parts
        if parts.state.registry is None:
            # One batch, so that a crash leaves the whole genesis or none of it: half of one could never be mended.
            placed = [self._post(Control(trust_draft(event))) for event in genesis]
            for control in placed:
                await control.durable.wait()
            history = zip(genesis, (control.lamport for control in placed), strict=True)
            parts.state.registry = fold(history, parts.boot.log_id)
        registry = parts.state.registry
        if succession is not None:
            await self._succeed(succession, registry)
        registry.require(parts.pen.key_id, KeyPurpose.EXECUTION, self.appender.graph.lamport + 1)
        await self._post(attest(started(parts.boot, parts.clock.now_ms()))).durable.wait()
        if parts.state.checkpoints.owed:
            await self._post(Control(None, forces=Cause.OVERRIDE)).durable.wait()

    async def _succeed(self, event: TrustEvent, registry: Registry) -> None:
        """Write the event by which the pen counts. Raises Invalid, and has written nothing, where it would not (T8)."""
        pen = self.parts.pen
        control = ChangeTrust(event, registry, pen.key_id).change(self.memory, self.parts.clock.now_ms())
        registry.require(pen.key_id, KeyPurpose.EXECUTION, registry.lamport)
        await self._post(control).durable.wait()

    def _post(self, control: Control) -> Control:
        self._at_appender.post(control)
        return control

    # -- supervision ----------------------------------------------------------------------------------------------

    @property
    def stopping(self) -> bool:
        """Whether the kernel has been told to end, or to take nothing more before that."""
        return self.supervision.ending

    @property
    def broken(self) -> BaseException | None:
        """What broke the kernel, None while nothing has."""
        return self.supervision.broken

    def open_intake(self) -> None:
        """Let calls in: everything owed from before is sealed."""
        self.supervision.open()

    def check_running(self) -> None:
        """Raise KernelStopped unless the kernel is deciding."""
        self.supervision.check_running()

    def drain(self) -> None:
        """Take no more calls: whoever asks is told that nobody decides, what is in flight goes on."""
        self.supervision.drain()
        self.news.tell_all()

    async def wait_drained(self) -> None:
        """Return once nothing is in flight, also of callers that left. Whoever waits owns the deadline."""
        await self.places.wait_empty()

    async def take_last_checkpoint(self) -> None:
        """Have all that was entered covered by a checkpoint, unless the settings want none. Raises KernelStopped."""
        if self.parts.limits.checkpoint_every or self.parts.limits.checkpoint_interval_s:
            await self.commands.pass_on(TakeCheckpoint(Cause.DEMAND))

    def check_ready(self) -> None:
        """Raise what a call would be told now that no place could help: KernelStopped, or Overloaded for want of space.

        Whoever tells how the kernel stands asks this, and nothing beside it.
        """
        if not self.supervision.takes_calls:
            self.check_running()
            raise KernelStopped("the kernel has not opened its intake yet")
        if self.parts.journal.low_space:
            raise Overloaded("the journal's disk is nearly full: nothing is judged, free some space")

    @property
    def refusing(self) -> str:
        """Why no call is judged now, "" while calls are."""
        try:
            self.check_ready()
        except (KernelStopped, Overloaded) as problem:
            return str(problem)
        return ""

    def fail(self, failure: BaseException) -> None:
        """Note what broke the kernel; whoever broke raises it as well, and everything ends."""
        self.supervision.fail(failure)

    def _owes(self) -> bool:
        """Tell whether anything is left to be written: what the guardian has judged or obeyed."""
        return self.commands.owes or any(case.judgement is not None for case in self.cases)

    def _begin_nothing(self) -> None:
        self.executor.stopping = True

    @enable_ki_protection
    async def evidence(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run pen, book and dispatcher under the shield; when they are done nobody is answered any more."""
        offices = {
            "signer": partial(self.signer.run, self._at_signer, self._at_appender.post),
            "appender": partial(self.appender.run, self._at_appender, self._at_executor.post),
            "executor": partial(self.executor.run, self._at_executor),
        }
        try:
            await self.supervision.last(offices, task_status)
        finally:
            self.abandon()  # now: a door that waits for these answers would keep the kernel from ending
            with trio.move_on_after(self.parts.limits.grace_s, shield=True):
                await self.parts.journal.aclose()
                with suppress(IndexFailed):  # it heals at the next start
                    await self.parts.index.aclose()

    def _start_asking(self, case: Case) -> None:
        self.nursery.start_soon(self.supervision.errand, partial(self.points.ask, case))

    async def work(self, effects: trio.Nursery) -> None:
        """Start what ends first: sentinel, guardian, timelock, and the executor's hands; doors live beside them."""
        self.nursery = effects
        self.attendance = Attendance(effects, self._note_drift, self.executor.uses, self.executor.let_go)
        self.attendance.turn_to(self.parts.connectors)
        office, after_opening = self.supervision.office, self.supervision.after_opening
        await effects.start(self.supervision.sentinel)
        effects.start_soon(office, partial(self.guardian.run, self._at_guardian), "guardian")
        effects.start_soon(after_opening, self.timelock.run, "timelock")
        effects.start_soon(after_opening, self.checkpointer.run, "checkpointer")
        for _ in range(self.parts.limits.places):
            effects.start_soon(office, self.executor.work, "executor")
        effects.start_soon(office, self.executor.hands.watch, "executor's watch")
        effects.start_soon(office, self.parts.index.run, "index")

    async def recover(self) -> None:
        """Seal every intent that a crash left open, before the intake opens, through the normal pen and book."""
        for intent in list(self.parts.state.open_intents.values()):
            case = reopened(intent)
            case.end(
                Status.INDETERMINATE, ReasonCode.ERR_INDETERMINATE, "the kernel ended while the effect was under way"
            )
            self.places.take(case)
            self.meter.begin(case)
            self._at_signer.post(case)
            await case.slot.wait()

    def abandon(self) -> None:
        """Tell every waiting caller that no answer will come, and count the intents that have no outcome."""
        self.supervision.stop()
        self.owed += sum(case.may_have_acted for case in self.cases)
        for case in list(self.cases):
            self.places.leave(case)
            self.intake.release(case)
            case.slot.fail(unknown=case.may_have_acted)
        self.intake.abandon()
        self.news.tell_all()
        self.commands.abandon()
