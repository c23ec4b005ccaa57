"""A process that governs calls until it is killed: `python -m tests.chaos.load DIRECTORY EFFECTS [--hold]`.

It says on stdout, line by line, which receipts it has shown to callers, and its tool writes every effect into a file
of its own. Neither needs to outlive the machine, only the process: what was handed to the kernel stays.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from functools import partial
from pathlib import Path

import attrs
import trio

from actors.connectors.port import Dispatch
from actors.installation import Installation
from actors.kernel import Kernel, Limits
from actors.mailbox import Overloaded
from actors.opening import break_ground, run_kernel
from actors.policy_file import sign_text
from helm.contracts.form import JSONValue
from helm.guardian.intake import Terms
from tests.actors.policies import POLICY

CALLERS = 12
HELD = 4


def say(*words: str) -> None:
    """Write one line at once: a pipe takes a short line whole or not at all."""
    os.write(1, (" ".join(words) + "\n").encode())


@attrs.define(eq=False)
class World:
    """A connector whose effects can be counted afterwards: one line each, written before it answers."""

    effects: int
    holding: bool
    under_way: int = 0

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Let the effect happen, and answer a little later."""
        os.write(self.effects, f"{order.decision_id} {order.idempotency_key or '-'}\n".encode())
        self.under_way += 1
        if self.holding and self.under_way == HELD:
            say("holding")
        await trio.sleep(math.inf if self.holding else 0.0005)
        return {"n": self.under_way}

    async def aclose(self) -> None:
        """Nothing is held."""


async def caller(kernel: Kernel, number: int) -> None:
    """Call one tool after another, for ever: allowed, refused, escalated, with a key, and the same key again.

    The keys are those of every process before: what one of them did must not be done again.
    """
    count = 0
    while True:
        count += 1
        key = Terms(idempotency_key=f"{number}-{count // 2}")
        for tool, terms in (("read", Terms()), ("nobody.declared.it", Terms()), ("write", key), ("asking", Terms())):
            try:
                answer = await kernel.call(
                    tool, {"n": count // 2}, principal=f"p{number}", session=f"s{number}", terms=terms
                )
            except Overloaded:
                continue
            say("shown", answer.receipt.receipt_id, terms.idempotency_key or "-")


async def hold(kernel: Kernel) -> None:
    """Begin effects that never end."""
    async with trio.open_nursery() as nursery:
        for number in range(HELD):
            nursery.start_soon(partial(kernel.call, "read", {}, session=f"h{number}"))


async def run(directory: Path, effects: Path, *, holding: bool) -> None:
    """Open a kernel and put it under load."""
    place = Installation.open(directory)
    world = World(os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), holding)
    policy = sign_text(POLICY.replace("timeout_ms = 2000", "timeout_ms = 60000"), "load", place.policy_key())
    say("opening")
    ground = await break_ground(place)
    connectors = {"local": world, "other": world}
    async with run_kernel(ground, policy=policy, connectors=connectors, limits=Limits(places=64)) as kernel:
        say("open")
        if holding:
            await hold(kernel)
        async with trio.open_nursery() as nursery:
            for number in range(CALLERS):
                nursery.start_soon(caller, kernel, number)


def main() -> int:
    """Run until something ends it."""
    status = 0
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts what runs in the background deaf to it
    try:
        trio.run(partial(run, Path(sys.argv[1]), Path(sys.argv[2]), holding="--hold" in sys.argv))
    except* KeyboardInterrupt:  # bare, or out of the nursery that the callers live in
        say("KeyboardInterrupt")
        status = 130
    return status


if __name__ == "__main__":
    sys.exit(main())
