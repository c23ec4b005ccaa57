"""The executor: checks the permit, lets one effect happen, and says exactly what is known of it afterwards."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, NoReturn

import attrs
import trio
from trio.lowlevel import disable_ki_protection, enable_ki_protection

from actors.connectors.port import (
    Connector,
    ConnectorFailed,
    ConnectorUnknown,
    Dispatch,
    GuestFailed,
    Kept,
    NotDispatched,
    Ran,
    Released,
    Unreachable,
)
from actors.connectors.trouble import Troubles
from actors.connectors.uses import Uses
from actors.hands import Hand, Hands, in_sight
from actors.mailbox import Case, Inbox
from actors.process.clock import Clock
from helm.contracts.effect import Permit
from helm.contracts.errors import Broken, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.executor.drift import check_output
from helm.executor.permit import Moment, check_permit
from helm.guardian.lasting import Withdrawn
from helm.guardian.memory import Memory
from helm.guardian.policy import ToolRule

LOG: Final = logging.getLogger("helm.connectors")

DISPATCH_BATCH = 64

MAX_REASON = 500
"""Characters of a connector's reason that are kept; the rest is for its own log (T4)."""

ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What ends a program, and therefore a kernel, whoever raised it."""


@attrs.define
class Executor:
    """Runs effects. Whatever way an effect ends, its case is posted to the signer with an outcome."""

    connectors: Mapping[str, Connector]
    memory: Memory
    clock: Clock
    post: Callable[[Case], None]
    """Hands a case with its outcome to the signer; never waits."""
    vouch: Callable[[Permit, str], Awaitable[bytes]]
    """Signs a permit for a tool server that asks for it: an operation of it, this once. Raises NotDispatched."""
    stopping: bool = attrs.field(default=False, init=False)
    """Set by the kernel when it is told to end: from then on nothing is begun."""
    hands: Hands = attrs.field(factory=Hands, init=False)
    uses: Uses = attrs.field(factory=Uses, init=False)
    troubles: Troubles = attrs.field(factory=Troubles, init=False)
    _unplugged: list[Connector] = attrs.field(factory=list, init=False)
    """Connectors that a newer policy replaced and that are not closed: what they had under way may still be."""

    def plug(self, connectors: Mapping[str, Connector]) -> None:
        """Let these serve from the next order on."""
        staying = {id(one) for one in connectors.values()}
        self._unplugged += (one for one in self.connectors.values() if id(one) not in staying)
        for name, one in self.connectors.items():
            if connectors.get(name) is not one:
                self.troubles.forget(name)  # what was met was another's
        self.connectors = connectors

    async def let_go(self, connector: Connector) -> None:
        """Close a connector that was replaced and has nothing under way. What it raises by that ends no kernel."""
        try:
            await connector.aclose()
        except Exception as problem:  # likewise: whatever it raises, it is not used any more
            LOG.warning("a connector that was replaced could not be closed", exc_info=problem)
        self._unplugged = [one for one in self._unplugged if one is not connector]

    async def aclose(self) -> None:
        """Let every connector go, each once; nothing is under way any more."""
        for connector in {id(one): one for one in (*self._unplugged, *self.connectors.values())}.values():
            await connector.aclose()

    @enable_ki_protection
    async def work(self) -> NoReturn:
        """Run one effect after another, for ever. There are as many such hands as there are places.

        One scope serves many effects; only a deadline that fires costs a scope.
        """
        hand = Hand()
        while True:
            hand.case, hand.withdrawn = None, None
            with trio.CancelScope() as hand.patience:
                while True:
                    await self.effect(await self.hands.next_case(hand), hand)
                    hand.case = None

    def halt(self, why: Callable[[Case], Withdrawn | None]) -> None:
        """Cancel every effect under way that may not go on: what is not known to have ended would."""
        self.hands.withdraw(why)

    @enable_ki_protection
    async def run(self, inbox: Inbox[Case]) -> NoReturn:
        """Give durable intents to a hand, for ever; once the hands are gone, say of them that they were not dispatched.

        There are as many hands as places, so none is missing before the kernel is stopping.
        """
        while True:
            self._give(await inbox.batch(DISPATCH_BATCH))

    def _give(self, cases: list[Case]) -> None:
        if not self.hands.give(cases):
            for case in cases:
                self._not_started(case)

    def _share(self, hand: Hand) -> None:
        """Give what `hand` has not begun to a hand each: nothing waits behind an effect that waits or has failed."""
        for case in hand.let_go():
            self._give([case])

    def _wait_for(self, hand: Hand, rule: ToolRule) -> None:
        """See to it that an effect that is about to wait keeps nothing else waiting, and does not wait for ever."""
        self._share(hand)
        self.hands.be_patient(hand, rule.timeout_ms)

    @enable_ki_protection
    async def effect(self, case: Case, hand: Hand) -> None:
        """Let one effect happen, or refuse at the last lock, and post what became of it."""
        rule = case.judged().rule
        if rule is None:
            raise Broken("an intent without a rule")
        if case.decide_only or self.stopping:
            self._not_started(case)
            return
        try:
            order = self._order(case, rule)
        except Refused as refusal:
            self._end(case, Status.NOT_DISPATCHED, refusal.code, refusal.reason)
            return
        try:
            output = await in_sight(self._dispatch(order, case, rule), partial(self._wait_for, hand, rule))
        except BaseException as failure:  # a connector is the world: its errors are an outcome, never our end
            self._share(hand)
            if isinstance(failure, (ConnectorFailed, ConnectorUnknown)):
                case.run = failure.run
            self._end(case, *outcome_of(failure, hand, rule))
            if is_ours(failure):
                raise
        else:
            self._accept(case, rule, output)
        finally:
            hand.until = math.inf

    def _note(self, name: str, connector: Connector, refusal: Unreachable | None) -> None:
        """Note whether a connector could be reached; of one that was replaced meanwhile there is nothing to tell."""
        if self.connectors.get(name) is not connector:
            return
        if refusal is not None:
            self.troubles.note(name, refusal.reason, self.clock.now_ms())
        else:
            self.troubles.forget(name)

    def _not_started(self, case: Case) -> None:
        if case.decide_only:
            self._end(case, Status.NOT_DISPATCHED, ReasonCode.EVALUATED_ONLY, "only a decision was asked for")
        else:
            self._end(case, Status.NOT_DISPATCHED, ReasonCode.KERNEL_STOPPED, "the kernel was stopping")

    def _order(self, case: Case, rule: ToolRule) -> Dispatch:
        """Check the permit and make out the order: only what was judged is in it."""
        judgement = case.judged()
        permit, policy, now_ms = judgement.permit, self.memory.policy_for(case.call), self.clock.now_ms()
        if permit is None:
            raise Refused(ReasonCode.PROVENANCE_FAILURE, "no permit was given")
        check_permit(
            permit,
            judgement.decision,
            case.call.arguments,
            Moment(
                now_ms,
                policy.policy_hash,
                self.memory.frozen(case.call),
                self.memory.barring(rule, now_ms),
            ),
        )
        return Dispatch(
            tool=permit.tool,
            operation=rule.operation,
            arguments=case.call.arguments,
            parsed=case.call.parsed,
            args_hash=permit.args_hash,
            destination=judgement.effect.destination if judgement.effect is not None else "",
            connector=permit.connector,
            timeout_ms=rule.timeout_ms,
            decision_id=permit.decision_id,
            effect_id=permit.effect_id,
            intent_hash=permit.intent_hash,
            idempotency_key=case.call.idempotency_key,
            sandbox_grant_hash=rule.sandbox_grant_hash,
            line=case.line,
            traceparent=case.origin.traceparent,
        )

    @disable_ki_protection
    async def _dispatch(self, order: Dispatch, case: Case, rule: ToolRule) -> JSONValue:
        connector = self.connectors.get(order.connector)
        if connector is None:
            raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"no connector {order.connector!r} is plugged in")
        self.uses.begin(connector)
        try:
            if rule.carries_permit and (permit := case.judged().permit) is not None:
                order = order.but(permit=await self.vouch(permit, rule.operation or rule.name))
            output = await connector.dispatch(order)
        except Unreachable as refusal:
            self._note(order.connector, connector, refusal)
            raise
        except ConnectorFailed:
            self._note(order.connector, connector, None)
            raise
        else:
            self._note(order.connector, connector, None)
            return output
        finally:
            self.uses.end(connector)

    def _accept(self, case: Case, rule: ToolRule, output: JSONValue) -> None:
        said = ""
        if type(output) is Ran:
            case.run, said, output = output.run, output.enforced, output.answer
        elif type(output) is Kept:
            case.is_kept, said, output = True, output.said, output.answer
        try:
            case.output_json, case.output_hash = check_output(output, rule.output_schema)
        except Refused as drift:
            self._end(case, Status.FAILED, drift.code, legible(drift.reason))
        except Exception as failure:  # a thread of the tool's may still be changing what is checked here
            reason = f"the output could not be checked: {type(failure).__name__}"
            self._end(case, Status.FAILED, ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT, reason)
        else:
            self._end(case, Status.SUCCESS, ReasonCode.NONE, said and legible(said))

    def _end(self, case: Case, status: Status, code: ReasonCode, reason: str) -> None:
        case.end(status, code, reason)
        self.post(case)


def outcome_of(failure: BaseException, hand: Hand, rule: ToolRule) -> tuple[Status, ReasonCode, str]:
    """Return what is known of an effect whose connector raised `failure`: refused, failed, or nothing certain.

    What else a connector raises once it was cancelled tells how it took that, and nothing of its effect.
    """
    patience = hand.patience
    match failure:
        case NotDispatched() if hand.withdrawn:
            what = f"{hand.withdrawn.reason} before the effect began"
            return Status.NOT_DISPATCHED, ReasonCode(hand.withdrawn.code), legible(what)
        case GuestFailed(code=ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED) if hand.withdrawn:
            return Status.INTERRUPTED, ReasonCode(hand.withdrawn.code), "the guest was interrupted by a freeze"
        case NotDispatched() if failure.code:
            return Status.NOT_DISPATCHED, failure.code, legible(failure.reason)
        case GuestFailed(code=ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED) if not patience.cancel_called:
            return Status.INTERRUPTED, ReasonCode.KERNEL_STOPPED, "the guest was interrupted as the kernel ended"
        case GuestFailed():
            return Status.FAILED, failure.code, legible(failure.reason)
        case Released():
            return Status.INDETERMINATE, ReasonCode.RELEASED_TO_CLIENT, "the caller executes it, out of HELM's sight"
        case ConnectorUnknown():
            why = f"; {hand.withdrawn.reason}" if hand.withdrawn else ""
            return Status.INDETERMINATE, code_of_unknown(hand), legible(failure.reason + why)
        case ConnectorFailed():
            return Status.FAILED, ReasonCode.ERR_CONNECTOR_ERROR, legible(failure.reason)
        case _ if not (patience.cancel_called or is_of_the_end(failure)):
            return Status.FAILED, ReasonCode.ERR_CONNECTOR_ERROR, f"the connector raised {type(failure).__name__}"
        case _:
            return Status.INDETERMINATE, *why_unknown(hand, rule)


def is_ours(failure: BaseException) -> bool:
    """Say whether `failure` must go on: it is not the connector's alone, but the end of the kernel or of patience.

    A connector that fails while it is cancelled raises both in one group. Its own part ends here, and the
    cancellation is told again at the next step. Not every BaseException is an end: asyncio's cancellation and a
    panic in a tool's extension module are such, and end no kernel.
    """
    if isinstance(failure, BaseExceptionGroup):
        return failure.subgroup(ENDS) is not None
    return isinstance(failure, (trio.Cancelled, *ENDS))


def is_of_the_end(failure: BaseException) -> bool:
    """Say whether any part of `failure` tells of an end, so that it tells nothing of the effect."""
    if isinstance(failure, BaseExceptionGroup):
        return failure.subgroup((trio.Cancelled, *ENDS)) is not None
    return is_ours(failure)


def legible(reason: str) -> str:
    """Return a connector's words as they may stand in a record: no half characters, and not a page of them (T4)."""
    return str(reason)[:MAX_REASON].encode("utf-8", "replace").decode()


def code_of_unknown(hand: Hand) -> ReasonCode:
    """Return the code of an effect of which a connector itself says that nothing certain is known."""
    late = ReasonCode.ERR_CONNECTOR_TIMEOUT if hand.patience.cancel_called else ReasonCode.ERR_INDETERMINATE
    return ReasonCode(hand.withdrawn.code) if hand.withdrawn else late


def why_unknown(hand: Hand, rule: ToolRule) -> tuple[ReasonCode, str]:
    """Return why nothing certain is known of an effect that was cancelled: a freeze, its deadline, the kernel's end."""
    if hand.withdrawn:
        return ReasonCode(hand.withdrawn.code), legible(f"{hand.withdrawn.reason} while the effect was under way")
    if hand.patience.cancel_called:
        return ReasonCode.ERR_CONNECTOR_TIMEOUT, f"no answer within {rule.timeout_ms} ms"
    return ReasonCode.ERR_INDETERMINATE, "cancelled while the effect was under way"
