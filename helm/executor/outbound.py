"""The permit that travels: an ALLOW as a tool server can verify it, offline, and take it for one call (T1, T6).

It is one line of visible ASCII: the canonical statement, a dot, and the signature of the log's execution key over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from helm.contracts.effect import OutboundPermit, Permit
from helm.contracts.errors import Malformed, Refused
from helm.contracts.form import noun_of
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, parse
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer

VERSION = "helm.permit/1"

MAX_TOKEN = 8192
"""Bytes of a permit that is looked at (T4)."""

LEEWAY_MS = 5_000
"""How far a tool server's clock may be from HELM's."""

MAX_AHEAD_MS = 60_000
"""How long a permit may still be good: none is given for longer, and one that claims more could be kept (T6)."""


class Called(NamedTuple):
    """What a tool server is asked to do: one of its operations, and the hash of the canonical arguments."""

    operation: str
    args_hash: str


class Trusted(NamedTuple):
    """Whom a tool server believes: the execution keys of one log by their ids, as it was given them out of band."""

    keys: Mapping[str, PublicKey]
    log_id: str
    connector: str
    """Its own name in the policy."""


def shown(permit: Permit, operation: str, log_id: str, pen: Signer) -> bytes:
    """Return a permit as it travels to a tool server."""
    statement = ordered_bytes(
        OutboundPermit(
            args_hash=permit.args_hash,
            connector=permit.connector,
            decision_id=permit.decision_id,
            effect_id=permit.effect_id,
            expires_at_ms=permit.expires_at_ms,
            intent_hash=permit.intent_hash,
            key_id=pen.key_id,
            log_id=log_id,
            operation=operation,
            policy_epoch=permit.policy_epoch,
            tool=permit.tool,
            version=VERSION,
        )
    )
    return b"%b.%b" % (statement, pen.sign(domains.PERMIT, statement).encode())


def check_shown(token: str, called: Called, trusted: Trusted, now_ms: int) -> OutboundPermit:
    """Return the permit of a call, which the caller must take for no other one. Raises Refused(PROVENANCE_FAILURE).

    1. it is one statement in its one spelling; 2. a trusted key of the log signed it; 3. it is of this log and for this
    server; 4. it is still good, and for no longer than any is; 5. it is for this operation with these arguments.
    """
    permit, statement, signature = read(token)  # 1
    key = trusted.keys.get(permit.key_id)  # 2
    if key is None:
        raise bypass("signed with a key that is not trusted")
    try:
        key.verify(domains.PERMIT, statement, signature)
    except SignatureInvalid as problem:
        raise bypass("forged: the signature does not hold") from problem
    if permit.log_id != trusted.log_id or permit.connector != trusted.connector:  # 3
        raise bypass("a permit of another log, or for another server")
    if now_ms > permit.expires_at_ms + LEEWAY_MS:  # 4
        raise bypass("an expired permit")
    if permit.expires_at_ms > now_ms + MAX_AHEAD_MS:
        raise bypass("a permit from the future")
    if (permit.operation, permit.args_hash) != called:  # 5
        raise bypass("a permit for another operation, or for other arguments")
    return permit


def read(token: str) -> tuple[OutboundPermit, bytes, str]:
    """Return the statement of a permit that travelled, its bytes and its signature. Raises Refused."""
    if not token:
        raise bypass("no permit")
    text, _, signature = token.rpartition(".")
    if len(token) > MAX_TOKEN or not token.isascii():
        raise bypass("a permit that is none: too long, or no ASCII")
    try:
        permit = noun_of(OutboundPermit, parse(text.encode()))
    except (Malformed, TypeError, ValueError) as problem:
        raise bypass("a permit that is none") from problem
    if ordered_bytes(permit) != text.encode() or permit.version != VERSION:
        raise bypass("a permit in another spelling, or of another version")
    return permit, text.encode(), signature


def bypass(what: str) -> Refused:
    """Return the refusal of a call that did not come through HELM."""
    return Refused(ReasonCode.PROVENANCE_FAILURE, f"the call did not come through HELM: {what}")
