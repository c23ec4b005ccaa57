"""A thousand tunnels come and go, and nothing of them is left."""

from __future__ import annotations

import gc

import pytest
import trio

from tests.actors.doors.connect.lane import Lane, descriptors, echo, open_lane, place
from tests.actors.doors.street import heard
from tests.actors.kit import House

LANES = 8
TURNS = 125


@pytest.mark.slow
async def test_a_thousand_tunnels_leave_no_descriptor_and_no_task(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        await turns(lane, port, 2)
        await lane.receipts(2)
        gc.collect()
        before, tasks = descriptors(), trio.lowlevel.current_statistics().tasks_living
        async with trio.open_nursery() as nursery:
            for _ in range(LANES):
                nursery.start_soon(turns, lane, port, TURNS)
        receipts = await lane.receipts(LANES * TURNS + 2)
        await at_rest(lane, tasks)
        assert (lane.door.tunnels, len(lane.kernel.cases)) == (0, 0)
        assert descriptors() <= before + 2
    assert len(receipts) == LANES * TURNS + 2
    assert {receipt["status"] for receipt in receipts} <= {"SUCCESS", "NOT_DISPATCHED"}


async def turns(lane: Lane, port: int, count: int) -> None:
    """Open tunnels one after the other, and leave them in every way there is."""
    for turn in range(count):
        async with lane.tunnel(f"127.0.0.1:{port}", early=b"e" if turn % 2 else b"") as stream:
            await stream.send_all(b"hello")
            if turn % 3 == 0:
                await stream.send_eof()
                await heard(stream)


async def at_rest(lane: Lane, tasks: int) -> None:
    """Wait until every tunnel's task has ended."""
    with trio.fail_after(30):
        while lane.door.tunnels or trio.lowlevel.current_statistics().tasks_living > tasks:  # noqa: ASYNC110
            await trio.sleep(0.01)
