"""A boss delegates, a delegate acts, and what was given is taken back: over HTTP and from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.server import Reply
from actors.process.clock import SystemClock
from helm.guardian.delegation import (
    GRANT,
    REVOCATION,
    DelegationGrant,
    DelegationRevocation,
    delegation_id,
    sign_revocation,
)
from tests.actors.cli.shell import Ended, helm
from tests.actors.delegating import VERIFIER, grant, policy_of, signature
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, House, build, gateway

DELEGATIONS = "/api/v1/delegations"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path / "data", "delegate")


def both() -> dict[str, Any]:
    puppet = Puppet()
    return {"local": puppet, "other": puppet}


async def post(at: Gateway, path: str, body: Any, key: str = "agent") -> Reply:
    return await at.send(path, json.dumps(body).encode(), key=key)


def body_of(house: House, one: DelegationGrant) -> dict[str, Any]:
    return {"grant": GRANT.body(one), "signature": signature(one, house.place)}


async def test_over_http_a_session_is_bound_used_and_taken_back(house: House) -> None:
    one = grant(house.place, house.clock.now_ms())
    name = delegation_id(one)
    path, delegation = f"{DELEGATIONS}/{name}", {"id": name, "verifier": VERIFIER}
    key = house.place.delegation_key()
    end = DelegationRevocation(
        delegation_id=name, issued_at_ms=1, key_id=key.key_id, log_id=house.place.log_id, reason="over"
    )
    command = {"command": REVOCATION.body(end), "signature": sign_revocation(end, key)}
    async with gateway(house, house.sign(policy_of(house.place)), both()) as at:
        bound = await post(at, DELEGATIONS, body_of(house, one))
        again = await post(at, DELEGATIONS, body_of(house, one))
        forged = await post(at, DELEGATIONS, body_of(house, one) | {"signature": "00" * 64})
        foreign = await post(at, DELEGATIONS, body_of(house, one.but(tenant="other")))
        bare = await post(at, DELEGATIONS, {"grant": {**GRANT.body(one), "more": 1}, "signature": ""})
        anonymous = await post(at, DELEGATIONS, body_of(house, one), key="")
        used = await at.call("read", key="delegate", delegation={**delegation, "sequence": 1})
        unforged = await post(at, f"{path}/revoke", command | {"signature": "00" * 64})
        revoked = await post(at, f"{path}/revoke", command)
        twice = await post(at, f"{path}/revoke", command)
        nowhere = await post(at, f"{DELEGATIONS}/dlg_none/revoke", command)
        refused = await at.call("read", key="delegate", delegation={**delegation, "sequence": 2})
    assert (bound.status, bound.json()["delegation_id"], bound.headers["location"]) == (201, name, path)
    assert [one.status for one in (again, forged, foreign, bare, anonymous)] == [403, 403, 403, 400, 401]
    assert [one.status for one in (used, unforged, revoked, twice, nowhere, refused)] == [200, 403, 200, 409, 404, 403]
    assert revoked.json()["ended"] == "over"
    assert refused.headers["x-helm-reason-code"] == "DELEGATION_INVALID"


async def test_from_the_command_line_too(house: House) -> None:
    signed = house.sign(policy_of(house.place))
    async with gateway(house, signed, both()) as at:
        ask = partial(run, HELM_API_KEY=house.keys["agent"])
        # The gateway of a journey has a clock of its own, which a command line has not.
        house.clock.ahead_ms = SystemClock().now_ms() - house.clock.now_ms()
        option = ("--data-dir", str(house.place.path), "--server", at.url)
        create = ("delegation", "create", "--delegator", "boss", "--delegate", "delegate")
        made = await ask(*create, "--tool", "read", "--tool", "pay=args.n < 5", "--json", *option)
        assert made.code == 0, made.err
        one = made.json()
        delegation = {"id": one["delegation_id"], "sequence": 1, "verifier": one["verifier"]}
        paid = await at.call("pay", {"n": 4}, key="delegate", delegation=delegation)
        listed = await ask("delegation", "list", *option)
        ended = await ask("delegation", "revoke", one["delegation_id"], "--reason", "over", *option)
        refused = await at.call("read", key="delegate", delegation={**delegation, "sequence": 2})
        wide = await ask(*create, "--tool", "private", *option)
    assert (paid.status, refused.status) == (200, 403)
    assert one["delegation_id"] in listed.out
    assert "ended: over" in ended.out
    assert wide.code == 1
    assert "may not use private itself" in wide.err


async def test_without_a_gateway_the_data_directory_itself_is_asked(house: House) -> None:
    key_id = house.place.delegation_key().key_id
    policy = house.place.policy_path
    policy.write_text(
        f'{policy.read_text()}\n[principals.boss]\ndelegation_keys = ["{key_id}"]\n'.replace("epoch = 1", "epoch = 2")
    )
    option = ("--data-dir", str(house.place.path))
    assert (await run("policy", "sign", str(policy), *option)).code == 0
    made = await run(
        "delegation", "create", "--delegator", "boss", "--delegate", "agent", "--tool", "files.read", "--json", *option
    )
    assert made.code == 0, made.err
    name = made.json()["delegation_id"]
    ended = await run("delegation", "revoke", name, "--reason", "over", "--emergency", *option)
    listed = await run("delegation", "list", "--json", *option)
    assert ended.code == 0
    assert [(one["delegation_id"], one["ended"]) for one in listed.json()] == [(name, "over")]


@pytest.mark.parametrize(
    "words",
    [
        ("--delegator", "boss", "--delegate", "boss", "--tool", "read"),
        ("--delegator", "boss", "--delegate", "bot", "--tool", "read", "--tool", "read=true"),
        ("--delegator", "boss", "--delegate", "bot", "--tool", "read", "--challenge", "short"),
    ],
    ids=["to itself", "a tool twice", "no challenge"],
)
async def test_what_cannot_be_a_delegation_is_said_before_anything_is_signed(
    house: House, words: tuple[str, ...]
) -> None:
    ended = await run("delegation", "create", *words, "--data-dir", str(house.place.path))
    assert ended.code != 0
    assert ended.err


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))
