"""Does what a vector says, step by step, and tells what was seen; whatever it changed is changed back."""

from __future__ import annotations

import os
import secrets
import signal
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import quote

import attrs

from actors.client.exchange import Answered, NoAnswer
from actors.conforming import evidence
from actors.conforming.counterpart import Counterpart
from actors.conforming.target import AGENT, OPERATOR, ServerUnderTest
from actors.conforming.wire import Skipped, Unfit, Wire, object_in, told
from actors.keys import keyfile
from actors.process.clock import SystemClock
from helm.conformance.binding import bindings_of
from helm.conformance.judge import Asked, Check, Seen
from helm.conformance.vector import JUDGED, Expected, Step, Vector
from helm.contracts.approval import ASSERTION, Action, Challenge
from helm.contracts.verdict import Status
from helm.crypto.canonical import canonical
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, Signer
from helm.crypto.hashing import digest, sha256
from helm.guardian.answering import Said, answer, check_challenge, check_shown
from helm.guardian.ceremony import phrase
from helm.guardian.delegation import GRANT, DelegationGrant, delegation_id, sign_grant
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, sign_command
from helm.guardian.policy import Policy
from helm.guardian.servers import APPROVE, SERVER_COMMAND, ServerCommand, sign_server_command
from helm.wire import structure

EXECUTE: Final = "/v1/tools/execute"
EVALUATE: Final = "/api/v1/evaluate"
CHAT: Final = "/v1/chat/completions"
FREEZE: Final = "/api/v1/freeze"
APPROVALS: Final = "/api/v1/approvals"
REGISTRY: Final = "/api/v1/mcp/registry"

TENANT: Final = "default"
REASON: Final = "a conformance run"
HOUR_MS: Final = 3_600_000
CONFLICT: Final = 409
LOST: Final = Status.INDETERMINATE.value

AGAIN_S: Final = 0.1
"""How long a step that waits for time to pass rests between two tries."""

HOLDS_WITHIN_S: Final = 30.0
"""How long a call that is to be held may take to reach the counterpart."""

VERIFIER: Final = "conformance-conformance-conformance-conformance"
CHALLENGE: Final = urlsafe_b64encode(digest(VERIFIER.encode())).rstrip(b"=").decode()

Restart = Callable[[], ServerUnderTest]


@attrs.frozen(kw_only=True)
class Answer:
    """One answer of the server, and how often the counterpart was reached meanwhile."""

    step: Step
    answered: Answered
    deeds: int


