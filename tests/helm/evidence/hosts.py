"""Packs with host evidence: a log whose calls reach a network, and what a recorder saw meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.domains import KeyPurpose
from helm.evidence.attach import attach, note_drift
from helm.evidence.correlate import correlate
from helm.evidence.drift import sign
from helm.evidence.host_chain import read_chain
from helm.evidence.reading import Reading
from helm.evidence.verify import check_pack
from helm.guardian.bundle import load_toml
from helm.guardian.chain import CHAIN
from helm.guardian.intake import Caller, Terms, admit
from helm.guardian.judgement import Judgement
from helm.guardian.memory import Boot
from tests.helm.evidence.forger import a_log, pack_of_scope, root_of
from tests.helm.evidence.material import FINGERPRINT, START_MS, TENANT, Log
from tests.helm.evidence.recorder import Recorder, jsonl

POLICY: Final = """
version = "helm.policy/1"
scope = "tests"
epoch = 2

[p0]
max_risk_tier = "T2"

[compliance]
allowed_data_classes = ["internal"]

[[budgets]]
id = "out"
subject = "each-principal"
egress_limit_bytes = 1000
window_s = 3600

[connectors.web]
kind = "local"

[tools."web.fetch"]
connector = "web"
effect_type = "message"
risk_tier = "T1"
principals = ["*"]
data_classes = ["internal"]
destination = { argument = "to" }
allow_destinations = ["https://*.example.com", "https://93.184.216.34", "https://[2606:4700::1111]"]
deny_destinations = ["https://evil.example.com"]
input = '{"type": "object", "required": ["to"], "properties": {"to": {"type": "string"}}}'
output = '{"type": "object"}'

[tools."web.local"]
connector = "web"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["internal"]
input = '{"type": "object"}'
output = '{"type": "object"}'
"""

A: Final = "https://api.example.com"
B: Final = "https://b.example.com"
EVIL: Final = "https://evil.example.com"


@attrs.define
class Web(Log):
    """A log whose calls reach a network, each at the time that it is told."""

    principal: str = "agent"
    judged: Judgement | None = None
    """The judgement of the call that is being written down."""

    @classmethod
    def new(cls) -> Web:
        """Return one with the policy in force."""
        log = cls()
        log.begin()
        log.activate(load_toml(POLICY, "hosts"))
        return log

    def judge(self, session: str, tool: str, arguments: bytes | JSONValue, terms: Terms | None = None) -> Judgement:
        """Judge a call of the principal of the moment."""
        if self.judged is not None:
            return self.judged
        self.call_seq += 1
        call = admit(Caller(tenant=TENANT, principal=self.principal, session_id=session), tool, arguments, Terms())
        boot = Boot(fingerprint=FINGERPRINT, kernel_epoch=self.epoch, log_id=self.log_id)
        now = {"now_ms": self.now_ms, "call_seq": self.call_seq}
        world = self.memory.world(call, boot, fingerprint=FINGERPRINT, conflict=False, **now)
        judgement = CHAIN.evaluate(call, world)
        self.memory.note_decision(judgement.decision.content)
        return judgement

    def fetch(self, to: str, *, at_s: float = 0, ends_s: float = 0, principal: str = "agent", tool: str = "") -> str:
        """Write a call and its end, or its refusal; return the receipt's id."""
        self.principal, self.now_ms = principal, START_MS + int(at_s * 1000)
        session, arguments = f"of-{principal}", {"to": to} if to else {}
        judgement = self.judge(session, tool or "web.fetch", arguments)
        if judgement.decision.content.verdict != Verdict.ALLOW:
            return self.refused(session, judgement)
        intent = self.write_intent(judgement)
        self.now_ms = START_MS + int(max(at_s, ends_s) * 1000)
        return self.end(judgement, intent).receipt_id

    def unstarted(self, to: str) -> None:
        """Write an allowed call that provably never started."""
        judgement = self.judge("of-agent", "web.fetch", {"to": to})
        how = (Status.NOT_DISPATCHED, ReasonCode.EVALUATED_ONLY, "only a decision was asked for")
        self.end(judgement, self.write_intent(judgement), how=how)

    def refused(self, session: str, judgement: Judgement) -> str:
        """Write a refusal that was judged already."""
        self.judged = judgement
        sealed = self.refuse(session)
        self.judged = None
        return sealed.receipt_id

    def seen(self, recorder: Recorder) -> Reading:
        """Return the pack of the whole log with what a recorder saw, verified."""
        raw = pack_of_scope(self, "whole")
        reading = check_pack(raw, root_of(self))
        attached = attach(reading, "host-1", read_chain(jsonl(recorder.bodies)), self.key(KeyPurpose.EVIDENCE))
        return check_pack(attached, root_of(self))


def moment(at_s: float) -> str:
    """Return the time so many seconds after the log began, as a recorder writes it."""
    at = datetime.fromtimestamp((START_MS + int(at_s * 1000)) / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def connection(recorder: Recorder, to: str = "api.example.com", at_s: float = 0, **more: Any) -> None:
    """Have a recorder see a connection to port 443."""
    event = {"timestamp": moment(at_s)} | more.pop("event", {})
    recorder.saw(to, more.pop("address", "93.184.216.34"), event=event, **more)


@cache
def a_watched_pack(raw: bytes) -> bytes:
    """Return a pack of the log that nobody changes, with two chains and signed drift beside it."""
    key = a_log().key(KeyPurpose.EVIDENCE)
    one, other = Recorder(), Recorder("ES256", number=2, host_id="host-2")
    for _ in range(3):
        one.saw(agent_id="agent-1", process_ancestry=["init", "sh"], hardware_root={"type": "tpm2", "verified": True})
    other.saw("", "2606:4700::1111", event={"bytes_sent": 1, "bytes_received": 2, "verdict": "allow"})
    for source, recorder in (("host-1", one), ("host-2", other)):
        raw = attach(check_pack(raw, root_of(a_log())), source, read_chain(jsonl(recorder.bodies)), key)
    reading = check_pack(raw, root_of(a_log()))
    drifts = correlate(reading).drifts(reading, key.key_id)
    return note_drift(reading, sign(drifts, key), key)
