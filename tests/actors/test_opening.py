"""What a kernel refuses to start on, and what every start writes before it takes a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import pytest
import trio
import trio.testing

from actors.connectors.local import LocalConnector
from actors.kernel import Kernel
from actors.mailbox import KernelStopped
from actors.opening import break_ground, open_kernel
from actors.plugging import Given
from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes, reread
from tests.actors.kit import House
from tests.actors.policies import with_epoch
from tests.actors.puppet import Puppet
from tests.actors.stores.tampering import Rows, tampered
from tests.counterparts import postgres

pytestmark = pytest.mark.every_store

FUNCTIONS = {"local": Puppet(), "other": Puppet()}


async def fill(house: House) -> None:
    """Leave a journal of some calls on the real disk."""
    async with house.kernel(ground=await house.real_ground()) as kernel:
        for tool in ("read", "nope", "asking", "read"):
            await kernel.call(tool, {"n": 1}, session="s")


async def check_refused(house: House, said: str) -> None:
    """Assert that no kernel starts, that the lock is given back, and what is said."""
    for _ in range(2):
        with pytest.raises(Invalid, match=said):
            async with open_kernel(house.place, policy=house.sign(), connectors=FUNCTIONS):
                raise AssertionError("it started")


def replace(old: bytes, new: bytes) -> Callable[[Rows, int], None]:
    """Return what changes a row, which must hold `old`."""

    def change(rows: Rows, seq: int) -> None:
        assert old in rows[seq]
        rows[seq] = rows[seq].replace(old, new, 1)

    return change


def take_out(rows: Rows, seq: int) -> None:
    last = max(rows)
    for number in range(seq, last):
        rows[number] = rows[number + 1]
    del rows[last]


def leave_a_gap(rows: Rows, seq: int) -> None:
    del rows[seq]


def repeat(rows: Rows, seq: int) -> None:
    rows[max(rows) + 1] = rows[seq]


def swap(rows: Rows, seq: int) -> None:
    rows[seq], rows[seq + 1] = rows[seq + 1], rows[seq]


def forget_the_receipt(rows: Rows, seq: int) -> None:
    entry = reread(rows[seq])
    del entry["beside"]["receipt"]
    rows[seq] = record_bytes(entry)


def rewrite(rows: Rows, seq: int) -> None:
    rows[seq] += b" "


ATTACKS: Mapping[str, tuple[Callable[[Rows, int], None], int, str]] = {
    "an edited principal": (replace(b'"principal":"local"', b'"principal":"other"'), 11, "journal entry 11"),
    "an edited verdict": (replace(b'"DENY"', b'"ALLOW"'), 12, "journal entry 12"),
    "an edited receipt": (replace(b'"status":"SUCCESS"', b'"status":"FAILED"'), 11, "journal entry 11"),
    "another signature": (replace(b'"signature":"', b'"signature":"00'), 11, "journal entry 11"),
    "another key": (replace(b'"public_key":"', b'"public_key":"00'), 2, "."),
    "a missing node": (take_out, 11, "journal entry 11"),
    "a gap": (leave_a_gap, 11, "journal entry 12|journal"),
    "a node twice": (repeat, 11, "journal entry 16"),
    "two nodes in each other's place": (swap, 10, "journal entry 10"),
    "a receipt that is gone": (forget_the_receipt, 11, "journal entry 11"),
    "bytes that are not canonical": (rewrite, 11, "journal entry 11"),
    "no JSON": (replace(b"{", b"["), 11, "journal entry 11"),
}


STORES = [
    "segments",
    "sqlite",
    pytest.param("postgresql", marks=pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)),
]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize(("attack", "seq", "said"), ATTACKS.values(), ids=ATTACKS)
async def test_a_journal_that_does_not_fold_starts_no_kernel_and_the_node_is_named(
    house: House, attack: Callable[[Rows, int], None], seq: int, said: str, store: str
) -> None:
    house.keep_journal_in(store)
    await fill(house)
    with tampered(house.place.journal_at) as rows:
        attack(rows, seq)
    await check_refused(house, said)


async def test_a_journal_that_lost_its_last_rows_is_not_taken_for_a_shorter_one(house: House) -> None:
    await fill(house)
    with tampered(house.place.journal_at) as rows:
        for seq in range(14, max(rows) + 1):
            del rows[seq]
    await check_refused(house, "ahead of the journal")


@pytest.mark.of_files
async def test_a_journal_of_another_installation_is_refused(house: House) -> None:
    await fill(house)
    other = House.build_another(house.path / "other")
    other.keep_journal_in(house.place.config.journal)
    await fill(other)
    house.place.journal_path.rename(house.place.journal_path.with_name("taken-away"))
    other.place.journal_path.rename(house.place.journal_path)
    house.place.index_path.unlink()
    await check_refused(house, "genesis")


async def test_a_second_kernel_on_the_same_directory_does_not_start(house: House) -> None:
    async with house.kernel(ground=await house.real_ground()) as kernel:
        await check_refused(house, "another kernel writes this journal")
        assert (await kernel.call("read", {})).allowed
    async with open_kernel(house.place, policy=house.sign(), connectors=FUNCTIONS) as kernel:
        assert (await kernel.call("read", {}, session="later")).allowed


async def test_a_key_that_may_not_sign_receipts_starts_no_kernel(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    ground = await house.simulated_ground()
    stranger = attrs.evolve(ground, pen=house.place.evidence_key())
    with pytest.raises(Invalid, match="for evidence"):
        async with house.kernel(ground=stranger):
            raise AssertionError("it started")


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("commit", [1, 2, 3])
async def test_a_first_start_that_was_cut_short_is_mended_by_the_next(
    house: House, commit: int, written: bool, autojump_clock: trio.testing.MockClock
) -> None:
    ground = await house.simulated_ground()
    house.disk.fail_at(commit, written=written)
    with pytest.raises(KernelStopped):
        async with house.kernel(ground=ground):
            raise AssertionError("it started")
    for _ in range(2):
        async with house.kernel() as kernel:
            assert (await kernel.call("read", {})).allowed
    state, _ = await house.read_simulated()
    assert state.registry is not None and state.registry.height == len(house.place.genesis)


async def test_every_start_is_a_new_epoch_and_comes_before_everything_else(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    for epoch in (1, 2, 3):
        async with house.kernel() as kernel:
            answer = await kernel.call("nope", {})
            assert kernel.parts.boot.kernel_epoch == epoch
            assert answer.receipt.content.lamport_clock == epoch
    state, log = await house.read_simulated()
    assert state.kernel_epoch == 3
    genesis = ["TRUST_EVENT"] * len(house.place.genesis)
    again = ["KERNEL_STARTED", "REFUSAL"]
    assert log.events == [*genesis, "KERNEL_STARTED", "POLICY_ACTIVATED", "REFUSAL", *again, *again]


async def test_an_older_policy_starts_no_kernel(house: House) -> None:
    async with open_kernel(house.place, policy=house.sign(with_epoch(8)), connectors=FUNCTIONS):
        pass
    with pytest.raises(Refused) as refused:
        async with open_kernel(house.place, policy=house.sign(with_epoch(7)), connectors=FUNCTIONS):
            raise AssertionError("it started")
    assert refused.value.code == ReasonCode.POLICY_EPOCH_CHANGED


async def test_a_policy_with_anothers_signature_starts_no_kernel(house: House) -> None:
    borrowed = attrs.evolve(house.sign(with_epoch(8)), signature=house.sign().signature)
    with pytest.raises(Refused) as refused:
        async with open_kernel(house.place, policy=borrowed, connectors=FUNCTIONS):
            raise AssertionError("it started")
    assert refused.value.code == ReasonCode.POLICY_HASH_MISMATCH
    forged = attrs.evolve(house.sign(), signature=attrs.evolve(house.sign().signature, signature="0" * 128))
    with pytest.raises(Refused) as refused:
        async with open_kernel(house.place, policy=forged, connectors=FUNCTIONS):
            raise AssertionError("it started")
    assert refused.value.code == ReasonCode.POLICY_SIGNATURE_INVALID


async def test_a_local_connector_that_nobody_gave_starts_no_kernel(house: House) -> None:
    with pytest.raises(Invalid, match="nobody gave"):
        async with open_kernel(house.place, policy=house.sign(), connectors={"local": {}}):
            raise AssertionError("it started")


async def test_the_embedding_program_gives_plain_functions(house: House) -> None:
    async def read(arguments: dict[str, int]) -> dict[str, int]:
        return {"doubled": arguments["n"] * 2}

    def write(arguments: dict[str, int]) -> dict[str, int]:
        return {"halved": arguments["n"] // 2}

    functions: dict[str, Given] = {"local": {"read": read, "write": write}, "other": LocalConnector({})}
    async with open_kernel(str(house.place.path), policy=house.sign(), connectors=functions) as kernel:
        assert (await kernel.call("read", {"n": 21})).output == {"doubled": 42}
        assert (await kernel.call("write", b'{"n": 84}')).output == {"halved": 42}


async def test_a_start_that_fails_gives_back_lock_and_files(house: House) -> None:
    house.place.index_path.mkdir()  # no index can be made here
    for _ in range(2):
        with pytest.raises(Invalid, match="index"):
            await break_ground(house.place)
    house.place.index_path.rmdir()
    async with house.kernel(ground=await break_ground(house.place)) as kernel:
        assert (await kernel.call("read", {})).allowed


async def test_a_directory_that_is_no_installation_is_refused(house: House) -> None:
    with pytest.raises(Invalid):
        async with open_kernel(house.path / "nowhere", policy=None):
            raise AssertionError("it started")


async def test_an_index_that_was_deleted_or_damaged_heals(house: House) -> None:
    await fill(house)
    house.place.index_path.write_bytes(b"no index at all")
    async with house.kernel(ground=await house.real_ground()) as kernel:
        answer = await kernel.call("read", {})
        seq = await kernel.library.find(answer.record_id)
        assert seq is not None
        entry = await kernel.library.entry(seq)
        assert entry["node"]["payload"]["type"] == "INTENT"


async def test_no_call_is_taken_before_the_start_is_written(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    ground = await house.simulated_ground()
    house.disk.hang()
    opened = trio.Event()

    async def start() -> None:
        async with house.kernel(ground=ground):
            opened.set()

    with trio.move_on_after(5):
        await start()
    assert not opened.is_set()


async def test_progress_is_told_while_a_long_journal_is_read(house: House) -> None:
    await fill(house)
    told: list[tuple[int, int]] = []
    progress: Callable[[int, int], None] = lambda done, there: told.append((done, there))  # noqa: E731
    async with open_kernel(house.place, policy=None, progress=progress) as kernel:
        assert isinstance(kernel, Kernel)
    assert told[-1][0] == told[-1][1] > 0
