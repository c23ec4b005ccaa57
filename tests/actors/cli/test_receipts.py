"""helm receipts: read beside a running kernel, or from one; believed only after the whole journal was verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

from actors.cli.receipt_source import JournalReceipts, Object, Wanted
from actors.cli.server import Server
from actors.cli.server_receipts import ServerReceipts
from actors.installation import Installation
from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.stores.tampering import tampered


def listed(made: Made, *words: str) -> list[str]:
    """Return the verdicts of the receipts that are listed."""
    ended = helm("receipts", "list", "--json", *words, *made.option)
    assert ended.code == 0
    return [receipt["verdict"] for receipt in ended.json()]


def test_the_last_receipts_are_listed_oldest_first(used: Made) -> None:
    assert listed(used) == ["ALLOW", "DENY", "ESCALATE"]
    assert listed(used, "--limit", "2") == ["DENY", "ESCALATE"]


def test_receipts_are_chosen_by_verdict_session_and_tenant(used: Made) -> None:
    assert listed(used, "--verdict", "deny") == ["DENY"]
    assert listed(used, "--session", "s1", "--tenant", "default") == ["ALLOW", "DENY", "ESCALATE"]
    assert listed(used, "--session", "s2") == []
    assert listed(used, "--tenant", "other") == []


def test_a_list_for_people_has_marks_and_words(used: Made) -> None:
    ended = helm("receipts", "list", *used.option)
    lines = ended.out.splitlines()
    assert len(lines) == 4
    assert "● ALLOW" in lines[1]
    assert "■ DENY" in lines[2]
    assert "▲ ESCALATE" in lines[3]
    assert "reading" in ended.err


def test_a_directory_that_was_never_served_has_no_journal(made: Made) -> None:
    ended = helm("receipts", "list", *made.option)
    assert ended.code == 1
    assert "helm serve" in ended.err


@pytest.mark.parametrize("verdict", ["ALLOW", "DENY"])
def test_one_receipt_is_shown_with_the_decision_it_seals(used: Made, verdict: str) -> None:
    receipt = json.loads(helm("receipts", "list", "--json", "--verdict", verdict, *used.option).out)[0]
    for name in (receipt["receipt_id"], receipt["receipt_id"][5:13]):
        story = helm("receipts", "show", name, "--json", *used.option).json()
        assert story["receipt"] == receipt
        assert story["decision"]["decision_id"] == receipt["decision_id"]
        assert story["record"]["record_hash"] == receipt["record_hash"]
    assert receipt["receipt_id"] in helm("receipts", "show", name, *used.option).out


def test_a_receipt_that_is_not_there_is_not_found(used: Made) -> None:
    assert helm("receipts", "show", "rcpt_" + "0" * 32, *used.option).code == 1


@pytest.mark.parametrize("name", ["rcpt_0", "", "rcpt_", "no-such-receipt", "0" * 33, "ABCDEF01"])
def test_what_cannot_be_an_id_is_not_looked_for(used: Made, name: str) -> None:
    ended = helm("receipts", "show", name, *used.option)
    assert ended.code == 1
    assert "names no receipt" in ended.err
    assert "8 to 32 hex digits" in ended.err


def test_half_an_id_is_not_taken_for_a_receipt_that_a_kernel_does_not_have() -> None:
    ended = helm("receipts", "show", "rcpt_01234567", "--server", "http://127.0.0.1:1")
    assert ended.code == 1
    assert "give 32 hex digits" in ended.err


def test_the_whole_journal_is_verified_from_the_genesis(used: Made) -> None:
    ended = helm("receipts", "verify", "--json", *used.option)
    assert ended.code == 0
    assert ended.json()["verified"] is True
    assert ended.json()["receipts"] == 3
    assert ended.json()["log_id"] == used.log_id
    assert "its own genesis" in ended.err


def test_a_journal_of_another_log_than_the_pinned_one_is_refused(used: Made) -> None:
    ended = helm("receipts", "verify", "--log-id", "sha256:" + "0" * 64, *used.option)
    assert ended.code == 1
    assert "another log" in ended.err


def test_an_edited_row_is_found_and_named(used: Made) -> None:
    journal = used.place().journal_path
    with tampered(journal) as rows:
        seq = next(seq for seq, body in rows.items() if b'"verdict":"DENY"' in body)
        rows[seq] = rows[seq].replace(b'"verdict":"DENY"', b'"verdict":"DENX"', 1)
    ended = helm("receipts", "verify", *used.option)
    assert ended.code == 1
    assert f"journal entry {seq}" in ended.err


def test_reading_leaves_the_journal_as_it_is(used: Made) -> None:
    journal = used.place().journal_path
    before = {path: path.read_bytes() for path in journal.iterdir()}
    listed(used)
    assert before == {path: path.read_bytes() for path in journal.iterdir()}


def test_something_else_in_the_place_of_the_journal_is_refused(made: Made) -> None:
    made.place().journal_path.write_bytes(b"not a database, but long enough to be taken for one" * 400)
    ended = helm("receipts", "list", *made.option)
    assert ended.code == 1
    assert "journal" in ended.err


# -- Against a running kernel ------------------------------------------------------------------------------------


async def served(made: Made, *words: str, key: str = "") -> Ended:
    """Run a command against a kernel that serves the directory, with the tenant's key unless told otherwise."""
    from actors.doors.serve import serve
    from actors.opening import open_kernel

    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        run = partial(helm, *words, "--server", door.address.url, *made.option, HELM_API_KEY=key or made.tenant_key)
        ended = await trio.to_thread.run_sync(run)
        door.close()
        await door.ended.wait()
    return ended


