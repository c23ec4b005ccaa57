"""`helm serve`: one kernel after another behind one socket, and an answer at every moment."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import h11
import pytest
import trio

from actors.doors.calls import EXECUTE
from actors.doors.sockets import Address
from actors.doors.supervise import Supervisor, serve_until_signalled
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys
from actors.mailbox import KernelStopped
from actors.process.events import KERNEL_STOPPED
from helm.config import Config
from helm.contracts.errors import Invalid
from tests.actors.doors.street import JSON, SOON_S, Client, Reply, heard, issue_keys, raw_request
from tests.actors.kit import House
from tests.actors.manager import manager_at
from tests.actors.puppet import Hold, Puppet

READ = json.dumps({"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}).encode()


@attrs.define(eq=False)
class Site:
    """A supervised house, with a gate before each kernel that a test can close."""

    house: House
    puppet: Puppet
    keys: BearerKeys
    key: str
    told: list[str] = attrs.field(factory=list)
    gate: trio.Event = attrs.field(factory=trio.Event)
    kernels: list[Kernel] = attrs.field(factory=list)

    @asynccontextmanager
    async def open_one(self) -> AsyncIterator[Kernel]:
        await self.gate.wait()
        async with self.house.kernel(self.puppet) as kernel:
            self.kernels.append(kernel)
            yield kernel

    def supervisor(self, **settings: Any) -> Supervisor:
        config = Config(port=0, grace_s=2.0, **settings)
        return Supervisor(open_one=self.open_one, config=config, keys=self.keys, tell=self.told.append)

    async def ask(self, address: Address, method: str, path: str, body: bytes = b"") -> Reply:
        stream = await trio.open_tcp_stream(address.host, address.port)
        try:
            headers = {**JSON, "authorization": f"Bearer {self.key}"}
            return await Client(stream).ask(method, path, body, headers)
        finally:
            await trio.aclose_forcefully(stream)

    async def until_ready(self, address: Address) -> None:
        """Wait until a kernel decides. Every answer before that is a 503."""
        with trio.fail_after(SOON_S):
            while (reply := await self.ask(address, "GET", "/readyz")).status != 200:
                assert (reply.status, reply.json()["reason_code"]) == (503, "KERNEL_STOPPED")


@pytest.fixture
def site(house: House) -> Site:
    keys, (key, _, _) = issue_keys(house.path)
    site = Site(house, Puppet(), keys, key)
    site.gate.set()
    return site


async def test_whoever_asks_for_a_tunnel_is_answered_with_and_without_a_kernel(site: Site) -> None:
    supervisor = site.supervisor(egress_tool="tunnel", egress_port=0)
    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        assert supervisor.tunnels is not None
        proxy = supervisor.tunnels.address
        before = await site.ask(proxy, "CONNECT", "a.example.com:443")
        site.gate = trio.Event()
        site.house.disk.fail_at(len(site.house.disk.batches) + 1)
        await site.ask(address, "POST", EXECUTE, READ)
        without = await until_stood_in(site, proxy)
        site.gate.set()
        await site.until_ready(address)
        after = await site.ask(proxy, "CONNECT", "a.example.com:443")
        supervisor.stop()
    assert (before.status, after.status) == (407, 407)
    assert (without.status, without.json()["reason_code"]) == (503, "KERNEL_STOPPED")


async def until_stood_in(site: Site, proxy: Address) -> Reply:
    """Ask for a tunnel until somebody answers who is no door: for a moment the old one still may, or be cut short."""
    with trio.fail_after(SOON_S):
        while True:
            try:
                reply = await site.ask(proxy, "CONNECT", "a.example.com:443")
            except (h11.RemoteProtocolError, trio.BrokenResourceError, OSError):
                continue
            if reply.status == 503:
                return reply


async def test_a_broken_kernel_is_followed_by_a_fresh_one_and_someone_answers_meanwhile(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = site.supervisor()
    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        before = await site.ask(address, "POST", EXECUTE, READ)
        site.gate = trio.Event()
        site.house.disk.fail_at(len(site.house.disk.batches) + 1)
        broken = await site.ask(address, "POST", EXECUTE, READ)
        meanwhile = [await site.ask(address, "POST", EXECUTE, READ) for _ in range(5)]
        site.gate.set()
        await site.until_ready(address)
        after = await site.ask(address, "POST", EXECUTE, READ)
        supervisor.stop()
    assert [broken.status, *(reply.status for reply in meanwhile)] == [503] * 6
    assert {reply.json()["reason_code"] for reply in (broken, *meanwhile)} == {"KERNEL_STOPPED"}
    assert all("retry-after" in reply.headers for reply in meanwhile)
    assert (before.status, after.status) == (200, 200)
    assert after.receipt["prev_hash"] == before.receipt["signature"]
    assert len(site.kernels) == 2
    assert "a fresh one reads the journal" in " ".join(site.told).lower()
    assert KERNEL_STOPPED in [getattr(record, "event", "") for record in caplog.records]


async def test_whoever_asks_before_the_first_kernel_decides_is_answered(site: Site) -> None:
    site.gate = trio.Event()
    supervisor = site.supervisor()
    supervisor.config = Config(port=free_port(), grace_s=2.0)
    address = Address("127.0.0.1", supervisor.config.port)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.run)
        await trio.testing.wait_all_tasks_blocked()
        assert (await site.ask(address, "GET", "/readyz")).status == 503
        assert (await site.ask(address, "GET", "/healthz")).json() == {"status": "alive"}
        site.gate.set()
        await site.until_ready(address)
        supervisor.stop()


async def test_told_to_stop_it_answers_what_is_under_way(site: Site) -> None:
    hold, replies = Hold(), list[Reply]()
    site.puppet.deed = hold
    supervisor = site.supervisor()

    async def call() -> None:
        replies.append(await site.ask(address, "POST", EXECUTE, READ))

    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        nursery.start_soon(call)
        await site.puppet.began.wait()
        supervisor.stop()
        late = await site.ask(address, "POST", EXECUTE, READ)
        hold.let_go()
    assert [reply.status for reply in replies] == [200]
    assert (late.status, late.json()["reason_code"]) == (503, "KERNEL_STOPPED")
    assert len(site.puppet.orders) == 1


async def test_a_call_whose_body_ends_after_we_were_told_to_stop_is_not_begun(site: Site) -> None:
    supervisor = site.supervisor()
    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        raw = raw_request(site.key, READ)
        stream = await trio.open_tcp_stream(address.host, address.port)
        await stream.send_all(raw[:-5])
        supervisor.stop()
        await until_not_ready(site, address)
        await stream.send_all(raw[-5:])
        late = await heard(stream)
        await trio.aclose_forcefully(stream)
    assert (late.split(b" ", 2)[1], b"KERNEL_STOPPED" in late) == (b"503", True)
    assert site.puppet.orders == []


async def test_a_call_whose_client_left_is_waited_for_too(site: Site) -> None:
    hold = Hold()
    site.puppet.deed = hold
    supervisor = site.supervisor()
    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        client = Client(await trio.open_tcp_stream(address.host, address.port))
        fields = {"host": "helm", "content-length": str(len(READ)), **JSON, "authorization": f"Bearer {site.key}"}
        await client.send("POST", EXECUTE, READ, fields)
        await site.puppet.began.wait()
        await trio.aclose_forcefully(client.stream)
        supervisor.stop()
        await until_not_ready(site, address)
        hold.let_go()
    (kernel,) = site.kernels
    assert (kernel.owed, site.told[-1]) == (0, "nothing is in flight any more")
    assert kernel.notary.durable is not None
    assert kernel.notary.durable.content.receipts_size == 1


async def until_not_ready(site: Site, address: Address) -> None:
    """Ask until nobody judges calls any more; the process lives all the while."""
    with trio.fail_after(SOON_S):
        while (await site.ask(address, "GET", "/readyz")).status != 503:
            pass
    assert (await site.ask(address, "GET", "/healthz")).status == 200


async def test_what_takes_longer_than_the_grace_is_cancelled_and_its_caller_hears_so(site: Site) -> None:
    site.puppet.deed = Hold()
    supervisor = site.supervisor()
    supervisor.config = attrs.evolve(supervisor.config, grace_s=1.0)
    replies = list[Reply]()

    async def call() -> None:
        replies.append(await site.ask(address, "POST", EXECUTE, READ))

    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        nursery.start_soon(call)
        await site.puppet.began.wait()
        supervisor.stop()
    assert [(reply.status, reply.json()["outcome"]) for reply in replies] == [(504, "INDETERMINATE")]
    assert site.told[-1] == "out of time: 1 calls end as what is known of them"


async def test_draining_takes_no_call_not_even_on_a_connection_that_stands(site: Site) -> None:
    async with site.house.kernel(site.puppet) as kernel:
        kernel.drain()
        with pytest.raises(KernelStopped):
            kernel.check_running()
        with pytest.raises(KernelStopped):
            await kernel.call("read", {"path": "a"})
        await kernel.wait_drained()
    assert site.puppet.orders == []


async def test_the_last_thing_that_is_written_is_a_checkpoint_of_everything(site: Site) -> None:
    supervisor = site.supervisor()
    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        await site.ask(address, "POST", EXECUTE, READ)
        supervisor.stop()
    (kernel,) = site.kernels
    assert kernel.notary.durable is not None
    assert kernel.notary.durable.content.receipts_size == 1
    assert kernel.notary.covers(kernel.appender.graph)


async def test_a_manager_is_told_of_the_beginning_and_of_the_end(site: Site) -> None:
    with manager_at() as (manager, heard):
        supervisor = site.supervisor()
        supervisor.manager = manager
        async with trio.open_nursery() as nursery:
            address = await nursery.start(supervisor.run)
            begun = heard()
            await site.ask(address, "POST", EXECUTE, READ)
            supervisor.stop()
        ended = heard()
    assert begun == [f"READY=1\nSTATUS=deciding at {address.url}"]
    assert ended == ["STOPPING=1"]


async def test_told_twice_it_waits_for_nobody_and_seals_what_was_under_way(site: Site) -> None:
    site.puppet.deed = Hold()
    supervisor = site.supervisor()
    replies = list[Reply]()

    async def call() -> None:
        replies.append(await site.ask(address, "POST", EXECUTE, READ))

    async with trio.open_nursery() as nursery:
        address = await nursery.start(supervisor.run)
        nursery.start_soon(call)
        await site.puppet.began.wait()
        supervisor.stop()
        supervisor.stop()
    assert [(reply.status, reply.json()["outcome"]) for reply in replies] == [(504, "INDETERMINATE")]


async def test_a_signal_is_such_a_word(site: Site) -> None:
    supervisor = site.supervisor()
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_until_signalled, supervisor)
            while not any("deciding at" in line for line in site.told):  # noqa: ASYNC110 - rings no bell
                await trio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)


async def test_told_to_stop_before_anything_is_served_it_stops(site: Site) -> None:
    site.gate = trio.Event()
    supervisor = site.supervisor()
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.run)
            await trio.testing.wait_all_tasks_blocked()
            supervisor.stop()


async def test_what_must_not_be_used_ends_it_at_once(site: Site) -> None:
    @asynccontextmanager
    async def refuse() -> AsyncIterator[Kernel]:
        if not site.kernels:
            raise Invalid("the journal was edited", "journal entry 7")
        yield site.kernels[0]

    supervisor = site.supervisor()
    supervisor.open_one = refuse
    with pytest.raises(Invalid, match="edited"):
        await supervisor.run()


def free_port() -> int:
    """Return a port that nobody listens on, most likely not for a while either."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
