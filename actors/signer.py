"""The signer: the only pen. Arrival order here *is* Lamport order."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import attrs
import trio

from actors.clock import Clock
from actors.mailbox import Case, Inbox
from helm.contracts.errors import Broken
from helm.contracts.receipt import RECEIPT_VERSION, Receipt
from helm.crypto.ed25519 import Signer as Pen
from helm.receipts.chain import SessionChains, seal
from helm.receipts.policy import ReceiptRefused, check_receipt

SIGN_BATCH = 64
"""Cases sealed before others get the processor: about 2 ms of signing."""


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
        while True:
            batch = await inbox.batch(SIGN_BATCH)
            now_ms = self.clock.now_ms()
            if self.pen_blocks:
                await trio.to_thread.run_sync(self._seal_all, batch, now_ms, abandon_on_cancel=True)
                for case in batch:
                    post(case)
                continue
            for case in batch:
                self.seal(case, now_ms)
                post(case)

    def _seal_all(self, batch: list[Case], now_ms: int) -> None:
        for case in batch:
            self.seal(case, now_ms)

    def seal(self, case: Case, now_ms: int) -> None:
        """Give `case` its receipt. Pure but for the chain it extends."""
        receipt = self._receipt(case, now_ms)
        try:
            check_receipt(receipt)
        except ReceiptRefused as problem:
            raise Broken(f"receipt policy: {problem}") from problem
        case.sealed = sealed = seal(receipt, self.pen)
        self.chains.extend(receipt, sealed.signature)

    def _receipt(self, case: Case, now_ms: int) -> Receipt:
        judgement = case.judged()
        decision = judgement.decision.content
        latest = self.chains.latest((decision.tenant, decision.session_id))
        if case.status is None:
            raise Broken("a case reached the signer without an outcome")
        return Receipt(
            args_hash=decision.args_hash,
            decision_hash=judgement.decision.hash,
            decision_id=judgement.decision.id,
            door=decision.door,
            effect_id=decision.effect_id,
            fuel_used=case.run.fuel_used,
            idempotency_key=decision.idempotency_key,
            intent_node=case.intent_node,
            issued_at_ms=now_ms,
            key_id=self.pen.key_id,
            lamport_clock=latest.lamport_clock + 1,
            lease_id=case.run.lease_id,
            log_id=decision.log_id,
            module_hash=case.run.module_hash,
            output_hash=case.output_hash,
            policy_epoch=decision.policy_epoch,
            policy_hash=decision.policy_hash,
            prev_hash=latest.signature,
            principal=decision.principal,
            reason_code=str(case.code),
            record_hash=judgement.record.hash,
            risk_tier=decision.risk_tier,
            sandbox_grant_hash=decision.sandbox_grant_hash,
            sandbox_limits=case.run.limits,
            session_id=decision.session_id,
            status=str(case.status),
            tenant=decision.tenant,
            tool=decision.tool,
            transport=decision.transport,
            trap=case.run.trap,
            verdict=decision.verdict,
            version=RECEIPT_VERSION,
        )
