"""The control plane: who may read what, who may stop what, and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.connectors.port import ConnectorFailed, Dispatch, NotDispatched, Unreachable
from actors.doors.browsing import MAX_SCAN, Wanted, receipts_after, receipts_before
from actors.doors.tail import MAX_OF_TENANT, MAX_TAILS, Reader, Tails
from actors.library import Library
from helm import __version__
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, sign_command
from tests.actors.doors.street import SOON_S, Client, Street, open_street
from tests.actors.kit import House
from tests.actors.puppet import Puppet
from tests.actors.stores.simulated import SimulatedJournal

RECEIPTS = "/api/v1/receipts"
READ = {"tool": "read", "arguments": {"path": "a"}}


# -- anyone -----------------------------------------------------------------------------------------------------------


async def test_anyone_may_ask_whether_helm_lives_and_decides(street: Street) -> None:
    assert (await street.ask("GET", "/healthz", key="")).json() == {"status": "alive"}
    assert (await street.ask("GET", "/readyz", key="")).json() == {"status": "ready"}
    assert (await street.ask("GET", "/version", key="")).json() == {"name": "helm", "version": __version__}


async def test_a_kernel_that_can_write_no_more_is_alive_and_not_ready(house: House) -> None:
    async with open_street(house) as street:
        house.disk.low_space = True
        assert (await street.ask("GET", "/healthz", key="")).status == 200
        assert (await street.ask("GET", "/readyz", key="")).status == 503


ROUTES = [
    ("GET", RECEIPTS),
    ("GET", f"{RECEIPTS}/rcpt_0"),
    ("GET", f"{RECEIPTS}/tail"),
    ("GET", "/api/v1/boundary/records/rec_0"),
    ("GET", "/api/v1/approvals"),
    ("GET", "/api/v1/approvals/apr_0"),
    ("POST", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/s"),
    ("DELETE", "/api/v1/sessions/s"),
    ("POST", "/api/v1/freeze"),
    ("GET", "/api/v1/freeze"),
    ("GET", "/api/v1/audit"),
    ("GET", "/api/v1/trust/events"),
    ("POST", "/api/v1/trust/events"),
    ("GET", "/api/v1/trust/keys"),
    ("GET", "/api/v1/trust/snapshot"),
    ("GET", "/api/v1/connectors"),
    ("POST", "/api/v1/connectors/local/resume"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nobody_gets_past_any_other_route(street: Street, method: str, path: str) -> None:
    for key in ("", "helm_guess"):
        reply = await street.ask(method, path, key=key)
        assert (reply.status, reply.headers["content-type"]) == (401, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/v1/freeze"), ("GET", "/api/v1/connectors"), ("POST", "/api/v1/connectors/local/resume")],
)
async def test_a_tenant_is_no_operator(street: Street, method: str, path: str) -> None:
    assert (await street.ask(method, path)).status == 403


@pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/sessions"), ("DELETE", "/api/v1/sessions/s")])
async def test_an_operator_is_no_tenant(street: Street, method: str, path: str) -> None:
    assert (await street.ask(method, path, key=street.admin)).status == 403


@pytest.mark.parametrize("path", ["/", "/nope", "/api/v1/receipts/", "/api/v1/receipts/a/b", "/healthz/x"])
async def test_what_is_not_here_is_said_not_to_be(street: Street, path: str) -> None:
    reply = await street.ask("GET", path)
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    assert (reply.headers["cache-control"], len(reply.headers["x-request-id"])) == ("no-store", 16)


async def test_a_method_that_is_not_here_is_told_which_are(street: Street) -> None:
    for method in ("PUT", "OPTIONS", "TRACE"):
        reply = await street.ask(method, "/api/v1/sessions/s")
        assert (reply.status, reply.headers["content-type"]) == (405, "application/problem+json")
        assert set(reply.headers["allow"].split(", ")) == {"DELETE", "GET", "HEAD"}


async def test_a_body_larger_than_any_command_is_refused(street: Street) -> None:
    reply = await street.ask("POST", "/api/v1/sessions", b" " * 70_000)
    assert (reply.status, reply.headers["content-type"]) == (413, "application/problem+json")


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        (b"{", 400, "byte 1"),
        (b"[]", 400, "/"),
        (b'{"session_id":"s","session_id":"t"}', 400, "byte 18"),
        (b'{"session":"s"}', 400, "/session"),
        (b'{"session_id":"a b"}', 400, "/session_id"),
        (b'{"session_id":5}', 400, "/session_id"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_at_its_place(
    street: Street, body: bytes, status: int, place: str
) -> None:
    reply = await street.ask("POST", "/api/v1/sessions", body)
    assert (reply.status, reply.json()["place"]) == (status, place)


@pytest.mark.parametrize(
    "query", ["limit=0x1", "limit=201", "limit=-1", "after=a", "after=1&before=2", "sort=up", "limit=1&limit=2"]
)
async def test_a_question_that_is_wrong_is_refused(street: Street, query: str) -> None:
    reply = await street.ask("GET", f"{RECEIPTS}?{query}")
    assert (reply.status, reply.json()["place"][0]) == (400, "?")


async def test_what_breaks_in_here_is_not_told_outside(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    class BrokenLibrary(Library):
        async def story(self, receipt_id: str) -> dict[str, Any] | None:
            raise RuntimeError("the secret is 1234")

    street.kernel.library = BrokenLibrary(street.kernel.parts.journal, street.kernel.parts.index)
    reply = await street.ask("GET", f"{RECEIPTS}/rcpt_1")
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    assert b"secret" not in reply.body
    assert "the secret is 1234" in caplog.text


# -- receipts ---------------------------------------------------------------------------------------------------------


async def three_calls(street: Street) -> list[dict[str, Any]]:
    """Make calls of two tenants: allowed, denied, and another tenant's."""
    mine = await street.call({**READ, "session_id": "s"})
    denied = await street.call({"tool": "nobody", "arguments": {}, "session_id": "s"})
    theirs = await street.call({**READ, "session_id": "s"}, key=street.rival)
    return [mine.receipt, denied.receipt, theirs.receipt]


