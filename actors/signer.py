"""The signer: the only pen. Arrival order here *is* Lamport order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn

import attrs
import trio

from actors.keys.side_by_side import SideBySide
from actors.mailbox import Case, Inbox
from actors.process.clock import Clock
from helm.contracts.errors import Broken
from helm.contracts.receipt import RECEIPT_VERSION, Receipt
from helm.crypto import domains
from helm.crypto.ed25519 import Signer as Pen
from helm.receipts.chain import SessionChains, SessionKey, named, sealed
from helm.receipts.policy import ReceiptRefused, check_receipt

SIGN_BATCH = 64
"""Cases sealed before others get the processor: about a millisecond of signing."""


@attrs.define
class Signer:
    """Seals each case's outcome: next tick of its session, previous signature, one Ed25519 signature (T5, T6)."""

    pen: Pen = attrs.field(repr=False)
    chains: SessionChains
    clock: Clock
    pen_blocks: bool = False
    """Whether the pen is a token that takes its time: then a thread signs, a batch at a time, and the belt goes on."""

    async def run(self, inbox: Inbox[Case], post: Callable[[Case], None]) -> NoReturn:
        """Seal whatever arrives, for ever."""
        with SideBySide(self.pen) as pens:
            while True:
                batch = await inbox.batch(SIGN_BATCH)
                now_ms = self.clock.now_ms()
                if self.pen_blocks:
                    seal = partial(self.seal, batch, now_ms, self._one_by_one)
                    await trio.to_thread.run_sync(seal, abandon_on_cancel=True)
                else:
                    self.seal(batch, now_ms, pens.sign)
                for case in batch:
                    post(case)

    def seal(self, cases: list[Case], now_ms: int, sign: Callable[[bytes, list[bytes]], list[str]]) -> None:
        """Give each case its receipt, in order. Pure but for the chains that it extends."""
        for some in of_different_sessions(cases):
            receipts = [named(self._checked(case, now_ms)) for case in some]
            signatures = sign(domains.RECEIPT, [receipt.json for receipt in receipts])
            for case, receipt, signature in zip(some, receipts, signatures, strict=True):
                case.sealed = sealed(receipt, signature)
                self.chains.extend(receipt.content, signature)

    def _one_by_one(self, domain: bytes, messages: list[bytes]) -> list[str]:
        return [self.pen.sign(domain, message) for message in messages]

    def _checked(self, case: Case, now_ms: int) -> Receipt:
        receipt = self._receipt(case, now_ms)
        try:
            check_receipt(receipt)
        except ReceiptRefused as problem:
            raise Broken(f"receipt policy: {problem}") from problem
        return receipt

    def _receipt(self, case: Case, now_ms: int) -> Receipt:
        judgement = case.judged()
        decision = judgement.decision.content
        latest = self.chains.latest((decision.tenant, decision.session_id))
        if case.status is None:
            raise Broken("a case reached the signer without an outcome")
        return Receipt(
            decision.args_hash,  # args_hash
            judgement.decision.hash,  # decision_hash
            judgement.decision.id,  # decision_id
            decision.door,  # door
            decision.effect_id,  # effect_id
            case.run.fuel_used,  # fuel_used
            decision.idempotency_key,  # idempotency_key
            case.intent_node,  # intent_node
            now_ms,  # issued_at_ms
            self.pen.key_id,  # key_id
            latest.lamport_clock + 1,  # lamport_clock
            case.run.lease_id,  # lease_id
            decision.log_id,  # log_id
            case.run.module_hash,  # module_hash
            case.output_hash,  # output_hash
            decision.policy_epoch,  # policy_epoch
            decision.policy_hash,  # policy_hash
            latest.signature,  # prev_hash
            decision.principal,  # principal
            str(case.code),  # reason_code
            judgement.record.hash,  # record_hash
            decision.risk_tier,  # risk_tier
            decision.sandbox_grant_hash,  # sandbox_grant_hash
            case.run.limits,  # sandbox_limits
            decision.session_id,  # session_id
            str(case.status),  # status
            decision.tenant,  # tenant
            decision.tool,  # tool
            decision.transport,  # transport
            case.run.trap,  # trap
            decision.verdict,  # verdict
            RECEIPT_VERSION,  # version
        )


def of_different_sessions(cases: list[Case]) -> Iterator[list[Case]]:
    """Yield the cases in order, cut before each whose session is there already: it signs over the one before it."""
    some: list[Case] = []
    there: set[SessionKey] = set()
    for case in cases:
        session = case.call.session
        if session in there:
            yield some
            some, there = [], set()
        some.append(case)
        there.add(session)
    yield some
