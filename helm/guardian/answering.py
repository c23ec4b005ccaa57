"""Answering: what an approver's own machine checks before it signs, and what it then signs (T7).

It needs no kernel, no network and no data directory, so that the key may live where none of them is.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from helm.contracts.approval import CHALLENGED, Assertion, Challenge
from helm.contracts.effect import INTENT, Intent
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue, noun_of
from helm.crypto import domains
from helm.crypto.canonical import canonical, ordered_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import hash_in, sha256
from helm.guardian.ceremony import confirmation, phrase, response_to, sign_assertion

FALSE_SHOW = "do not sign: ask who runs that kernel"


@attrs.frozen(kw_only=True)
class Said:
    """What a signer wants: the action, why, and what was retyped where that is asked for."""

    action: str
    reason: str
    reason_code: str = ""
    typed: str = ""


def check_shown(approval: Mapping[str, JSONValue]) -> None:
    """Raise Invalid unless what is shown is what the intent names: the arguments, the tool, the caller, the session."""
    where = f"approval {approval.get('approval_id')}"
    try:
        if sha256(canonical(approval["arguments"])) != approval["args_hash"]:
            raise Invalid("the arguments shown are not those of the call", where, FALSE_SHOW)
        intent = noun_of(Intent, {name: approval[name] for name in INTENT.names})
        if hash_in(domains.INTENT, ordered_bytes(intent)) != approval["intent_hash"]:
            raise Invalid("the call shown is not the one that its intent_hash names", where, FALSE_SHOW)
    except (KeyError, ValueError, Malformed) as problem:
        raise Invalid(f"what is shown cannot be read: {problem}", where, FALSE_SHOW) from problem


def check_challenge(approval: Mapping[str, JSONValue], challenge: Challenge, signature: str, kernel: PublicKey) -> None:
    """Raise Invalid unless the kernel whose key is pinned asked this, about this approval."""
    where = f"approval {challenge.approval_id}"
    try:
        kernel.verify(domains.APPROVAL_CHALLENGE, ordered_bytes(challenge), signature)
    except SignatureInvalid as problem:
        raise Invalid(f"the challenge is not the pinned kernel's: {problem}", where, FALSE_SHOW) from problem
    bound = (challenge.approval_id, challenge.intent_hash, challenge.policy_bundle_hash, challenge.p0_ceiling_hash)
    if bound != tuple(approval[name] for name in ("approval_id", "intent_hash", "policy_hash", "p0_ceiling_hash")):
        raise Invalid("the challenge is about another call than the one shown", where, FALSE_SHOW)


def answer(
    said: Said,
    approval: Mapping[str, JSONValue],
    challenge: tuple[Challenge, str] | None,
    signer: Signer,
) -> tuple[Assertion, str]:
    """Return the assertion and its signature. Raises Invalid for what is not shown truly, or not retyped exactly.

    `approval` is what a kernel shows, arguments and log_id included; `challenge` what it put to this key, and its
    signature.
    """
    check_shown(approval)
    where = f"approval {approval['approval_id']}"
    response = confirmed = ""
    if said.action in CHALLENGED:
        if challenge is None:
            raise Invalid(f"to {said.action} needs a challenge", where, "`helm approvals challenge` asks for one")
        if (challenge[0].action, challenge[0].key_id) != (said.action, signer.key_id):
            raise Invalid(
                "the challenge was put to another key, or for another action", where, "ask for one of your own"
            )
        expected = phrase(said.action, approval["tool"], approval["intent_hash"])
        if said.typed != expected:
            raise Invalid("what was retyped is not what was shown", where, f"retype: {expected}")
        response, confirmed = response_to(*challenge), confirmation(approval, said.action, said.typed)
    try:
        assertion = Assertion(
            action=said.action,
            approval_id=approval["approval_id"],
            challenge_response=response,
            confirmation_hash=confirmed,
            intent_hash=approval["intent_hash"],
            key_id=signer.key_id,
            log_id=approval["log_id"],
            p0_ceiling_hash=approval["p0_ceiling_hash"],
            policy_bundle_hash=approval["policy_hash"],
            reason=said.reason,
            reason_code=said.reason_code,
        )
    except ValueError as problem:
        raise Invalid(str(problem), where, "nothing was signed") from problem
    return assertion, sign_assertion(assertion, signer)
