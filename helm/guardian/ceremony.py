"""One approval ceremony: its states, and what each signed assertion or passing hour makes of it (T7).

    PENDING --(quorum of approvers, after the timelock)--> APPROVED --(the call itself)--> CONSUMED
       |  \\--(deny)--> DENIED       (emergency key)--^    |  |  ^------(nothing was dispatched)--'
       |---(its time is over)--> EXPIRED <---------------'  |--(revoke)--> REVOKED
       ^--------------- DISPUTED <--(dispute: whoever had agreed is asked again)

Every function here returns the next ceremony, or raises Invalid and nothing has changed. The same functions run when an
assertion arrives, when a log is read back and when a pack is verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import attrs

from helm.contracts.approval import CHALLENGED, Action, Assertion, Challenge
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, members
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import PREFIX, hash_in

PENDING, APPROVED, DENIED, EXPIRED = "PENDING", "APPROVED", "DENIED", "EXPIRED"
REVOKED, CONSUMED, DISPUTED = "REVOKED", "CONSUMED", "DISPUTED"

WAITING: Final = frozenset({PENDING, DISPUTED})
"""States in which approvers may agree."""

ENDING: Final = frozenset({PENDING, DISPUTED, APPROVED})
"""States that end at the deadline."""

CHALLENGE_TTL_MS = 15 * 60_000
"""How long a challenge may be answered: time to carry it to an offline key and back, and not much more (T6)."""

MAX_CHALLENGES = 1000
"""Challenges of one ceremony: whoever can ask for one can ask in a loop (T4). A review is put also beyond them, again
only after CHALLENGE_TTL_MS: it has no deadline, and while it is owed nobody can override anything (T7)."""

OPEN, CLOSED = "OPEN", "CLOSED"

CallKey = tuple[str, str, str, str, str, str, str]
"""What is the same when a call is made again: tenant, session, principal, tool, args_hash, delegation and
idempotency key."""


class Grant(NamedTuple):
    """One approver's signature."""

    principal: str
    key_id: str
    signature: str


class Asked(NamedTuple):
    """A challenge under way, and the answer that is expected."""

    action: str
    expires_at_ms: int
    response: str


@attrs.frozen(kw_only=True)
class Ceremony:
    """One intent that waits for humans, or no longer does. It answers one requirement; it skips no gate."""

    approval_id: str
    approvers: tuple[str, ...] = ()
    """Who may approve, "principal key_id" each; empty: whoever holds an approval key, under the key's name."""
    args_hash: str
    asked: Mapping[str, Asked] = MappingProxyType({})
    """The challenge under way of each key."""
    break_glass: str = ""
    """The reason code of the override that granted it, "" where none did."""
    challenges: int = 0
    """How many were issued."""
    delegation_id: str = ""
    disputes: int = 0
    effect_id: str = ""
    expires_at_ms: int
    grants: tuple[Grant, ...] = ()
    idempotency_key: str = ""
    intent_hash: str
    p0_ceiling_hash: str = ""
    policy_epoch: int = 0
    policy_hash: str
    principal: str
    quorum: int = 1
    reason: str = ""
    """What the last assertion gave as its reason."""
    reason_code: str
    """Why a human was asked."""
    record_id: str = ""
    """The boundary record of the refusal that opened it, "" until that is durable."""
    requested_at_ms: int
    review: str = ""
    """OPEN after an override, until an approver has reviewed it; "" where none is needed."""
    risk_tier: str = ""
    role: str = ""
    """The role in the trust registry that approvers must have, "" for any."""
    session_id: str
    state: str = PENDING
    tenant: str
    timelock_until_ms: int = 0
    tool: str
    unlocked_at_ms: int = 0
    """When its timelock was seen to have elapsed, 0 while it has not."""

    @property
    def call_key(self) -> CallKey:
        """What names the call that asked, whenever it is made."""
        whose = (self.tenant, self.session_id, self.principal)
        return (*whose, self.tool, self.args_hash, self.delegation_id, self.idempotency_key)

    @property
    def unlocked(self) -> bool:
        """Whether approvers may agree."""
        return self.timelock_until_ms == 0 or self.unlocked_at_ms > 0

    @property
    def ceremony_hash(self) -> str:
        """The name of this very state: what a later assertion is compared with."""
        return hash_in(domains.CEREMONY, record_bytes(self.body()))

    def body(self) -> dict[str, JSONValue]:
        """Return the ceremony as a JSON object, challenges and place in the log aside."""
        said = attrs.asdict(self, recurse=False, filter=lambda field, _: field.name not in UNSAID)
        said |= {"approvers": [*self.approvers], "grants": [grant._asdict() for grant in self.grants]}
        return dict(sorted(said.items()))


UNSAID: Final = frozenset({"asked", "challenges", "record_id"})
"""What changes while nothing is decided: an approver's hash stays good while others are being asked."""


def sign_assertion(assertion: Assertion, signer: Signer) -> str:
    """Return the signature, 128 hex digits, of an approver's key or, for an override, of an emergency key."""
    return signer.sign(domain_of(assertion.action), ordered_bytes(assertion))


