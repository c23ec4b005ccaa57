"""What moves on the belt, and how an office takes it: everything waiting at its door, oldest first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import attrs
import trio

from actors.line import Line
from actors.origin import NOWHERE, Origin
from helm.contracts.call import ToolCall
from helm.contracts.decision import DENY, ESCALATE, Decision
from helm.contracts.errors import Broken
from helm.contracts.form import JSONValue, Noun
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import NO_RUN, SandboxRun
from helm.contracts.verdict import Status, Verdict
from helm.crypto.canonical import reread
from helm.guardian.judgement import Judgement
from helm.guardian.points import Advice, Question
from helm.proofgraph.checkpoint import Cause, SealedCheckpoint
from helm.proofgraph.node import Draft, Node
from helm.receipts.chain import SealedReceipt

T = TypeVar("T")

THROTTLED = ReasonCode.TEMPORAL_THROTTLE.value

REASONS = {code.value: code for code in ReasonCode}

REFUSALS = {DENY: Status.DENIED, ESCALATE: Status.ESCALATED}
"""How a call ends that was not allowed, by its verdict."""


class KernelStopped(Exception):
    """The kernel ended before it could answer.

    `unknown` is False as long as no intent was posted: then it is a refusal, and nothing happened. Otherwise the
    effect may have happened: the next start seals what is known, and the caller must reconcile before it retries.
    """

    def __init__(self, why: str = "the kernel has stopped", *, unknown: bool = False) -> None:
        super().__init__(why)
        self.unknown = unknown

    @property
    def reason_code(self) -> ReasonCode:
        """Return the code a door answers with: there is no receipt to carry it."""
        return ReasonCode.KERNEL_STOPPED


class Overloaded(Exception):
    """No place was free: nothing was judged, nothing was written; try again later."""

    reason_code = ReasonCode.OVERLOADED


class Answer(Noun, frozen=True, kw_only=True):
    """What a caller gets, and what stands behind it: the receipt is durable before anyone sees it.

    `output_json` is the connector's validated answer in canonical bytes, b"" unless status is SUCCESS. `approval_id`
    is "" unless the call was ESCALATED. `replayed`: an idempotency key answered, and nothing was executed again.
    """

    verdict: Verdict
    status: Status
    reason_code: ReasonCode
    reason: str
    record_id: str
    receipt: SealedReceipt
    output_json: bytes = b""
    approval_id: str = ""
    replayed: bool = False
    retry_after_s: int = 0
    """After how many seconds the same call may pass, 0 where that is not known."""

    @property
    def output(self) -> JSONValue:
        """Return the output, read afresh from the bytes that were hashed; None where there is none."""
        return reread(self.output_json) if self.output_json else None

    @property
    def allowed(self) -> bool:
        """Say whether the call was allowed and its effect succeeded."""
        return self.status is Status.SUCCESS


class Slot:
    """Where one answer is put down, once; whoever waits gets it, and whoever left is not missed."""

    __slots__ = ("_answer", "_problem", "_waiting")

    def __init__(self) -> None:
        self._waiting: list[trio.lowlevel.Task] = []
        self._answer: Answer | None = None
        self._problem: KernelStopped | None = None

    def resolve(self, answer: Answer) -> None:
        """Put the answer down."""
        self._answer = answer
        self._wake()

    def fail(self, *, unknown: bool) -> None:
        """Put down that there will be no answer."""
        self._problem = KernelStopped(unknown=unknown)
        self._wake()

    def _wake(self) -> None:
        for task in self._waiting:
            trio.lowlevel.reschedule(task)
        self._waiting.clear()

    async def wait(self) -> Answer:
        """Return the answer; raise a KernelStopped of the waiter's own where none will come."""
        if self._answer is None and self._problem is None:
            task = trio.lowlevel.current_task()
            self._waiting.append(task)

            def leave(_: trio.lowlevel.RaiseCancelT) -> trio.lowlevel.Abort:
                self._waiting.remove(task)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(leave)
        else:
            await trio.lowlevel.checkpoint()
        if self._answer is None:
            raise KernelStopped(unknown=self._problem is not None and self._problem.unknown)
        return self._answer


class Delivery(Slot):
    """A slot that nobody waits at: what is put down is handed on at once. It costs no task and no event per call."""

    __slots__ = ("_hand_on",)

    def __init__(self, hand_on: Callable[[Answer | KernelStopped], None]) -> None:
        self._hand_on = hand_on
        """Must not raise, and must not take long: it is called by the office that answers."""

    def resolve(self, answer: Answer) -> None:
        """Hand the answer on."""
        self._hand_on(answer)

    def fail(self, *, unknown: bool) -> None:
        """Hand on that there will be no answer."""
        self._hand_on(KernelStopped(unknown=unknown))

    async def wait(self) -> Answer:
        """Raise Broken: whoever would wait here waits for ever."""
        raise Broken("an answer that is delivered cannot be waited for")


@attrs.define(eq=False)
class Trace:
    """Where a call stands in a trace, and when its steps were. All times are POSIX nanoseconds."""

    trace_id: int
    parent_id: int
    """The span of the caller's that it is part of, 0 where there is none."""
    decision_id: int
    """The span from its place on the belt to its durable receipt."""
    tool_id: int
    """The span of the effect alone."""
    begun_ns: int
    sent_ns: int = 0
    """When its effect was begun, 0 where it was not."""
    back_ns: int = 0
    """When the effect's outcome was known."""


