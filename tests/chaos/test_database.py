"""A kernel whose database goes away, says no or hangs: nothing is dispatched behind it, and no receipt is lost."""

from __future__ import annotations

import os
import random
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio

from actors.kernel import Kernel
from actors.mailbox import KernelStopped
from actors.stores.postgres import link
from actors.stores.postgres.link import connect
from helm.contracts.verdict import Status
from helm.database import Database
from tests.actors.kit import LIMITS, House, Told
from tests.actors.puppet import Hold, Puppet
from tests.chaos.test_kill import Victim
from tests.counterparts import postgres
from tests.counterparts.postgres import ask, database_of

pytestmark = pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)

EFFECTS = 4
SHORT = attrs.evolve(LIMITS, grace_s=0.5)
OURS = f"application_name LIKE 'helm kernel {os.getpid()} %'"


@pytest.fixture
def home(house: House) -> House:
    """An installation whose journal is in a database."""
    house.keep_journal_in("postgresql")
    return house


def end_the_session(database: Database) -> None:
    ask(database, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {OURS}")


def give_the_journal_to_another(database: Database) -> None:
    ask(database, "UPDATE helm_store SET writer_epoch = writer_epoch + 1, writer_token = 'next'")


def take_the_table_away(database: Database) -> None:
    ask(database, "ALTER TABLE journal RENAME TO gone")


def let_no_row_in(database: Database) -> None:
    """As a server that is full or may only be read: each insert is refused."""
    ask(database, "ALTER TABLE journal ADD CONSTRAINT full_up CHECK (seq < 0) NOT VALID")


def mend(database: Database) -> None:
    """Undo what a strike left."""
    ask(database, "ALTER TABLE IF EXISTS gone RENAME TO journal")
    ask(database, "ALTER TABLE journal DROP CONSTRAINT IF EXISTS full_up")


STRIKES: dict[str, Callable[[Database], None]] = {
    strike.__name__: strike
    for strike in (end_the_session, give_the_journal_to_another, take_the_table_away, let_no_row_in)
}


async def play(house: House, puppet: Puppet, told: Told, strike: Callable[[Kernel], Awaitable[None]]) -> KernelStopped:
    """Strike while effects are under way, then ask for one more; return how the kernel ended."""
    with trio.fail_after(60):
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped) as stopped:
                ground = await house.real_ground()
                async with house.kernel(puppet, ground=ground, limits=SHORT) as kernel:
                    for number in range(EFFECTS):
                        callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
                    await puppet.began.wait()
                    await strike(kernel)
                    callers.start_soon(told.ask, partial(kernel.call, "read", {}, session="after"))
                    await trio.sleep_forever()
    return stopped.value


async def check(house: House, puppet: Puppet, told: Told) -> None:
    """Assert that nothing that was shown or dispatched is missing, and that the next start seals what was open."""
    dispatched = {order.decision_id for order in puppet.orders}
    (await house.glance_real()).check(shown=told.receipt_ids(), dispatched=dispatched)
    async with house.kernel(ground=await house.real_ground(), policy=None):
        pass
    _, log = await house.read_real()
    log.check_all_sealed(shown=told.receipt_ids(), dispatched=dispatched)
    assert log.statuses()[Status.INDETERMINATE] == EFFECTS


@pytest.mark.parametrize("strike", STRIKES.values(), ids=STRIKES)
async def test_a_database_that_fails_stops_the_kernel_and_costs_no_receipt(
    home: House, strike: Callable[[Database], None]
) -> None:
    puppet, told = Puppet(Hold(), awaited=EFFECTS), Told()
    database = database_of(home.path)

    async def hit(kernel: Kernel) -> None:
        await kernel.call("nope", {})
        await trio.to_thread.run_sync(strike, database)

    stopped = await play(home, puppet, told, hit)
    assert stopped.unknown
    assert len(puppet.orders) == EFFECTS  # the call after the strike reached no tool
    assert (len(told.answers), len(told.stopped)) == (0, EFFECTS + 1)
    mend(database)
    await check(home, puppet, told)


async def test_a_hung_database_dispatches_nothing_meanwhile(home: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lock_timeout", "statement_timeout"):  # what a busy machine may take to see who waits for whom
        monkeypatch.setitem(link.SETTINGS, name, "100000")
    puppet, told = Puppet(), Told()
    database = database_of(home.path)
    async with home.kernel(puppet, ground=await home.real_ground()) as kernel, trio.open_nursery() as callers:
        blocker = connect(database, "blocker")
        blocker.run("BEGIN")
        blocker.run("SELECT * FROM helm_store FOR UPDATE")
        callers.start_soon(told.ask, partial(kernel.call, "read", {}))
        waiting = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {OURS}"
        while not await trio.to_thread.run_sync(ask, database, waiting):
            pass
        assert puppet.orders == []
        blocker.close()
    assert len(puppet.orders) == len(told.answers) == 1


@pytest.fixture
def own_server() -> Iterator[postgres.Server]:
    """A server that a test may end."""
    server = postgres.Server.make()
    yield server
    server.remove()


@pytest.mark.slow
async def test_a_server_that_crashes_and_comes_back_lost_nothing(house: House, own_server: postgres.Server) -> None:
    settings = house.path / "helm.toml"
    settings.write_text(f'{settings.read_text()}\ndatabase_url = "{own_server.url()}"\n')
    house.place = type(house.place).open(house.path)
    puppet, told = Puppet(Hold(), awaited=EFFECTS), Told()

    async def hit(kernel: Kernel) -> None:
        await kernel.call("nope", {})
        await trio.to_thread.run_sync(own_server.end)

    stopped = await play(house, puppet, told, hit)
    assert stopped.unknown
    assert len(puppet.orders) == EFFECTS
    own_server.start()
    await check(house, puppet, told)


def slay(house: House, tmp_path: Path, seed: int, kills: int) -> None:
    """Kill one process after another on the same database, each after a few answers, and check after each."""
    victim, luck = Victim(house, tmp_path / "effects"), random.Random(seed)
    for _ in range(kills):
        victim.kill_once_shown(luck.randrange(1, 120))
        trio.run(victim.check)


def test_a_killed_process_leaves_its_evidence_in_the_database(home: House, tmp_path: Path) -> None:
    slay(home, tmp_path, seed=1, kills=1)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2, 5))
def test_more_killed_processes_leave_their_evidence_in_the_database(home: House, tmp_path: Path, seed: int) -> None:
    slay(home, tmp_path, seed=seed, kills=5)