async def test_a_running_kernel_lists_the_same_receipts(made: Made) -> None:
    from tests.actors.cli.conftest import use

    await use(made)
    here = helm("receipts", "list", "--json", *made.option)
    there = await served(made, "receipts", "list", "--json")
    assert there.code == 0
    assert there.json() == here.json()
    assert "http://127.0.0.1" in there.err
    assert (await served(made, "receipts", "list", "--json", "--verdict", "DENY")).json() == here.json()[1:2]


async def test_a_running_kernel_tells_the_same_story(made: Made) -> None:
    from tests.actors.cli.conftest import use

    await use(made)
    name = helm("receipts", "list", "--json", *made.option).json()[0]["receipt_id"]
    here = helm("receipts", "show", name, "--json", *made.option)
    there = await served(made, "receipts", "show", name, "--json")
    assert there.json() == here.json()
    assert (await served(made, "receipts", "show", "rcpt_" + "0" * 32)).code == 1


async def test_a_key_that_opens_nothing_is_told_how_to_give_one(made: Made) -> None:
    ended = await served(made, "receipts", "list", "--json", key="helm_wrong")
    assert ended.code == 1
    assert ended.failure()["code"] == "HTTP_401"
    assert "HELM_API_KEY" in ended.failure()["hint"]


def test_a_kernel_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    ended = helm("receipts", "list", "--server", "http://127.0.0.1:9", "--json")
    assert ended.code == 1
    assert ended.failure()["code"] == "NO_ANSWER"
    assert helm("receipts", "list", "--server", "gopher://127.0.0.1").code == 1


# -- Following ---------------------------------------------------------------------------------------------------


class Enough(Exception):
    """A reader has heard what it wanted to hear."""


def told(follow: Callable[[Callable[[Object], None]], None], count: int) -> list[Object]:
    """Return the first receipts that are told of."""
    found: list[Object] = []

    def tell(receipt: Object) -> None:
        found.append(receipt)
        if len(found) == count:
            raise Enough

    with pytest.raises(Enough):
        follow(tell)
    return found


async def test_receipts_are_followed_as_they_become_durable(made: Made) -> None:
    from tests.actors.cli.conftest import use

    await use(made)
    source = JournalReceipts(made.place().journal_path)
    first = partial(told, partial(source.follow, Wanted(verdict="DENY")), 1)
    async with trio.open_nursery() as nursery:
        found: list[str] = []

        async def wait() -> None:
            found.extend(one["verdict"] for one in await trio.to_thread.run_sync(first))

        nursery.start_soon(wait)
        while not found:
            await use(made)
    assert found == ["DENY"]


@pytest.mark.parametrize("way", ["stream", "events"])
async def test_a_running_kernel_streams_what_it_seals(made: Made, way: str) -> None:
    from actors.doors.serve import serve
    from actors.opening import open_kernel

    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        source = ServerReceipts(Server(door.address.url, made.tenant_key))
        follow = partial(source.follow, Wanted()) if way == "stream" else partial(source.follow_events, {})
        found: list[str] = []

        async def wait() -> None:
            found.extend(one["tool"] for one in await trio.to_thread.run_sync(partial(told, follow, 2)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            while not found:
                await kernel.call("shell.run", {}, tenant="default", principal="agent")
        door.close()
        await door.ended.wait()
    assert found == ["shell.run", "shell.run"]
