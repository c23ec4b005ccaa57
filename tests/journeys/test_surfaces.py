"""Every row of the surface is walked, happy and refused: a row of the code that nobody walks fails here.

The walk is one story against one running gateway. What the gateway answered is read off the gateway itself, row by row;
what walks elsewhere is named with its file, and the file must say the words.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import attrs
import httpx2
import pytest
from quart import Response, request
from quart.signals import request_finished

from actors.process.clock import SystemClock
from actors.signed_policy import SignedPolicy
from helm.contracts.schema import Schema
from helm.crypto.canonical import reread
from helm.surfaces.objects import OBJECTS
from helm.surfaces.route import JSON, PROBLEM, VARIABLE, Access, Answer, Door
from helm.surfaces.table import TABLE
from tests.actors.cli.shell import Ended, helm
from tests.actors.delegating import policy_of
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.actors.test_relations import OPEN_DOCUMENT
from tests.gates.test_walked import COMMANDS, WALKED
from tests.journeys.gateway import House
from tests.journeys.running import Running, running
from tests.journeys.test_mcp_registry import SERVER

ROWS_ELSEWHERE: Final = {name for name, by in WALKED["rows"].items() if by != "walk"}
COMMANDS_ELSEWHERE: Final = {name for name, by in WALKED["commands"].items() if by != "walk"}


@attrs.define
class Seen:
    """What a gateway answered, by row: statuses, and each body that was outside its schema."""

    statuses: dict[str, set[int]] = attrs.field(factory=lambda: defaultdict(set))
    strange: list[str] = attrs.field(factory=list)

    async def note(self, _: Any, response: Response) -> None:
        """Hear what the control plane answers to a request."""
        name = request.endpoint
        if name is None or name not in TABLE:
            return
        self.statuses[name].add(response.status_code)
        kind = response.mimetype
        if kind in (JSON, PROBLEM):
            self.check(name, response.status_code, await response.get_data(as_text=False))

    def check(self, name: str, status: int, body: bytes) -> None:
        """Hold an answer against its row."""
        row = TABLE[name]
        answer = row.answers.get(status)
        if answer is None and status in row.problems:
            answer = Answer(about="", schema=OBJECTS["Problem"])
        if answer is None or answer.schema is None:
            self.strange.append(f"{name} {status}: not in the table")
        elif not fits(dict(answer.schema), body):
            self.strange.append(f"{name} {status}: {body[:300]!r}")


def fits(schema: dict[str, Any], body: bytes) -> bool:
    """Tell whether a body keeps a schema of the document."""
    document = json.loads(json.dumps({**schema, "$defs": dict(OBJECTS)}).replace("#/components/schemas/", "#/$defs/"))
    try:
        Schema.compile(document, "answer").check(reread(body))
    except Exception:
        return False
    return True


@attrs.frozen(kw_only=True)
class Walk:
    """The gateway of the walk, and those who walk."""

    there: Running
    seen: Seen
    path: Path
    typed: dict[str, set[int]] = attrs.field(factory=lambda: defaultdict(set))

    @property
    def here(self) -> tuple[str, str]:
        return ("--data-dir", str(self.there.gateway.house.place.path))

    def say(self, *words: str, key: str = "operator", code: int = 0) -> Ended:
        """Type a command about the running gateway, first with a key that counts for nothing."""
        name = command_named(words)
        known = {one for parameter in COMMANDS[name].params for one in parameter.opts}
        option = ["--server", self.there.url, *(self.here if "--data-dir" in known else ())]
        option += ["--json"] if "--json" in known else []
        refused = helm(*words, *option, HELM_API_KEY="helm_nobody")
        assert (refused.code, "bearer key" in refused.err) == (1, True), (words, refused)
        ended = helm(*words, *option, HELM_API_KEY=self.there.key(key))
        assert ended.code == code, (words, ended)
        self.typed[name] |= {refused.code, 0 if code == 0 else 3}
        return ended

    def told(self, *words: str, key: str = "operator", code: int = 0) -> Any:
        return self.say(*words, key=key, code=code).json()

    def ask(
        self,
        which: str,
        body: Any = None,
        *,
        key: str = "operator",
        query: str = "",
        status: int = 200,
        **names: str,
    ) -> Any:
        """Ask one row, which must answer with this status."""
        row, name = TABLE[which], which
        path = VARIABLE.sub(lambda found: names[found[1]], row.path)
        with httpx2.Client(base_url=self.there.url) as client:
            headers = {"authorization": f"Bearer {self.there.key(key)}"} if key else {}
            response = client.request(row.method, path + query, json=body, headers=headers)
        if row.door is not Door.CONTROL:
            self.seen.statuses[name].add(response.status_code)
            self.seen.check(name, response.status_code, response.content)
        assert response.status_code == status, (name, response.text)
        return response.json() if response.headers["content-type"].startswith(JSON) else response.text


def command_named(words: tuple[str, ...]) -> str:
    """Return the command that is typed."""
    return next(name for n in range(len(words), 0, -1) if (name := " ".join(words[:n])) in COMMANDS)


def policy(house: House) -> SignedPolicy:
    """Return a policy with all that the walk needs, and write it down beside the house."""
    house.clock.ahead_ms = SystemClock().now_ms() - house.clock.now_ms()
    text = policy_of(house.place, POLICY + OPEN_DOCUMENT) + SERVER
    house.place.policy_path.write_text(text)
    return house.sign(text)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    path, puppet, seen = tmp_path_factory.mktemp("walk"), Puppet(), Seen()
    connectors = {"local": puppet, "other": puppet, "small": puppet}
    with running(path / "house", policy, connectors, "boss", "delegate") as there:
        request_finished.connect(seen.note, weak=False)
        try:
            yield Walk(there=there, seen=seen, path=path)
        finally:
            request_finished.disconnect(seen.note)


def the_boundary_says_how_it_stands_and_what_it_decided(walk: Walk) -> None:
    read = walk.ask("execute_tool", {"tool": "read", "arguments": {}, "session_id": "walked"}, key="agent")
    walk.told("checkpoint", "now")
    status = walk.told("boundary", "status")
    assert (status["status"], status["receipt_store"], status["pdp"]) == ("ready", "segments", "ready")
    listed = walk.told("boundary", "capabilities")["capabilities"]
    assert len(listed) == 6
    cases = walk.ask("list_negative_vectors", key="")
    assert walk.ask("list_vectors", key="", query="?level=L1")["vectors_hash"] == cases["vectors_hash"]
    [record] = walk.told("boundary", "records", "--tool-name", "read")["records"]
    assert record["record_id"] == read["record_id"]
    assert walk.told("boundary", "get", record["record_id"]) == record
    verified = walk.told("boundary", "verify", record["record_id"])
    assert [check["ok"] for check in verified["checks"]] == [True] * 5
    sealed = read["receipt"]["receipt_id"]
    by_receipt = walk.ask("list_records", query=f"?receipt_id={sealed}", key="agent")
    assert by_receipt["records"] == [record]
    # What the directory says of itself is what its kernel says.
    alone = helm("boundary", "verify", record["record_id"], *walk.here, "--json").json()
    assert {name: alone[name] for name in ("record_id", "receipt_id", "verified", "checkpoint_hash")} == {
        name: verified[name] for name in ("record_id", "receipt_id", "verified", "checkpoint_hash")
    }
    assert (alone["offline"], verified["offline"]) == (True, False)
    assert helm("boundary", "records", *walk.here, "--json").json()["records"] == [record]
    assert helm("boundary", "get", record["record_id"], *walk.here, "--json").json() == record
    rest = helm("boundary", "status", *walk.here, "--json").json()
    assert (rest["status"], rest["last_checkpoint_hash"]) == ("at-rest", status["last_checkpoint_hash"])
    assert helm("boundary", "get", "rec_none", *walk.here).code == 1
    walk.say("boundary", "get", "rec_" + "0" * 32, code=1)
    walk.say("boundary", "checkpoint")
    walk.say("checkpoint", "list")
    walk.say("checkpoint", "show", "1")
    walk.say("checkpoint", "prove", record["record_id"])
    walk.ask("verify_checkpoint", {}, name="1", key="agent")
    note = walk.ask("get_checkpoint_note", name="1", key="agent")
    walk.ask("prove_consistency", name="1", key="agent", query="?since=1")
    cosigned = walk.path / "note"
    cosigned.write_text(note)
    walk.say("checkpoint", "cosign", "1", str(cosigned))


def sessions_are_opened_listed_followed_and_closed(walk: Walk) -> None:
    opened = walk.told("session", "open", "meeting", key="agent")
    assert (opened["principal"], opened["closed"]) == ("agent", False)
    walk.ask("execute_tool", {"tool": "read", "arguments": {}, "session_id": "meeting"}, key="agent")
    chain = walk.ask("get_graph_session", session_id="meeting", key="agent")["chain"]
    assert [row["receipt"]["lamport_clock"] for row in chain] == [1]
    assert walk.ask("list_graph_sessions", key="agent")["sessions"] == walk.told("session", "list")["sessions"]
    walk.ask("get_session", session_id="meeting", key="agent")
    closed = walk.told("session", "close", "meeting", key="agent")
    assert closed["closed"]
    receipts = walk.told("receipts", "list", key="agent")
    walk.say("receipts", "show", receipts[0]["receipt_id"], key="agent")


def connectors_are_listed_and_a_repin_is_a_draft(walk: Walk) -> None:
    serves = {"failing_since_ms": None, "failure": "", "halted": "", "name": "local"}
    assert serves in walk.told("connector", "list")["connectors"]
    draft = walk.told("connector", "repin", "small")
    assert [(one["operation"], one["drifted"]) for one in draft["pins"]] == [("sum", False)]
    assert helm("connector", "repin", "small", *walk.here, "--json").json() == draft
    walk.say("connector", "resume", "local", "--reason", "why", code=1)
    assert helm("connector", "repin", "nobody", *walk.here).code == 1


def who_may_do_what_is_asked_signed_and_taken_back(walk: Walk) -> None:
    given = ("--delegator", "boss", "--delegate", "delegate", "--tool", "read")
    bound = walk.told("delegation", "create", *given, key="boss")
    walk.say("delegation", "list")
    walk.ask("get_delegation", name=bound["delegation_id"], key="boss")
    walk.say("delegation", "revoke", bound["delegation_id"], "--reason", "over")
    walk.say("freeze", "--tenant", "nobody", "--reason", "a drill")
    walk.say("unfreeze", "--tenant", "nobody", "--reason", "a drill")
    walk.say("authz", "write", "--add", "document:7#owner@user:ann")
    walk.say("authz", "health")
    walk.say("authz", "check", "document:7#owner@user:ann")
    opened = {"tool": "open", "arguments": {"id": "7"}, "session_id": "documents"}
    walk.ask("execute_tool", opened, key="agent", status=403)
    [snapshot] = walk.told("authz", "snapshots")
    walk.say("authz", "get", snapshot["snapshot_id"])
    walk.say("budget", "list")
    walk.say("budget", "set", "few", "--tool-calls", "2", "--reason", "less")
    walk.say("budget", "verify")
    walk.say("policy", "show")
    [row] = walk.told("policy", "overlay", "list")
    walk.say("policy", "overlay", "remove", row["command"]["overlay_id"], "--reason", "no more")
    agents = walk.told("identity", "agents")["agents"]
    walk.say("identity", "show", agents[0]["agent_id"])
    walk.say("trust", "keys")
    walk.say("trust", "events")
    walk.say("trust", "snapshot")
    walk.ask("list_trust_keys")
    walk.ask("get_trust_snapshot")
    added = walk.told("trust", "add", "approval", "--new-key", str(walk.path / "ann.pem"), "--reason", "ann")
    key_id = (added.get("event") or added)["key_id"]
    walk.say("trust", "grant", key_id, "reviewer", "--reason", "she reviews")
    walk.say("trust", "withdraw", key_id, "reviewer", "--reason", "no more")
    walk.say("trust", "revoke", key_id, "--reason", "left")
    walk.say("audit", "list")
    bundle = walk.told("policy", "show")["bundle_hash"]
    overlay = walk.path / "night.toml"
    head = f'version = "helm.overlay/1"\nid = "night"\nepoch = 1\nnarrows = "{bundle}"\n'
    overlay.write_text(head + 'remove_tools = ["write"]\n')
    walk.say("policy", "overlay", "add", str(overlay), "--reason", "night")


def servers_and_guests_are_looked_at_and_approved(walk: Walk) -> None:
    walk.say("mcp", "list")
    walk.say("mcp", "approve", "small", "--reason", "looked")
    walk.say("mcp", "get", "small")
    walk.ask("get_mcp_server", server_id="small")
    walk.say("mcp", "authorize-call", "sum", "--server-id", "small", key="agent")
    walk.say("mcp", "revoke", "small", "--reason", "no more")
    walk.say("mcp", "auth-profile", "list")
    walk.ask("scan_mcp_listing", {"tools": []})
    walk.say("sandbox", "profiles")
    draft = walk.told("sandbox", "grant", "--module-hash", "sha256:" + "0" * 64)
    walk.say("sandbox", "list")
    walk.say("sandbox", "get", draft["grant_id"])
    walk.say("sandbox", "verify", draft["grant_id"], code=1)
    walk.say("sandbox", "preflight", draft["grant_id"], code=1)
    file = walk.path / "grant.json"
    file.write_text(json.dumps(draft))
    walk.say("sandbox", "inspect", str(file), code=1)


def approvals_are_asked_for_shown_answered_and_taken_back(walk: Walk) -> None:
    key = ("--key", str(walk.path / "ben.pem"), "--reason", "agreed")
    walk.told("trust", "add", "approval", "--new-key", str(walk.path / "ben.pem"), "--reason", "ben")
    words = ("approvals", "create", "asking", "--session")
    first, second = (walk.told(*words, name, key="agent") for name in ("one", "two"))
    walk.say("approvals", "list")
    walk.say("approvals", "show", first["approval_id"])
    intent = first["intent_hash"].removeprefix("sha256:")
    confirm = ("--confirm", f"approve asking {intent[:4]}-{intent[4:8]}")
    keys = walk.told("trust", "keys")["keys"]
    approver = next(one["key_id"] for one in keys if one["purpose"] == "approval" and one["status"] == "ACTIVE")
    walk.say("approvals", "challenge", first["approval_id"], "--key-id", approver)
    walk.say("approvals", "approve", first["approval_id"], *key, *confirm)
    again = ("--confirm", f"dispute asking {intent[:4]}-{intent[4:8]}")
    walk.say("approvals", "dispute", first["approval_id"], *key, *again)
    walk.say("approvals", "approve", first["approval_id"], *key, *confirm)
    back = ("--confirm", f"revoke asking {intent[:4]}-{intent[4:8]}")
    walk.say("approvals", "revoke", first["approval_id"], *key, *back)
    third = walk.told(*words, "three", key="agent")
    digits = third["intent_hash"].removeprefix("sha256:")
    because = ("--override-reason", "LIFE_SAFETY", "--reason", "fire")
    alone = ("--confirm", f"override asking {digits[:4]}-{digits[4:8]}")
    walk.say("approvals", "override", third["approval_id"], *because, *alone)
    after = ("--confirm", f"review asking {digits[:4]}-{digits[4:8]}")
    walk.say("approvals", "review", third["approval_id"], *key, *after)
    denied = second["intent_hash"].removeprefix("sha256:")
    walk.say("approvals", "deny", second["approval_id"], *key, "--confirm", f"deny asking {denied[:4]}-{denied[4:8]}")


def public_rows_are_open_to_anybody(walk: Walk) -> None:
    for name in ("healthz", "readyz", "version", "openapi", "console"):
        walk.ask(name, key="")
    walk.ask("console_file", key="", name="main.js")
    walk.ask("metrics")
    walk.ask("evaluate", {"tool": "read", "arguments": {}}, key="agent")
    walk.ask("mcp_execute", {"tool": "read", "arguments": {}}, key="agent")
    walk.ask("mcp_capabilities", key="agent")


def a_tail_is_followed_and_left(walk: Walk) -> None:
    headers = {"authorization": f"Bearer {walk.there.key('agent')}"}
    with (
        httpx2.Client(base_url=walk.there.url, headers=headers) as client,
        client.stream("GET", "/api/v1/receipts/tail") as tail,
    ):
        assert (tail.status_code, next(tail.iter_lines())) == (200, ": receipts")


def every_row_refuses_whom_it_is_not_for(walk: Walk) -> None:
    with httpx2.Client(base_url=walk.there.url) as client:
        for name, row in TABLE.items():
            if row.door is Door.OPENAI:
                continue
            public = row.access is Access.PUBLIC
            path = VARIABLE.sub("nobody", row.path)
            body: Any = None if row.body is None else {}
            reply = client.request("PATCH" if public else row.method, path, json=body)
            assert reply.status_code in ((405, 415) if public else (401, 426)), (name, reply.text)
            assert reply.headers["content-type"] == PROBLEM
            assert fits(OBJECTS["Problem"], reply.content), (name, reply.text)
            walk.seen.statuses[name].add(reply.status_code)


STORY: Final = (
    the_boundary_says_how_it_stands_and_what_it_decided,
    sessions_are_opened_listed_followed_and_closed,
    connectors_are_listed_and_a_repin_is_a_draft,
    who_may_do_what_is_asked_signed_and_taken_back,
    servers_and_guests_are_looked_at_and_approved,
    approvals_are_asked_for_shown_answered_and_taken_back,
    public_rows_are_open_to_anybody,
    a_tail_is_followed_and_left,
    every_row_refuses_whom_it_is_not_for,
)


@pytest.mark.slow
def test_every_row_and_every_command_is_walked_happy_and_refused(walk: Walk) -> None:
    for chapter in STORY:
        chapter(walk)
    assert walk.seen.strange == []
    answered = walk.seen.statuses
    walked = {name for name in TABLE if min(answered[name], default=999) < 400 <= max(answered[name])}
    left, named = TABLE.keys() - walked, ROWS_ELSEWHERE
    assert (sorted(left - named), sorted(named - left)) == ([], [])
    typed = {name for name, codes in walk.typed.items() if len(codes) > 1}
    left, named = COMMANDS.keys() - typed, COMMANDS_ELSEWHERE
    assert (sorted(left - named), sorted(named - left)) == ([], [])