async def test_two_tenants_cannot_read_each_other(street: Street) -> None:
    mine, denied, theirs = await three_calls(street)
    listed = await street.ask("GET", RECEIPTS)
    assert listed.json()["receipts"] == [mine, denied]
    assert (await street.ask("GET", RECEIPTS, key=street.rival)).json()["receipts"] == [theirs]
    assert (await street.ask("GET", f"{RECEIPTS}?tenant=globex")).status == 403
    for receipt in (mine, denied):
        record_id = "rec_" + receipt["decision_id"].removeprefix("dec_")
        for path in (f"{RECEIPTS}/{receipt['receipt_id']}", f"/api/v1/boundary/records/{record_id}"):
            assert (await street.ask("GET", path)).status == 200
            hidden = await street.ask("GET", path, key=street.rival)
            unknown = await street.ask("GET", path[:-4] + "0000", key=street.rival)
            assert (hidden.status, hidden.body) == (404, unknown.body)


async def test_an_operator_reads_everyones(street: Street) -> None:
    mine, denied, theirs = await three_calls(street)
    everyones = await street.ask("GET", RECEIPTS, key=street.admin)
    one = await street.ask("GET", f"{RECEIPTS}?tenant=globex", key=street.admin)
    assert everyones.json()["receipts"] == [mine, denied, theirs]
    assert one.json()["receipts"] == [theirs]


async def test_a_receipt_comes_with_its_story(street: Street) -> None:
    mine, denied, _ = await three_calls(street)
    for receipt in (mine, denied):
        story = (await street.ask("GET", f"{RECEIPTS}/{receipt['receipt_id']}")).json()
        assert story["receipt"] == receipt
        assert story["decision"]["decision_id"] == receipt["decision_id"]
        assert story["record"]["record_hash"] == receipt["record_hash"]
        assert (story["reason"] == "") == (receipt["verdict"] == "ALLOW")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("verdict=DENY", 1),
        ("verdict=ALLOW", 1),
        ("tool=nobody", 1),
        ("reason_code=NO_POLICY_DEFINED", 1),
        ("session_id=s", 2),
        ("session_id=t", 0),
        ("session_id=s&verdict=DENY&tool=read", 0),
    ],
)
async def test_receipts_are_found_by_what_they_say(street: Street, query: str, count: int) -> None:
    await three_calls(street)
    assert len((await street.ask("GET", f"{RECEIPTS}?{query}")).json()["receipts"]) == count


async def test_pages_hold_every_receipt_once_from_either_end(street: Street) -> None:
    made = [(await street.call(READ)).receipt for _ in range(7)]
    forward, after = [], 0
    while page := (await street.ask("GET", f"{RECEIPTS}?limit=3&after={after}")).json()["receipts"]:
        forward += page
        after = (await street.ask("GET", f"{RECEIPTS}?limit=3&after={after}")).json()["after"]
    backward: list[Any] = []
    before: int | None = street.kernel.parts.journal.head + 1
    while before is not None:
        answer = (await street.ask("GET", f"{RECEIPTS}?limit=3&before={before}")).json()
        backward, before = answer["receipts"] + backward, answer["before"]
    assert forward == backward == made


