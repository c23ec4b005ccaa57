"""What is under way through a connector is counted to the last, however often that comes to nothing and begins anew."""

from __future__ import annotations

import trio
import trio.testing

from actors.connectors.uses import Uses
from tests.actors.puppet import Puppet

SOON_S = 60.0


async def test_what_begins_as_the_last_one_ends_is_waited_for_too() -> None:
    """Between an end and the waking of whoever waits for it the connector may have come back."""
    uses, one, over = Uses(), Puppet(), list[bool]()

    async def wait() -> None:
        await uses.wait_ended(one)
        over.append(True)

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            uses.begin(one)
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            uses.end(one)
            uses.begin(one)
            await trio.testing.wait_all_tasks_blocked()
            assert over == []
            uses.end(one)
    assert over == [True]


async def test_whoever_waits_a_second_time_waits_for_the_second_end() -> None:
    uses, one, other = Uses(), Puppet(), Puppet()
    with trio.fail_after(SOON_S):
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                uses.begin(one)
                uses.begin(other)
                for _ in range(2):
                    nursery.start_soon(uses.wait_ended, one)
                await trio.testing.wait_all_tasks_blocked()  # it would never be, were it woken by the first end
                uses.end(other)
                uses.end(one)
        await uses.wait_ended(one)
