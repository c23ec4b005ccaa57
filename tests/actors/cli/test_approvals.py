"""helm approvals: read, sign where the key is, hand in; on a running kernel, or on the data directory itself."""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
import trio

from actors.cli.approvals.signing import retyped
from actors.doors.serve import serve
from actors.installation import Installation
from actors.mailbox import Answer
from actors.opening import open_kernel
from actors.policy_file import read_signed
from helm.crypto.domains import KeyPurpose
from helm.guardian.intake import Terms
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm

PRIVATE = {"path": "private/salaries.txt"}


async def read(made: Made, approval_id: str = "") -> Answer:
    """Read a private file, which the starter policy asks a human for, through a kernel of its own."""
    place = Installation.open(made.path)
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        terms = Terms(approval_id=approval_id)
        return await kernel.call("files.read_private", PRIVATE, tenant="default", principal="agent", terms=terms)


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, "approvals", *words, **environment))


def key_file(made: Made, purpose: KeyPurpose = KeyPurpose.APPROVAL) -> str:
    return str(made.path / "keys" / f"{purpose}.pem")


def key_id(made: Made) -> str:
    return made.place().approval_key().key_id


def written(path: str) -> Any:
    """Return what a command wrote, None where it wrote nothing."""
    return json.loads(Path(path).read_text()) if Path(path).exists() else None


async def test_an_approver_carries_an_offer_to_an_offline_key_and_the_signature_back(
    made: Made, tmp_path: Path
) -> None:
    approval_id = (await read(made)).approval_id
    listed = (await run("list", "--json", *made.option)).json()
    assert [(one["approval_id"], one["state"]) for one in listed] == [(approval_id, "PENDING")]
    assert "salaries" in (await run("show", approval_id, *made.option)).out
    offer, signed = str(tmp_path / "offer.json"), str(tmp_path / "signed.json")
    fetched = await run("challenge", approval_id, "--key-id", key_id(made), "--out", offer, *made.option)
    assert fetched.code == 0, fetched.err
    words = written(offer)["phrase"]
    execution = made.place().execution_key().public_key
    said = ("--key", key_file(made), "--reason", "fine", "--execution-key", execution, "--out", signed)
    wrong = await run("sign", offer, "--confirm", "yes", *said)
    assert (wrong.code, written(signed)) == (1, None)
    done = await run("sign", offer, "--confirm", words, *said)
    assert done.code == 0, done.err
    taken = await run("approve", signed, "--json", *made.option)
    assert taken.json()["state"] == "APPROVED"
    assert (await run("approve", signed, *made.option)).code == 1  # once
    assert (await read(made, approval_id)).allowed
    assert not (await read(made, approval_id)).allowed


async def test_a_key_at_hand_refuses_on_a_running_kernel(made: Made) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        asked = await kernel.call("files.read_private", PRIVATE, tenant="default", principal="agent")
        served = ("--server", door.address.url, *made.option)
        said = ("--key", key_file(made), "--reason", "no")
        ended = await run("deny", asked.approval_id, *said, "--json", *served, HELM_API_KEY=made.admin_key)
        assert ended.code == 0, ended.err
        assert ended.json()["state"] == "DENIED"
        again = await kernel.call("files.read_private", PRIVATE, tenant="default", principal="agent")
        assert again.reason_code == "PDP_DENY"
        door.close()
        await door.ended.wait()


async def test_where_nobody_can_retype_the_phrase_nothing_is_approved_and_it_is_said_how(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval_id = (await read(made)).approval_id
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    ended = await run("approve", approval_id, "--reason", "r", *made.option)
    assert ended.code == 1
    assert "nothing was signed to approve it" in ended.err
    assert "give the phrase with --confirm" in ended.err
    [one] = (await run("list", "--json", *made.option)).json()
    assert one["state"] == "PENDING"


def test_whoever_interrupts_the_prompt_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(io.StringIO):
        def readline(self, _: int | None = -1, /) -> NoReturn:
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Interrupting())
    with pytest.raises(click.Abort):
        retyped("approve", "the phrase")


async def test_an_emergency_key_overrides_and_owes_a_review(made: Made) -> None:
    approval_id = (await read(made)).approval_id
    emergency = ("--key", key_file(made, KeyPurpose.EMERGENCY), "--reason", "fire")
    offered = (
        await run(
            "challenge",
            approval_id,
            "--key-id",
            made.place().emergency_key().key_id,
            "--action",
            "override",
            *made.option,
        )
    ).json()
    words = ("--confirm", offered["phrase"], "--json", *made.option)
    assert (await run("override", approval_id, *emergency, *words)).code == 1  # without a reason that counts
    taken = await run("override", approval_id, *emergency, "--override-reason", "LIFE_SAFETY", *words)
    assert taken.code == 0, taken.err
    assert (taken.json()["state"], taken.json()["review"]) == ("APPROVED", "OPEN")
    assert "review owed" in (await run("list", *made.option)).out
    phrase = offered["phrase"].replace("override", "review")
    said = ("--reason", "it was right", "--confirm", phrase, "--json", *made.option)
    reviewed = await run("review", approval_id, *said)
    assert reviewed.code == 0, reviewed.err
    assert reviewed.json()["review"] == "CLOSED"


async def test_a_call_is_asked_for_in_the_data_directory_before_it_is_made(made: Made) -> None:
    asking = ("create", "files.read_private", "--args", json.dumps(PRIVATE), "--session", "default")
    asked = await run(*asking, "--json", *made.option)
    assert asked.code == 0, asked.err
    shown = asked.json()
    assert (shown["state"], shown["principal"], shown["arguments"]) == ("PENDING", "agent", PRIVATE)
    assert (await read(made)).approval_id == shown["approval_id"]
    said = ("--key", key_file(made), "--reason", "planned", "--json", *made.option)
    phrase = (await run("challenge", shown["approval_id"], "--key-id", key_id(made), *made.option)).json()["phrase"]
    assert (await run("approve", shown["approval_id"], *said, "--confirm", phrase)).json()["state"] == "APPROVED"
    assert (await read(made, shown["approval_id"])).allowed


async def test_a_running_kernel_is_asked_with_the_callers_own_key_and_says_why_not(made: Made) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        served = ("--session", "s", "--json", "--server", door.address.url, *made.option)
        for key, code in ((made.tenant_key, 0), (made.admin_key, 1)):
            asked = await run("create", "files.read", "--args", '{"path": "public/a"}', *served, HELM_API_KEY=key)
            assert asked.code == code, asked.err
        refused = await run("create", "files.none", *served, HELM_API_KEY=made.tenant_key)
        assert (refused.code, refused.failure()["code"]) == (1, "NO_POLICY_DEFINED")
        door.close()
        await door.ended.wait()


async def test_a_refusal_in_the_data_directory_is_told_with_its_code(made: Made) -> None:
    refused = await run("create", "files.none", "--session", "s", "--json", *made.option)
    assert (refused.code, refused.failure()["code"]) == (1, "NO_POLICY_DEFINED")
    broken = await run("create", "files.read", "--args", "{", "--session", "s", "--json", *made.option)
    assert broken.code == 1 and "--args" in broken.failure()["message"]