async def test_a_filter_that_admits_nothing_does_not_read_a_year() -> None:
    row = record_bytes({"beside": {"receipt": {"tenant": "other", "session_id": "s"}}, "node": {}})
    journal = SimulatedJournal(rows=[row] * (2 * MAX_SCAN))
    nobody = Wanted(tenant="nobody")
    forward = await receipts_after(journal, nobody, 0, 10)
    backward = await receipts_before(journal, nobody, journal.head + 1, 10)
    assert (forward.receipts, forward.last) == ([], MAX_SCAN)
    assert (backward.receipts, backward.first) == ([], journal.head + 1 - MAX_SCAN)


# -- the tail ---------------------------------------------------------------------------------------------------------


async def follow(client: Client, key: str, query: str = "", extra: str = "") -> None:
    """Ask for the tail on a connection, and take its heading."""
    asked = f"GET {RECEIPTS}/tail{query} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {key}\r\n{extra}\r\n"
    await client.stream.send_all(asked.encode())


async def until(client: Client, what: str) -> bytes:
    """Return what is said until `what` was."""
    said = b""
    with trio.fail_after(SOON_S):
        while what.encode() not in said:
            piece = await client.stream.receive_some()
            assert piece, said
            said += piece
    return said


async def test_the_tail_tells_of_receipts_as_they_become_durable_and_only_of_ones_own(street: Street) -> None:
    async with street.connected() as client:
        await follow(client, street.agent)
        head = await until(client, ": receipts")
        assert b"content-type: text/event-stream" in head
        theirs = (await street.call(READ, key=street.rival)).receipt
        mine = (await street.call(READ)).receipt
        said = await until(client, mine["receipt_id"])
        assert theirs["receipt_id"].encode() not in said


async def test_the_tail_goes_on_where_its_reader_was(street: Street) -> None:
    first, second = [(await street.call(READ)).receipt for _ in range(2)]
    async with street.connected() as client:
        await follow(client, street.agent, "?after=0")
        said = await until(client, second["receipt_id"])
        assert first["receipt_id"].encode() in said
        seen = said.split(b"\nid: ")[1].split(b"\n")[0].decode()
    async with street.connected() as client:
        await follow(client, street.agent, extra=f"last-event-id: {seen}\r\n")
        said = await until(client, second["receipt_id"])
        assert first["receipt_id"].encode() not in said


async def test_more_tails_than_may_be_open_are_refused_and_closed_ones_make_room(street: Street) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(MAX_OF_TENANT):
            await nursery.start(one_tail, street, street.agent)
        assert (await street.ask("GET", f"{RECEIPTS}/tail")).status == 503
        for _ in range(MAX_TAILS - MAX_OF_TENANT):  # what one tenant takes is taken from no other
            await nursery.start(one_tail, street, street.rival)
        assert (await street.ask("GET", f"{RECEIPTS}/tail", key=street.admin)).status == 503
        nursery.cancel_scope.cancel()
    with trio.fail_after(SOON_S):
        while street.door.clients:  # noqa: ASYNC110 - rings no bell
            await trio.sleep(0.01)
    async with street.connected() as client:
        await follow(client, street.agent)
        assert b"HTTP/1.1 200" in await until(client, ": receipts")


async def test_many_who_ask_for_a_tail_in_the_same_breath_get_no_more_than_there_are(street: Street) -> None:
    tails = Tails(street.kernel)
    asked = [tails.watch(Wanted(tenant="acme"), 0, Reader("acme", lambda: True)) for _ in range(5 * MAX_TAILS)]
    begun = [await anext(tail, None) for tail in asked]
    assert sum(seen is not None for seen in begun) == tails.open.total() == MAX_OF_TENANT
    for tail in asked:
        await tail.aclose()
    assert not tails.open


async def one_tail(street: Street, key: str, *, task_status: trio.TaskStatus[None]) -> None:
    async with street.connected() as client:
        await follow(client, key)
        await until(client, ": receipts")
        task_status.started()
        await trio.sleep_forever()


# -- sessions ---------------------------------------------------------------------------------------------------------


async def test_a_session_is_opened_looked_at_used_and_closed_for_ever(street: Street) -> None:
    opened = await street.ask("POST", "/api/v1/sessions", {"session_id": "mine"})
    assert (opened.status, opened.headers["location"]) == (201, "/api/v1/sessions/mine")
    assert (await street.call({**READ, "session_id": "mine"})).status == 200
    shown = (await street.ask("GET", "/api/v1/sessions/mine")).json()
    assert (shown["principal"], shown["tenant"], shown["closed"], shown["lamport_clock"]) == ("agent", "acme", False, 1)
    closed = await street.ask("DELETE", "/api/v1/sessions/mine")
    assert (closed.status, closed.json()["closed"]) == (200, True)
    assert (await street.call({**READ, "session_id": "mine"})).json()["reason_code"] == "IDENTITY_ISOLATION_VIOLATION"
    assert (await street.ask("POST", "/api/v1/sessions", {"session_id": "mine"})).status == 409


