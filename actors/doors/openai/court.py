"""Puts what a client or a model says before the guardian, and brings back the words that follow from its answer."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import trio

from actors.doors.entry import UNANSWERED, untold
from actors.kernel import Kernel
from actors.mailbox import Answer
from actors.origin import ORIGIN
from helm.contracts.call import CallContext
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.executor.idempotency import claim_name
from helm.guardian.intake import Caller, Terms, admit, admit_malformed
from helm.openai.ask import Ask, Ruling, not_an_answer
from helm.openai.policy import fault_of
from helm.openai.request import Result
from helm.openai.telling import told_of_denial

MAX_REASON = 500
"""Characters of what was wrong: the rest may be the model's side's own words (T4)."""

MAX_KNOWN = 65_536
"""Claims that were found once: a conversation brings all its results again with every request (T4)."""


@attrs.frozen
class Ruled:
    """One ask, what was ruled on it, and the answer that says why."""

    ask: Ask
    ruling: Ruling
    answer: Answer


@attrs.define(eq=False)
class Court:
    """The way to the guardian."""

    kernel: Kernel
    _known: dict[str, None] = attrs.field(factory=dict, init=False, repr=False)

    async def rule_all(self, caller: Caller, asks: Sequence[Ask]) -> list[Ruled]:
        """Have every tool call of one answer judged. Raises Problem where the kernel does not answer."""
        found: dict[str, Ruled] = {}
        failures: list[Exception] = []

        async def rule(ask: Ask) -> None:
            try:
                found[ask.call_id] = await self._rule(caller, ask)
            except UNANSWERED as failure:
                failures.append(failure)

        if len(asks) == 1:
            await rule(asks[0])
        else:
            async with trio.open_nursery() as nursery:
                for ask in asks:
                    nursery.start_soon(rule, ask)
        if failures:
            raise untold(failures[0]) from failures[0]
        return [found[ask.call_id] for ask in asks]

    async def _rule(self, caller: Caller, ask: Ask) -> Ruled:
        fault = fault_of(self.kernel.memory.policy, ask.tool)
        if fault:
            what = "the policy has this tool executed by HELM: no client is handed a call of it"
            return self._ruled(ask, await self._refuse(caller, ask.tool, ask.arguments, Refused(fault, what)))
        terms = Terms(idempotency_key=ask.call_id)
        if ask.malformed:
            call = admit_malformed(caller, ask.tool, ask.arguments, ask.malformed, terms)
        else:
            call = admit(caller, ask.tool, ask.arguments, terms)
        answer = await self.kernel.govern(call, origin=ORIGIN.get())
        if answer.replayed:
            twice = not_an_answer("the model's side gave a call the id of an earlier one")
            answer = await self._refuse(caller, ask.tool, ask.arguments, twice)
        return self._ruled(ask, answer, call.arguments)

    def _ruled(self, ask: Ask, answer: Answer, arguments: bytes = b"") -> Ruled:
        if answer.reason_code is ReasonCode.RELEASED_TO_CLIENT:
            return Ruled(ask, Ruling(arguments=arguments.decode()), answer)
        receipt_id = answer.receipt.receipt_id
        told = told_of_denial(ask.tool, answer.reason_code, answer.reason, receipt_id, answer.approval_id)
        return Ruled(ask, Ruling(told=told), answer)

    async def refuse(self, caller: Caller, tool: str, raw: bytes, refusal: Refused) -> Answer:
        """Have it sealed that something was not as it should be. Raises Problem where the kernel does not answer."""
        try:
            return await self._refuse(caller, tool, raw, refusal)
        except UNANSWERED as failure:
            raise untold(failure) from failure

    async def _refuse(self, caller: Caller, tool: str, raw: bytes, refusal: Refused) -> Answer:
        reason = refusal.reason[:MAX_REASON].encode("utf-8", "replace").decode()
        context = CallContext(
            credential_hash=caller.context.credential_hash, fault=refusal.code.value, fault_reason=reason
        )
        call = admit_malformed(caller.but(context=context), tool, raw, reason)
        return await self.kernel.govern(call, origin=ORIGIN.get())

    async def stranger(self, caller: Caller, sessions: Sequence[str], results: Sequence[Result]) -> Result | None:
        """Return the first result of a call that no receipt of these sessions names, None where there is none."""
        for result in results:
            names = [claim_name(caller.tenant, caller.principal, one, result.call_id) for one in sessions]
            if not result.call_id or not await self._is_known(names):
                return result
        return None

    async def _is_known(self, names: Sequence[str]) -> bool:
        for name in names:
            if name in self._known:
                return True
            if await self._find(name):
                if len(self._known) >= MAX_KNOWN:
                    del self._known[next(iter(self._known))]
                self._known[name] = None
                return True
        return False

    async def _find(self, name: str) -> bool:
        try:
            return await self.kernel.library.find(name) is not None
        except UNANSWERED as failure:
            raise untold(failure) from failure
