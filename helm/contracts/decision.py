"""The guardian's decision about one call, with the hash of everything it looked at."""

from __future__ import annotations

from helm.contracts.form import Form, Noun
from helm.contracts.reason import ESCALATING, ReasonCode
from helm.contracts.verdict import Verdict


class Decision(Noun, frozen=True):
    """One verdict. Two identical calls never share a decision: `kernel_epoch` and `call_seq` tell them apart.

    A hash or id that was not reached is "", never missing. `gate_results` holds one word per office of the roster,
    in roster order, up to and including the one that refused.
    """

    approval_approvers: tuple[str, ...]
    """Who may approve what this ESCALATE asks for: "principal key_id" each; () for whoever holds an approval key."""
    approval_expires_at_ms: int
    """When the approval that this ESCALATE asks for expires, 0 where it asks for none."""
    approval_id: str
    """The approval that is asked for, that was relied on, or, in a DENY, that the caller named."""
    approval_quorum: int
    """How many must agree where this ESCALATE opens a ceremony; 0 where it opens none."""
    approval_role: str
    """The role in the trust registry that whoever approves must have, "" for none."""
    approval_timelock_until_ms: int
    """Before when nobody may approve it."""
    args_hash: str
    authz_snapshot_hash: str
    budget_reservation: tuple[tuple[str, int, int, int, int, int], ...]
    call_seq: int
    decided_at_ms: int
    delegation_id: str
    delegation_sequence: int
    """Which call under its delegation session it is, 0 where gate 5 let none through."""
    door: str
    effect_id: str
    effect_type: str
    facts_hash: str
    gate_results: tuple[str, ...]
    gate_roster_hash: str
    idempotency_key: str
    input_schema_hash: str
    intent_hash: str
    kernel_epoch: int
    labels: tuple[str, ...]
    """Taint labels that came with the call; its session carries them from here on."""
    log_id: str
    output_schema_hash: str
    p0_ceiling_hash: str
    pdp_policy_hash: str
    """The content hash of the decision point's policy that the call was held against, "" where none was consulted."""
    policy_epoch: int
    policy_hash: str
    principal: str
    reason: str
    reason_code: str
    requirement_set_hash: str
    risk_tier: str
    sandbox_grant_hash: str
    session_id: str
    tenant: str
    tool: str
    transport: str
    velocity: tuple[tuple[str, int, int, str, int, str, int], ...]
    """Where this call counts towards a velocity: rule, its window and cool-down in s, account, time in ms, the level
    that it reached, and from when on the rule lets such a call pass again, 0 where it lets this one pass."""
    verdict: str

    def __post_init__(self) -> None:
        check_verdict(self.verdict, self.reason_code)


REFUSING = frozenset(ReasonCode) - ESCALATING - {ReasonCode.NONE}


ALLOW, DENY, ESCALATE = Verdict.ALLOW.value, Verdict.DENY.value, Verdict.ESCALATE.value


def check_verdict(verdict: str, reason_code: str) -> None:
    """Raise ValueError unless the reason fits the verdict: none for ALLOW, a waiting one for ESCALATE, else DENY."""
    if verdict == ALLOW:
        fits = reason_code == ""
    elif verdict == ESCALATE:
        fits = reason_code in ESCALATING
    else:
        fits = verdict == DENY and reason_code in REFUSING
    if not fits:
        raise ValueError(f"a {verdict} cannot carry the reason code {reason_code!r}")


DECISION = Form(Decision)
