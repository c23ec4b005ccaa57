"""How a door ends: with its kernel, and not before it has told whoever waits what became of their calls."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import trio

from actors.doors.calls import EXECUTE
from actors.mailbox import KernelStopped
from helm.config import Config
from tests.actors.doors.street import SOON_S, Client, Reply, Street, open_street, raw_request
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet

READ = {"tool": "read", "arguments": {"path": "a"}}


async def ask(street: Street, put: Callable[[Reply], None], *, task_status: trio.TaskStatus[None]) -> None:
    """Send a call, say so, and put its answer down."""
    async with street.connected() as client:
        body = json.dumps(READ).encode()
        fields = {"host": "h", "authorization": f"Bearer {street.agent}", "content-type": "application/json"}
        await client.send("POST", EXECUTE, body, {**fields, "content-length": str(len(body))})
        task_status.started()
        put(await client.reply())


async def refused(street: Street) -> bool:
    """Tell whether nobody is let in any more."""
    try:
        stream = await trio.open_tcp_stream(street.address.host, street.address.port)
    except OSError:
        return True
    await stream.aclose()
    return False


async def test_a_call_under_way_when_the_kernel_ends_still_gets_its_receipt(house: House) -> None:
    puppet, replies = Puppet(Hold()), list[Reply]()
    async with trio.open_nursery() as nursery, open_street(house, puppet) as street:
        await nursery.start(ask, street, replies.append)
        await puppet.began.wait()
    assert [(reply.status, reply.json()["outcome"]) for reply in replies] == [(504, "INDETERMINATE")]
    assert await refused(street)


async def test_a_call_under_way_when_the_kernel_breaks_is_told_that_its_outcome_is_unknown(house: House) -> None:
    hold, replies = Hold(), list[Reply]()
    puppet = Puppet(hold)
    async with trio.open_nursery() as nursery:
        with pytest.raises(KernelStopped) as end:
            async with open_street(house, puppet) as street:
                await nursery.start(ask, street, replies.append)
                await puppet.began.wait()
                house.disk.fail_at(len(house.disk.batches) + 1)
                hold.let_go()
                await trio.sleep_forever()
    assert end.value.unknown
    (reply,) = replies
    assert (reply.status, reply.json()["reason_code"]) == (503, "KERNEL_STOPPED")
    assert (reply.json()["outcome_unknown"], "reconcile" in reply.json()["detail"]) == (True, True)


async def test_a_refusal_that_could_not_be_written_was_not_told(house: House) -> None:
    replies = list[Reply]()
    async with trio.open_nursery() as nursery:
        with pytest.raises(KernelStopped):
            async with open_street(house) as street:
                house.disk.fail_at(len(house.disk.batches) + 1)
                await nursery.start(ask, street, replies.append)
                await trio.sleep_forever()
    (reply,) = replies
    assert (reply.status, reply.json()["reason_code"]) == (503, "KERNEL_STOPPED")
    assert "receipt" not in reply.json()


async def test_nobody_keeps_a_kernel_from_ending(house: House) -> None:
    """A mute client, one in the middle of a body, one that tails, and one whose call never ends."""
    config = Config(port=0, grace_s=0.2)
    puppet = Puppet(Hold())
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery, open_street(house, puppet, config=config) as street:
            tail = b"GET /api/v1/receipts/tail HTTP/1.1\r\nhost: h\r\nauthorization: Bearer %b\r\n\r\n"
            for raw in (
                b"",
                raw_request(street.agent, b"{}")[:-1],
                tail % street.agent.encode(),
                raw_request(street.agent, json.dumps(READ).encode()),
            ):
                nursery.start_soon(street.shout, raw)
            await puppet.began.wait()
            while street.door.clients < 4:  # noqa: ASYNC110 - rings no bell
                await trio.sleep(0.01)


async def test_a_door_that_closes_answers_what_is_under_way_and_lets_nobody_in(house: House) -> None:
    hold, replies = Hold(), list[Reply]()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street, trio.open_nursery() as nursery:
        async with street.connected() as idle:
            await idle.ask("GET", "/healthz")
            await nursery.start(ask, street, replies.append)
            await puppet.began.wait()
            street.door.close()
            with trio.fail_after(SOON_S):
                assert await idle.stream.receive_some() == b""
        assert await refused(street)
        hold.let_go()
        with trio.fail_after(SOON_S):
            await street.door.ended.wait()
        street.kernel.check_running()
    assert [reply.status for reply in replies] == [200]


async def test_a_second_request_on_a_closing_connection_is_not_taken(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street:
        body = json.dumps(READ).encode()
        async with street.connected() as client:
            await client.stream.send_all(raw_request(street.agent, body) * 2)
            await puppet.began.wait()
            street.door.close()
            await trio.testing.wait_all_tasks_blocked()
            hold.let_go()
            said = await rest(client)
    assert said.count(b"HTTP/1.1 200") == 1
    assert len(puppet.orders) == 1


async def rest(client: Client) -> bytes:
    """Return everything until the door hangs up."""
    with trio.fail_after(SOON_S):
        return b"".join([piece async for piece in client.stream])
