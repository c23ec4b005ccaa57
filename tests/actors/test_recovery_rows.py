"""A journal that somebody changed does not start a kernel: reading it back names the first row that does not follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from actors.recovery import refold
from actors.stores.index_file import open_index
from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.crypto.hashing import hash_in
from helm.receipts.chain import name
from tests.actors.kit import House, InlineIndex
from tests.actors.policies import POLICY
from tests.actors.rewriting import Entry, edited, rewritten
from tests.actors.stores.simulated import SimulatedJournal

STRANGER = SigningKey.from_seed(b"s" * 32, KeyPurpose.EXECUTION)


async def live(house: House) -> list[bytes]:
    """Run a kernel through calls of two sessions, and return what it left on its disk."""
    async with house.kernel() as kernel:
        for session in ("one", "two", "one"):
            await kernel.call("read", {"n": 1}, session=session)
            await kernel.call("no.such.tool", {}, session=session)
    return list(house.disk.rows)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[House, list[bytes]]:
    """An installation with a past, which nobody changes."""
    house = House.build(tmp_path_factory.mktemp("past"))
    return house, trio.run(live, house)


Past = tuple[House, list[bytes]]


async def reads(past: Past, rows: list[bytes], *, watermark: int = 0, log_id: str = "") -> None:
    """Read rows back as a start would. Raises Invalid."""
    house, _ = past
    file = open_index(house.path / "attack-index.sqlite", house.place.log_id)
    try:
        await refold(SimulatedJournal(rows=rows), InlineIndex(file, watermark), log_id or house.place.log_id)
    finally:
        file.close()


def numbers(rows: list[bytes], kind: str, session: str = "one") -> list[int]:
    """Return the numbers of a session's rows of this kind of payload."""
    nodes = [reread(row)["node"] for row in rows]
    found = [(number, node) for number, node in enumerate(nodes, 1) if node["payload"].get("type") == kind]
    return [number for number, node in found if node["session_id"] == session]


async def check_refused(past: Past, rows: list[bytes], number: int, problem: str = ".") -> None:
    """Assert that the rows are refused, at this one, for this reason."""
    with pytest.raises(Invalid, match=problem) as refusal:
        await reads(past, rows)
    assert refusal.value.where == f"journal entry {number}"


async def test_what_a_kernel_wrote_is_read_back(past: Past) -> None:
    await reads(past, past[1])


