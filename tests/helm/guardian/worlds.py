"""A call and a world in which it is allowed, for the tests that change one thing in one of them."""

from __future__ import annotations

from typing import Any

from helm.contracts.call import CallContext, ToolCall
from helm.contracts.form import JSONValue
from helm.guardian.bundle import load_toml
from helm.guardian.delegation import DelegationGrant
from helm.guardian.intake import PLAIN, Caller, Terms, admit
from helm.guardian.policy import Policy
from helm.guardian.world import World
from tests.actors.policies import POLICY

NOON_MS = 1_760_000_400_000
"""Thursday 2025-10-09, 09:00 UTC."""

POLICIES: dict[str, Policy] = {}


def policy(text: str = POLICY) -> Policy:
    """Return a compiled policy, each text compiled once."""
    if text not in POLICIES:
        POLICIES[text] = load_toml(text, "test policy")
    return POLICIES[text]


def world(**changes: Any) -> World:
    """Return a world in which nothing stands in the way."""
    plain = World(
        approval=None,
        approvals_asked=(0, 0),
        authz=None,
        budgets=(),
        call_seq=1,
        claim_conflict=False,
        connector_halted="",
        delegation=None,
        fingerprint="sha256:here",
        fingerprint_at_boot="sha256:here",
        frozen="",
        kernel_epoch=1,
        log_id="sha256:log",
        now_ms=NOON_MS,
        pdp=None,
        policy=policy(),
        session_closed=False,
        session_labels=(),
        session_owner="",
        velocity=(),
    )
    return plain.but(**changes)


def call(
    tool: str = "read",
    arguments: JSONValue | bytes = None,
    *,
    principal: str = "agent",
    session: str = "s",
    terms: Terms = PLAIN,
    labels: tuple[str, ...] = (),
) -> ToolCall:
    """Return a call as the intake makes it."""
    caller = Caller(tenant="t", principal=principal, session_id=session, context=CallContext(labels=labels))
    return admit(caller, tool, {} if arguments is None else arguments, terms)


def grant(delegator: str, capabilities: dict[str, str]) -> DelegationGrant:
    """Return what lets `agent` act in another's name."""
    return DelegationGrant(
        capabilities=capabilities,
        challenge="c" * 43,
        delegate="agent",
        delegator=delegator,
        expires_at_ms=2,
        issued_at_ms=1,
        key_id="key_1",
        log_id="sha256:log",
        mfa_at_ms=0,
        mfa_evidence_hash="",
        mfa_method="",
        nonce="0" * 32,
        tenant="t",
    )
