"""Whatever was called, wherever it crashed, and whatever of it is condensed: export, both verifiers and replay agree.

A crash keeps the batches that were durable, and no part of the next one. The kernel after it says what became of the
calls that were under way; then everything is exported.
"""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.commands.checkpoints import TakeCheckpoint
from actors.evidence.export import replay_script
from actors.kernel import Limits
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.evidence.condense import condense, rehydrate
from helm.evidence.gathered import Entry
from helm.evidence.pack import PackMaterial, build
from helm.evidence.replay import replay_pack
from helm.evidence.scope import WHOLE, Scope
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack
from helm.proofgraph.checkpoint import Cause
from tests.actors.kit import House
from tests.actors.stores.simulated import SimulatedJournal
from tests.chaos.test_fold import SHORT, Chance, TickingClock
from tests.helm.evidence.forger import refusing_check_of_script

STEPS = 60
OFTEN = Limits(checkpoint_every=4, grace_s=5.0)


async def crashed(chance: Chance, where: float) -> list[Entry]:
    """Run a kernel, crash it somewhere, run the next one, and return what the log says."""
    house = chance.house
    house.clock = TickingClock()
    chance.puppet.deed = chance.deed
    async with house.kernel(chance.puppet, policy=SHORT, limits=OFTEN) as kernel, trio.open_nursery() as nursery:
        for _ in range(STEPS):
            nursery.start_soon(chance.act, kernel)
            await trio.sleep(chance.luck.choice((0.0, 0.01, 0.5)))
    batches = house.disk.batches
    kept = batches[: 1 + int(where * len(batches))]
    house.disk = SimulatedJournal(rows=[row for batch in kept for row in batch])
    (house.place.path / "simulated-index.sqlite").unlink()
    again = SHORT.replace("epoch = 7", f"epoch = {chance.epoch}")
    async with house.kernel(chance.puppet, policy=again, limits=OFTEN) as kernel:
        for number in range(4):
            await kernel.call("read", {"n": number}, session=f"after-{number // 2}")
        await kernel.command(TakeCheckpoint(Cause.DEMAND))
    return [reread(row) for row in house.disk.rows]


def packed(entries: list[Entry], selection: Selection, house: House) -> bytes:
    """Return the pack of an empty selection."""
    for entry in entries:
        selection.take(entry)
    missing = selection.missing()
    for entry in entries:
        selection.locate(entry, missing)
    return build(PackMaterial(selection=selection, script=replay_script()), house.place.evidence_key())


def check_agreed(pack: bytes, root: TrustRoot, *, by_script: bool = True) -> None:
    """Fail unless both verifiers believe a pack, and every call of it comes out as it was."""
    reading = check_pack(pack, root)
    assert not by_script or refusing_check_of_script(pack, root) == ""
    assert replay_pack(reading).judged == len(reading.calls)


def check_any(seed: int, where: float, session: int) -> None:
    """Check the packs of one run."""
    with TemporaryDirectory() as directory:
        chance = Chance(random.Random(seed), House.build(Path(directory)))
        clock = trio.testing.MockClock(autojump_threshold=0.0)
        entries = trio.run(partial(crashed, chance, where), clock=clock)
        root, house = TrustRoot(log_id=chance.house.place.log_id), chance.house
        check_agreed(packed(entries, Selection(scope=Scope(WHOLE)), house), root)
        names = sorted({(entry["node"]["tenant"], entry["node"]["session_id"]) for entry in entries} - {("", "")})
        for number, name in enumerate(names):
            whole = packed(entries, Selection(*name), house)
            check_agreed(whole, root, by_script=number == session % len(names))
            check_condensed(whole, root, house)


def check_condensed(whole: bytes, root: TrustRoot, house: House) -> None:
    """Check what comes of a pack that is condensed, and made whole again."""
    try:
        made = condense(check_pack(whole, root), house.place.evidence_key())
    except Invalid as refusal:
        assert "nothing in this pack can be condensed" in str(refusal)
        return
    check_agreed(made.pack, root)
    assert rehydrate(check_pack(made.pack, root), made.cold) == whole


RUNS = (st.integers(min_value=0, max_value=2**32), st.floats(0, 1, exclude_max=True), st.integers(0, 9))


@settings(max_examples=4)
@given(*RUNS)
def test_any_calls_any_crash_any_condensation_all_who_read_the_packs_agree(seed: int, at: float, session: int) -> None:
    check_any(seed, at, session)


@pytest.mark.slow
@pytest.mark.timeout(600)
@settings(max_examples=60)
@given(*RUNS)
def test_many_more_of_them(seed: int, at: float, session: int) -> None:
    check_any(seed, at, session)