@attrs.define(eq=False, kw_only=True)
class Driver:
    """One vector at one server."""

    vector: Vector
    wire: Wire
    service: Counterpart
    run: str
    """What no other run is called: sessions and keys of two runs never meet."""
    policy: Policy | None = None
    """What the server is served with, where the caller has it."""
    restart: Restart | None = None
    checks: list[Check] = attrs.field(factory=list, init=False)
    undo: ExitStack = attrs.field(factory=ExitStack, init=False)
    approval_id: str = attrs.field(default="", init=False)
    delegation: dict[str, Any] | None = attrs.field(default=None, init=False)
    answer: Answer | None = attrs.field(default=None, init=False)
    """The judged one."""
    seen: Seen | None = attrs.field(default=None, init=False)

    def drive(self) -> Seen:
        """Do every step, and return what was seen of the judged one. Raises Skipped, Unfit, NoAnswer."""
        with self.undo:
            self.service.release.clear()
            self.service.holding.clear()
            self.service.relisted.clear()
            self.undo.callback(self.service.release.set)
            for number, step in enumerate(self.vector.trigger):
                if step.do in JUDGED:
                    answer = self._judge(step)
                    self.answer = answer if number == self.vector.judged else self.answer
                else:
                    STEPS[step.do](self, step)
        return self.look()

    def look(self) -> Seen:
        """Return what there is to be seen of the judged answer, fetched once. Raises Unfit, NoAnswer."""
        if self.seen is None:
            if self.answer is None:
                raise Unfit("nothing was judged")
            self.seen = self._look(self.answer)
        return self.seen

    def session_of(self, step: Step) -> str:
        """Return the session of a step: its caller's own in this vector, or the one that it shares."""
        return f"conform-{self.run}-{self.vector.id}-{step.session or step.by}"

    def _judge(self, step: Step) -> Answer:
        """Call, as often as the step says, and return the last answer."""
        ask = self._call if step.do == "call" else self._chat
        for _ in range(step.times - 1):
            ask(step)
        until = time.monotonic() + step.patience_s
        while True:
            before = len(self.service.deeds)
            answered = ask(step)
            if is_expected(answered, self.vector.expected) or time.monotonic() >= until:
                break
            time.sleep(AGAIN_S)
        self.approval_id = answered.headers.get("location", "").rpartition("/")[2] or self.approval_id
        return Answer(step=step, answered=answered, deeds=len(self.service.deeds) - before)

    def _call(self, step: Step) -> Answered:
        body: dict[str, Any] = {"tool": step.tool, "session_id": self.session_of(step), "arguments": self._said(step)}
        body |= {"taint": list(step.taint)} if step.taint else {}
        body |= {"principal": step.principal} if step.principal else {}
        body |= {"approval_id": self.approval_id} if step.approval else {}
        if step.idempotency_key:
            body["idempotency_key"] = f"{self.run}-{self.vector.id}-{step.idempotency_key}"
        if step.delegated and self.delegation is not None:
            body["delegation"] = self.delegation
        return self.wire.post(EVALUATE if step.decide_only else EXECUTE, body, by=step.by)

    def _said(self, step: Step) -> Any:
        return step.arguments_text or filled(step.arguments, {"@COUNTERPART@": self.service.origin})

    def _chat(self, step: Step) -> Answered:
        self.service.calling = step.tool
        messages: list[dict[str, Any]] = [{"role": "user", "content": "Go on."}]
        if step.result:
            call = {"id": step.result, "type": "function", "function": {"name": step.tool, "arguments": "{}"}}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": step.result, "content": "it was done"})
        tools = [{"type": "function", "function": {"name": step.tool, "parameters": {"type": "object"}}}]
        body: dict[str, Any] = {"model": "conformance", "messages": messages, "tools": tools}
        body |= {"n": step.choices} if step.choices > 1 else {}
        return self.wire.post(CHAT, body, by=step.by, **{"x-helm-session": self.session_of(step)})

    def _look(self, answer: Answer) -> Seen:
        """Fetch what an answer names."""
        step, answered = answer.step, answer.answered
        said = object_in(answered)
        session_id, names = self.session_of(step), answered.headers
        receipt_id = names.get("x-helm-receipt-id", "").rpartition(",")[2].strip() or receipt_in(said)
        story = self._story(receipt_id, by=step.by) if receipt_id else {}
        sealed = story.get("receipt") or {}
        is_call = step.do == "call"
        return Seen(
            asked=Asked(
                principal=step.by,
                session_id=session_id,
                tool=step.tool if is_call else "",
                args_hash=hash_of(self._said(step)) if is_call else "",
                bindings=bindings_of(self.policy, step.tool if is_call else "") if self.policy else {},
            ),
            http=answered.status,
            verdict=names.get("x-helm-verdict", "") if is_call else sealed.get("verdict", ""),
            status=str(said.get("outcome", "")) if is_call else sealed.get("status", ""),
            reason_code=names.get("x-helm-reason-code", "") or code_in(answered) or sealed.get("reason_code", ""),
            receipt_id=receipt_id,
            answered=said.get("receipt"),
            story=story,
            session=self.wire.session(session_id, by=step.by) if receipt_id else (),
            deeds=answer.deeds,
        )

    def _story(self, receipt_id: str, *, by: str) -> dict[str, Any]:
        """Return receipt, record and decision as the server has them. Raises Unfit, NoAnswer."""
        story: dict[str, Any] = self.wire.get(f"/api/v1/receipts/{quote(receipt_id, safe='')}", by=by)
        missing = [one for one in ("receipt", "record", "decision") if type(story.get(one)) is not dict]
        if missing:
            raise Unfit(f"{receipt_id} has no {', '.join(missing)}")
        return story

    def signer(self, file: str, purpose: KeyPurpose) -> Signer:
        """Return a key that signs commands. Raises Skipped where the caller has none."""
        if not file:
            raise Skipped(f"the target names no {purpose} key")
        return keyfile.read(Path(file), purpose)


def freeze(driver: Driver, step: Step) -> None:
    """Stop something, until the vector ends."""
    signer = driver.signer(driver.wire.server.emergency_key, KeyPurpose.EMERGENCY)
    stop(driver, signer, step, "freeze")
    driver.undo.callback(stop, driver, signer, step, "unfreeze")


