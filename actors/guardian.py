"""The guardian's office: reads the clock, makes the World, has the chain judge, and remembers what was decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import attrs

from actors.commands.command import Command
from actors.fingerprint import Sensor
from actors.line import Mouth
from actors.mailbox import Case, Control, Inbox
from actors.process.clock import Clock
from helm.contracts.reason import ReasonCode
from helm.guardian.chain import CHAIN
from helm.guardian.lasting import Withdrawn, withdrawn
from helm.guardian.memory import Boot, Memory

JUDGE_BATCH = 64


@attrs.define
class Guardian:
    """Judges each case in one synchronous step; commands take effect between two cases, never within one."""

    memory: Memory
    boot: Boot
    clock: Clock
    sensor: Sensor
    post_intent: Callable[[Case | Control], None]
    post_refusal: Callable[[Case], None]
    ask: Callable[[Case], None]
    """Has a remote decision point asked what the case's question says; the case comes back to the inbox."""
    halt: Callable[[Callable[[Case], Withdrawn | None]], None]
    """Has the executor end what may not go on."""
    tell: Callable[[str], None]
    """Told the id of each approval that a command has moved on."""
    call_seq: int = 0

    async def run(self, inbox: Inbox[Case | Command]) -> NoReturn:
        """Judge whatever arrives, for ever."""
        while True:
            for item in await inbox.batch(JUDGE_BATCH):
                if isinstance(item, Case):
                    self.judge(item)
                else:
                    self._obey(item)

    def judge(self, case: Case) -> None:
        """Give `case` its verdict and send it on: an ALLOW to the appender, a refusal to the signer."""
        now_ms = self.clock.now_ms()
        if self.memory.policy.remote_points and self._has_to_ask(case, now_ms):
            return
        self.call_seq += 1
        world = self.memory.world(
            case.call,
            self.boot,
            now_ms=now_ms,
            call_seq=self.call_seq,
            fingerprint=self.sensor.fingerprint(now_ms),
            conflict=case.conflict,
        )
        if case.advice is not None:
            world = world.but(pdp=case.advice)
        judgement = CHAIN.evaluate(case.call, world)
        decision = judgement.decision.content
        self.memory.note_decision(decision)
        case.judgement = judgement
        if judgement.permit is not None:
            self.post_intent(case)
        else:
            case.refuse(decision)
            self.post_refusal(case)

    def _has_to_ask(self, case: Case, now_ms: int) -> bool:
        """Send `case` to its decision point, once, if that is what it waits for; say so.

        It comes back as it went, and is judged in the world of that later moment: what it was asked in is no ALLOW.
        """
        rule = self.memory.policy.rule(case.call.tool).point
        if case.question is not None or rule is None or not rule.is_remote:
            return False
        world = self.memory.world(
            case.call,
            self.boot,
            now_ms=now_ms,
            call_seq=self.call_seq + 1,
            fingerprint=self.sensor.fingerprint(now_ms),
            conflict=case.conflict,
        )
        case.question = CHAIN.question(case.call, world)
        if case.question is None:
            return False
        self.ask(case)
        return True

    def _obey(self, command: Command) -> None:
        """Let the memory take the command, and send its event to the journal behind everything decided before it."""
        control = command.obey(self.memory, self.clock.now_ms())
        if control is not None:
            for earlier in command.before:
                self.post_intent(earlier)
            self.post_intent(control)
            self.halt(self._withdrawn if command.halts else self._withdrawn_tunnel)
            for approval_id in command.told():
                self.tell(approval_id)

    def _withdrawn(self, case: Case) -> Withdrawn | None:
        """Return why an effect may not go on after a stop."""
        code = self.memory.frozen(case.call)
        return Withdrawn(code, "a freeze came") if code else self._withdrawn_tunnel(case)

    def _withdrawn_tunnel(self, case: Case) -> Withdrawn | None:
        """Return why a tunnel may not go on: it lasts, so what changed since it was judged counts for it too."""
        mouth = case.line
        if not isinstance(mouth, Mouth):
            return None
        if not mouth.is_known():
            return Withdrawn(ReasonCode.IDENTITY_ISOLATION_VIOLATION.value, "its credential counts no more")
        now_ms = self.clock.now_ms()
        fingerprint = self.sensor.fingerprint(now_ms)
        world = self.memory.world(
            case.call, self.boot, now_ms=now_ms, call_seq=self.call_seq, fingerprint=fingerprint, conflict=False
        )
        return withdrawn(case.call, world, case.judged().decision.content.policy_hash, mouth.leads_to)
