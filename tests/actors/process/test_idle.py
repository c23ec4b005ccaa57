"""A call alone waits for nobody, and nobody who is ready is made to wait by it."""

from __future__ import annotations

import trio
import trio.testing

from actors.process.idle import is_anything_runnable


async def test_nothing_is_runnable_while_all_others_wait(autojump_clock: trio.testing.MockClock) -> None:
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gate.wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not is_anything_runnable()
        gate.set()
        assert is_anything_runnable()