@attrs.define(eq=False)
class Case:
    """One call on its way. It holds its in-flight place from intake to its end, whether or not anyone still waits."""

    call: ToolCall
    decide_only: bool = False
    slot: Slot = attrs.field(factory=Slot)
    claim: str = ""
    conflict: bool = False
    judgement: Judgement | None = None
    """None until the guardian has judged it and remembers that: before, nothing is owed to the world."""
    intent_node: str = ""
    status: Status | None = None
    code: ReasonCode = ReasonCode.NONE
    reason: str = ""
    output_json: bytes = b""
    output_hash: str = ""
    retry_after_s: int = 0
    is_kept: bool = False
    """Whether its output is evidence, and stays beside its receipt."""
    run: SandboxRun = NO_RUN
    sealed: SealedReceipt | None = None
    line: Line | None = None
    question: Question | None = None
    """What a remote decision point is asked before the case can be judged, None where its tool needs none."""
    advice: Advice | None = None
    """What came of it."""
    taken_s: float = 0.0
    """When it was put on the belt, by the meter's clock."""
    origin: Origin = NOWHERE
    """Which request it is, and which trace goes on with it to whoever executes it."""
    trace: Trace | None = None
    """What is noted of it for a trace, None where it is in none."""

    def judged(self) -> Judgement:
        """Return the judgement; only the guardian's door is before it."""
        if self.judgement is None:
            raise Broken("a case left the guardian without a judgement")
        return self.judgement

    @property
    def may_have_acted(self) -> bool:
        """Whether its intent may be durable, so that its effect may happen or have happened."""
        permitted = self.judgement is not None and self.judgement.permit is not None
        return permitted or self.intent_node != ""

    def refuse(self, decision: Decision) -> None:
        """Fix a refusal's outcome as the guardian decided it."""
        if decision.reason_code == THROTTLED:
            clear_ms = max((tick[-1] for tick in decision.velocity), default=0)
            self.retry_after_s = max(0, -((decision.decided_at_ms - clear_ms) // 1000))
        self.end(REFUSALS[decision.verdict], REASONS[decision.reason_code], decision.reason)

    def end(self, status: Status, code: ReasonCode = ReasonCode.NONE, reason: str = "") -> None:
        """Fix the outcome that the signer will seal."""
        self.status, self.code, self.reason = status, code, reason


def unheard(_: Node) -> None:
    """Hear of a place, and do nothing."""


@attrs.define(eq=False)
class Control:
    """One event of the kernel's own, on its way to the journal: a command obeyed, an activation, a deadline passed."""

    draft: Draft | None
    """None where the checkpoint that it forces is all there is to write."""
    beside: tuple[bytes, ...] = ()
    """Canonical members, "name":value, in the order of their names."""
    placed: Callable[[Node], None] = attrs.field(default=unheard)
    """Told the node as soon as the appender has given it its place, before anything behind it has one."""
    durable: trio.Event = attrs.field(factory=trio.Event)
    lamport: int = 0
    forces: Cause | None = None
    """A checkpoint that is written right behind it, in the same durable step, and why."""
    checkpoint: SealedCheckpoint | None = None
    """The checkpoint that it forced, or the last one where nothing was written since."""


class Inbox(Generic[T]):
    """The door of one office: a memory channel that carries what waits there, list by list.

    Posting never waits: the kernel's places bound what is on the belt, and nothing else. A list goes through the
    channel with its first item and grows until it is taken, so an office is woken once for all that waits at its door.
    """

    __slots__ = ("_capacity", "_growing", "_receiver", "_sender", "_taken")

    def __init__(self, capacity: int) -> None:
        self._sender, self._receiver = trio.open_memory_channel[list[T]](1)
        self._capacity = capacity
        self._growing: list[T] = []
        """The list in the channel; empty while there is none in it."""
        self._taken: list[T] = []
        """What was received and is left over."""

    def __len__(self) -> int:
        return len(self._taken) + len(self._growing)

    def post(self, item: T) -> None:
        """Put `item` down behind the others. Raises Broken where more is on the belt than there are places."""
        growing = self._growing
        if not growing:
            self._growing = [item]
            self._sender.send_nowait(self._growing)
        elif len(growing) + len(self._taken) < self._capacity:
            growing.append(item)
        else:
            raise Broken("more on the belt than there are places")

    async def batch(self, at_most: int) -> list[T]:
        """Return everything waiting at the door, oldest first, at least one and at most `at_most`.

        An office that is told to end in the moment in which something came takes none of it.
        """
        if self._taken:
            await trio.lowlevel.checkpoint()
        else:
            self._taken = await self._receiver.receive()
            self._growing = []
        await trio.lowlevel.checkpoint_if_cancelled()
        return self.take(at_most)

    def take(self, at_most: int) -> list[T]:
        """Return at most `at_most` of what waits now, oldest first; none where nothing does."""
        if self._growing:
            self._taken += self._receiver.receive_nowait()
            self._growing = []
        taken = self._taken[:at_most]
        del self._taken[:at_most]
        return taken
