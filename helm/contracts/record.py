"""The boundary record: the authoritative account of one decision (seed: Execution Boundary Reference)."""

from __future__ import annotations

from helm.contracts.decision import check_verdict
from helm.contracts.form import Form, Noun


class BoundaryRecord(Noun, frozen=True):
    """What the boundary decided about one call. Its `record_hash` covers every member but itself.

    The payload of the INTENT node, or of the ATTESTATION node of a refusal. The receipt's id is an index beside it,
    proved by the receipt's signed record_hash.
    """

    approval_ids: tuple[str, ...]
    args_hash: str
    args_malformed: bool
    authz_snapshot_hash: str
    created_at_ms: int
    credential_ref: str
    decision_id: str
    destination: str
    direct_dispatch_seen: bool
    input_schema_hash: str
    log_id: str
    mcp_server_id: str
    oauth_resource: str
    oauth_scopes: tuple[str, ...]
    pinned_schema_hash: str
    policy_epoch: int
    policy_hash: str
    principal: str
    reason: str
    reason_code: str
    sandbox_grant_hash: str
    session_id: str
    tenant: str
    tool_effect: str
    tool_name: str
    verdict: str

    def __post_init__(self) -> None:
        check_verdict(self.verdict, self.reason_code)


RECORD = Form(BoundaryRecord)