def stop(driver: Driver, signer: Signer, step: Step, action: str) -> None:
    """Have one signed stop obeyed, or taken back."""
    command = FreezeCommand(
        action=action,
        issued_at_ms=SystemClock().now_ms(),
        key_id=signer.key_id,
        log_id=driver.wire.server.log_id,
        reason=REASON,
        scope=step.scope,
        sequence=driver.wire.get(FREEZE, by=OPERATOR)["sequence"] + 1,
        target=step.target,
    )
    body = {"command": FREEZE_COMMAND.body(command), "signature": sign_command(command, signer)}
    driver.wire.obeyed(FREEZE, body, by=OPERATOR)


def delegate(driver: Driver, step: Step) -> None:
    """Have a boss let the delegate do some things, for an hour."""
    signer, now_ms = driver.signer(driver.wire.server.delegation_key, KeyPurpose.DELEGATION), SystemClock().now_ms()
    grant = DelegationGrant(
        capabilities=dict.fromkeys(sorted(step.capabilities), ""),
        challenge=CHALLENGE,
        delegate="delegate",
        delegator="boss",
        expires_at_ms=now_ms + HOUR_MS // 4,
        issued_at_ms=now_ms,
        key_id=signer.key_id,
        log_id=driver.wire.server.log_id,
        mfa_at_ms=0,
        mfa_evidence_hash="",
        mfa_method="",
        nonce=secrets.token_hex(16),
        tenant=TENANT,
    )
    body = {"grant": GRANT.body(grant), "signature": sign_grant(grant, signer)}
    driver.wire.obeyed("/api/v1/delegations", body, by=AGENT)
    driver.delegation = {"id": delegation_id(grant), "sequence": 1, "verifier": VERIFIER}


def approve(driver: Driver, _: Step) -> None:
    """Agree to the call that waits, as its approver: look at what is shown, retype it, sign it."""
    signer, where = (
        driver.signer(driver.wire.server.approval_key, KeyPurpose.APPROVAL),
        f"{APPROVALS}/{driver.approval_id}",
    )
    asked = {"action": Action.APPROVE.value, "key_id": signer.key_id}
    offer = driver.wire.obeyed(f"{where}/challenge", asked, by=AGENT)
    shown, challenge = offer["approval"], structure(offer["challenge"], Challenge, "challenge")
    check_shown(shown)
    check_challenge(shown, challenge, offer["signature"], PublicKey.from_hex(driver.wire.server.execution_key))
    typed = phrase(Action.APPROVE.value, shown["tool"], shown["intent_hash"])
    said = Said(action=Action.APPROVE.value, reason=REASON, typed=typed)
    assertion, signature = answer(said, shown, (challenge, offer["signature"]), signer)
    seen = driver.wire.get(where, by=AGENT)["ceremony_hash"]
    body = {"assertion": ASSERTION.body(assertion), "ceremony_hash": seen, "signature": signature}
    driver.wire.obeyed(f"{where}/{Action.APPROVE.value}", body, by=AGENT)


def approve_server(driver: Driver, step: Step) -> None:
    """Approve an MCP server with the tools that the policy pins."""
    signer, now_ms = driver.signer(driver.wire.server.approval_key, KeyPurpose.APPROVAL), SystemClock().now_ms()
    standing = driver.wire.get(REGISTRY, by=OPERATOR)
    pins = next((one["pins_hash"] for one in standing["servers"] if one["server_id"] == step.target), "")
    if not pins:
        raise Unfit(f"the policy has no MCP server {step.target}")
    command = ServerCommand(
        action=APPROVE,
        expires_at_ms=now_ms + HOUR_MS,
        issued_at_ms=now_ms,
        key_id=signer.key_id,
        log_id=driver.wire.server.log_id,
        pins_hash=pins,
        reason=REASON,
        sequence=standing["sequence"] + 1,
        server_id=step.target,
    )
    body = {"command": SERVER_COMMAND.body(command), "signature": sign_server_command(command, signer)}
    driver.wire.obeyed(f"{REGISTRY}/{quote(step.target, safe='')}/approve", body, by=OPERATOR)
    driver.service.relisted.set()


def resume(driver: Driver, step: Step) -> None:
    """Let a connector serve that an earlier vector may have halted; one that is not halted is a conflict."""
    path = f"/api/v1/connectors/{step.target}/resume"
    answered = driver.wire.post(path, {"reason": REASON}, by=OPERATOR)
    if answered.status != CONFLICT:
        told(answered, path)


