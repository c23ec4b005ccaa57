"""What a request to call a tool is answered with: every status, and what stands behind it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio

from actors.doors.calls import EVALUATE, EXECUTE
from actors.kernel import Limits
from actors.keys.bearer import KeyClass
from helm.crypto.canonical import canonical, reread
from helm.evidence.signed import check_signed
from helm.evidence.unseal import unseal_receipt
from tests.actors.doors.street import Street, open_street, raw_request
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet, raising

READ = {"tool": "read", "arguments": {"path": "a"}}


async def test_an_allowed_call_is_answered_with_its_output_and_its_signed_receipt(street: Street) -> None:
    reply = await street.call(READ, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01", x_request_id="mine")
    body = reply.json()
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert (body["verdict"], body["status"], body["outcome"]) == ("ALLOW", "SUCCESS", "SUCCESS")
    assert (body["output"], body["reason_code"], body["replayed"]) == ({"n": 1}, "", False)
    sealed = unseal_receipt(body["receipt"], "answer")
    assert (sealed.content.tenant, sealed.content.principal, sealed.content.door) == ("acme", "agent", "http")
    check_signed(sealed, street.kernel.parts.state.registry, street.kernel.appender.graph.lamport, "answer")
    assert reply.headers["x-helm-receipt-id"] == sealed.receipt_id
    assert reply.headers["x-helm-decision-id"] == body["decision_id"] == sealed.content.decision_id
    assert (reply.headers["x-helm-verdict"], reply.headers["x-helm-lamport-clock"]) == ("ALLOW", "1")
    assert reply.headers["x-helm-output-hash"] == sealed.content.output_hash
    assert (reply.headers["x-request-id"], reply.headers["traceparent"][:5]) == ("mine", "00-aa")
    assert (reply.headers["x-content-type-options"], reply.headers["cache-control"]) == ("nosniff", "no-store")


async def test_the_receipt_in_the_answer_is_the_one_in_the_journal_byte_for_byte(street: Street) -> None:
    reply = await street.call(READ)
    rows = await street.kernel.parts.journal.read(1, 100)
    kept = [reread(row)["beside"].get("receipt") for _, row in rows]
    assert canonical(reply.receipt) in [canonical(receipt) for receipt in kept if receipt]
    assert canonical(reply.receipt) in reply.body


async def test_a_denial_is_problem_json_with_record_and_receipt(street: Street) -> None:
    reply = await street.call({"tool": "nobody.declared.it", "arguments": {}})
    body = reply.json()
    assert (reply.status, reply.headers["content-type"]) == (403, "application/problem+json")
    assert (body["status"], body["title"], body["type"]) == (403, "Forbidden", "urn:helm:reason:NO_POLICY_DEFINED")
    assert (body["verdict"], body["outcome"], body["reason_code"]) == ("DENY", "DENIED", "NO_POLICY_DEFINED")
    assert body["receipt_id"] == body["receipt"]["receipt_id"] == reply.headers["x-helm-receipt-id"]
    assert reply.headers["x-helm-reason-code"] == "NO_POLICY_DEFINED"
    assert body["record_id"].startswith("rec_")


async def test_an_escalation_says_where_it_waits(street: Street) -> None:
    reply = await street.call({"tool": "asking", "arguments": {}})
    body = reply.json()
    assert (reply.status, body["status"], body["reason_code"]) == (202, "ESCALATED", "APPROVAL_REQUIRED")
    assert reply.headers["location"] == f"/api/v1/approvals/{body['approval_id']}"
    waiting = await street.ask("GET", reply.headers["location"])
    assert (waiting.status, waiting.json()["state"], waiting.json()["tool"]) == (200, "PENDING", "asking")


async def test_a_failed_effect_is_a_bad_gateway_with_a_receipt(house: House) -> None:
    async with open_street(house, Puppet(raising(ValueError("the tool fell over")))) as street:
        reply = await street.call(READ)
        assert (reply.status, reply.json()["outcome"], reply.json()["verdict"]) == (502, "FAILED", "ALLOW")
        assert reply.receipt["status"] == "FAILED"


async def test_an_effect_that_outlasts_its_time_is_a_gateway_timeout(house: House) -> None:
    async with open_street(house, Puppet(Hold())) as street:
        reply = await street.call(READ)
        assert (reply.status, reply.json()["outcome"]) == (504, "INDETERMINATE")


async def test_a_throttled_call_says_when_to_come_back(street: Street) -> None:
    replies = [await street.call({"tool": "slowly", "arguments": {}}) for _ in range(5)]
    late = replies[-1]
    assert (late.status, late.json()["reason_code"]) == (429, "TEMPORAL_THROTTLE")
    assert 30 <= int(late.headers["retry-after"]) <= 60  # when all but two of them are a minute old


async def test_an_evaluation_says_the_verdict_and_dispatches_nothing(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        allowed = await street.evaluate(READ)
        denied = await street.evaluate({"tool": "nobody.declared.it", "arguments": {}})
    assert (allowed.status, allowed.json()["verdict"]) == (200, "ALLOW")
    assert (denied.status, denied.json()["verdict"]) == (200, "DENY")
    assert denied.headers["x-helm-reason-code"] == "NO_POLICY_DEFINED"
    assert puppet.orders == []


async def test_arguments_may_come_as_a_json_text(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        whole = await street.call(READ)
        as_text = await street.call({"tool": "read", "arguments": '{ "path" : "a" }'})
    assert whole.receipt["args_hash"] == as_text.receipt["args_hash"]
    assert [order.arguments for order in puppet.orders] == [b'{"path":"a"}'] * 2


# -- who is calling ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [EXECUTE, EVALUATE])
async def test_nobody_is_told_that_a_key_is_needed(street: Street, path: str) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.ask("POST", path, READ, key="")
    assert (reply.status, reply.headers["content-type"]) == (401, "application/problem+json")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert street.kernel.parts.journal.head == before


@pytest.mark.parametrize("said", ["Bearer nobody", "Basic YTpi", "Bearer", "bearer \u00e9", "x" * 9000])
async def test_a_key_that_was_never_issued_opens_nothing(street: Street, said: str) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.ask("POST", EXECUTE, READ, key="", authorization=said)
    assert reply.status == 401
    assert street.kernel.parts.journal.head == before


async def test_an_admin_key_makes_no_calls(street: Street) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.call(READ, key=street.admin)
    assert (reply.status, street.kernel.parts.journal.head) == (403, before)
    assert "tenant" in reply.json()["detail"]


async def test_two_authorization_headers_are_nobodys(street: Street) -> None:
    extra = f"authorization: Bearer {street.rival}\r\nconnection: close\r\n".encode()
    said = await street.shout(raw(street.agent, READ, extra))
    assert said.startswith(b"HTTP/1.1 400") and b"authorization" in said


async def test_a_body_that_claims_to_be_another_principal_is_denied(street: Street) -> None:
    reply = await street.call({**READ, "principal": "boss"})
    assert (reply.status, reply.json()["reason_code"]) == (403, "IDENTITY_ISOLATION_VIOLATION")
    assert reply.receipt["principal"] == "agent"
    assert (await street.call({**READ, "principal": "agent"})).status == 200


async def test_a_session_of_another_principal_is_closed_to_you_and_one_of_another_tenant_does_not_exist(
    street: Street,
) -> None:
    mine = await street.call({**READ, "session_id": "shared"})
    theirs = await street.call({**READ, "session_id": "shared"}, key=street.rival)
    assert (mine.status, theirs.status) == (200, 200)
    assert (mine.receipt["tenant"], theirs.receipt["tenant"]) == ("acme", "globex")
    assert [reply.receipt["lamport_clock"] for reply in (mine, theirs)] == [1, 1]


async def test_callers_who_name_no_session_never_share_one(street: Street) -> None:
    sessions = {(await street.call(READ, key=key)).receipt["session_id"] for key in (street.agent, street.rival)}
    again = (await street.call(READ)).receipt
    assert len(sessions) == 2
    assert (again["session_id"] in sessions, again["lamport_clock"]) == (True, 2)


# -- what is said twice, or not at all --------------------------------------------------------------------------------


async def test_an_idempotency_key_answers_twice_and_dispatches_once(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        first = await street.call({**READ, "idempotency_key": "k1"})
        second = await street.call(READ, idempotency_key="k1")
        both = await street.call({**READ, "idempotency_key": "k1"}, idempotency_key="k1")
    assert [reply.status for reply in (first, second, both)] == [200, 200, 200]
    assert first.receipt == second.receipt == both.receipt
    assert [reply.json()["replayed"] for reply in (first, second, both)] == [False, True, True]
    assert second.json()["output"] == {"n": 1}
    assert len(puppet.orders) == 1


async def test_the_same_key_with_other_bytes_is_a_conflict(street: Street) -> None:
    await street.call({**READ, "idempotency_key": "k1"})
    reply = await street.call({"tool": "read", "arguments": {"path": "b"}, "idempotency_key": "k1"})
    assert (reply.status, reply.json()["reason_code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert reply.json()["receipt_id"]


DISAGREEMENTS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "idempotency key": ({**READ, "idempotency_key": "k1"}, {"idempotency_key": "k2"}),
    "tool": (READ, {"x_helm_tool": "write"}),
}


@pytest.mark.parametrize(("body", "headers"), DISAGREEMENTS.values(), ids=DISAGREEMENTS)
async def test_a_header_that_disagrees_with_the_body_is_refused(
    street: Street, body: dict[str, Any], headers: dict[str, str]
) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.call(body, **headers)
    assert (reply.status, street.kernel.parts.journal.head) == (400, before)
    assert "disagree" in reply.json()["detail"]


UNFRAMED: dict[str, tuple[Any, str]] = {
    "an unknown member": ({**READ, "sudo": True}, "/sudo"),
    "an unknown member to be escaped": ({**READ, "a/b~c": True}, "/a~1b~0c"),
    "no tool": ({"arguments": {}}, "/tool"),
    "an empty tool": ({"tool": "", "arguments": {}}, "/tool"),
    "a tool that is a number": ({"tool": 5, "arguments": {}}, "/tool"),
    "a tool nobody can read": ({"tool": "re\u0430d", "arguments": {}}, "tool"),
    "a tool with a space": ({"tool": "re ad", "arguments": {}}, "tool"),
    "a session nobody can read": ({**READ, "session_id": "a\nb"}, "session_id"),
    "a session that is no string": ({**READ, "session_id": ["s"]}, "/session_id"),
    "a key that is too long": ({**READ, "idempotency_key": "k" * 257}, "idempotency_key"),
    "a principal without end": ({**READ, "principal": "p" * 257}, "/principal"),
    "a principal that is no name": ({**READ, "principal": {"id": "boss"}}, "/principal"),
    "taint that is no array": ({**READ, "taint": "web"}, "/taint"),
    "taint that is no name": ({**READ, "taint": ["web", 5]}, "/taint/1"),
    "taint without end": ({**READ, "taint": [f"t{n}" for n in range(33)]}, "/taint"),
    "a delegation with too little": ({**READ, "delegation": {"id": "d"}}, "/delegation"),
    "a delegation with too much": (
        {**READ, "delegation": {"id": "d", "verifier": "v", "sequence": 1, "x": 1}},
        "/delegation",
    ),
    "a sequence that is a truth": (
        {**READ, "delegation": {"id": "d", "verifier": "v", "sequence": True}},
        "/delegation/sequence",
    ),
    "a verifier without end": (
        {**READ, "delegation": {"id": "d", "verifier": "v" * 129, "sequence": 1}},
        "/delegation/verifier",
    ),
}


@pytest.mark.parametrize(("body", "place"), UNFRAMED.values(), ids=UNFRAMED)
async def test_what_cannot_be_framed_is_refused_at_its_place(street: Street, body: Any, place: str) -> None:
    before = street.kernel.parts.journal.head
    reply = await street.call(body)
    assert (reply.status, reply.headers["content-type"]) == (400, "application/problem+json")
    assert reply.json()["place"] == place
    assert street.kernel.parts.journal.head == before


async def test_a_caller_may_add_taint_which_its_session_keeps(street: Street) -> None:
    body = {"tool": "send", "arguments": {"to": "https://api.example.com"}, "session_id": "s"}
    assert (await street.call(body)).status == 200
    tainted = await street.call({**body, "taint": ["web"]})
    later = await street.call(body)
    assert [reply.json()["reason_code"] for reply in (tainted, later)] == ["TAINTED_DATA_EGRESS_DENY"] * 2


async def test_a_delegation_nobody_made_is_denied_with_a_receipt(street: Street) -> None:
    reply = await street.call({**READ, "delegation": {"id": "dlg_1", "verifier": "v" * 43, "sequence": 0}})
    assert (reply.status, reply.json()["reason_code"]) == (403, "DELEGATION_INVALID")
    assert b"v" * 43 not in b"".join(row for _, row in await street.kernel.parts.journal.read(1, 100))


# -- framing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_a_tool_is_called_with_post(street: Street, method: str) -> None:
    reply = await street.ask(method, EXECUTE, READ)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("kind", ["text/plain", "application/json; charset=latin-1", "multipart/form-data", ""])
async def test_a_body_of_another_type_is_not_read(street: Street, kind: str) -> None:
    reply = await street.call(READ, content_type=kind)
    assert (reply.status, reply.json()["place"]) == (415, "content-type")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_a_body_of_the_right_type_is_read_however_that_is_written(street: Street, kind: str) -> None:
    assert (await street.call(READ, content_type=kind)).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_a_compressed_body_is_not_opened(street: Street, coding: str) -> None:
    reply = await street.call(b"\x1f\x8b", content_encoding=coding)
    assert (reply.status, reply.json()["place"]) == (415, "content-encoding")


async def test_a_request_id_that_is_no_id_is_replaced(street: Street) -> None:
    reply = await street.call(READ, x_request_id="i" * 129, traceparent="00-" + "0" * 32 + "-" + "b" * 16 + "-01")
    assert len(reply.headers["x-request-id"]) == 16
    assert "traceparent" not in reply.headers


# -- overload ---------------------------------------------------------------------------------------------------------


async def test_a_call_without_a_place_is_told_to_come_back(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    one = Limits(places=1, places_per_principal=1)
    async with open_street(house, puppet, limits=one) as street, trio.open_nursery() as nursery:
        nursery.start_soon(street.call, READ)
        await puppet.began.wait()
        reply = await street.call(READ, key=street.rival)
        hold.let_go()
    assert (reply.status, reply.json()["reason_code"], reply.headers["retry-after"]) == (503, "OVERLOADED", "1")
    assert "receipt" not in reply.json()


async def test_a_caller_that_leaves_still_leaves_a_receipt(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street:
        async with street.connected() as client:
            fields = {"host": "h", "authorization": f"Bearer {street.agent}", "content-type": "application/json"}
            body = json.dumps({**READ, "session_id": "left"}).encode()
            await client.send("POST", EXECUTE, body, {**fields, "content-length": str(len(body))})
            await puppet.began.wait()
        hold.let_go()
        while not street.kernel.parts.state.chains.latest(("acme", "left")).lamport_clock or street.kernel.cases:
            await trio.lowlevel.checkpoint()
        found = await street.ask("GET", "/api/v1/receipts?session_id=left")
    assert [receipt["status"] for receipt in found.json()["receipts"]] == ["SUCCESS"]


def raw(key: str, body: Any, extra: bytes) -> bytes:
    return raw_request(key, json.dumps(body).encode(), extra=extra)


async def test_nobody_opens_the_session_that_a_neighbour_will_be_given(house: House) -> None:
    """Names of these sessions stand in receipts and can be counted on: whoever opens the next one owns it for ever."""
    async with open_street(house) as street:
        front: Any = street.door.service.app
        calls = front.paths[EXECUTE]
        mallory = calls.who.keys.issue(KeyClass.TENANT, "acme", "mallory", at_ms=0)
        given = (await street.call(READ)).receipt["session_id"]
        before, _, span = given.rpartition("-")
        nexts = f"{before}-{int(span) + 1}"
        torn = b'{"tool":"read","session_id":"%b","arguments":' % nexts.encode()
        for body in ({**READ, "session_id": nexts}, torn):
            refused = await street.call(body, key=mallory)
            assert (refused.status, refused.json()["place"]) == (403, "/session_id")
        refused = await street.ask("POST", "/api/v1/sessions", {"session_id": nexts}, key=mallory)
        assert refused.status == 403
        house.clock.advance((int(span) + 1) * calls.config.session_max_age_s - house.clock.now_ms() / 1000 + 1)
        reply = await street.call(READ)
        assert (reply.status, reply.receipt["session_id"]) == (200, nexts)
        assert (await street.call({**READ, "session_id": nexts})).status == 200
        assert (await street.call({**READ, "session_id": nexts}, key=mallory)).status == 403