async def test_a_flipped_bit_of_any_row_is_refused(past: Past) -> None:
    rows = past[1]
    for number, row in enumerate(rows, 1):
        for at in (1, len(row) // 3, len(row) // 2, len(row) - 2):
            flipped = row[:at] + bytes([row[at] ^ 1]) + row[at + 1 :]
            with pytest.raises(Invalid) as refusal:
                await reads(past, [*rows[: number - 1], flipped, *rows[number:]])
            assert refusal.value.where.startswith(("journal entry", "trust event"))


async def test_a_row_with_a_blank_more_is_refused(past: Past) -> None:
    rows = past[1]
    await check_refused(past, [rows[0] + b" ", *rows[1:]], 1, "not one canonical object")


@pytest.mark.parametrize("row", [b"", b"null", b"[]", b"{}", b'{"beside":{},"node":[]}', b'{"beside":{},"node":{}}'])
async def test_a_row_that_is_no_entry_is_refused(past: Past, row: bytes) -> None:
    with pytest.raises(Invalid) as refusal:
        await reads(past, [row, *past[1][1:]])
    assert refusal.value.where == "journal entry 1"


@pytest.mark.parametrize(
    "member", ["kind", "lamport", "parents", "payload", "principal", "session_id", "shard", "tenant"]
)
@pytest.mark.parametrize("value", [None, 1, "x", [], ["x"], {"x": 1}, [1], -1, "sha256:zz", ["sha256:zz"]])
async def test_a_node_with_a_member_of_any_other_value_is_refused(past: Past, member: str, value: object) -> None:
    rows = past[1]

    def change(entry: Entry) -> None:
        entry["node"][member] = value
        named = {name: said for name, said in entry["node"].items() if name != "node_hash"}
        entry["node"]["node_hash"] = hash_in(domains.NODE, record_bytes(named))

    await check_refused(past, edited(rows, len(rows), change), len(rows))


async def test_a_missing_row_is_refused(past: Past) -> None:
    rows = past[1]
    for number in range(1, len(rows)):
        await check_refused(past, rows[: number - 1] + rows[number:], number, "missing, doubled or moved")


async def test_a_doubled_row_is_refused(past: Past) -> None:
    rows = past[1]
    for number in range(1, len(rows) + 1):
        await check_refused(past, rows[:number] + rows[number - 1 :], number + 1, "missing, doubled or moved")


async def test_two_rows_that_changed_places_are_refused(past: Past) -> None:
    rows = past[1]
    for number in range(1, len(rows)):
        moved = [*rows[: number - 1], rows[number], rows[number - 1], *rows[number + 1 :]]
        await check_refused(past, moved, number, "missing, doubled or moved")


async def test_lost_rows_that_the_index_knows_are_missed(past: Past) -> None:
    rows = past[1]
    with pytest.raises(Invalid, match="the index is ahead of the journal"):
        await reads(past, rows[:-1], watermark=len(rows))


async def test_the_journal_of_another_log_is_refused(past: Past) -> None:
    with pytest.raises(Invalid, match="does not begin with the pinned genesis"):
        await reads(past, past[1], log_id="sha256:" + "0" * 64)


async def test_rows_of_another_log_among_ours_are_refused(past: Past, house: House) -> None:
    rows, theirs = past[1], await live(house)
    await check_refused(past, [*rows, theirs[-1]], len(rows) + 1, "missing, doubled or moved")
    with pytest.raises(Invalid):
        await reads(past, [*rows[:-1], theirs[-1]])


def told(member: str, value: object) -> Callable[[Entry], object]:
    """Return a change of the decision that an entry tells."""
    return lambda entry: entry["node"]["payload"]["decision"].update({member: value})


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("INTENT", told("reason", "because")),
        ("INTENT", told("verdict", "DENY")),
        ("REFUSAL", told("reason_code", "PDP_DENY")),
        ("INTENT", lambda entry: entry["node"]["payload"]["record"].update(destination="elsewhere")),
        ("INTENT", lambda entry: entry["node"]["payload"]["effect"].update(destination="elsewhere")),
        ("INTENT", lambda entry: entry["node"]["payload"].pop("effect")),
        ("REFUSAL", lambda entry: entry["beside"]["receipt"].update(status="SUCCESS")),
        ("REFUSAL", lambda entry: entry["beside"].pop("receipt")),
        ("EFFECT", lambda entry: entry["beside"]["receipt"].update(output_hash="")),
        ("EFFECT", lambda entry: entry["node"]["payload"].update(receipt_hash="sha256:" + "0" * 64)),
        ("EFFECT", lambda entry: entry["node"]["payload"].update(intent_node="sha256:" + "0" * 64)),
        ("INTENT", lambda entry: entry["node"]["payload"].update(type="REFUSAL")),
        ("INTENT", lambda entry: entry["node"].update(kind="CHECKPOINT")),
    ],
)
async def test_an_edited_row_with_every_hash_made_true_again_is_refused(
    past: Past, kind: str, change: Callable[[Entry], object]
) -> None:
    rows = past[1]
    number = numbers(rows, kind)[0]
    await check_refused(past, rewritten(rows, lambda at, entry: change(entry) if at == number else None), number)


async def test_a_history_told_anew_breaks_at_the_first_receipt_that_names_its_intent(past: Past) -> None:
    rows = past[1]
    start = next(number for number, row in enumerate(rows, 1) if b"KERNEL_STARTED" in row)

    def change(number: int, entry: Entry) -> None:
        if number == start:
            entry["node"]["payload"]["started_at_ms"] = 1

    retold = rewritten(rows, change)
    await check_refused(past, retold, numbers(rows, "EFFECT")[0], "the receipt's intent_node")


def swapped(rows: list[bytes], one: int, two: int, *, with_hashes: bool) -> list[bytes]:
    """Return the rows with the receipts of two of them exchanged."""
    entries = {number: reread(rows[number - 1]) for number in (one, two)}

    def change(number: int, entry: Entry) -> None:
        if number in entries:
            other = entries[two if number == one else one]
            entry["beside"]["receipt"] = other["beside"]["receipt"]
            if with_hashes:
                entry["node"]["payload"]["receipt_hash"] = other["node"]["payload"]["receipt_hash"]

    return rewritten(rows, change)


@pytest.mark.parametrize("with_hashes", [False, True])
@pytest.mark.parametrize("kind", ["EFFECT", "REFUSAL"])
async def test_receipts_swapped_within_a_session_are_refused(past: Past, kind: str, with_hashes: bool) -> None:
    one, two = numbers(past[1], kind)[:2]
    await check_refused(past, swapped(past[1], one, two, with_hashes=with_hashes), one)


@pytest.mark.parametrize("with_hashes", [False, True])
async def test_receipts_swapped_between_two_sessions_are_refused(past: Past, with_hashes: bool) -> None:
    one, two = numbers(past[1], "EFFECT", "one")[0], numbers(past[1], "EFFECT", "two")[0]
    await check_refused(past, swapped(past[1], one, two, with_hashes=with_hashes), one)