def outage(driver: Driver, _: Step) -> None:
    """Let the decision point give no answer, until the vector ends."""
    driver.service.is_out = True
    driver.undo.callback(setattr, driver.service, "is_out", False)


def crowd(driver: Driver, step: Step) -> None:
    """Have a call under way that stays so until the vector ends."""
    holder = Thread(target=hold, args=(driver, step), name="crowd")
    holder.start()
    driver.undo.callback(holder.join)
    driver.undo.callback(driver.service.release.set)
    if not driver.service.holding.wait(HOLDS_WITHIN_S):
        raise Unfit(f"{step.tool} did not reach the counterpart")


def crash(driver: Driver, step: Step) -> None:
    """Kill the server while a call is under way, start it again, and look for the last word about that call."""
    restart = driver.restart
    if restart is None or not driver.wire.server.process:
        raise Skipped("only a run with servers of its own kills one and starts it again")
    holder = Thread(target=hold, args=(driver, step), name="crash")
    holder.start()
    try:
        if not driver.service.holding.wait(HOLDS_WITHIN_S):
            raise Unfit(f"{step.tool} did not reach the counterpart")
    finally:
        os.kill(driver.wire.server.process, signal.SIGKILL)
        driver.service.release.set()
        holder.join()
        driver.wire.move(restart())
    said = [(one["tool"], one["status"]) for one in driver.wire.session(driver.session_of(step), by=step.by)]
    wrong = "" if said == [(step.tool, LOST)] else f"after the restart the session says {said}"
    driver.checks.append(Check(name="recovered", detail=wrong))


def hold(driver: Driver, step: Step) -> None:
    """Make a call that is answered late, or not at all: then nobody minds."""
    body = {"tool": step.tool, "session_id": driver.session_of(step), "arguments": {}}
    try:
        driver.wire.post(EXECUTE, body, by=step.by)
    except NoAnswer:
        return


def move_house(driver: Driver, _: Step) -> None:
    """Put another directory in the place of the server's own, with the same things in it, until the vector ends."""
    if not driver.wire.server.data_dir:
        raise Skipped("the target does not say where the data directory is")
    here = Path(driver.wire.server.data_dir)
    away = here.with_name(here.name + ".moved")
    here.rename(away)
    driver.undo.callback(away.rename, here)
    here.mkdir(mode=0o700)
    driver.undo.callback(here.rmdir)
    for one in away.iterdir():
        (here / one.name).symlink_to(one)
        driver.undo.callback((here / one.name).unlink)


def look_at_evidence(driver: Driver, step: Step) -> None:
    """Take away what the server left behind, and verify it here."""
    driver.checks.append(evidence.CHECKS[step.do](driver.wire, driver.look()))


STEPS: Final[Mapping[str, Callable[[Driver, Step], None]]] = {
    "approve": approve,
    "approve_server": approve_server,
    "crash": crash,
    "crowd": crowd,
    "delegate": delegate,
    "freeze": freeze,
    "move_house": move_house,
    "outage": outage,
    "resume": resume,
    **dict.fromkeys(evidence.CHECKS, look_at_evidence),
}
"""The closed set of what may be done beside calling."""


def filled(arguments: Mapping[str, Any], places: Mapping[str, str]) -> dict[str, Any]:
    """Return arguments with every text in which a place stands filled in."""

    def fill(value: Any) -> Any:
        for place, text in places.items():
            value = value.replace(place, text) if type(value) is str else value
        return value

    return {name: fill(value) for name, value in arguments.items()}


def hash_of(arguments: Any) -> str:
    """Return the hash of the arguments as the server must have taken them: those that do not parse, as they came."""
    return sha256(arguments.encode() if type(arguments) is str else canonical(arguments))


def is_expected(answered: Answered, expected: Expected) -> bool:
    """Tell whether an answer is the one that is waited for."""
    code = answered.headers.get("x-helm-reason-code", "") or code_in(answered)
    return (answered.status, code) == (expected.http, expected.reason_code)


def code_in(answered: Answered) -> str:
    """Return the reason code of a refusal that no header names, "" for none."""
    try:
        said = object_in(answered)
    except (NoAnswer, Unfit):
        return ""
    error = said.get("error")
    return str((error.get("code") if type(error) is dict else said.get("reason_code")) or "")


def receipt_in(said: Mapping[str, Any]) -> str:
    """Return the receipt that the body of an answer names, "" for none."""
    error = said.get("error")
    return str((error if type(error) is dict else said).get("receipt_id") or "")
