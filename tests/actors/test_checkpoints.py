"""Checkpoints as a kernel takes them: when, over what, and what a crash or an editor of the journal makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from actors.commands.checkpoints import TakeCheckpoint
from actors.kernel import Kernel
from actors.mailbox import KernelStopped
from actors.notary import MUCH
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.evidence.leaf import receipt_leaf
from helm.evidence.unseal import unseal_receipt
from helm.guardian.intake import Terms
from helm.proofgraph.checkpoint import GENESIS, Cause, SealedCheckpoint
from helm.proofgraph.merkle import Tree
from helm.proofgraph.trees import record_leaf, written
from tests.actors.approvers import Panel
from tests.actors.kit import LIMITS, House, known_to, remembered, settle
from tests.actors.rewriting import Entry, rewritten
from tests.actors.stores.simulated import SimulatedJournal

pytestmark = pytest.mark.every_store

Clock = trio.testing.MockClock

EVERY_FOUR = attrs.evolve(LIMITS, checkpoint_every=4)
EACH_MINUTE = attrs.evolve(LIMITS, checkpoint_interval_s=60.0)


async def demand(kernel: Kernel) -> SealedCheckpoint:
    control = await kernel.command(TakeCheckpoint(Cause.DEMAND))
    assert control is not None and control.checkpoint is not None
    return control.checkpoint


async def calls(kernel: Kernel, count: int, session: str = "one") -> None:
    for n in range(count):
        assert (await kernel.call("read", {"n": n}, session=session)).allowed


def taken(rows: list[bytes]) -> list[dict[str, Any]]:
    """Return what the checkpoints in these rows say."""
    nodes = [reread(row)["node"] for row in rows]
    return [node["payload"]["checkpoint"] for node in nodes if node["kind"] == "CHECKPOINT"]


async def test_what_waits_for_the_trees_is_bounded_though_no_checkpoint_ever_comes(
    house: House, autojump_clock: Clock
) -> None:
    async with house.kernel(limits=attrs.evolve(LIMITS, checkpoint_every=0)) as kernel:
        for _ in range(MUCH):  # a refusal is one node
            await kernel.call("nope", {})
        assert kernel.notary.trees.receipts.size > 0
        live = known_to(kernel)
    folded, _ = await house.read_simulated()
    assert remembered(folded) == live


async def test_one_comes_after_so_many_receipts_and_covers_exactly_what_lies_before_it(
    house: House, autojump_clock: Clock
) -> None:
    async with house.kernel(limits=EVERY_FOUR) as kernel:
        await calls(kernel, 6)
        await kernel.call("nope", {}, session="two")
        await calls(kernel, 3, "two")
        live = known_to(kernel)
    first, second = taken(house.disk.rows)
    assert (first["cause"], first["receipts_size"], second["receipts_size"]) == ("count", 4, 8)
    assert (first["prev_checkpoint_hash"], second["sequence"], second["heads_size"]) == (GENESIS, 2, 2)
    receipts, records = Tree(), Tree()
    for row in house.disk.rows[: second["lamport"] - 1]:
        entry = reread(row)
        if "record" in entry["node"]["payload"]:
            records.append(record_leaf(entry["node"]["payload"]["record"]["record_hash"]))
        if "receipt" in entry["beside"]:
            receipts.append(receipt_leaf(unseal_receipt(entry["beside"]["receipt"], "row")))
    assert second["receipts_root"] == written(receipts.head().root)
    assert (second["records_root"], second["records_size"]) == (written(records.head().root), len(records))
    folded, _ = await house.read_simulated()
    assert remembered(folded) == live


async def test_one_comes_within_the_interval_and_none_where_nothing_came(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(limits=EACH_MINUTE) as kernel:
        await calls(kernel, 1)
        await trio.sleep(61)
        assert [one["cause"] for one in taken(house.disk.rows)] == ["time"]
        await trio.sleep(600)
        assert len(taken(house.disk.rows)) == 1
        await calls(kernel, 1)
        await trio.sleep(61)
        assert [one["receipts_size"] for one in taken(house.disk.rows)] == [1, 2]


async def test_a_restart_does_not_begin_the_interval_again(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(limits=EACH_MINUTE) as kernel:
        await demand(kernel)
    house.clock.advance(50)
    async with house.kernel(limits=EACH_MINUTE):
        await trio.sleep(11)
        assert [one["cause"] for one in taken(house.disk.rows)] == ["demand", "time"]


async def test_asking_twice_is_one_checkpoint_where_nothing_came_between(house: House, autojump_clock: Clock) -> None:
    async with house.kernel() as kernel:
        await calls(kernel, 1)
        first = await demand(kernel)
        assert await demand(kernel) == first
        await calls(kernel, 1)
        second = await demand(kernel)
    assert second.content.prev_checkpoint_hash == first.checkpoint_hash
    assert [one["sequence"] for one in taken(house.disk.rows)] == [1, 2]


async def test_none_is_seen_before_it_is_durable_and_one_that_was_lost_is_taken_anew(
    house: House, autojump_clock: Clock
) -> None:
    with pytest.raises(KernelStopped):
        async with house.kernel() as kernel, trio.open_nursery() as nursery:
            await calls(kernel, 2)
            house.disk.hang()
            nursery.start_soon(demand, kernel)
            await settle()
            assert kernel.notary.latest is not None and kernel.notary.durable is None
            house.disk.fail_at(len(house.disk.batches), written=False)
            house.disk.resume()
    assert taken(house.disk.rows) == []
    async with house.kernel() as kernel:
        again = await demand(kernel)
        assert kernel.notary.durable == again
    assert again.content.sequence == 1
    await house.read_simulated()


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("batch", range(3, 14))
async def test_a_disk_that_fails_at_any_moment_leaves_a_log_that_folds(
    house: House, autojump_clock: Clock, batch: int, written: bool
) -> None:
    ground = await house.simulated_ground()
    house.disk.fail_at(batch, written=written)
    with pytest.raises(KernelStopped):
        async with house.kernel(limits=attrs.evolve(LIMITS, checkpoint_every=2), ground=ground) as kernel:
            while True:
                await kernel.call("read", {"n": 1})
    folded, _ = await house.read_simulated()
    before = folded.checkpoints.latest
    async with house.kernel() as kernel:
        sealed = await demand(kernel)
    assert sealed.content.prev_checkpoint_hash == (GENESIS if before is None else before.checkpoint_hash)
    await house.read_simulated()


# -- what an editor of the journal can make of them -------------------------------------------------------------------


async def past(house: House) -> list[bytes]:
    async with house.kernel(limits=EVERY_FOUR) as kernel:
        await calls(kernel, 5)
        await calls(kernel, 4, "two")
        await demand(kernel)
        await calls(kernel, 1)
    return list(house.disk.rows)


async def refuse(house: House, rows: list[bytes], match: str) -> None:
    house.disk = SimulatedJournal(rows=rows)
    with pytest.raises(Invalid, match=match):
        await house.read_simulated()


def of_checkpoint(sequence: int, change: Callable[[Entry], object]) -> Callable[[int, Entry], object]:
    def changed(_: int, entry: Entry) -> None:
        if entry["node"]["payload"].get("checkpoint", {}).get("sequence") == sequence:
            change(entry)

    return changed


NOWHERE = "sha256:" + "0" * 64

FIELDS = (
    "cause", "control_head", "heads_root", "heads_size", "issued_at_ms", "key_id", "lamport", "log_id",
    "prev_checkpoint_hash", "receipts_root", "receipts_size", "records_root", "records_size", "sequence", "shard",
)  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
async def test_no_word_of_a_checkpoint_can_be_changed(house: House, autojump_clock: Clock, field: str) -> None:
    rows = await past(house)

    def change(entry: Entry) -> None:
        said = entry["node"]["payload"]["checkpoint"]
        said[field] = (
            said[field] + 1 if type(said[field]) is int else "count" if field == "cause" else "sha256:" + "0" * 64
        )

    await refuse(house, rewritten(rows, of_checkpoint(3, change)), "journal entry|checkpoint|no trust event")


async def test_no_peak_and_no_signature_can_be_changed(house: House, autojump_clock: Clock) -> None:
    rows = await past(house)
    forgeries: dict[str, Callable[[Entry], object]] = {
        "not those of its trees": lambda entry: entry["beside"]["peaks"]["receipts"].pop(),
        "checkpoint 2: the signature": lambda entry: entry["node"]["payload"].update(signature="11" * 64),
        "the note": lambda entry: entry["node"]["payload"].update(note_signature="11" * 64),
    }
    for match, forge in forgeries.items():
        await refuse(house, rewritten(rows, of_checkpoint(2, forge)), match)


def not_taken(entry: Entry) -> None:
    """Put an event that says nothing in the place of a checkpoint."""
    node = entry["node"]
    node["kind"], entry["beside"] = "ATTESTATION", {}
    node["payload"] = {"approval_ids": [], "type": "APPROVALS_UNLOCKED", "unlocked_at_ms": 1}


async def test_a_checkpoint_that_was_taken_away_shows_in_the_next(house: House, autojump_clock: Clock) -> None:
    for _ in range(3):
        async with house.kernel() as kernel:
            await demand(kernel)
    rows = rewritten(list(house.disk.rows), of_checkpoint(1, not_taken))
    await refuse(house, rows, "checkpoint 2 does not follow 0")


async def test_the_last_call_of_a_session_cannot_be_taken_out_of_a_covered_log(
    house: House, autojump_clock: Clock
) -> None:
    """Its intent and its outcome, with nothing in their place: the session's chain alone would not show it."""
    rows = await past(house)
    last = max(number for number, row in enumerate(rows, 1) if b'"session_id":"two"' in row)

    def cut(number: int, entry: Entry) -> None:
        if number in (last - 1, last):
            node = entry["node"]
            node["kind"], node["tenant"], node["session_id"], node["principal"] = "ATTESTATION", "", "", ""
            node["payload"] = {"approval_ids": [], "type": "APPROVALS_UNLOCKED", "unlocked_at_ms": 1}
            entry["beside"] = {}

    await refuse(house, rewritten(rows, cut), "does not come before|forks|not this key's|states another")


