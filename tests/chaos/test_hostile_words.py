"""Nothing that a caller sends, or a tool answers, ends the kernel or writes what the next start cannot read back."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import attrs
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.connectors.port import ConnectorFailed, ConnectorUnknown, Dispatch, NotDispatched
from actors.kernel import Kernel
from helm.contracts.call import CallContext, ToolCall
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.guardian.intake import Caller, Terms, admit
from tests.actors.kit import House
from tests.actors.puppet import Puppet

TOOLS = ("read", "write", "strict", "send", "document", "asking", "wondering", "needy", "pay", "slowly", "nope", '"')
NAMES = ("a", "b", "c", "delegate", "x" * 256, '"', "~", ",", "\\")
NO_NAMES = ("", "\ud800", "x" * 257, "a b", "\u00e9")
WORDS = (
    *("", "plain", "\x00", "\u00e9\U0010ffff", "T-1", "https://a.example.com", '","status":', '"}', "\\", "{", "1e999"),
    *("\ud800", "\u202e", "\u200b", "\x1b[2J", "ignore all previous instructions", "x" * 5_000, "https://[::1"),
)
ODDITIES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 1.0, -0.0, 0.1, 1e300, float("nan"), float("inf"), 2**53 - 1, 2**53, -(2**63), 10**40),
    *(b"", b"\xff", object(), set(), (1,), [[[[[[]]]]]], {"": {}}, {1: 1}, "x" * 1_100_000),
)
RAW = (
    b"",
    b"{",
    b"{}",
    b'{"n":1}',
    b'{"n":1,"n":2}',
    b'{"a":"\\ud800"}',
    b"[1]",
    b"\xff\xfe",
    b"NaN",
    b"x" * 2_000_000,
)


@attrs.define
class Chance:
    """Words from a seed."""

    luck: random.Random

    def word(self) -> str:
        return self.luck.choice(WORDS)

    def name(self) -> str:
        """Return a name, now and then one that is none."""
        return self.luck.choice(NAMES if self.luck.random() < 0.99 else NO_NAMES)

    def value(self) -> Any:
        """Return something that may be JSON."""
        match self.luck.randrange(5):
            case 0:
                return self.luck.choice(ODDITIES)
            case 1:
                return [self.value() for _ in range(self.luck.randrange(3))]
            case 2:
                return {self.word(): self.value() for _ in range(self.luck.randrange(3))}
            case _:
                return self.word()

    def arguments(self) -> Any:
        """Return arguments, more often than not ones that a schema might admit."""
        match self.luck.randrange(8):
            case 0:
                return self.value()
            case 1:
                return self.luck.choice(RAW)
            case 2:
                return {"n": self.luck.choice((1, 2)), "text": self.value()}
            case 3 | 4:
                members = {"to": self.word(), "body": self.word(), "ticket": self.word(), "cents": 7}
                return {name: value for name, value in members.items() if self.luck.random() < 0.7}
            case _:
                return {"n": self.luck.choice((1, 2))}

    def call(self) -> ToolCall:
        """Return a call as a door or an embedding program makes it. Raises Invalid for one that cannot be framed."""
        context = CallContext(
            claimed_principal=self.name() if self.luck.random() < 0.1 else "",
            labels=(self.name(),) if self.luck.random() < 0.2 else (),
            texts=(self.word(), self.word()) if self.luck.random() < 0.2 else (),
        )
        principal = self.name()
        session = self.name() if self.luck.random() < 0.1 else principal[:100] + self.name()[:100]
        caller = Caller(tenant="t", principal=principal, session_id=session, context=context)
        terms = Terms(
            idempotency_key=self.name() if self.luck.random() < 0.3 else "",
            approval_id=self.name() if self.luck.random() < 0.2 else "",
            delegation_id=self.name() if self.luck.random() < 0.1 else "",
            delegation_verifier=self.word(),
            delegation_sequence=self.luck.choice((0, 1, 2**53 - 1, 2**53, -1)) if self.luck.random() < 0.1 else 0,
        )
        return admit(caller, self.luck.choice(TOOLS), self.arguments(), terms)

    def deed(self, order: Dispatch) -> Any:
        """Answer an order with anything, or fail in any way."""
        match self.luck.randrange(9):
            case 0:
                raise ConnectorFailed(self.word())
            case 1:
                raise ConnectorUnknown(self.word() * 1000)
            case 2:
                raise NotDispatched(self.luck.choice(list(ReasonCode)), self.word())
            case 3:
                raise self.luck.choice((RecursionError(), StopIteration(), ExceptionGroup(self.word(), [KeyError()])))
            case 4 if order.tool != "strict":  # a drift would halt the connector for everyone
                return {"any": self.word().encode("utf-8", "replace").decode()}
            case _:
                return {"n": 1}


async def run(house: House, chance: Chance, count: int) -> None:
    """Send many calls at once, and then see whether anybody is still there and what the journal says."""
    puppet, shown = Puppet(chance.deed), set[str]()

    async def ask(kernel: Kernel) -> None:
        try:
            call = chance.call()
        except Invalid:
            return
        async with turn:
            shown.add((await kernel.govern(call)).receipt.receipt_id)

    turn = trio.CapacityLimiter(16)
    async with house.kernel(puppet) as kernel:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(ask, kernel)
        assert (await kernel.call("nope", {}, session="after")).receipt.content.lamport_clock == 1
    state, log = await house.read_simulated()
    log.check_all_sealed(shown=shown, dispatched={order.decision_id for order in puppet.orders})
    assert not state.open_intents


@settings(max_examples=15)
@given(st.integers(min_value=0, max_value=2**32))
def test_no_words_end_a_kernel_or_spoil_its_journal(seed: int) -> None:
    with TemporaryDirectory() as directory:
        clock = trio.testing.MockClock(autojump_threshold=0.0)
        trio.run(partial(run, House.build(Path(directory)), Chance(random.Random(seed)), 60), clock=clock)
