"""The kernel: the supervision tree, and the only wiring of the belt.

    call -> intake -> guardian -> appender (intent durable) -> executor -> signer -> appender -> answer
                         |                                                  ^
                         +---------------- a refusal -----------------------+

Trio cancels a whole tree at once; the signer and the appender are shielded so that they fall silent last, when every
case that has an intent has its receipt, or after one bounded grace. After any failure nothing is restarted in here:
the state is unknown, the kernel ends, and a fresh one reads the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from actors.appender import Appender
from actors.checkpointer import Checkpointer
from actors.clock import Clock
from actors.commands.command import Command, attest
from actors.commands.policy import ActivatePolicy
from actors.commands.servers import NoteDrift
from actors.commands.start import started, trust_draft
from actors.connectors.port import Attended, Connector
from actors.executor import Executor
from actors.fingerprint import Sensor
from actors.guardian import Guardian
from actors.hsm import TokenKey
from actors.intake import Intake
from actors.library import Library
from actors.line import Line
from actors.mailbox import Answer, Case, Control, Inbox, KernelStopped, Overloaded, Stage
from actors.meter import Meter
from actors.notary import Notary
from actors.pdp import DecisionPoints
from actors.recovery import reopened
from actors.signed_policy import SignedPolicy
from actors.signer import Signer
from actors.stores.index import IdIndex, IndexFailed
from actors.stores.port import Journal
from actors.timelock import Timelock
from actors.vouching import vouch
from helm.contracts.call import ToolCall
from helm.contracts.errors import Broken
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.refold import Refold
from helm.guardian.ceremony import APPROVED, WAITING
from helm.guardian.intake import PLAIN, Caller, Terms, admit
from helm.guardian.memory import Boot
from helm.proofgraph.checkpoint import Cause
from helm.trust.event import TrustEvent
from helm.trust.registry import fold

CONTROL_PLACES = 32
"""Commands under way at once; they travel the same channels as cases, so they have places of their own."""

VERDICTS = {verdict.value: verdict for verdict in Verdict}

URGENT_PLACES = 8
"""More of them, for stops alone: no flood of other commands keeps an operator from freezing the system (T4)."""

OWN_PLACES = 16
"""For what the kernel itself writes: its start, and the deadlines that pass."""


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
    connectors: Mapping[str, Connector]
    boot: Boot
    sensor: Sensor
    clock: Clock
    limits: Limits


class Kernel:
    """One running belt. Made by `open_kernel`; ends once, and is not used again."""

    def __init__(self, parts: Parts) -> None:
        limits, state = parts.limits, parts.state
        self.parts = parts
        self.memory = state.memory
        self.library = Library(parts.journal, parts.index)
        self.meter = Meter()
        self.cases: set[Case] = set()
        self.stopping = False
        """Whether the kernel has been told to end."""
        self._takes_calls = False
        """Whether the intake is open: a call looks at this alone."""
        self.broken: BaseException | None = None
        self.last_words = trio.CancelScope(shield=True)
        self.nursery: trio.Nursery
        """Where a door is started: it ends with the offices beside it, and they end with it."""
        self.owed = 0
        """Intents that ended without an outcome, once the kernel has ended."""
        self._opened = trio.Event()
        self._commands: set[Command] = set()
        self._news: dict[str, trio.Event] = {}
        """What waits for the next word about an approval. Each event is set once, when it is taken out."""
        self._held: Counter[tuple[str, str]] = Counter()
        capacity = limits.places + 2 * CONTROL_PLACES + URGENT_PLACES + OWN_PLACES  # a command has two events at most
        self._at_guardian = Inbox[Case | Command](capacity)
        self._at_signer = Inbox[Case](capacity)
        self._at_appender = Inbox[Case | Control](capacity)
        self._at_executor = Inbox[Case](capacity)
        self.executor = Executor(
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
            self._tell,
        )
        pen_blocks = isinstance(parts.pen, TokenKey)
        self.signer = Signer(parts.pen, state.chains, parts.clock, pen_blocks=pen_blocks)
        grants = self.memory.approvals.nodes
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
            state.graph, parts.journal, parts.index, self.finish, self._maybe_fall_silent, grants, self.notary
        )
        self.timelock = Timelock(self.memory, parts.clock, self._pass_on)
        self.checkpointer = Checkpointer(self.notary, parts.clock, limits.checkpoint_interval_s, self._pass_on)
        self.intake = Intake(self.library, self.submit)

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
        answer = await self.govern(call)
        if answer.approval_id and wait_for_approval > 0 and not call.delegation_id:
            await self._until_answered(answer.approval_id, wait_for_approval)
            if self.memory.approvals.find(answer.approval_id).state == APPROVED:
                return await self.govern(call.but(approval_id=answer.approval_id))
        return answer

    async def _until_answered(self, approval_id: str, seconds: float) -> None:
        """Wait until no approver is waited for any more, `seconds` at most. Raises KernelStopped at the end."""
        with trio.move_on_after(seconds):
            while self.memory.approvals.find(approval_id).state in WAITING:
                self.check_running()
                await self._news.setdefault(approval_id, trio.Event()).wait()
        self.check_running()

    def _tell(self, approval_id: str) -> None:
        """Have whoever waits for this approval look again."""
        news = self._news.pop(approval_id, None)
        if news is not None:
            news.set()

    async def govern(self, call: ToolCall, *, decide_only: bool = False, line: Line | None = None) -> Answer:
        """Have one call judged and, if it is allowed, executed; return its answer, refusals included.

        `line` is the way back to its client while it is under way, None where there is none.

        Raises Overloaded where no place is free, KernelStopped where there is no kernel to answer. A caller that is
        cancelled leaves; its case goes on.
        """
        if call.idempotency_key and not decide_only:
            return await self.intake.claim(call, line)
        return await self.submit(Case(call, decide_only, line=line)).slot.wait()

    def submit(self, case: Case) -> Case:
        """Take an in-flight place for `case` and put it on the belt. No await lies between the two."""
        if not self._takes_calls:
            self.check_running()
            raise KernelStopped("the kernel has not opened its intake yet")
        holder = (case.call.tenant, case.call.principal)
        limits = self.parts.limits
        if len(self.cases) >= limits.places or self._held[holder] >= limits.places_per_principal:
            raise Overloaded("too many calls in flight: nothing was judged, try again shortly")
        if self.parts.journal.low_space:
            raise Overloaded("the journal's disk is nearly full: nothing was judged, free some space")
        self.cases.add(case)
        self._held[holder] += 1
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
        if judgement.effect is not None and case.intent_node:
            self.memory.note_outcome(judgement.decision.content, sealed.content, judgement.effect.connector)
        else:
            self.memory.note_written(judgement.decision.content, judgement.record.id)
        case.stage = Stage.DONE
        decision = judgement.decision.content
        self.meter.end(case, decision.verdict)
        self._leave(case)
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
                approval_id=decision.approval_id if case.status is Status.ESCALATED else "",
                retry_after_s=case.retry_after_s,
            )
        )
        if decision.approval_id:
            self.timelock.watch(decision.approval_id)
        if self.stopping:
            self._maybe_fall_silent()

    def _leave(self, case: Case) -> None:
        self.cases.discard(case)
        holder = (case.call.tenant, case.call.principal)
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]

    async def command(self, command: Command) -> Control | None:
        """Have the guardian obey `command`; return its event once it is durable, None where nothing changed.

        Raises Invalid or Refused where it is refused, Overloaded and KernelStopped like a call. Like a case, a
        command holds its place until it has left the belt, whether or not anyone still waits for it.
        """
        self.check_running()
        self._commands = {other for other in self._commands if not other.settled}
        if len(self._commands) >= CONTROL_PLACES + (URGENT_PLACES if command.urgent else 0):
            raise Overloaded("too many commands under way")
        return await self._pass_on(command)

    async def _pass_on(self, command: Command) -> Control | None:
        self._commands.add(command)
        self._at_guardian.post(command)
        return await command.done()

    async def activate(self, signed: SignedPolicy, connectors: Mapping[str, Connector]) -> None:
        """Put a newer policy in force, with its connectors, between two calls; keep the active one where it is refused.

        Raises Refused for a signature that does not vouch for it and for a policy that may not follow the active
        one, Invalid for a key that does not count and for an overlay that does not only narrow this policy.
        """
        await self.command(ActivatePolicy(signed, self.parts.state.registry, lambda: self._plug(connectors)))
        self.timelock.look()

    def _plug(self, connectors: Mapping[str, Connector]) -> None:
        self.executor.plug(connectors)
        self._attend(connectors)

    def _attend(self, connectors: Mapping[str, Connector]) -> None:
        """Let what connectors keep running run for as long as calls may need it."""
        for connector in connectors.values():
            if isinstance(connector, Attended):
                self.nursery.start_soon(connector.attend, self._note_drift)

    async def _note_drift(self, server_id: str, operation: str, listed: str) -> None:
        await self._opened.wait()  # not before the kernel's own first word
        await self._pass_on(NoteDrift(server_id, operation, listed))

    async def write_start(self, genesis: tuple[TrustEvent, ...]) -> None:
        """Write what every start writes: a new log's genesis, then this kernel's epoch, before any call is taken.

        Raises Invalid where the pen is not an execution key that counts.
        """
        parts = self.parts
        if parts.state.registry is None:
            # One batch, so that a crash leaves the whole genesis or none of it: half of one could never be mended.
            placed = [self._post(Control(trust_draft(event))) for event in genesis]
            for control in placed:
                await control.durable.wait()
            history = zip(genesis, (control.lamport for control in placed), strict=True)
            parts.state.registry = fold(history, parts.boot.log_id)
        parts.state.registry.require(parts.pen.key_id, KeyPurpose.EXECUTION, self.appender.graph.lamport + 1)
        await self._post(attest(started(parts.boot, parts.clock.now_ms()))).durable.wait()
        if parts.state.checkpoints.owed:
            await self._post(Control(None, forces=Cause.OVERRIDE)).durable.wait()

    def _post(self, control: Control) -> Control:
        self._at_appender.post(control)
        return control

    def open_intake(self) -> None:
        """Let calls in: everything owed from before is sealed."""
        self._takes_calls = not self.stopping and self.broken is None
        self._opened.set()

    # -- supervision ----------------------------------------------------------------------------------------------

    def _maybe_fall_silent(self) -> None:
        """End the last words once nothing is owed: what the guardian never came to was neither judged nor obeyed."""
        if not self.stopping or any(command.owes for command in self._commands):
            return
        if all(case.stage is Stage.JUDGE for case in self.cases):
            self.last_words.cancel()

    @enable_ki_protection
    async def _office(self, run: Callable[[], Awaitable[Any]], name: str) -> None:
        try:
            await run()
        except trio.Cancelled:
            raise
        except BaseException as failure:
            self.fail(failure)
            raise
        raise Broken(f"the {name} returned")

    def fail(self, failure: BaseException) -> None:
        """Note what broke the kernel; whoever broke raises it as well, and everything ends."""
        self._takes_calls = False
        self.broken = self.broken or failure

    @enable_ki_protection
    async def evidence(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run pen, book and dispatcher under the shield; when they are done nobody is answered any more."""
        try:
            with self.last_words:
                async with trio.open_nursery() as offices:
                    offices.start_soon(self._office, self._run_signer, "signer")
                    offices.start_soon(self._office, self._run_appender, "appender")
                    offices.start_soon(self._office, self._run_executor, "executor")
                    task_status.started()
        finally:
            self.abandon()  # now: a door that waits for these answers would keep the kernel from ending
            with trio.move_on_after(self.parts.limits.grace_s, shield=True):
                await self.parts.journal.aclose()
                with suppress(IndexFailed):  # it heals at the next start
                    await self.parts.index.aclose()

    async def _run_signer(self) -> None:
        await self.signer.run(self._at_signer, self._at_appender.post)

    async def _run_appender(self) -> None:
        await self.appender.run(self._at_appender, self._at_executor.post)

    async def _run_executor(self) -> None:
        await self.executor.run(self._at_executor)

    async def _work(self) -> None:
        await self.executor.work()

    async def _run_guardian(self) -> None:
        await self.guardian.run(self._at_guardian)

    async def _run_checkpointer(self) -> None:
        await self._opened.wait()
        await self.checkpointer.run()

    def _start_asking(self, case: Case) -> None:
        self.nursery.start_soon(self._ask, case)

    @enable_ki_protection
    async def _ask(self, case: Case) -> None:
        """Ask a decision point for one case; like an office, it ends the kernel with itself if it breaks."""
        try:
            await self.points.ask(case)
        except trio.Cancelled:
            raise
        except BaseException as failure:
            self.fail(failure)
            raise

    async def _run_timelock(self) -> None:
        await self._opened.wait()  # its first word must not come before the kernel's own
        await self.timelock.run()

    @enable_ki_protection
    async def _sentinel(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Notice the end of the work, whatever ends it, and start the grace of the last words."""
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            self._stop()
            self.last_words.deadline = trio.current_time() + self.parts.limits.grace_s
            self._maybe_fall_silent()

    async def work(self, effects: trio.Nursery) -> None:
        """Start what ends first: sentinel, guardian, timelock, and the executor's hands; doors live beside them."""
        self.nursery = effects
        self._attend(self.parts.connectors)
        await effects.start(self._sentinel)
        effects.start_soon(self._office, self._run_guardian, "guardian")
        effects.start_soon(self._office, self._run_timelock, "timelock")
        effects.start_soon(self._office, self._run_checkpointer, "checkpointer")
        for _ in range(self.parts.limits.places):
            effects.start_soon(self._office, self._work, "executor")
        effects.start_soon(self._office, self.executor.hands.watch, "executor's watch")
        effects.start_soon(self._office, self.parts.index.run, "index")

    async def recover(self) -> None:
        """Seal every intent that a crash left open, before the intake opens, through the normal pen and book."""
        for intent in list(self.parts.state.open_intents.values()):
            case = reopened(intent)
            case.end(
                Status.INDETERMINATE, ReasonCode.ERR_INDETERMINATE, "the kernel ended while the effect was under way"
            )
            self.cases.add(case)
            self._held[(case.call.tenant, case.call.principal)] += 1
            self.meter.begin(case)
            self._at_signer.post(case)
            await case.slot.wait()

    def abandon(self) -> None:
        """Tell every waiting caller that no answer will come, and count the intents that have no outcome."""
        self._stop()
        self.owed += sum(case.may_have_acted for case in self.cases)
        for case in list(self.cases):
            self._leave(case)
            self.intake.release(case)
            case.slot.fail(unknown=case.may_have_acted)
        self.intake.abandon()
        for approval_id in list(self._news):
            self._tell(approval_id)
        for command in list(self._commands):
            command.fail()

    def _stop(self) -> None:
        self._takes_calls = False
        self.stopping = self.executor.stopping = True

    def check_running(self) -> None:
        """Raise KernelStopped unless the kernel is deciding."""
        if self.stopping or self.broken is not None:
            raise KernelStopped