async def test_a_session_without_a_name_gets_one_that_nobody_guesses(street: Street) -> None:
    names = {(await street.ask("POST", "/api/v1/sessions")).json()["session_id"] for _ in range(3)}
    assert len(names) == 3 and all(len(name) > 30 for name in names)


async def test_a_session_of_another_tenant_does_not_exist(street: Street) -> None:
    await street.ask("POST", "/api/v1/sessions", {"session_id": "mine"})
    assert (await street.ask("GET", "/api/v1/sessions/mine", key=street.rival)).status == 404
    assert (await street.ask("DELETE", "/api/v1/sessions/mine", key=street.rival)).status == 404
    assert (await street.ask("GET", "/api/v1/sessions/mine?tenant=acme", key=street.admin)).status == 200
    assert (await street.ask("GET", "/api/v1/sessions/mine?tenant=acme", key=street.rival)).status == 403


# -- freezes ----------------------------------------------------------------------------------------------------------


def freeze(house: House, **changes: Any) -> dict[str, Any]:
    """Return a signed stop of everything, with changes made before it was signed."""
    signer = house.place.emergency_key()
    members: dict[str, Any] = {
        "action": "freeze",
        "issued_at_ms": 1,
        "key_id": signer.key_id,
        "log_id": house.place.log_id,
        "reason": "drill",
        "scope": "global",
        "sequence": 1,
        "target": "",
    }
    command = FreezeCommand(**(members | changes))
    return {"command": FREEZE_COMMAND.body(command), "signature": sign_command(command, signer)}


async def test_a_signed_stop_stops_everything_until_a_signed_word(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        stopped = await street.ask("POST", "/api/v1/freeze", freeze(house), key=street.admin)
        assert (stopped.status, stopped.json()["in_force"]) == (200, [{"scope": "global", "target": ""}])
        assert (await street.call(READ)).json()["reason_code"] == "SYSTEM_FROZEN"
        shown = await street.ask("GET", "/api/v1/freeze")
        assert (shown.json()["sequence"], len(shown.json()["in_force"])) == (1, 1)
        lifted = freeze(house, action="unfreeze", sequence=2)
        assert (await street.ask("POST", "/api/v1/freeze", lifted, key=street.admin)).json()["in_force"] == []
        assert (await street.call(READ)).status == 200
    assert len(puppet.orders) == 1


async def test_a_stop_is_obeyed_once_and_in_sequence(house: House) -> None:
    async with open_street(house) as street:
        assert (await street.ask("POST", "/api/v1/freeze", freeze(house), key=street.admin)).status == 200
        for sequence in (1, 3):
            again = await street.ask("POST", "/api/v1/freeze", freeze(house, sequence=sequence), key=street.admin)
            assert (again.status, again.json()["place"]) == (409, "/command/sequence")


async def test_a_stop_that_the_emergency_key_did_not_sign_is_not_obeyed(house: House) -> None:
    policy_key = house.place.policy_key().key_id
    forged = {
        "another reason": freeze(house) | {"command": freeze(house, reason="other")["command"]},
        "another log": freeze(house, log_id="sha256:" + "0" * 64),
        "no signature": freeze(house) | {"signature": "0" * 128},
        "a key of another purpose": freeze(house, key_id=policy_key),
        "a key nobody knows": freeze(house, key_id="key_0"),
    }
    async with open_street(house) as street:
        for body in forged.values():
            assert (await street.ask("POST", "/api/v1/freeze", body, key=street.admin)).status == 403
        assert (await street.call(READ)).status == 200


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"action": "melt"}, "/command/action"),
        ({"sequence": "1"}, "/command/sequence"),
        ({"extra": 1}, "/command/extra"),
    ],
)
async def test_a_stop_that_is_none_is_refused(house: House, change: dict[str, Any], place: str) -> None:
    body = freeze(house)
    body["command"] = body["command"] | change
    async with open_street(house) as street:
        reply = await street.ask("POST", "/api/v1/freeze", body, key=street.admin)
    assert (reply.status, reply.json()["place"]) == (400, place)