def signed_anew(rows: list[bytes], number: int, signer: SigningKey, **change: Any) -> list[bytes]:
    """Return the rows with one receipt changed and signed by `signer`, and bound by its node again."""

    def sign(at: int, entry: Entry) -> None:
        if at != number:
            return
        body = {**entry["beside"]["receipt"], **change, "key_id": signer.key_id}
        del body["receipt_id"], body["signature"]
        body["receipt_id"] = name(body)
        body["signature"] = signer.sign(domains.RECEIPT, record_bytes(body))
        entry["beside"]["receipt"] = body
        entry["node"]["payload"]["receipt_hash"] = hash_in(domains.RECEIPT_HASH, record_bytes(body))

    return rewritten(rows, sign)


@pytest.mark.parametrize("kind", ["EFFECT", "REFUSAL"])
async def test_a_receipt_signed_by_a_key_that_nobody_added_is_refused(past: Past, kind: str) -> None:
    number = numbers(past[1], kind)[0]
    with pytest.raises(Invalid, match="no trust event ever added this key"):
        await reads(past, signed_anew(past[1], number, STRANGER))


@pytest.mark.parametrize("change", [{"session_id": "two"}, {"tenant": "other"}, {"log_id": "sha256:" + "0" * 64}])
async def test_a_true_signature_over_a_receipt_of_another_session_or_log_is_refused(
    past: Past, change: dict[str, str]
) -> None:
    house, rows = past
    number = numbers(rows, "EFFECT")[0]
    signer = house.place.execution_key()
    assert isinstance(signer, SigningKey)
    await check_refused(past, signed_anew(rows, number, signer, **change), number)


@pytest.mark.parametrize(
    "change", [{"lamport_clock": 9}, {"prev_hash": "0" * 128}, {"lamport_clock": 1, "prev_hash": "GENESIS"}]
)
async def test_a_true_signature_over_a_fork_of_the_chain_is_refused(past: Past, change: dict[str, Any]) -> None:
    house, rows = past
    number = numbers(rows, "EFFECT")[1]
    signer = house.place.execution_key()
    assert isinstance(signer, SigningKey)
    await check_refused(past, signed_anew(rows, number, signer, **change), number, "does not follow")


async def test_a_changed_journal_starts_no_kernel(house: House) -> None:
    rows = await live(house)
    house.disk.rows = edited(rows, 1, lambda entry: entry["node"].update(tenant="evil"))
    with pytest.raises(Invalid, match="it was edited"):
        async with house.kernel():
            raise AssertionError("a kernel opened on a journal that was changed")


async def test_a_second_epoch_written_behind_the_kernels_back_is_refused(past: Past) -> None:
    rows = past[1]
    start = next(number for number, row in enumerate(rows, 1) if b"KERNEL_STARTED" in row)

    def again(number: int, entry: Entry) -> None:
        if number == start:
            entry["node"]["payload"]["kernel_epoch"] = 2

    await check_refused(past, rewritten(rows, again), start, "two kernels wrote here")


def activations(rows: list[bytes]) -> list[int]:
    """Return the numbers of the rows in which a policy was put in force."""
    return [
        number for number, row in enumerate(rows, 1) if reread(row)["node"]["payload"]["type"] == "POLICY_ACTIVATED"
    ]


@pytest.mark.parametrize("change", [{"epoch": 2**53 - 1}, {"epoch": 1}, {"scope": "evil"}], ids=ascii)
async def test_a_policy_that_nobody_signed_so_is_not_put_in_force_by_an_edited_journal(
    past: Past, change: dict[str, Any]
) -> None:
    """Such a row bars every policy to come, or lets an older one back in."""
    rows = past[1]
    (number,) = activations(rows)

    def state_otherwise(place: int, entry: Entry) -> None:
        if place == number:
            entry["node"]["payload"].update(change)

    forged = rewritten(rows, state_otherwise)[:number]
    await check_refused(past, forged, number, "signature")


async def test_signed_policies_do_not_change_places(house: House) -> None:
    async with house.kernel():
        pass
    async with house.kernel(policy=POLICY.replace("epoch = 7", "epoch = 8")):
        pass
    rows = list(house.disk.rows)
    first, second = activations(rows)
    told = {first: reread(rows[second - 1]), second: reread(rows[first - 1])}

    def exchange(place: int, entry: Entry) -> None:
        if place in told:
            entry["node"]["payload"] = told[place]["node"]["payload"]
            entry["beside"] = told[place]["beside"]

    await check_refused((house, rows), rewritten(rows, exchange), second, "older than the active")
