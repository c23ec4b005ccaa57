"""Bypass: a tool server refuses and reports what did not come through HELM, and takes what did only once."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.bypass_report import TORN, read_report
from actors.permit_gate import GatedApp, PermitGate, called_in
from helm.contracts.effect import Permit
from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.crypto.hashing import sha256
from helm.executor.outbound import MAX_AHEAD_MS, Trusted, shown

NOW_MS = 1_790_000_000_000
LOG = "sha256:" + "a" * 64
PEN = SigningKey.from_seed(b"p" * 32, KeyPurpose.EXECUTION)
ROGUE = SigningKey.from_seed(b"r" * 32, KeyPurpose.EXECUTION)
SUM = {"a": 1, "b": 2}


def permit(arguments: Any = None, **changes: Any) -> Permit:
    said: dict[str, Any] = {
        "decision_id": "dec_" + "1" * 32,
        "decision_hash": "sha256:" + "2" * 64,
        "verdict": "ALLOW",
        "tool": "small.sum",
        "connector": "small",
        "args_hash": sha256(canonical(SUM if arguments is None else arguments)),
        "effect_id": "eff_" + "3" * 32,
        "intent_hash": "sha256:" + "4" * 64,
        "policy_hash": "sha256:" + "5" * 64,
        "policy_epoch": 1,
        "expires_at_ms": NOW_MS + 10_000,
    }
    return Permit(**said | changes)


def token(operation: str = "sum", *, log_id: str = LOG, pen: SigningKey = PEN, **changes: Any) -> str:
    return shown(permit(**changes), operation, log_id, pen).decode()


@pytest.fixture
def gate(tmp_path: Path) -> PermitGate:
    keys = {PEN.key_id: PublicKey.from_hex(PEN.public_key)}
    return PermitGate(Trusted(keys, LOG, "small"), tmp_path / "bypasses.jsonl", now_ms=lambda: NOW_MS)


async def test_a_governed_call_passes_once(gate: PermitGate) -> None:
    await gate.check(token(), "sum", SUM)
    with pytest.raises(Refused, match="taken before"):
        await gate.check(token(), "sum", SUM)
    assert [one["reason"].rpartition(": ")[2] for one in read_report(gate.report)] == ["a permit that was taken before"]


def respelt() -> str:
    statement, _, signature = token().rpartition(".")
    return json.dumps(json.loads(statement), indent=1) + "." + signature


BAD = {
    "missing": "",
    "no permit at all": "hello",
    "too long": "x" * 10_000,
    "without a signature": token().rpartition(".")[0] + ".",
    "forged": token().rpartition(".")[0] + "." + "0" * 128,
    "of a rogue key": token(pen=ROGUE),
    "in another spelling": respelt(),
    "of another log": token(log_id="sha256:" + "b" * 64),
    "for another server": token(connector="other"),
    "for another operation": token("say"),
    "for other arguments": token(arguments={"a": 1, "b": 3}),
    "expired": token(expires_at_ms=NOW_MS - 6_000),
    "from the future": token(expires_at_ms=NOW_MS + MAX_AHEAD_MS + 1),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_permit_that_is_not_for_this_call_is_refused_and_reported(gate: PermitGate, name: str) -> None:
    with pytest.raises(Refused) as found:
        await gate.check(BAD[name], "sum", SUM)
    assert found.value.code is ReasonCode.PROVENANCE_FAILURE
    [line] = read_report(gate.report)
    assert (line["verdict"], line["direct_dispatch_seen"], line["operation"]) == ("DENY", True, "sum")
    assert line["args_hash"] == sha256(canonical(SUM))


async def test_a_rogue_key_under_a_trusted_name_is_refused(gate: PermitGate) -> None:
    liar = attrs.evolve(ROGUE, key_id=PEN.key_id)
    with pytest.raises(Refused, match="forged"):
        await gate.check(token(pen=liar), "sum", SUM)


async def test_a_gate_that_cannot_remember_one_more_takes_none(
    gate: PermitGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.permit_gate.MAX_TAKEN", 1)
    await gate.check(token(), "sum", SUM)
    with pytest.raises(Refused):
        await gate.check(token(decision_id="dec_" + "9" * 32), "sum", SUM)
    gate.now_ms = lambda: NOW_MS + 16_000
    await gate.check(token(decision_id="dec_" + "9" * 32, expires_at_ms=NOW_MS + 20_000), "sum", SUM)


def test_what_continues_a_call_is_another_call() -> None:
    plain = called_in("tools/call", {"name": "sum", "arguments": SUM, "_meta": {}})
    assert plain == ("sum", SUM)
    assert called_in("tools/call", {"name": "sum", "arguments": SUM, "requestState": "s"}) != plain


async def test_a_report_that_was_changed_does_not_read(gate: PermitGate) -> None:
    for number in range(3):
        with pytest.raises(Refused):
            await gate.check("", "sum", {"n": number})
    whole = gate.report.read_bytes()
    lines = whole.splitlines(keepends=True)
    for changed in (whole.replace(b'"sum"', b'"say"', 1), lines[0] + lines[2], b"".join(lines[1:]), whole + b"{"):
        gate.report.write_bytes(changed)
        with pytest.raises(Invalid):
            read_report(gate.report)
    with pytest.raises(Refused):
        await gate.check("", "sum", SUM)
    assert json.loads(gate.report.read_bytes().splitlines()[-1])["previous"] == TORN


async def test_a_report_that_is_full_grows_no_more_and_nothing_passes(
    gate: PermitGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.bypass_report.MAX_REPORT", 100)
    for _ in range(3):
        with pytest.raises(Refused):
            await gate.check("", "sum", SUM)
    assert len(read_report(gate.report)) == 1


async def asked(app: GatedApp, body: bytes, *, method: str = "POST", kind: str = "http", permit: str = "") -> int:
    """Send one request to an application; return its status, 0 where it was not answered over HTTP."""
    headers = [(b"x-helm-permit", urlsafe_b64encode(permit.encode()))] if permit else []
    scope = {"type": kind, "method": method, "path": "/items", "headers": headers}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0].get("status", 0))


async def fine(_: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


def message(method: Any = "tools/call", **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


async def test_an_application_that_speaks_mcp_is_reached_through_helm_alone(gate: PermitGate) -> None:
    app = GatedApp(fine, gate)
    call = message(name="sum", arguments=SUM)
    assert await asked(app, call, permit=token()) == 200
    assert await asked(app, message("tools/list")) == 200
    assert await asked(app, b"", method="GET") == 200
    for body in (call, b"[" + call + b"]", b"{", b"", call.replace(b'"name"', b'"name": "x", "name"')):
        assert await asked(app, body) == 403
    assert await asked(app, message("resources/read", uri="note://one")) == 403
    assert await asked(app, call, kind="websocket") == 0
    assert len(read_report(gate.report)) == 6


async def test_any_application_says_what_its_requests_ask_for(gate: PermitGate) -> None:
    def reading(scope: Any, body: bytes) -> tuple[str, Any] | None:
        return ("sum", json.loads(body)) if scope["method"] == "POST" else None

    app = GatedApp(fine, gate, reading)
    assert await asked(app, canonical(SUM), permit=token()) == 200
    assert await asked(app, canonical(SUM), permit=token()) == 403
    assert await asked(app, canonical({"a": 7}), permit=token(decision_id="dec_" + "7" * 32)) == 403
    assert await asked(app, b"", method="GET") == 200
