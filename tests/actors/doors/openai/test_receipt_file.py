"""The file of the proxy's receipts: what the journal says, or no start (T9.3)."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from actors.evidence.receipt_file import ReceiptFile
from actors.mailbox import KernelStopped
from helm.contracts.errors import Invalid
from helm.openai.request import DOOR
from tests.actors.doors.openai.lane import Lane, answered, call, completion, open_lane
from tests.actors.kit import House

NAME = "openai-receipts.jsonl"


async def calls(lane: Lane, count: int, session: str = "first") -> None:
    """Have so many tool calls judged, and copied."""
    before = len(await lane.receipts(door=DOOR))
    for number in range(before, before + count):
        lane.plays(answered(completion(call("get_weather", call_id=f"call_{number}"))))
        await lane.chat(X_Helm_Session=session)
    with trio.fail_after(10):
        while len(lines_of(lane.proxy.receipts)) < before + count:  # noqa: ASYNC110 - a file rings no bell
            await trio.sleep(0.01)


def lines_of(path: Path | None) -> list[bytes]:
    assert path is not None
    return path.read_bytes().splitlines(keepends=True)


async def written(house: House) -> Path:
    """Return the file after three receipts in two sessions."""
    async with open_lane(house) as lane:
        await calls(lane, 2)
        await calls(lane, 1, session="second")
    return house.path / NAME


async def test_every_receipt_of_the_proxy_is_copied_as_it_was_signed_for_nobody_else_to_read(house: House) -> None:
    path = await written(house)
    async with open_lane(house) as lane:
        receipts = await lane.receipts(door=DOOR)
    assert [json.loads(line) for line in lines_of(path)] == receipts
    assert len(receipts) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_receipts_of_other_doors_are_not_copied(house: House) -> None:
    async with open_lane(house) as lane:
        await lane.kernel.call("get_weather", {"city": "Oslo"}, tenant="acme", principal="agent", session="first")
        await calls(lane, 1)
    assert len(lines_of(house.path / NAME)) == 1


def edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"verdict":"ALLOW"', b'"verdict":"DENY"'), *lines[1:]]


def resigned(lines: list[bytes]) -> list[bytes]:
    """Chain the lines anew, as somebody would who wants the first to be gone."""
    second = json.loads(lines[1]) | {"lamport_clock": 1, "prev_hash": "GENESIS"}
    return [json.dumps(second, sort_keys=True, separators=(",", ":")).encode() + b"\n", lines[2]]


TAMPERED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "one is edited": edited,
    "one in the middle is gone": lambda lines: [lines[0], lines[2]],
    "the first is gone": lambda lines: lines[1:],
    "two changed places": lambda lines: [lines[0], lines[2], lines[1]],
    "one stands twice": lambda lines: [*lines, lines[2]],
    "one is added": lambda lines: [*lines, b"{}\n"],
    "the rest was chained anew": resigned,
    "a blank line is added": lambda lines: [*lines, b"\n"],
    "one begins and was never sealed": lambda lines: [*lines, lines[2][:40]],
    "half of one in the middle": lambda lines: [lines[0], lines[1][:40], lines[2]],
}


@pytest.mark.parametrize("how", TAMPERED)
async def test_a_file_that_tells_another_story_stops_the_start(house: House, how: str) -> None:
    path = await written(house)
    path.write_bytes(b"".join(TAMPERED[how](lines_of(path))))
    before = path.read_bytes()
    with pytest.raises((Invalid, BaseExceptionGroup)) as refused:
        async with open_lane(house):
            pytest.fail("it started")
    assert "journal" in str(cause_of(refused.value))
    assert path.read_bytes() == before


def cause_of(failure: BaseException) -> BaseException:
    """Return what is at the bottom of a failure."""
    while True:
        if isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        elif isinstance(failure, KernelStopped) and failure.__cause__ is not None:
            failure = failure.__cause__
        else:
            return failure


SHORTENED: dict[str, tuple[Callable[[bytes], bytes], int, bool]] = {
    "within the last line": (lambda said: said[:-30], 1, True),
    "before the last line's end": (lambda said: said[:-1], 1, True),
    "before the last line": (lambda said: said[: said[:-1].rfind(b"\n") + 1], 1, False),
    "all of it": (lambda said: b"", 3, False),
}


@pytest.mark.parametrize("how", SHORTENED)
async def test_a_file_that_was_cut_off_is_completed_from_the_journal_and_it_is_said(house: House, how: str) -> None:
    path = await written(house)
    whole = path.read_bytes()
    cut, lacking, torn = SHORTENED[how]
    path.write_bytes(cut(whole))
    async with open_lane(house, proxy_receipts="") as lane:
        copy = await ReceiptFile.open(path, DOOR, lane.kernel.parts.journal)
        copy.close()
    assert path.read_bytes() == whole
    assert (copy.completed, copy.torn) == (lacking, torn)


async def test_a_completed_file_is_reported_and_goes_on(house: House, caplog: pytest.LogCaptureFixture) -> None:
    path = await written(house)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    async with open_lane(house) as lane:
        await calls(lane, 1)
    assert path.read_bytes().startswith(whole)
    assert len(lines_of(path)) == 4
    assert "lacked 1 receipts of the journal, the first of them begun" in caplog.text


async def test_a_file_that_others_can_read_or_that_is_a_link_is_refused(house: House, tmp_path: Path) -> None:
    async with open_lane(house, proxy_receipts="") as lane:
        open_to_all = tmp_path / "open.jsonl"
        open_to_all.touch(mode=0o644)
        link = tmp_path / "link.jsonl"
        link.symlink_to(tmp_path / "elsewhere")
        for path in (open_to_all, link):
            with pytest.raises(Invalid):
                await ReceiptFile.open(path, DOOR, lane.kernel.parts.journal)


async def test_no_file_is_written_where_the_settings_name_none(house: House) -> None:
    async with open_lane(house, answered(completion(call("get_weather"))), proxy_receipts="") as lane:
        await lane.chat()
    assert not (house.path / NAME).exists()
