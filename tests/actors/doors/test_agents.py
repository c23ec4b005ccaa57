"""Who is known here: a tenant sees its own, an operator everyone, and nobody a secret."""

from __future__ import annotations

from typing import Any

from actors.doors.identity import AGENTS
from helm.crypto.domains import KeyPurpose
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, sign_command
from tests.actors.doors.issuing import ISSUER, NOON, PARTNER, WORKLOAD, key, policy, public, svid, token
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import NOON_MS, House

READ = {"tool": "read", "arguments": {"path": "a"}}


async def known(street: Street, key: str, query: str = "") -> Any:
    told = await street.ask("GET", AGENTS + query, key=key)
    assert told.status == 200, told.body
    return told.json()


async def test_whoever_has_called_is_known_by_the_name_it_came_with(house: House) -> None:
    async with open_street(house, policy=policy()) as street:
        for credential in (street.agent, token(), svid(), street.rival):
            assert (await street.call(READ, key=credential)).status == 200
        told = await known(street, street.admin)
        rows = {(one["tenant"], one["principal"]): one for one in told["agents"]}
        one = await street.ask("GET", f"{AGENTS}/{rows['acme', WORKLOAD]['agent_id']}", key=street.admin)
    assert [rows[name]["source"] for name in sorted(rows)] == [
        "key",  # the operator, who stands in no tenant
        "key",
        "oidc:corp",
        "spiffe://prod.example",
        "key",
    ]
    assert all(row["last_seen_ms"] >= NOON_MS for (tenant, _), row in rows.items() if tenant)
    assert rows["acme", "oidc:corp:alice"]["sessions"] == {"closed": 0, "open": 1}
    assert [issuer["issuer"] for issuer in told["issuers"]] == [ISSUER, PARTNER]
    assert one.json()["latest_sessions"][0]["closed"] is False


async def test_a_tenant_knows_nobody_of_another(house: House) -> None:
    async with open_street(house, policy=policy()) as street:
        for credential in (street.agent, token(), street.rival):
            await street.call(READ, key=credential)
        own = await known(street, street.rival)
        everyone = await known(street, street.admin)
        acmes = next(one["agent_id"] for one in everyone["agents"] if one["tenant"] == "acme")
        foreign = await street.ask("GET", f"{AGENTS}/{acmes}", key=street.rival)
        asked = await street.ask("GET", f"{AGENTS}?tenant=acme", key=street.rival)
        nobody = await street.ask("GET", AGENTS, key="")
    assert {one["tenant"] for one in own["agents"]} == {"globex"}
    assert [one["issuer"] for one in own["issuers"]] == [PARTNER]
    assert own["trust_domains"] == []
    assert (foreign.status, asked.status, nobody.status) == (404, 403, 401)


async def test_the_list_says_who_is_stopped_and_whose_issuer_counts_no_more(house: House) -> None:
    text = policy()
    gone = text[: text.index("[identity.oidc.corp]")].replace("epoch = 7", "epoch = 8")
    async with open_street(house, policy=text) as street:
        await street.call(READ, key=token())
        await freeze(street, house, "acme/oidc:corp:alice")
        (before,) = (await known(street, street.admin, "?source=oidc:corp"))["agents"]
        await street.kernel.activate(house.sign(gone), street.kernel.executor.connectors)
        (after,) = (await known(street, street.admin, "?principal=oidc:corp:alice"))["agents"]
    assert (before["frozen"], before["trusted"]) == ("AGENT_KILLED", True)
    assert (after["frozen"], after["trusted"]) == ("AGENT_KILLED", False)


async def freeze(street: Street, house: House, agent: str) -> None:
    signer = house.place.key(KeyPurpose.EMERGENCY)
    command = FreezeCommand(
        action="freeze",
        issued_at_ms=NOON_MS,
        key_id=signer.key_id,
        log_id=house.place.log_id,
        reason="test",
        scope="agent",
        sequence=1,
        target=agent,
    )
    body = {"command": FREEZE_COMMAND.body(command), "signature": sign_command(command, signer)}
    assert (await street.ask("POST", "/api/v1/freeze", body, key=street.admin)).status == 200
    stopped = await street.call(READ, key=token({"exp": NOON + 500}))
    assert stopped.json()["reason_code"] == "AGENT_KILLED"


async def test_no_secret_and_no_hash_of_one_is_told(house: House) -> None:
    async with open_street(house, policy=policy()) as street:
        await street.call(READ, key=token())
        told = (await street.ask("GET", AGENTS, key=street.admin)).body.decode()
        hashes = [one.credential_hash for one in street.door.service.streams.who.keys.everyone]
    assert all(secret not in told for secret in (street.agent, street.admin, *hashes, *token().split(".")))
    assert public(key())[0]["x"] not in told