async def test_a_tenant_sees_the_stops_that_concern_it(house: House) -> None:
    async with open_street(house) as street:
        for sequence, (scope, target) in enumerate([("tenant", "globex"), ("agent", "acme/agent")], start=1):
            body = freeze(house, scope=scope, target=target, sequence=sequence)
            assert (await street.ask("POST", "/api/v1/freeze", body, key=street.admin)).status == 200
        mine = (await street.ask("GET", "/api/v1/freeze")).json()["in_force"]
        theirs = (await street.ask("GET", "/api/v1/freeze", key=street.rival)).json()["in_force"]
        assert (await street.call(READ)).json()["reason_code"] == "AGENT_KILLED"
        assert (await street.call(READ, key=street.rival)).json()["reason_code"] == "EMERGENCY_STOP_FENCED"
    assert mine == [{"scope": "agent", "target": "acme/agent"}]
    assert theirs == [{"scope": "tenant", "target": "globex"}]


# -- approvals and connectors -----------------------------------------------------------------------------------------


async def test_two_tenants_cannot_see_what_the_other_waits_for(street: Street) -> None:
    mine = (await street.call({"tool": "asking", "arguments": {}})).json()["approval_id"]
    path = f"/api/v1/approvals/{mine}"
    assert (await street.ask("GET", path)).json()["approval_id"] == mine
    assert (await street.ask("GET", path, key=street.rival)).status == 404
    assert (await street.ask("GET", "/api/v1/approvals", key=street.rival)).json() == {"approvals": []}
    for key in (street.agent, street.admin):
        listed = (await street.ask("GET", "/api/v1/approvals?state=PENDING", key=key)).json()["approvals"]
        assert [parked["approval_id"] for parked in listed] == [mine]
    assert (await street.ask("GET", "/api/v1/approvals?state=EXPIRED")).json() == {"approvals": []}


async def test_a_connector_that_cannot_be_reached_says_why_and_since_when_until_it_serves(house: House) -> None:
    deeds = iter(
        [
            Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "host:1: ConnectError \x1b[2J"),
            Unreachable(ReasonCode.ERR_CONNECTOR_TIMEOUT, "host:1: ConnectTimeout"),
            NotDispatched(ReasonCode.SCHEMA_VIOLATION, "no fault of the connector's"),
            ConnectorFailed("the service's own words"),
        ]
    )

    def fail(_: Dispatch) -> JSONValue:
        house.clock.advance(60)
        raise next(deeds)

    async with open_street(house, Puppet(fail)) as street:
        told = []
        for _ in range(4):
            before_ms = house.clock.now_ms()
            await street.call({"tool": "read", "arguments": {}})
            shown = (await street.ask("GET", "/api/v1/connectors", key=street.admin)).json()["connectors"]
            told.append((before_ms, next(row for row in shown if row["name"] == "local")))
        theirs = await street.ask("GET", "/api/v1/connectors")
    rows = [row for _, row in told]
    says = ["host:1: ConnectError ?[2J", "host:1: ConnectTimeout", "host:1: ConnectTimeout", ""]
    assert [row["failure"] for row in rows] == says
    assert told[0][0] + 60_000 <= rows[0]["failing_since_ms"] <= told[1][0]
    assert [row["failing_since_ms"] for row in rows] == [rows[0]["failing_since_ms"]] * 3 + [None]
    assert theirs.status == 403


async def test_a_connector_that_drifted_is_halted_until_an_operator_looks_at_it(house: House) -> None:
    answers = iter([{"n": "drift"}, {"n": 2}])
    async with open_street(house, Puppet(lambda _: next(answers))) as street:
        strict = {"tool": "strict", "arguments": {"n": 1}}
        resume = "/api/v1/connectors/local/resume"
        drifted = await street.call(strict)
        halted = await street.call(strict)
        shown = (await street.ask("GET", "/api/v1/connectors", key=street.admin)).json()["connectors"]
        assert [row["name"] for row in shown if row["halted"]] == ["local"]
        assert (await street.ask("POST", resume, {}, key=street.admin)).status == 400
        assert (await street.ask("POST", resume, {"reason": ""}, key=street.admin)).status == 400
        assert (await street.ask("POST", resume, {"reason": "looked"}, key=street.admin)).status == 200
        assert (await street.ask("POST", resume, {"reason": "looked"}, key=street.admin)).status == 409
        nowhere = "/api/v1/connectors/nowhere/resume"
        assert (await street.ask("POST", nowhere, {"reason": "looked"}, key=street.admin)).status == 404
        again = await street.call(strict)
    codes = [reply.json()["reason_code"] for reply in (drifted, halted, again)]
    assert codes == ["ERR_CONNECTOR_CONTRACT_DRIFT", "ERR_CONNECTOR_CONTRACT_DRIFT", ""]
