"""boundary_surface_snapshots: what a database keeps beside the rows is what the rows come to, or no kernel starts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import apsw
import pytest

from actors.stores.glance import glance
from actors.stores.snapshot import Snapshot
from helm.contracts.errors import Broken, Invalid
from helm.crypto.canonical import reread
from helm.evidence.surfaces import FORMAT, plain, surfaces_of
from tests.actors.kit import House
from tests.actors.stores.tampering import tampered
from tests.counterparts import postgres
from tests.counterparts.postgres import ask, database_of

Sql = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)),
    ]
)
def home(request: pytest.FixtureRequest, house: House) -> House:
    """An installation whose journal is in a database."""
    house.keep_journal_in(request.param)
    return house


def sql_of(house: House) -> Sql:
    """Return what runs a statement on the house's database, past HELM."""
    if house.place.config.database is not None:
        return partial(ask, database_of(house.path))

    def run(sql: str) -> list[tuple[Any, ...]]:
        with closing(apsw.Connection(str(house.place.journal_path))) as connection:
            return connection.execute(sql).fetchall()

    return run


async def start(house: House, *, calls: int = 0) -> None:
    async with house.kernel(ground=await house.real_ground()) as kernel:
        for _ in range(calls):
            await kernel.call("read", {})
        if calls:
            await kernel.call("asking", {})


def kept(sql: Sql) -> dict[str, Snapshot]:
    return {row[0]: Snapshot(*row) for row in sql("SELECT * FROM boundary_surface_snapshots")}


async def test_what_is_kept_is_what_the_rows_come_to(home: House) -> None:
    await start(home, calls=2)
    assert kept(sql_of(home)) == {}  # a log that was empty at its start
    state, _ = await home.read_real()
    with glance(home.place.journal_at) as journal:
        head = journal.head()
    await start(home)
    found = kept(sql_of(home))
    assert {name: one.state.encode() for name, one in found.items()} == surfaces_of(state)
    assert {(one.upto_seq, one.format) for one in found.values()} == {(head, FORMAT)}
    boundary = reread(found["boundary"].state.encode())
    assert (boundary["kernel_epoch"], boundary["sessions"], boundary["open_intents"]) == (1, 1, [])
    assert len(reread(found["approvals"].state.encode())) == 1
    await start(home)
    assert kept(sql_of(home)) != found


EDITS = {
    "a state that somebody edited": "UPDATE boundary_surface_snapshots SET state = '{}' WHERE surface = 'approvals'",
    "a hash that somebody edited": "UPDATE boundary_surface_snapshots SET state_hash = 'x' WHERE surface = 'freezes'",
    "a surface that nobody knows": "UPDATE boundary_surface_snapshots SET surface = 'x' WHERE surface = 'keys'",
    "another row": "UPDATE boundary_surface_snapshots SET upto_seq = 9 WHERE surface = 'boundary'",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_a_snapshot_that_is_not_the_fold_starts_no_kernel_until_it_is_deleted(home: House, edit: str) -> None:
    await start(home, calls=2)
    await start(home)
    sql = sql_of(home)
    sql(edit)
    with pytest.raises(Invalid, match="is not what the rows come to"):
        await start(home)
    sql("DELETE FROM boundary_surface_snapshots")
    await start(home)
    assert kept(sql)


async def test_more_approvals_than_a_snapshot_holds_keep_no_kernel_from_starting(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that asks in a loop must not end the house with its next start (T4)."""
    await start(home, calls=2)
    state, _ = await home.read_real()
    monkeypatch.setattr("helm.evidence.surfaces.MAX_SURFACE_BYTES", len(surfaces_of(state)["approvals"]) - 1)
    await start(home, calls=1)
    await start(home)
    assert "approvals" not in kept(sql_of(home))
    assert {"boundary", "freezes"} <= kept(sql_of(home)).keys()


async def test_a_journal_that_lost_its_end_is_told_by_its_snapshots_too(home: House) -> None:
    await start(home, calls=2)
    await start(home)
    before = kept(sql_of(home))
    with tampered(home.place.journal_at) as rows:
        for seq in range(9, max(rows) + 1):
            del rows[seq]
    home.place.index_path.unlink()
    with pytest.raises(Invalid, match="the journal ends before it"):
        await start(home)
    assert kept(sql_of(home)) == before


async def test_a_snapshot_of_another_format_says_nothing_and_is_replaced(home: House) -> None:
    await start(home, calls=1)
    await start(home)
    sql = sql_of(home)
    sql("UPDATE boundary_surface_snapshots SET format = 99, state = 'of another HELM'")
    await start(home)
    assert {one.format for one in kept(sql).values()} == {FORMAT}


async def test_a_store_of_files_keeps_rows_alone(house: House) -> None:
    ground = await house.real_ground()
    await ground.journal.append([b"x"])
    journal: Any = ground.journal
    await journal.keep([Snapshot("a", 1, 1, "{}", "x")])
    assert await journal.snapshots() == []
    await journal.aclose()
    await ground.index.aclose()


def test_what_has_no_form_in_json_is_a_mistake_of_ours() -> None:
    with pytest.raises(Broken):
        plain({"x": object()})
