"""The ceremony as a machine: whatever order things come in, it is the model's state, and a second fold is the same."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from helm.contracts.approval import CHALLENGED, Assertion, Challenge
from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Verdict
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.guardian.approvals import Approvals
from helm.guardian.ceremony import confirmation, phrase, response_to, sign_assertion, sign_challenge
from helm.guardian.chain import CHAIN
from helm.guardian.intake import PLAIN, Terms
from helm.trust.event import FIRST_PLACE, EventKind, KeyChange, log_id_of, sign_event
from helm.trust.registry import Registry
from tests.actors.policies import POLICY
from tests.helm.guardian.worlds import NOON_MS, call, policy, world


def made(number: int, purpose: KeyPurpose) -> SigningKey:
    return SigningKey.from_seed(bytes([number]) * 32, purpose)


ADMIN = made(1, KeyPurpose.TRUST_ADMIN)
KERNEL = made(2, KeyPurpose.EXECUTION)
ALARM = made(3, KeyPurpose.EMERGENCY)
NAMES = ("alice", "bob", "carol", "agent")
KEYS = {name: made(10 + number, KeyPurpose.APPROVAL) for number, name in enumerate(NAMES)}
TIMELOCK_MS, LIFE_MS, SOON_MS = 60_000, 600_000, 20_000
TABLE = "".join(f'[approvers.{name}]\nkeys = ["{key.key_id}"]\n\n' for name, key in KEYS.items())
RULE = "approval = { required = true, expires_s = 600, quorum = 2, timelock_s = 60 }"
TEXT = POLICY.replace("approval = { required = true, expires_s = 600 }", RULE).replace("[p0]", f"{TABLE}[p0]", 1)


def registry() -> Registry:
    """Return a registry that knows all of these keys."""
    first = sign_event(added(ADMIN), FIRST_PLACE, 0, ADMIN)
    known = Registry.begin(first, log_id_of(first))
    for lamport, key in enumerate((KERNEL, ALARM, *KEYS.values()), 2):
        known.apply(sign_event(added(key), known.place, 0, ADMIN), lamport)
    return known


def added(key: SigningKey) -> KeyChange:
    return KeyChange(
        kind=EventKind.KEY_ADDED.value,
        key_id=key.key_id,
        public_key=key.public_key,
        purpose=key.purpose.value,
        reason="genesis",
    )


class CeremonyMachine(RuleBasedStateMachine):
    """One ceremony against a model that knows names, sets and hours, and no signature."""

    @initialize()
    def begin(self) -> None:
        self.registry = registry()
        self.lamport = self.registry.lamport + 1
        self.now_ms, self.seq = NOON_MS, 1
        self.live = Approvals()
        self.events: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: dict[tuple[str, str], list[tuple[Challenge, str]]] = {}
        opened = self.judge("")
        assert (opened.reason_code, opened.approval_quorum) == (ReasonCode.APPROVAL_REQUIRED, 2)
        self.name = opened.approval_id
        self.do("park", opened)
        self.do("note_written", self.name, "rec_1")
        self.state, self.unlocked, self.review = "PENDING", False, ""
        self.agreed: set[str] = set()
        self.owed: dict[str, tuple[str, int]] = {}
        """The action and the end of the challenge under way of each signer."""

    def judge(self, named: str) -> Decision:
        terms = Terms(approval_id=named) if named else PLAIN
        asked = call("asking", {"n": 1}, terms=terms)
        moment = world(
            approval=self.live.standing(asked),
            call_seq=self.seq,
            log_id=self.registry.log_id,
            now_ms=self.now_ms,
            policy=policy(TEXT),
        )
        self.seq += 1
        return CHAIN.evaluate(asked, moment).decision.content

    def do(self, deed: str, *what: Any) -> None:
        """Do it to the live approvals, and remember it for the fold."""
        DEEDS[deed](self.live, *what)
        self.events.append((deed, what))

    @property
    def over(self) -> bool:
        return self.now_ms >= NOON_MS + LIFE_MS

    @rule(ms=st.sampled_from([1_000, 10_000, 21_000, 61_000, 250_000]))
    def pass_time(self, ms: int) -> None:
        self.now_ms += ms

    @precondition(lambda self: not self.unlocked)
    @rule()
    def wait_for_the_timelock(self) -> None:
        self.now_ms = max(self.now_ms, NOON_MS + TIMELOCK_MS)
        self.look_at_the_clock()

    @rule()
    def look_at_the_clock(self) -> None:
        if self.live.is_locked_at(self.name, self.now_ms):
            self.do("unlock", self.name, self.now_ms)
        if self.live.is_due(self.name, self.now_ms):
            self.do("expire", self.name)
        self.unlocked = self.unlocked or self.now_ms >= NOON_MS + TIMELOCK_MS
        if self.over and self.state in ("PENDING", "DISPUTED", "APPROVED"):
            self.state = "EXPIRED"

    def possible(self, action: str, who: str) -> bool:
        states = {
            "approve": {"PENDING", "DISPUTED"},
            "deny": {"PENDING", "DISPUTED"},
            "override": {"PENDING", "DISPUTED"},
            "revoke": {"APPROVED"},
            "dispute": {"APPROVED"},
            "review": {"APPROVED", "CONSUMED", "EXPIRED", "REVOKED", "DISPUTED"},
        }[action]
        if self.state not in states or (action == "override") != (who == "alarm") or who == "agent":
            return False
        if action == "review":
            return self.review == "OPEN"
        if action == "approve" and (who in self.agreed or not self.unlocked):
            return False
        return not self.over

    @rule(who=st.sampled_from(["alice", "bob", "carol", "agent"]))
    def agree(self, who: str) -> None:
        self.put_a_challenge(who, "approve")
        self.say(who, "approve", stale=False)

    @rule(who=st.sampled_from(["alice", "bob"]))
    def answer_late(self, who: str) -> None:
        self.put_a_challenge(who, "approve")
        self.now_ms += SOON_MS
        self.say(who, "approve", stale=False)

    @precondition(lambda self: self.state == "APPROVED")
    @rule(who=st.sampled_from(["alice", "carol"]))
    def dispute(self, who: str) -> None:
        self.put_a_challenge(who, "dispute")
        self.say(who, "dispute", stale=False)

    @rule(who=st.sampled_from(["alice", "bob", "carol", "agent", "alarm"]), action=st.sampled_from(sorted(CHALLENGED)))
    def put_a_challenge(self, who: str, action: str) -> None:
        ceremony, key = self.live.find(self.name), signer(who)
        challenge = Challenge(
            action=action,
            approval_id=self.name,
            args_hash=ceremony.args_hash,
            expires_at_ms=self.now_ms + SOON_MS,
            intent_hash=ceremony.intent_hash,
            issued_at_ms=self.now_ms,
            key_id=key.key_id,
            log_id=self.registry.log_id,
            p0_ceiling_hash=ceremony.p0_ceiling_hash,
            policy_bundle_hash=ceremony.policy_hash,
            sequence=ceremony.challenges + 1,
            signed_by=KERNEL.key_id,
        )
        signature = sign_challenge(challenge, KERNEL)
        if self.tried(
            "challenge", challenge, signature, self.registry, self.lamport, possible=self.possible(action, who)
        ):
            self.owed[who] = (action, self.now_ms + SOON_MS)
            self.answers.setdefault((who, action), []).append((challenge, signature))

    @rule(
        who=st.sampled_from(["alice", "bob", "carol", "agent", "alarm"]),
        action=st.sampled_from(["approve", "approve", "dispute", "override", "review", "revoke", "deny"]),
        stale=st.booleans(),
    )
    def say(self, who: str, action: str, stale: bool) -> None:
        ceremony, key = self.live.find(self.name), signer(who)
        if (action == "override") != (who == "alarm"):
            return  # no key signs another purpose's statement: `sign` refuses
        response = confirmed = ""
        answers, fresh = (
            self.answers.get((who, action), []),
            self.owed.get(who, ("", 0))[0] == action and self.now_ms < self.owed[who][1],
        )
        if action in CHALLENGED:
            if not answers:
                return
            answered = answers[0] if stale else answers[-1]
            fresh = fresh and answered is answers[-1]
            response = response_to(*answered)
            confirmed = confirmation(ceremony.body(), action, phrase(action, ceremony.tool, ceremony.intent_hash))
        assertion = Assertion(
            action=action,
            approval_id=self.name,
            challenge_response=response,
            confirmation_hash=confirmed,
            intent_hash=ceremony.intent_hash,
            key_id=key.key_id,
            log_id=self.registry.log_id,
            p0_ceiling_hash=ceremony.p0_ceiling_hash,
            policy_bundle_hash=ceremony.policy_hash,
            reason="a test",
            reason_code="LIFE_SAFETY" if action == "override" else "",
        )
        signature = sign_assertion(assertion, key)
        possible = self.possible(action, who) and (fresh or action not in CHALLENGED)
        possible = possible and not (action == "override" and self.review == "OPEN")
        if self.tried("assert", assertion, signature, self.registry, self.lamport, self.now_ms, possible=possible):
            self.owed.pop(who, None)
            self.note(action, who)

    def note(self, action: str, who: str) -> None:
        """Move the model."""
        if action == "approve":
            self.agreed.add(who)
            self.state = "APPROVED" if len(self.agreed) >= 2 else self.state
        elif action == "dispute":
            self.state, self.agreed, self.owed = "DISPUTED", set(), {}
        elif action == "review":
            self.review = "CLOSED"
        else:
            self.state = {"deny": "DENIED", "revoke": "REVOKED", "override": "APPROVED"}[action]
            self.review = "OPEN" if action == "override" else self.review

    def tried(self, deed: str, *what: Any, possible: bool) -> bool:
        """Try a deed that the model says is possible, or not; return whether it was."""
        before = dict(self.live.ceremonies)
        try:
            self.do(deed, *what)
        except Invalid:
            assert not possible
            assert self.live.ceremonies == before
            return False
        assert possible
        return True

    @rule(named=st.booleans(), dispatched=st.booleans())
    def call_again(self, named: bool, dispatched: bool) -> None:
        decision = self.judge(self.name if named else "")
        usable = named and self.state == "APPROVED" and not self.over
        assert (decision.verdict == Verdict.ALLOW) == usable
        if not usable:
            return  # what asks anew has an id of its own; here one ceremony is watched
        assert decision.approval_id == self.name
        self.do("consume", decision)
        if dispatched:
            self.state = "CONSUMED"
        else:
            self.do("give_back", self.name)

    @precondition(lambda self: self.events)
    @invariant()
    def is_what_the_model_says(self) -> None:
        ceremony = self.live.ceremonies[self.name]
        assert (ceremony.state, ceremony.review) == (self.state, self.review)
        assert {grant.principal for grant in ceremony.grants} == self.agreed
        assert (ceremony.state == "APPROVED") <= (len(ceremony.grants) >= 2 or ceremony.break_glass != "")

    def teardown(self) -> None:
        folded = Approvals()
        for deed, what in getattr(self, "events", []):
            DEEDS[deed](folded, *what)
        if hasattr(self, "live"):
            assert folded.ceremonies == self.live.ceremonies


DEEDS: dict[str, Any] = {
    "assert": Approvals.put_assertion,
    "challenge": Approvals.put_challenge,
    "consume": Approvals.consume,
    "expire": Approvals.expire,
    "give_back": Approvals.give_back,
    "note_written": Approvals.note_written,
    "park": Approvals.park,
    "unlock": Approvals.unlock,
}


def signer(who: str) -> SigningKey:
    return ALARM if who == "alarm" else KEYS[who]


TestCeremony = CeremonyMachine.TestCase
TestCeremony.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
