"""Approvals over HTTP: whoever may read may post, and nothing but an approver's signature is obeyed (T7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from helm.contracts.approval import ASSERTION
from tests.actors.approvers import Approver, Panel
from tests.actors.doors.street import Reply, Street, open_street
from tests.actors.kit import House

PATH = "/api/v1/approvals"
ASKING = {"tool": "asking", "arguments": {"n": 1}}


@pytest.fixture
def panel(house: House) -> Panel:
    return Panel.seat(house)


@pytest.fixture
async def street(panel: Panel) -> AsyncIterator[Street]:
    async with open_street(panel.house, policy=panel.policy()) as street:
        yield street


async def ask(street: Street) -> str:
    """Make the call, and return where its approval is."""
    reply = await street.call(ASKING)
    assert reply.status == 202
    location = reply.headers["location"]
    assert location == f"{PATH}/{reply.json()['approval_id']}"
    return location


async def signed(street: Street, location: str, approver: Approver, action: str = "approve") -> dict[str, Any]:
    """Fetch what is to be signed, sign it, and return what is to be posted."""
    if action in ("deny", "revoke"):
        offer = {"approval": (await street.ask("GET", location)).json()}
    else:
        asked = {"action": action, "key_id": approver.key.key_id}
        reply = await street.ask("POST", f"{location}/challenge", asked)
        assert reply.status == 200, reply.body
        offer = reply.json()
    assertion, signature = approver.sign(offer, action)
    seen = offer["approval"]["ceremony_hash"]
    return {"assertion": ASSERTION.body(assertion), "ceremony_hash": seen, "signature": signature}


async def say(street: Street, location: str, approver: Approver, action: str = "approve") -> Reply:
    body = await signed(street, location, approver, action)
    return await street.ask("POST", f"{location}/{action}", body)


async def test_a_call_is_approved_by_two_and_made_again(street: Street, panel: Panel) -> None:
    location = await ask(street)
    shown = (await street.ask("GET", location)).json()
    assert (shown["arguments"], shown["quorum"], shown["state"]) == ({"n": 1}, 2, "PENDING")
    assert (await say(street, location, panel.alice)).json()["state"] == "PENDING"
    assert (await say(street, location, panel.bob)).json()["state"] == "APPROVED"
    named = ASKING | {"approval_id": shown["approval_id"]}
    assert (await street.call(named)).status == 200
    assert (await street.call(named)).status == 403
    assert [one["state"] for one in (await street.ask("GET", PATH)).json()["approvals"]] == ["CONSUMED"]


async def test_a_bearer_key_alone_approves_nothing(street: Street, panel: Panel) -> None:
    location = await ask(street)
    body = await signed(street, location, panel.alice)
    for forged in (body | {"signature": "00" * 64}, body | {"signature": body["signature"][::-1]}):
        assert (await street.ask("POST", f"{location}/approve", forged, key=street.admin)).status == 403
    assert (await street.ask("POST", f"{location}/approve", body, key="")).status == 401
    assert (await street.ask("POST", f"{location}/approve", body, key=street.rival)).status == 404
    assert (await street.ask("GET", location)).json()["grants"] == []


async def test_a_post_that_has_not_seen_the_latest_state_is_a_conflict(street: Street, panel: Panel) -> None:
    location = await ask(street)
    late = await signed(street, location, panel.bob)
    assert (await say(street, location, panel.alice)).status == 200
    blind = {name: late[name] for name in ("assertion", "signature")}
    assert (await street.ask("POST", f"{location}/approve", blind)).status == 428
    assert (await street.ask("POST", f"{location}/approve", late)).status == 409
    seen = (await street.ask("GET", location)).json()["ceremony_hash"]
    assert (await street.ask("POST", f"{location}/approve", late | {"ceremony_hash": seen})).status == 200


async def test_an_assertion_is_taken_only_where_it_belongs(street: Street, panel: Panel) -> None:
    location = await ask(street)
    body = await signed(street, location, panel.alice)
    assert (await street.ask("POST", f"{location}/deny", body)).status == 400
    assert (await street.ask("POST", f"{PATH}/apr_0/approve", body)).status == 404
    odd: list[dict[str, Any]] = [
        body | {"signature": 1},
        body | {"assertion": 1},
        body | {"assertion": body["assertion"] | {"more": 1}},
        body | {"assertion": body["assertion"] | {"action": "wish"}},
        body | {"assertion": body["assertion"] | {"reason": ""}},
        body | {"more": 1},
        {},
    ]
    for wrong in odd:
        assert (await street.ask("POST", f"{location}/approve", wrong)).status == 400
    assert (await street.ask("POST", f"{location}/challenge", {"key_id": 1})).status == 400
    assert (await street.ask("POST", f"{location}/challenge", {"action": "deny", "key_id": "key_0"})).status == 403
    assert (await street.ask("POST", f"{location}/challenge", {"key_id": "key_0"})).status == 403


async def test_every_other_action_is_told_what_became_of_it(street: Street, panel: Panel) -> None:
    location = await ask(street)
    for approver in (panel.alice, panel.bob):
        await say(street, location, approver)
    assert (await say(street, location, panel.carol, "dispute")).json()["state"] == "DISPUTED"
    for approver in (panel.alice, panel.bob):
        await say(street, location, approver)
    assert (await say(street, location, panel.carol, "revoke")).json()["state"] == "REVOKED"
    refused = await street.call(ASKING)
    assert (refused.status, refused.json()["reason_code"]) == (403, "PDP_DENY")
    other = (await street.call({"tool": "asking", "arguments": {"n": 2}})).headers["location"]
    assert (await say(street, other, panel.carol, "deny")).json()["state"] == "DENIED"


async def test_a_timelock_is_told_by_its_code(panel: Panel) -> None:
    async with open_street(panel.house, policy=panel.policy("quorum = 1, timelock_s = 60")) as street:
        location = await ask(street)
        reply = await street.ask("POST", f"{location}/challenge", {"key_id": panel.alice.key.key_id})
        assert (reply.status, reply.json()["reason_code"]) == (403, "ERR_APPROVAL_TIMELOCK_ACTIVE")


# --- Asked for in advance


async def test_a_call_is_approved_before_it_is_made_and_made_once(street: Street, panel: Panel) -> None:
    asked = await street.ask("POST", PATH, ASKING)
    assert asked.status == 201, asked.body
    location = asked.headers["location"]
    shown = asked.json()
    assert (shown["state"], shown["tool"], shown["arguments"]) == ("PENDING", "asking", {"n": 1})
    assert (asked.headers["x-helm-verdict"], asked.headers["x-helm-reason-code"]) == ("ESCALATE", "APPROVAL_REQUIRED")
    assert (await street.call(ASKING)).json()["approval_id"] == shown["approval_id"]  # the call waits for the same one
    for approver in (panel.alice, panel.bob):
        await say(street, location, approver)
    named = ASKING | {"approval_id": shown["approval_id"]}
    assert [(await street.call(named)).status for _ in range(2)] == [200, 403]


async def test_what_is_allowed_without_a_human_waits_for_one_where_its_caller_asks(street: Street) -> None:
    asked = await street.ask("POST", PATH, {"tool": "read", "arguments": {"n": 1}})
    assert (asked.status, asked.json()["quorum"]) == (201, 1)
    receipt = (await street.ask("GET", f"/api/v1/receipts/{asked.headers['x-helm-receipt-id']}")).json()
    assert (receipt["receipt"]["status"], receipt["receipt"]["door"]) == ("ESCALATED", "approvals")
    assert receipt["decision"]["reason"] == "its caller asks for an approval in advance"


async def test_nobody_is_asked_for_what_the_policy_refuses(street: Street) -> None:
    for body, code in (
        ({"tool": "nothing", "arguments": {}}, "NO_POLICY_DEFINED"),
        ({"tool": "limited", "arguments": {"n": "x"}, "principal": "other"}, "IDENTITY_ISOLATION_VIOLATION"),
        ({"tool": "medical", "arguments": {}}, "COMPLIANCE_VIOLATION"),
    ):
        refused = await street.ask("POST", PATH, body)
        assert (refused.status, refused.json()["reason_code"]) == (403, code)
        assert refused.json()["receipt_id"]
    assert (await street.ask("GET", PATH)).json()["approvals"] == []


async def test_an_approval_is_asked_for_by_its_own_caller_and_names_no_other(street: Street) -> None:
    assert (await street.ask("POST", PATH, ASKING, key=street.admin)).status == 403
    assert (await street.ask("POST", PATH, ASKING, key="")).status == 401
    named = await street.ask("POST", PATH, ASKING | {"approval_id": "apr_" + "0" * 32})
    assert (named.status, named.json()["place"]) == (400, "/approval_id")
    assert (await street.ask("POST", PATH, {"arguments": {}})).status == 400


async def test_approvers_are_not_worn_out_by_requests_in_advance(street: Street) -> None:
    asked = [await street.ask("POST", PATH, {"tool": "read", "arguments": {"n": number}}) for number in range(21)]
    assert [reply.status for reply in asked] == [201] * 20 + [403]
    assert asked[-1].json()["reason_code"] == "ERR_APPROVAL_RATE_LIMIT_EXCEEDED"