def sign_challenge(challenge: Challenge, signer: Signer) -> str:
    """Return the execution key's signature over a challenge."""
    return signer.sign(domains.APPROVAL_CHALLENGE, ordered_bytes(challenge))


def domain_of(action: str) -> bytes:
    return domains.APPROVAL_OVERRIDE if action == Action.OVERRIDE else domains.APPROVAL


def purpose_of(action: str) -> KeyPurpose:
    """Return which keys may say this."""
    return KeyPurpose.EMERGENCY if action == Action.OVERRIDE else KeyPurpose.APPROVAL


def response_to(challenge: Challenge, signature: str) -> str:
    """Return the answer to a challenge: the hash of what was asked, and of the kernel's signature under it."""
    return hash_in(domains.APPROVAL_RESPONSE, record_bytes({"challenge": members(challenge), "signature": signature}))


def phrase(action: str, tool: str, intent_hash: str) -> str:
    """Return what an approver must retype: what is done, to which tool, and the intent by its first digits."""
    digits = intent_hash.removeprefix(PREFIX)
    return f"{action} {tool} {digits[:4]}-{digits[4:8]}"


SHOWN: Final = ("approval_id", "args_hash", "intent_hash", "principal", "session_id", "tenant", "tool")
"""What of a ceremony an approver must have been shown; args_hash stands for every argument."""


def confirmation(shown: Mapping[str, JSONValue], action: str, typed: str) -> str:
    """Return the deliberate-confirmation hash: of what was shown, what is to be done, and what was typed (T7)."""
    said = {name: shown[name] for name in SHOWN} | {"action": action, "typed": typed}
    return hash_in(domains.APPROVAL_CONFIRMATION, record_bytes(dict(sorted(said.items()))))


def approver_of(ceremony: Ceremony, key_id: str) -> str:
    """Return whose the key is, as the policy says. Raises Invalid for a key that may not approve."""
    if not ceremony.approvers:
        return key_id
    for one in ceremony.approvers:
        principal, _, theirs = one.partition(" ")
        if theirs == key_id:
            return principal
    raise illegal(
        ceremony, f"{key_id} is none of its approvers", "the policy in force when it was asked for names them"
    )


def challenged(ceremony: Ceremony, challenge: Challenge, signature: str, key: PublicKey) -> Ceremony:
    """Return the ceremony after the kernel put a challenge to one key; `key` is the execution key's.

    1. the kernel signed it
    2. it is about this very ceremony, and the next one of it
    3. its action is possible now, and its key may answer
    """
    check_signed(ceremony, key, domains.APPROVAL_CHALLENGE, ordered_bytes(challenge), signature)  # 1
    check_bound(ceremony, challenge)  # 2
    if challenge.args_hash != ceremony.args_hash or challenge.sequence != ceremony.challenges + 1:
        raise illegal(ceremony, "the challenge is not the next one of this approval", "ask for a new one")
    if ceremony.challenges >= MAX_CHALLENGES and challenge.action != Action.REVIEW:
        raise illegal(ceremony, "it has had too many challenges", "let it expire")
    check_possible(ceremony, challenge.action, challenge.key_id, challenge.issued_at_ms)  # 3
    asked = Asked(challenge.action, challenge.expires_at_ms, response_to(challenge, signature))
    challenges = MappingProxyType({**ceremony.asked, challenge.key_id: asked})
    return attrs.evolve(ceremony, asked=challenges, challenges=ceremony.challenges + 1)


def asserted(ceremony: Ceremony, assertion: Assertion, signature: str, key: PublicKey, at_ms: int) -> Ceremony:
    """Return the ceremony after what was signed; `key` is the assertion's, for its purpose, valid when it was said.

    1. the key signed it, for this purpose
    2. it is about this very intent, under this very policy and ceilings
    3. it is possible now, and this key may say it
    4. it answers the challenge that was put to this key for this, in time, once
    5. whoever signed has retyped what was shown
    """
    check_signed(ceremony, key, domain_of(assertion.action), ordered_bytes(assertion), signature)  # 1
    check_bound(ceremony, assertion)  # 2
    check_possible(ceremony, assertion.action, assertion.key_id, at_ms)  # 3
    if assertion.action in CHALLENGED:
        check_answered(ceremony, assertion, at_ms)  # 4
        typed = phrase(assertion.action, ceremony.tool, ceremony.intent_hash)
        if assertion.confirmation_hash != confirmation(ceremony.body(), assertion.action, typed):  # 5
            raise illegal(ceremony, "what was retyped is not what was shown", f"retype: {typed}")
    said = attrs.evolve(ceremony, reason=assertion.reason, asked=without(ceremony.asked, assertion.key_id))
    match assertion.action:
        case Action.APPROVE:
            return agreed(said, Grant(approver_of(ceremony, assertion.key_id), assertion.key_id, signature))
        case Action.DENY:
            return attrs.evolve(said, state=DENIED)
        case Action.REVOKE:
            return attrs.evolve(said, state=REVOKED)
        case Action.DISPUTE:
            nobody: Mapping[str, Asked] = MappingProxyType({})
            return attrs.evolve(said, state=DISPUTED, grants=(), disputes=said.disputes + 1, asked=nobody)
        case Action.OVERRIDE:
            return attrs.evolve(said, state=APPROVED, break_glass=assertion.reason_code, review=OPEN)
        case Action.REVIEW:
            return attrs.evolve(said, review=CLOSED)
        case _:
            raise illegal(ceremony, f"nothing is known of {assertion.action}", "")


