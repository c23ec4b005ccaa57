"""helm audit: every act is listed with who did it, and one that was removed or edited is found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import trio

from actors.doors.serve import serve
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.rewriting import Entry, rewritten
from tests.actors.stores.tampering import Rows, tampered


def audit(made: Made, *words: str, **environment: str) -> Ended:
    return helm("audit", *words, *made.option, **environment)


@pytest.fixture
def acted(used: Made) -> Made:
    """A log in which a stop was ordered and lifted."""
    for command in ("freeze", "unfreeze"):
        assert helm(command, "--reason", f"a drill: {command}", *used.option).code == 0
    return used


def test_every_act_says_who_and_why(acted: Made) -> None:
    acts = audit(acted, "list", "--json").json()["acts"]
    stops = [act for act in acts if act["kind"] == "FREEZE"]
    emergency = acted.place().emergency_key().key_id
    assert [(act["who"], act["reason"]) for act in stops] == [
        (emergency, "a drill: freeze"),
        (emergency, "a drill: unfreeze"),
    ]
    activation = next(act for act in acts if act["kind"] == "POLICY_ACTIVATED")
    assert activation["who"] == acted.place().policy_key().key_id
    assert all(act["at_ms"] > 0 for act in acts)
    assert {act["who"] for act in acts if act["kind"] == "KEY_ADDED"} == {acted.place().trust_admin_key().key_id}
    listed = audit(acted, "list").out
    assert [line.split()[1:3] for line in listed.splitlines() if "drill" in line] == [
        ["FREEZE", "global"],
        ["UNFREEZE", "global"],
    ]


def test_no_call_is_an_act(acted: Made) -> None:
    kinds = {act["kind"] for act in audit(acted, "list", "--json").json()["acts"]}
    assert kinds == {"KEY_ADDED", "KERNEL_STARTED", "POLICY_ACTIVATED", "FREEZE"}


def test_a_sound_log_verifies_and_still_holds_the_head_that_was_noted(acted: Made) -> None:
    told = audit(acted, "verify", "--json").json()
    helm("freeze", "--reason", "again", *acted.option)
    again = audit(acted, "verify", "--head", told["head"], "--json")
    assert (again.code, again.json()["acts"]) == (0, told["acts"] + 2)


def first_stop(rows: Rows) -> int:
    return next(seq for seq, row in sorted(rows.items()) if b'"type":"FREEZE"' in row)


def edit(rows: Rows) -> None:
    seq = first_stop(rows)
    rows[seq] = rows[seq].replace(b"a drill: freeze", b"a trial: freeze", 1)


def remove(rows: Rows) -> None:
    last = max(rows)
    for number in range(first_stop(rows), last):
        rows[number] = rows[number + 1]
    del rows[last]


def edit_and_name_anew(rows: Rows) -> None:
    """What somebody with the journal's file can do: edit an act, and make every hash behind it true again."""
    number = first_stop(rows)

    def change(seq: int, entry: Entry) -> None:
        if seq == number:
            entry["node"]["payload"]["command"]["reason"] = "a trial: freeze"

    anew = rewritten([row for _, row in sorted(rows.items())], change)
    rows.update(dict(enumerate(anew, 1)))


def invent(rows: Rows) -> None:
    """Let somebody else have given the order."""
    number = first_stop(rows)

    def change(seq: int, entry: Entry) -> None:
        if seq == number:
            entry["node"]["payload"]["command"]["key_id"] = "key_" + "0" * 32

    anew = rewritten([row for _, row in sorted(rows.items())], change)
    rows.update(dict(enumerate(anew, 1)))


@pytest.mark.parametrize("attack", [edit, remove, edit_and_name_anew, invent])
def test_an_act_that_was_edited_or_removed_is_found(acted: Made, attack: Callable[[Rows], None]) -> None:
    with tampered(acted.place().journal_path) as rows:
        attack(rows)
    for command in ("verify", "list"):
        found = audit(acted, command)
        assert found.code == 1
        assert "journal entry" in found.err


def test_acts_that_were_cut_off_at_the_end_are_missed_by_whoever_noted_the_head(acted: Made) -> None:
    head = audit(acted, "verify", "--json").json()["head"]
    with tampered(acted.place().journal_path) as rows:
        del rows[max(rows)]
    assert audit(acted, "verify").code == 0  # sound in itself
    missed = audit(acted, "verify", "--head", head)
    assert missed.code == 1
    assert "cut off" in missed.err


async def test_a_running_kernel_tells_an_operator_and_nobody_else(acted: Made) -> None:
    place = Installation.open(acted.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        ask = partial(audit, acted, "list", "--server", door.address.url, "--json")
        assert (await trio.to_thread.run_sync(partial(ask, HELM_API_KEY=acted.tenant_key))).code == 1
        told = (await trio.to_thread.run_sync(partial(ask, HELM_API_KEY=acted.admin_key))).json()
        door.close()
        await door.ended.wait()
    assert told == (await trio.to_thread.run_sync(partial(audit, acted, "list", "--json"))).json()
