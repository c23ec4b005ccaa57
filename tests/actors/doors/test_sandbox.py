"""The sandbox's routes: an operator sees what guests are granted; nobody is granted anything over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helm.crypto.hashing import sha256
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House, all_of
from tests.actors.modules import guests_of, keep, with_guest
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.helm.runtime import guests

SANDBOX = "/api/v1/sandbox"
GRANTS = f"{SANDBOX}/grants"
ASKED = {"module_hash": sha256(guests.ECHO)}


@pytest.fixture
async def with_guests(house: House) -> AsyncIterator[Street]:
    """An open door before a kernel whose policy has a guest."""
    policy = with_guest(POLICY, guests.ECHO)
    keep(house.path, guests.ECHO)
    connectors = all_of(Puppet()) | guests_of(house.sign(policy).policy, house.path)
    async with open_street(house, connectors, policy=policy) as street:
        yield street


async def told(street: Street, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    reply = await street.ask(method, path, body, key=street.admin)
    assert reply.status == status, reply.body
    return reply.json()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{SANDBOX}/profiles"),
        ("GET", GRANTS),
        ("POST", GRANTS),
        ("GET", f"{GRANTS}/grant_0"),
        ("POST", f"{GRANTS}/grant_0/verify"),
        ("POST", f"{GRANTS}/inspect"),
        ("POST", f"{SANDBOX}/preflight"),
    ],
)
async def test_only_an_operator_looks(street: Street, method: str, path: str) -> None:
    assert (await street.ask(method, path, key="")).status == 401
    assert (await street.ask(method, path)).status == 403


async def test_what_the_policy_grants_is_shown_verified_and_ready(with_guests: Street) -> None:
    [grant] = (await told(with_guests, "GET", GRANTS))["grants"]
    assert (grant["source"], grant["connector"], grant["policy_epoch"]) == ("policy", "guests", 7)
    one = f"{GRANTS}/{grant['grant_id']}"
    assert await told(with_guests, "GET", one) == grant
    assert (await told(with_guests, "POST", f"{one}/verify"))["in_policy"] is True
    ready = await told(with_guests, "POST", f"{SANDBOX}/preflight", {"grant_id": grant["grant_id"]})
    assert (ready["verdict"], ready["reason_code"], ready["findings"]) == ("ALLOW", "", [])
    inspected = await told(with_guests, "POST", f"{GRANTS}/inspect", {"grant": grant})
    assert inspected["dispatch_ready"] is True
    called = await with_guests.call({"tool": "guest", "arguments": {"a": 1}})
    story = await with_guests.ask("GET", f"/api/v1/receipts/{called.headers['x-helm-receipt-id']}")
    assert story.json()["receipt"]["sandbox_grant_hash"] == grant["grant_hash"]


async def test_a_draft_is_kept_and_grants_nothing(with_guests: Street) -> None:
    asked = {**ASKED, "fuel": 10**12, "profile": "gvisor-native"}
    draft = await told(with_guests, "POST", GRANTS, {"grant": asked}, status=201)
    assert await told(with_guests, "POST", GRANTS, {"grant": asked}, status=201) == draft
    assert len((await told(with_guests, "GET", GRANTS))["grants"]) == 2
    found = await told(with_guests, "POST", f"{SANDBOX}/preflight", {"grant_id": draft["grant_id"]})
    assert (found["verdict"], found["reason_code"], found["dispatch_ready"]) == ("DENY", "SANDBOX_VIOLATION", False)
    assert {one["code"] for one in found["findings"]} >= {"PROFILE_UNAVAILABLE", "NOT_IN_POLICY"}
    assert (await told(with_guests, "POST", f"{GRANTS}/{draft['grant_id']}/verify"))["in_policy"] is False


async def test_an_edited_grant_is_told_from_the_one_that_it_is_named(with_guests: Street) -> None:
    [grant] = (await told(with_guests, "GET", GRANTS))["grants"]
    grant["limits"]["fuel"] += 1
    refused = await told(with_guests, "POST", f"{GRANTS}/inspect", {"grant": grant}, status=400)
    assert "its hash is" in refused["detail"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (GRANTS, {"grant": 7}, 400),
        (GRANTS, {"grant": {}}, 400),
        (GRANTS, {"grant": {**ASKED, "root": True}}, 400),
        (GRANTS, {"grant": {**ASKED, "preopens": [{"path": "/a/../b", "guest_path": "/b"}]}}, 400),
        (f"{GRANTS}/inspect", {"grant": ASKED}, 400),
        (f"{GRANTS}/inspect", {"grant": None}, 400),
        (f"{SANDBOX}/preflight", {"grant_id": 7}, 400),
        (f"{SANDBOX}/preflight", {"grant_id": "../../key"}, 404),
        (f"{GRANTS}/grant_{'0' * 32}/verify", {}, 404),
    ],
)
async def test_what_is_no_grant_is_refused(with_guests: Street, path: str, body: Any, status: int) -> None:
    await told(with_guests, "POST", path, body, status=status)


async def test_the_profiles_say_what_stands_behind_them(with_guests: Street) -> None:
    profiles = (await told(with_guests, "GET", f"{SANDBOX}/profiles"))["profiles"]
    assert {one["name"] for one in profiles if one["dispatchable"]} == {
        "wasmtime-deny-default",
        "wasmtime-readonly",
        "wasmtime-writable",
    }
