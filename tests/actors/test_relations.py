"""Relationships on a running kernel, over HTTP, and from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.commands.delegation import BindDelegation
from actors.commands.relations import ChangeRelations
from actors.kernel import Kernel
from actors.mailbox import Answer
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical, parse
from helm.evidence.snapshot import snapshot_of
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.intake import PLAIN, Terms
from helm.guardian.relations import RELATIONS_COMMAND, RelationsCommand, sign_relations
from tests.actors.cli.shell import Ended, helm
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import build, gateway

pytestmark = pytest.mark.every_store

OPEN_DOCUMENT = """
[authz]
model_id = "docs/1"
max_age_s = 600

[authz.relations.document]
viewer = ["owner"]
owner = []

[authz.relations.group]
member = []

[tools.open]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
authz = { object_type = "document", object_argument = "id", relation = "viewer" }
input = '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}'
output = '{}'
"""
TEXT = POLICY + OPEN_DOCUMENT


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


def change(house: Any, *add: str, sequence: int = 1, **changes: Any) -> ChangeRelations:
    key = house.place.policy_key()
    fields: dict[str, Any] = {
        "add": add,
        "issued_at_ms": house.clock.now_ms(),
        "key_id": key.key_id,
        "log_id": house.place.log_id,
        "model_id": "docs/1",
        "remove": (),
        "sequence": sequence,
    }
    one = RelationsCommand(**fields | changes)
    return ChangeRelations(one, sign_relations(one, key), house.place.registry())


async def opened(kernel: Kernel, principal: str, name: Any = "7", terms: Terms = PLAIN) -> Answer:
    return await kernel.call(
        "open", {"id": name}, tenant="default", principal=principal, session=principal, terms=terms
    )


async def test_whoever_is_related_may_and_nobody_else(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        nobody = await opened(kernel, "ann")
        await kernel.command(change(house, "document:7#owner@user:ann", "document:7#viewer@group:g#member"))
        ann, bob = await opened(kernel, "ann"), await opened(kernel, "bob")
        await kernel.command(change(house, "group:g#member@user:bob", sequence=2))
        member, elsewhere = await opened(kernel, "bob"), await opened(kernel, "bob", "8")
        found = await kernel.library.story(member.receipt.receipt_id)
        lived = kernel.memory.relations
    assert nobody.reason_code == ReasonCode.PDP_ERROR  # no tuples of this model yet
    assert [one.allowed for one in (ann, bob, member, elsewhere)] == [True, False, True, False]
    assert bob.reason_code == elsewhere.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
    assert found is not None
    assert found["record"]["authz_snapshot_hash"].startswith("sha256:")
    async with house.kernel(policy=TEXT) as kernel:
        assert kernel.memory.relations == lived
        assert (await opened(kernel, "bob")).allowed


async def test_what_was_taken_back_is_refused_at_once(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
        assert (await opened(kernel, "ann")).allowed
        await kernel.command(change(house, remove=("document:7#owner@user:ann",), sequence=2))
        assert (await opened(kernel, "ann")).reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE


async def test_stale_relationships_are_no_relationships_until_somebody_says_that_they_hold(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
        house.clock.advance(601)
        stale = await opened(kernel, "ann")
        await kernel.command(change(house, sequence=2))
        again = await opened(kernel, "ann")
    assert stale.reason_code == ReasonCode.PDP_ERROR
    assert "stale" in stale.reason
    assert again.allowed


async def test_tuples_of_another_model_decide_nothing(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann", model_id="docs/2"))
        answer = await opened(kernel, "ann")
    assert answer.reason_code == ReasonCode.PDP_ERROR


@pytest.mark.parametrize("name", ["", "7#owner@user:eve", "7@x", "7\u0430", "x" * 201], ids=ascii)
async def test_a_name_that_is_no_object_leads_nowhere(house: House, name: str) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
        answer = await opened(kernel, "ann", name)
    assert answer.reason_code == ReasonCode.PDP_ERROR


async def test_a_delegate_is_asked_for_as_its_delegator(house: House) -> None:
    one = grant(house.place, house.clock.now_ms(), {"open": ""})
    async with house.kernel(policy=policy_of(house.place, TEXT)) as kernel:
        await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        await kernel.command(change(house, "document:7#owner@user:boss", "document:8#owner@user:delegate"))
        own = await opened(kernel, "delegate", "8", under(one, 1))
        of_boss = await opened(kernel, "delegate", "7", under(one, 2))
    assert own.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
    assert of_boss.allowed


@pytest.mark.parametrize(
    "changes", [{"log_id": "sha256:another"}, {"sequence": 2}, {"key_id": "key_" + "0" * 32}], ids=str
)
async def test_a_change_that_nobody_entitled_signed_changes_nothing(house: House, changes: dict[str, Any]) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        with pytest.raises(Invalid):
            await kernel.command(change(house, "document:7#owner@user:ann", **changes))
        good = change(house, "document:7#owner@user:ann")
        with pytest.raises(Invalid):
            await kernel.command(ChangeRelations(good.command, "00" * 64, good.registry))
        assert kernel.memory.relations.count == 0


async def test_a_tuple_that_was_edited_in_the_journal_starts_no_kernel(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
    house.disk = attrs.evolve(house.disk, rows=[row.replace(b"user:ann", b"user:eve") for row in house.disk.rows])
    with pytest.raises(Invalid):
        await house.read_simulated()


async def test_a_decision_can_be_made_again_from_what_was_read(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
        for who in ("ann", "bob"):
            await opened(kernel, who)
    policy, judged = house.sign(TEXT).policy, 0
    for row in house.disk.rows:
        entry = parse(row)
        if "facts" in entry["beside"]:
            again = CHAIN.evaluate(*read_facts(canonical(entry["beside"]["facts"]), policy, "test")).decision
            judged += entry["node"]["payload"]["decision"]["decision_id"] == again.id
    assert judged == 2


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))


async def test_relationships_are_written_and_asked_for_over_http_and_from_the_command_line(tmp_path: Path) -> None:
    house = build(tmp_path / "data", "ann")
    house.clock.ahead_ms = SystemClock().now_ms() - house.clock.now_ms()
    house.place.policy_path.write_text(TEXT)
    tuples = tmp_path / "tuples"
    tuples.write_text("# who owns what\n\n+ document:7#owner@user:ann\n- document:8#owner@user:ann\n")
    async with gateway(house, house.sign(TEXT), {"local": Puppet(), "other": Puppet()}) as at:
        ask = partial(run, HELM_API_KEY=house.keys["operator"])
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        mismatched = await ask("authz", "health", *option)
        written = await ask("authz", "write", "--file", str(tuples), "--add", "document:9#owner@user:bob", *option)
        yes = await ask("authz", "check", "document:7#viewer@user:ann", "--json", *option)
        no = await ask("authz", "check", "document:7#viewer@user:bob", *option)
        odd = await ask("authz", "check", "document", *option)
        allowed = await at.call("open", {"id": "7"}, key="ann")
        one = change(house, sequence=1)
        body = json.dumps({"command": RELATIONS_COMMAND.body(one.command), "signature": one.signature}).encode()
        late = await at.send("/api/v1/authz/tuples", body, key="operator")
        tenant = await at.send("/api/v1/authz/tuples", body, key="ann")
    assert (mismatched.code, written.code, yes.code, no.code, odd.code) == (1, 0, 0, 1, 1), written.err
    assert yes.json()["decision"] == "related"
    assert (allowed.status, late.status, tenant.status) == (200, 409, 403)


async def test_without_a_gateway_the_data_directory_itself_is_asked(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    house.place.policy_path.write_text(TEXT)
    option = ("--data-dir", str(house.place.path))
    written = await run("authz", "write", "--add", "document:7#owner@user:ann", "--json", *option)
    checked = await run("authz", "check", "document:7#viewer@user:ann", *option)
    removed = await run("authz", "write", "--remove", "document:7#owner@user:ann", *option)
    again = await run("authz", "check", "document:7#viewer@user:ann", *option)
    bad = await run("authz", "write", "--add", "document", *option)
    assert (written.code, checked.code, removed.code, again.code, bad.code) == (0, 0, 0, 1, 1), written.err
    assert written.json()["tuples"] == 1


async def test_what_was_decided_with_can_be_listed_and_read_by_id_and_hash(tmp_path: Path) -> None:
    house = build(tmp_path / "data", "ann", "bob")
    house.clock.ahead_ms = SystemClock().now_ms() - house.clock.now_ms()
    house.place.policy_path.write_text(TEXT)
    here = ("--data-dir", str(house.place.path), "--json")
    async with gateway(house, house.sign(TEXT), {"local": Puppet(), "other": Puppet()}) as at:
        ask = partial(run, HELM_API_KEY=house.keys["operator"])
        there = (*here, "--server", at.url)
        written = await ask("authz", "write", "--add", "document:7#owner@user:ann", *there)
        assert written.code == 0, written.err
        answers = [await at.call("open", {"id": "7"}, key=who) for who in ("ann", "bob")]
        assert [answer.status for answer in answers] == [200, 403]
        told = (await ask("authz", "snapshots", *there)).json()
        anns = (await ask("authz", "snapshots", "--subject", "user:ann", "--limit", "1", *there)).json()
        shown = [(await ask("authz", "get", told[0][name], *there)).json() for name in ("snapshot_id", "snapshot_hash")]
        missing = await ask("authz", "get", "snap_" + "0" * 32, *there)
        odd = await ask("authz", "get", "../../etc", *there)
        tenant = await run("authz", "snapshots", *there, HELM_API_KEY=house.keys["ann"])
    assert [(one["subject"], one["decision"]) for one in told] == [("user:bob", "unrelated"), ("user:ann", "related")]
    assert [one["subject"] for one in anns] == ["user:ann"]
    assert shown == [told[0]] * 2
    assert (missing.code, missing.failure()["code"], odd.code, tenant.code) == (1, "NOT_FOUND", 1, 1)
    local = [(await run("authz", "get", told[1][name], *here)).json() for name in ("snapshot_id", "snapshot_hash")]
    assert local == [told[1]] * 2
    assert (await run("authz", "snapshots", *here)).json() == told
    assert (await run("authz", "get", "sha256:" + "0" * 64, *here)).code == 1


async def test_the_index_finds_a_snapshot_again_after_a_restart_and_an_edited_one_is_refused(house: House) -> None:
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(change(house, "document:7#owner@user:ann"))
        for who in ("ann", "bob"):
            await opened(kernel, who)
    snapshots = [told for row in house.disk.rows if (told := snapshot_of(parse(row))) is not None]
    async with house.kernel(policy=TEXT) as kernel:
        places = [await kernel.library.find(told["snapshot_id"]) for told in snapshots]
        entries = [await kernel.library.entry(seq) for seq in places if seq is not None]
    assert [snapshot_of(entry) for entry in entries] == snapshots
    entries[0]["beside"]["facts"]["world"]["authz"]["subject"] = "user:eve"
    with pytest.raises(Invalid, match="not the one that was decided with"):
        snapshot_of(entries[0])


async def test_a_principal_that_is_called_like_a_set_is_no_member_of_it(house: House) -> None:
    mail = "oidc:corp:alice@corp.example"
    async with house.kernel(policy=TEXT) as kernel:
        await kernel.command(
            change(
                house,
                "document:7#owner@user:eng#member",
                "document:8#owner@user:oidc:corp:alice%40corp.example",
                "document:8#owner@user:eng%23member",
            )
        )
        as_set = await opened(kernel, "eng#member")
        known = [(await opened(kernel, name, "8")).verdict for name in (mail, "eng#member")]
        written_out = await opened(kernel, "oidc:corp:alice%40corp.example", "8")
    assert as_set.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
    assert known == ["ALLOW", "ALLOW"]
    assert written_out.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