def agreed(ceremony: Ceremony, grant: Grant) -> Ceremony:
    """Return the ceremony with one more grant; with the last one that was needed it is approved."""
    grants = (*ceremony.grants, grant)
    return attrs.evolve(ceremony, grants=grants, state=APPROVED if len(grants) >= ceremony.quorum else ceremony.state)


def without(asked: Mapping[str, Asked], key_id: str) -> Mapping[str, Asked]:
    """Return the challenges but for one key's: an answer counts once (T6)."""
    return MappingProxyType({name: one for name, one in asked.items() if name != key_id})


def check_possible(ceremony: Ceremony, action: str, key_id: str, at_ms: int) -> None:
    """Raise Invalid unless this key may do this now."""
    states, hint = POSSIBLE[action]
    if ceremony.state not in states:
        raise illegal(ceremony, f"it is {ceremony.state}: nobody can {action} it", hint)
    if action == Action.REVIEW:
        if ceremony.review != OPEN:
            raise illegal(ceremony, "no override of it waits for a review", hint)
    elif at_ms >= ceremony.expires_at_ms:
        raise illegal(ceremony, "its time is over", "the call can be made again, and asks anew")
    if action == Action.OVERRIDE:
        return
    principal = approver_of(ceremony, key_id)
    if action == Action.APPROVE:
        check_may_agree(ceremony, principal, key_id)


def check_may_agree(ceremony: Ceremony, principal: str, key_id: str) -> None:
    """Raise Invalid for whoever asked, whoever agreed already under any name or key, and before the timelock."""
    if principal == ceremony.principal:
        raise illegal(ceremony, f"{principal} asked for it and cannot approve it", "another approver must agree")
    if any(principal == grant.principal or key_id == grant.key_id for grant in ceremony.grants):
        raise illegal(ceremony, f"{principal} has agreed already", "the quorum counts different keys and principals")
    if not ceremony.unlocked:
        raise illegal(ceremony, f"its timelock holds until {ceremony.timelock_until_ms}", TIMELOCKED)


TIMELOCKED: Final = "ERR_APPROVAL_TIMELOCK_ACTIVE: wait until the timelock has elapsed on the kernel's clock"

POSSIBLE: Final[Mapping[str, tuple[frozenset[str], str]]] = MappingProxyType(
    {
        Action.APPROVE: (WAITING, "only what waits can be approved"),
        Action.DENY: (WAITING, "revoke what was approved"),
        Action.REVOKE: (frozenset({APPROVED}), "only an approval that was not used yet can be revoked"),
        Action.DISPUTE: (frozenset({APPROVED}), "only an approval that was not used yet can be held back"),
        Action.OVERRIDE: (WAITING, "only what waits can be overridden"),
        Action.REVIEW: (frozenset({APPROVED, CONSUMED, EXPIRED, REVOKED, DISPUTED}), "an override is reviewed once"),
    }
)
"""In which states each action is possible, and what to say otherwise."""


def check_answered(ceremony: Ceremony, assertion: Assertion, at_ms: int) -> None:
    """Raise Invalid unless the assertion answers the challenge under way of its key."""
    asked = ceremony.asked.get(assertion.key_id)
    if asked is None or (asked.action, asked.response) != (assertion.action, assertion.challenge_response):
        raise illegal(ceremony, "it does not answer the challenge put to its key", "ask for a challenge and sign again")
    if at_ms >= asked.expires_at_ms:
        raise illegal(ceremony, "the challenge was answered too late", "ask for a new one and sign again")


def check_bound(ceremony: Ceremony, said: Challenge | Assertion) -> None:
    """Raise Invalid unless this is said of the ceremony's own intent, policy and ceilings."""
    names = (said.approval_id, said.intent_hash, said.policy_bundle_hash, said.p0_ceiling_hash)
    own = (ceremony.approval_id, ceremony.intent_hash, ceremony.policy_hash, ceremony.p0_ceiling_hash)
    if names != own:
        raise illegal(ceremony, "it is about another intent, or another policy", "sign what this approval shows")


def check_signed(ceremony: Ceremony, key: PublicKey, domain: bytes, said: bytes, signature: str) -> None:
    try:
        key.verify(domain, said, signature)
    except SignatureInvalid as problem:
        raise illegal(ceremony, str(problem), "sign it with the key that it names") from problem


def illegal(ceremony: Ceremony, what: str, hint: str) -> Invalid:
    return Invalid(what, f"approval {ceremony.approval_id}", hint)