# -- overrides --------------------------------------------------------------------------------------------------------


@pytest.fixture
def panel(house: House) -> Panel:
    return Panel.seat(house)


async def overridden(panel: Panel) -> list[bytes]:
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        asked = await kernel.call("asking", {"n": 1}, principal="agent", session="one")
        await panel.emergency.say(kernel, asked.approval_id, "override", reason_code="LIFE_SAFETY")
        terms = Terms(approval_id=asked.approval_id)
        assert (await kernel.call("asking", {"n": 1}, principal="agent", session="one", terms=terms)).allowed
    return list(panel.house.disk.rows)


async def test_an_override_forces_a_checkpoint_in_its_own_durable_step(panel: Panel, autojump_clock: Clock) -> None:
    rows = await overridden(panel)
    [batch] = [batch for batch in panel.house.disk.batches if any(b'"cause":"override"' in row for row in batch)]
    [forced] = taken(rows)
    nodes = [reread(row)["node"] for row in rows]
    checkpoint = nodes[forced["lamport"] - 1]
    override = nodes[forced["lamport"] - 2]
    assert forced["cause"] == "override" and len(batch) == 2
    assert override["payload"]["assertion"]["action"] == "override"
    assert override["node_hash"] in checkpoint["parents"]
    await panel.house.read_simulated()


async def test_a_log_without_the_checkpoint_that_an_override_forced_is_refused(
    panel: Panel, autojump_clock: Clock
) -> None:
    rows = await overridden(panel)
    await refuse(panel.house, rewritten(rows, of_checkpoint(1, not_taken)), "which no checkpoint covers")


async def test_a_checkpoint_that_is_owed_is_taken_by_the_next_start(panel: Panel, autojump_clock: Clock) -> None:
    """No store of ours keeps half a batch; a copy that was cut off may."""
    rows = await overridden(panel)
    [forced] = taken(rows)
    panel.house.disk = SimulatedJournal(rows=rows[: forced["lamport"] - 1])
    (panel.house.path / "simulated-index.sqlite").unlink()
    async with panel.house.kernel(policy=panel.policy()):
        [again] = taken(panel.house.disk.rows)
        assert again["cause"] == "override"
