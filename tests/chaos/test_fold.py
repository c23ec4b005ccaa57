"""What a kernel knows after any run is what a fresh fold of its journal knows: nothing lives in memory alone.

The memory is what the next decisions are made from. Were it not the fold, a restart would be a way to change them.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.commands.checkpoints import TakeCheckpoint
from actors.commands.connectors import ResumeConnector
from actors.commands.exchanges import BeginExchange, SettleExchange
from actors.commands.freeze import Freeze
from actors.commands.sessions import CloseSession, OpenSession
from actors.connectors.port import ConnectorUnknown, Dispatch, NotDispatched
from actors.kernel import Kernel
from actors.mailbox import Overloaded
from helm.contracts.call import CallContext
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.evidence.surfaces import surfaces_of
from helm.guardian.exchanges import Ceilings
from helm.guardian.intake import Caller, Terms, admit
from helm.proofgraph.checkpoint import Cause
from tests.actors.kit import House, HouseClock, all_of, known_to, remembered
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.actors.test_kernel_commands import freeze_of

TOOLS = ("read", "write", "strict", "limited", "pay", "asking", "slowly", "counted", "nope", "private", "neighbour")
PRINCIPALS = ("alice", "bob", "scribe")
STEPS_A_SESSION = 8
"""Every few steps bring a session that was never used: most surprises lie in its first moments."""

CEILINGS = Ceilings(iterations=20, wall_ms=7_200_000, spend_microcents=500)
LABELS = ((), (), (), ("web",), ("mail", "web"))
SHORT = POLICY.replace("expires_s = 600", "expires_s = 2")


@attrs.define(eq=False)
class TickingClock(HouseClock):
    """A clock on which no two looks are the same time."""

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""
        self.start_ms += 1
        return super().now_ms()


@attrs.define
class Chance:
    """What happens next, from a seed."""

    luck: random.Random
    house: House
    puppet: Puppet = attrs.field(factory=Puppet)
    epoch: int = 7
    steps: int = 0

    def deed(self, order: Dispatch) -> JSONValue | Any:
        """End an effect in one of the ways an effect can end."""
        match self.luck.randrange(8):
            case 0:
                raise OSError
            case 1:
                raise ConnectorUnknown("gone")
            case 2:
                raise NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, "no")
            case 3:
                return {"n": "drift"}
            case 4:
                return self.slowly()
            case _:
                return {"n": 1}

    async def slowly(self) -> JSONValue:
        """Answer later, or too late."""
        await trio.sleep(self.luck.choice((0.01, 0.3, 5.0)))
        return {"n": self.luck.choice((1, "drift"))}

    def caller(self) -> Caller:
        """Return somebody in some session."""
        return Caller(
            tenant=self.luck.choices(("t", "u"), (5, 1))[0],
            principal=self.luck.choices(PRINCIPALS, (8, 1, 1))[0],
            session_id=f"s{max(0, self.steps // STEPS_A_SESSION - self.luck.randrange(2))}",
            context=CallContext(labels=self.luck.choice(LABELS)),
        )

    async def act(self, kernel: Kernel) -> None:
        """Do one thing of many; being refused is as good as any."""
        self.steps += 1
        try:
            with trio.move_on_after(self.luck.choice((0.0, 0.05, 1000.0))):
                await self._act(kernel)
        except (Invalid, Refused, Overloaded):
            pass

    async def _act(self, kernel: Kernel) -> None:
        match self.luck.randrange(27):
            case 24 | 25:
                await self._exchange(kernel)
            case 26:
                await kernel.command(TakeCheckpoint(Cause.DEMAND))
            case 0:
                await kernel.command(OpenSession(self.caller()))
            case 1 | 2:
                await kernel.command(CloseSession(self.caller()))
            case 3 | 4:
                connector = self.luck.choice(("local", "other"))
                await kernel.command(ResumeConnector(connector, "looked at it"))
            case 5:
                self.epoch += 1
                policy = self.house.sign(SHORT.replace("epoch = 7", f"epoch = {self.epoch}"))
                await kernel.activate(policy, all_of(self.puppet))
            case 6:
                await kernel.command(self._freeze(kernel))
            case 7:
                self.house.clock.advance(self.luck.choice((-3.0, 1.0, 30.0, 3600.0)))
            case 8:
                self.house.disk.commit_seconds = self.luck.choice((0.0, 0.0, 0.02, 0.2))
            case _:
                await self._call(kernel)

    async def _exchange(self, kernel: Kernel) -> None:
        if self.luck.random() < 0.5:
            await kernel.command(BeginExchange(self.caller(), self.luck.randrange(50), CEILINGS))
            return
        began_at_ms = self.house.clock.now_ms() - self.luck.choice((0, 86_400_000))
        await kernel.command(SettleExchange(self.caller(), began_at_ms, -self.luck.randrange(50)))

    async def _call(self, kernel: Kernel) -> None:
        terms = Terms(idempotency_key=self.luck.choice(("", "", "k1", "k2")))
        arguments = self.luck.choice(({"n": 1}, {"n": 2}, {}, b"{"))
        call = admit(self.caller(), self.luck.choice(TOOLS), arguments, terms)
        await kernel.govern(call, decide_only=self.luck.random() < 0.1)

    def _freeze(self, kernel: Kernel) -> Freeze:
        action = self.luck.choice(("freeze", "unfreeze", "unfreeze"))
        scope, target = self.luck.choice((("tenant", "u"), ("agent", "t/bob")))
        return freeze_of(self.house, kernel.memory.freezes.sequence + 1, action, scope, target)


async def run(chance: Chance, kernels: int, steps: int) -> None:
    """Run one kernel after another through many steps; after each, compare what it knew with what its journal says."""
    house = chance.house
    house.clock = TickingClock()
    chance.puppet.deed = chance.deed
    policy: str | None = SHORT
    for _ in range(kernels):
        async with house.kernel(chance.puppet, policy=policy) as kernel, trio.open_nursery() as nursery:
            for _ in range(steps):
                nursery.start_soon(chance.act, kernel)
                if chance.luck.random() < 0.2:
                    await trio.sleep(chance.luck.choice((0.0, 0.0, 0.01, 0.5)))
        live = known_to(kernel)
        folded, log = await house.read_simulated()
        assert remembered(folded) == live
        assert not folded.open_intents
        assert surfaces_of(folded) == surfaces_of((await house.read_simulated())[0])
        log.check_all_sealed(dispatched={order.decision_id for order in chance.puppet.orders})
        policy = None if chance.luck.random() < 0.2 else SHORT.replace("epoch = 7", f"epoch = {chance.epoch}")


@settings(max_examples=15)
@given(st.integers(min_value=0, max_value=2**32))
def test_a_fold_knows_what_the_kernel_knew(seed: int) -> None:
    with TemporaryDirectory() as directory:
        chance = Chance(random.Random(seed), House.build(Path(directory)))
        clock = trio.testing.MockClock(autojump_threshold=0.0)
        trio.run(partial(run, chance, kernels=2, steps=60), clock=clock)
