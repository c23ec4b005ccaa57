"""What is said in an approval ceremony: the kernel's challenge, and the assertion an approver signs (T7)."""

from __future__ import annotations

from enum import StrEnum

from helm.contracts.form import Form, Noun

MAX_REASON = 500
"""Characters of an approver's reason, as in a freeze command (T4)."""


class Action(StrEnum):
    """What a signer does to a ceremony."""

    APPROVE = "approve"
    DENY = "deny"
    REVOKE = "revoke"
    DISPUTE = "dispute"
    OVERRIDE = "override"
    """Grant it alone, in an emergency, with a key of its own purpose. It opens a review."""
    REVIEW = "review"
    """Say, after the fact, what is thought of an override. It closes the review."""


CHALLENGED = frozenset({Action.APPROVE, Action.DISPUTE, Action.OVERRIDE, Action.REVIEW})
"""What needs the answer to a challenge. A refusal ends the ceremony, so that it cannot be played a second time."""


class OverrideReason(StrEnum):
    """Why the quorum may be passed over: these reasons, and no other."""

    LIFE_SAFETY = "LIFE_SAFETY"
    SECURITY_RESPONSE = "SECURITY_RESPONSE"
    SERVICE_RESTORATION = "SERVICE_RESTORATION"
    LEGAL_ORDER = "LEGAL_ORDER"


class Challenge(Noun, frozen=True, kw_only=True):
    """What the kernel asks one key about one ceremony; signed by the execution key (HELM/ApprovalChallenge/v1).

    `sequence` counts the challenges of the ceremony, so that no two are the same.
    """

    action: str
    approval_id: str
    args_hash: str
    expires_at_ms: int
    intent_hash: str
    issued_at_ms: int
    key_id: str
    log_id: str
    p0_ceiling_hash: str
    policy_bundle_hash: str
    sequence: int
    signed_by: str

    def __post_init__(self) -> None:
        if self.action not in CHALLENGED:
            raise ValueError(f"nobody is challenged to {self.action}")


class Assertion(Noun, frozen=True, kw_only=True):
    """What an approver signs (HELM/Approval/v1), or who holds the emergency key (HELM/ApprovalOverride/v1).

    `challenge_response` and `confirmation_hash` are "" for what needs no challenge. `reason_code` is "" but for an
    override.
    """

    action: str
    approval_id: str
    challenge_response: str
    confirmation_hash: str
    intent_hash: str
    key_id: str
    log_id: str
    p0_ceiling_hash: str
    policy_bundle_hash: str
    reason: str
    reason_code: str

    def __post_init__(self) -> None:
        if self.action not in tuple(Action):
            raise ValueError(f"there is no such action: {self.action!r}")
        answered = self.action in CHALLENGED
        if (self.challenge_response != "") != answered or (self.confirmation_hash != "") != answered:
            raise ValueError(f"to {self.action} needs {'the answer to' if answered else 'no'} challenge")
        if (self.reason_code in tuple(OverrideReason)) != (self.action == Action.OVERRIDE):
            raise ValueError(f"an override, and nothing else, names one of {', '.join(OverrideReason)}")
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise ValueError(f"an assertion gives its reason, one line of at most {MAX_REASON} characters")


CHALLENGE = Form(Challenge)
ASSERTION = Form(Assertion)
