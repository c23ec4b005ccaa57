"""The types of every answer of the HTTP surface. Drawn from the table of routes by `python -m conformance.schemas`; not to be edited."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Receipt(TypedDict):
    """The signed receipt of one call."""

    args_hash: str
    decision_hash: str
    decision_id: str
    door: str
    effect_id: str
    fuel_used: int
    idempotency_key: str
    intent_node: str
    issued_at_ms: int
    key_id: str
    lamport_clock: int
    lease_id: str
    log_id: str
    module_hash: str
    output_hash: str
    policy_epoch: int
    policy_hash: str
    prev_hash: str
    principal: str
    reason_code: str
    receipt_id: str
    record_hash: str
    risk_tier: str
    sandbox_grant_hash: str
    sandbox_limits: list[list[Any]]
    session_id: str
    signature: str
    status: str
    tenant: str
    tool: str
    transport: str
    trap: str
    verdict: str
    version: str


class Decision(TypedDict):
    """One verdict of the guardian, sealed."""

    approval_approvers: list[str]
    approval_expires_at_ms: int
    approval_id: str
    approval_quorum: int
    approval_role: str
    approval_timelock_until_ms: int
    args_hash: str
    authz_snapshot_hash: str
    budget_reservation: list[list[Any]]
    call_seq: int
    decided_at_ms: int
    decision_id: str
    delegation_id: str
    delegation_sequence: int
    door: str
    effect_id: str
    effect_type: str
    facts_hash: str
    gate_results: list[str]
    gate_roster_hash: str
    idempotency_key: str
    input_schema_hash: str
    intent_hash: str
    kernel_epoch: int
    labels: list[str]
    log_id: str
    output_schema_hash: str
    p0_ceiling_hash: str
    pdp_policy_hash: str
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
    velocity: list[list[Any]]
    verdict: str


class BoundaryRecord(TypedDict):
    """The boundary record."""

    approval_ids: list[str]
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
    oauth_scopes: list[str]
    pinned_schema_hash: str
    policy_epoch: int
    policy_hash: str
    principal: str
    reason: str
    reason_code: str
    record_hash: str
    record_id: str
    sandbox_grant_hash: str
    session_id: str
    tenant: str
    tool_effect: str
    tool_name: str
    verdict: str


class Checkpoint(TypedDict):
    """What a checkpoint says of its log; signed beside it."""

    cause: str
    control_head: str
    heads_root: str
    heads_size: int
    issued_at_ms: int
    key_id: str
    lamport: int
    log_id: str
    prev_checkpoint_hash: str
    receipts_root: str
    receipts_size: int
    records_root: str
    records_size: int
    sequence: int
    shard: str
    version: str


class TrustEvent(TypedDict):
    """See TrustEvent in schemas/openapi/helm.openapi.yaml."""

    height: NotRequired[int]
    issued_at_ms: NotRequired[int]
    key_id: NotRequired[str]
    kind: NotRequired[str]
    log_id: NotRequired[str]
    prev_event_hash: NotRequired[str]
    public_key: NotRequired[str]
    purpose: NotRequired[str]
    reason: NotRequired[str]
    replaces: NotRequired[str]
    role: NotRequired[str]
    signature: NotRequired[str]
    signed_by: NotRequired[str]


class Problem(TypedDict):
    """See Problem in schemas/openapi/helm.openapi.yaml."""

    detail: str
    status: int
    title: str
    type: str
    outcome_unknown: NotRequired[bool]
    place: NotRequired[str]
    reason_code: NotRequired[str]
    receipt_id: NotRequired[str]


class Refusal(TypedDict):
    """See Refusal in schemas/openapi/helm.openapi.yaml."""

    detail: str
    status: int
    title: str
    type: str
    decision_id: str
    outcome: str
    output: Any
    reason: str
    reason_code: str
    receipt: Receipt
    record_id: str
    replayed: bool
    verdict: str
    receipt_id: str
    approval_id: NotRequired[str]
    outcome_unknown: NotRequired[bool]


class Governed(TypedDict):
    """See Governed in schemas/openapi/helm.openapi.yaml."""

    decision_id: str
    outcome: str
    output: Any
    reason: str
    reason_code: str
    receipt: Receipt
    record_id: str
    replayed: bool
    verdict: str
    status: str
    approval_id: NotRequired[str]


class Story(TypedDict):
    """See Story in schemas/openapi/helm.openapi.yaml."""

    decision: Decision | None
    reason: str
    receipt: Receipt
    record: BoundaryRecord | None
    seq: int


class Session(TypedDict):
    """See Session in schemas/openapi/helm.openapi.yaml."""

    closed: bool
    labels: list[str]
    lamport_clock: int
    opened_at_ms: int
    principal: str
    session_id: str
    tenant: str


class ApprovalCeremony(TypedDict):
    """See ApprovalCeremony in schemas/openapi/helm.openapi.yaml."""

    approval_id: str
    approvers: list[str]
    args_hash: str
    break_glass: str
    ceremony_hash: str
    delegation_id: str
    disputes: int
    effect_id: str
    expires_at_ms: int
    grants: list[dict[str, Any]]
    idempotency_key: str
    intent_hash: str
    p0_ceiling_hash: str
    policy_epoch: int
    policy_hash: str
    principal: str
    quorum: int
    reason: str
    reason_code: str
    record_id: str
    requested_at_ms: int
    review: str
    risk_tier: str
    role: str
    session_id: str
    state: str
    tenant: str
    timelock_until_ms: int
    tool: str
    unlocked: bool
    unlocked_at_ms: int


class ApprovalShown(TypedDict):
    """See ApprovalShown in schemas/openapi/helm.openapi.yaml."""

    approval_id: str
    approvers: list[str]
    args_hash: str
    break_glass: str
    ceremony_hash: str
    delegation_id: str
    disputes: int
    effect_id: str
    expires_at_ms: int
    grants: list[dict[str, Any]]
    idempotency_key: str
    intent_hash: str
    p0_ceiling_hash: str
    policy_epoch: int
    policy_hash: str
    principal: str
    quorum: int
    reason: str
    reason_code: str
    record_id: str
    requested_at_ms: int
    review: str
    risk_tier: str
    role: str
    session_id: str
    state: str
    tenant: str
    timelock_until_ms: int
    tool: str
    unlocked: bool
    unlocked_at_ms: int
    arguments: Any
    log_id: str


class Delegation(TypedDict):
    """See Delegation in schemas/openapi/helm.openapi.yaml."""

    calls_up_to: int
    delegation_id: str
    ended: str
    grant: dict[str, Any]


class BudgetCeiling(TypedDict):
    """See BudgetCeiling in schemas/openapi/helm.openapi.yaml."""

    accounts: list[dict[str, Any]]
    approval_required_above_cents: int | None
    budget_id: str
    egress_limit_bytes: int | None
    layer: str
    narrowed_by: list[dict[str, Any]]
    policy_epoch: int
    spend_limit_cents: int | None
    subject: str
    tool_call_limit: int | None
    window_s: int
    window_start_ms: int
    write_operation_limit: int | None


class PolicyLayers(TypedDict):
    """See PolicyLayers in schemas/openapi/helm.openapi.yaml."""

    bundle_hash: str
    epoch: int
    log_id: str
    overlay_epochs: dict[str, Any]
    overlays: list[dict[str, Any]]
    p0: dict[str, Any] | None
    scope: str


class AuthzHealth(TypedDict):
    """See AuthzHealth in schemas/openapi/helm.openapi.yaml."""

    confirmed_at_ms: int
    log_id: str
    model_id: str
    model_mismatch: bool
    sequence: int
    stale: bool
    tuples: int
    tuples_model_id: str


class AuthzAnswer(TypedDict):
    """See AuthzAnswer in schemas/openapi/helm.openapi.yaml."""

    checked_at_ms: int
    decision: str
    model_id: str
    model_mismatch: bool
    object: str
    relation: str
    relationship_hash: str
    resolver: str
    snapshot_hash: str
    snapshot_token: str
    stale: bool
    subject: str


class AuthzSnapshot(TypedDict):
    """See AuthzSnapshot in schemas/openapi/helm.openapi.yaml."""

    checked_at_ms: int
    decision: str
    model_id: str
    model_mismatch: bool
    object: str
    relation: str
    relationship_hash: str
    resolver: str
    snapshot_hash: str
    snapshot_token: str
    stale: bool
    subject: str
    decision_id: str
    snapshot_id: str


class SignedCheckpoint(TypedDict):
    """See SignedCheckpoint in schemas/openapi/helm.openapi.yaml."""

    checkpoint: Checkpoint
    note_signature: str
    signature: str
    version: str


class CheckpointShown(TypedDict):
    """See CheckpointShown in schemas/openapi/helm.openapi.yaml."""

    checkpoint: Checkpoint
    note_signature: str
    signature: str
    version: str
    checkpoint_hash: str
    checkpoint_id: str
    note: str
    taken: NotRequired[int]


class Inclusion(TypedDict):
    """See Inclusion in schemas/openapi/helm.openapi.yaml."""

    index: int
    path: list[str]
    under: SignedCheckpoint
    version: str
    receipt: NotRequired[Receipt]
    record: NotRequired[BoundaryRecord]


class SandboxGrant(TypedDict):
    """See SandboxGrant in schemas/openapi/helm.openapi.yaml."""

    clock: str
    connector: str
    declared_at_ms: int
    env: dict[str, Any]
    filesystem_preopens: list[dict[str, Any]]
    grant_hash: str
    grant_id: str
    limits: dict[str, Any]
    module_hash: str
    network: dict[str, Any]
    policy_epoch: int
    profile: str
    randomness: str
    runtime: str
    runtime_version: str
    source: str


class SandboxPreflight(TypedDict):
    """See SandboxPreflight in schemas/openapi/helm.openapi.yaml."""

    checked_at_ms: int
    dispatch_ready: bool
    findings: list[dict[str, Any]]
    grant_hash: str
    grant_id: str
    reason_code: str
    verdict: str


class TrustKey(TypedDict):
    """See TrustKey in schemas/openapi/helm.openapi.yaml."""

    added: dict[str, Any]
    key_id: str
    public_key: str
    purpose: str
    replaced_by: str
    revoked: dict[str, Any] | None
    roles: list[dict[str, Any]]
    rotated: dict[str, Any] | None
    status: str


class TrustSnapshot(TypedDict):
    """See TrustSnapshot in schemas/openapi/helm.openapi.yaml."""

    height: int
    keys: list[TrustKey]
    lamport: int
    last_event_hash: str
    log_id: str
    threshold: NotRequired[int]


Agent = TypedDict(
    "Agent",
    {
        "agent_id": str,
        "class": str,
        "first_session_at_ms": int | None,
        "frozen": str,
        "key_created_at_ms": int | None,
        "last_seen_ms": int | None,
        "latest_session_at_ms": int | None,
        "principal": str,
        "sessions": dict[str, Any],
        "source": str,
        "tenant": str,
        "trusted": bool,
        "latest_sessions": NotRequired[list[dict[str, Any]]],
    },
)


class McpServer(TypedDict):
    """See McpServer in schemas/openapi/helm.openapi.yaml."""

    approved_at_ms: int
    approved_by: str
    approved_effects: list[str]
    approved_tool_names: list[str]
    declared: bool
    drifted: list[str]
    endpoint: str
    expires_at_ms: int
    name: str
    pins_hash: str
    reason: str
    revoked_at_ms: int
    risk: str
    server_id: str
    state: str
    tool_names: list[str]
    transport: str


class AuthProfile(TypedDict):
    """See AuthProfile in schemas/openapi/helm.openapi.yaml."""

    algorithms: list[str]
    authorization_servers: list[str]
    jwks_hash: str
    principal_claim: str
    profile_hash: str
    profile_id: str
    protocol_versions: list[str]
    required_scopes: list[str]
    resource: str
    scopes_supported: list[str]
    tenant: str
    tool_scope_hash: str
    tool_scopes: dict[str, Any]


class Stops(TypedDict):
    """See Stops in schemas/openapi/helm.openapi.yaml."""

    in_force: list[dict[str, Any]]
    log_id: str
    sequence: int


class ConnectorPins(TypedDict):
    """See ConnectorPins in schemas/openapi/helm.openapi.yaml."""

    halted: str
    name: str
    pins: list[dict[str, Any]]
    pins_hash: str
    policy_epoch: int


class GraphNode(TypedDict):
    """See GraphNode in schemas/openapi/helm.openapi.yaml."""

    kind: str
    lamport: int
    node_hash: str
    parents: list[str]


class BoundaryStatus(TypedDict):
    """See BoundaryStatus in schemas/openapi/helm.openapi.yaml."""

    authz: str
    checkpoint_log: str
    evidence_verifier: str
    mcp_firewall: str
    pdp: str
    sandbox: str
    components: list[dict[str, Any]]
    mode: str
    open_approval_count: int
    quarantined_mcp_count: int
    receipt_signer: str
    receipt_store: str
    status: str
    updated_at: str
    version: str
    last_checkpoint_hash: NotRequired[str]


class BoundaryCapability(TypedDict):
    """See BoundaryCapability in schemas/openapi/helm.openapi.yaml."""

    authority: str
    capability_id: str
    category: str
    cli_commands: list[str]
    conformance_level: str
    notes: str
    public_routes: list[str]
    receipt_bindings: list[str]
    status: str


class RecordVerification(TypedDict):
    """See RecordVerification in schemas/openapi/helm.openapi.yaml."""

    checks: list[dict[str, Any]]
    errors: list[str]
    offline: bool
    receipt_id: str
    record_hash: str
    record_id: str
    verdict: str
    verified: bool
    verified_at: str
    checkpoint_hash: NotRequired[str]
    inclusion_proof: NotRequired[Inclusion]


class Connector(TypedDict):
    """See Connector in schemas/openapi/helm.openapi.yaml."""

    failing_since_ms: int | None
    failure: str
    halted: str
    name: str


BearerKey = TypedDict(
    "BearerKey",
    {
        "class": str,
        "created_at_ms": int | None,
        "expires_at_ms": int | None,
        "key_id": str,
        "label": str,
        "principal": str,
        "reason": str,
        "revoked_at_ms": int | None,
        "scope": str,
        "source": str,
        "state": str,
        "tenant": str,
    },
)


class Act(TypedDict):
    """See Act in schemas/openapi/helm.openapi.yaml."""

    at_ms: int
    kind: str
    lamport: int
    node_hash: str
    reason: str
    says: dict[str, Any]
    who: str


class Check(TypedDict):
    """See Check in schemas/openapi/helm.openapi.yaml."""

    detail: str
    name: str
    ok: bool


class OpenAiError(TypedDict):
    """See OpenAiError in schemas/openapi/helm.openapi.yaml."""

    error: dict[str, Any]


class HealthzAnswer(TypedDict):
    """See HealthzAnswer in schemas/openapi/helm.openapi.yaml."""

    status: str


class ReadyzAnswer(TypedDict):
    """See ReadyzAnswer in schemas/openapi/helm.openapi.yaml."""

    status: str


class VersionAnswer(TypedDict):
    """See VersionAnswer in schemas/openapi/helm.openapi.yaml."""

    name: str
    version: str


class McpCapabilitiesAnswer(TypedDict):
    """See McpCapabilitiesAnswer in schemas/openapi/helm.openapi.yaml."""

    limits: dict[str, Any]
    protocol_versions: list[str]
    refused: list[str]
    tools: list[dict[str, Any]]
    transports: list[str]


class McpResourceMetadataAnswer(TypedDict):
    """See McpResourceMetadataAnswer in schemas/openapi/helm.openapi.yaml."""

    authorization_servers: list[str]
    bearer_methods_supported: list[str]
    resource: str
    resource_name: str
    scopes_supported: list[str]


class ListReceiptsAnswer(TypedDict):
    """See ListReceiptsAnswer in schemas/openapi/helm.openapi.yaml."""

    after: int
    before: int | None
    receipts: list[Receipt]


class ListCapabilitiesAnswer(TypedDict):
    """See ListCapabilitiesAnswer in schemas/openapi/helm.openapi.yaml."""

    capabilities: list[BoundaryCapability]


class ListRecordsAnswer(TypedDict):
    """See ListRecordsAnswer in schemas/openapi/helm.openapi.yaml."""

    after: int
    before: int | None
    records: list[BoundaryRecord]


class ListSessionsAnswer(TypedDict):
    """See ListSessionsAnswer in schemas/openapi/helm.openapi.yaml."""

    next: int | None
    sessions: list[Session]


class ListGraphSessionsAnswer(TypedDict):
    """See ListGraphSessionsAnswer in schemas/openapi/helm.openapi.yaml."""

    next: int | None
    sessions: list[Session]


class GetGraphSessionAnswer(TypedDict):
    """See GetGraphSessionAnswer in schemas/openapi/helm.openapi.yaml."""

    chain: list[dict[str, Any]]
    next: int | None
    session: Session


class ListCheckpointsAnswer(TypedDict):
    """See ListCheckpointsAnswer in schemas/openapi/helm.openapi.yaml."""

    checkpoints: list[CheckpointShown]
    next: int | None


ProveConsistencyAnswer = TypedDict(
    "ProveConsistencyAnswer",
    {
        "from": SignedCheckpoint,
        "receipts": list[str],
        "records": list[str],
        "to": SignedCheckpoint,
        "version": str,
    },
)


class VerifyCheckpointAnswer(TypedDict):
    """See VerifyCheckpointAnswer in schemas/openapi/helm.openapi.yaml."""

    checkpoint_hash: str
    checkpoint_id: str
    checks: list[dict[str, Any]]
    verified: bool


class VerifyPackAnswer(TypedDict):
    """See VerifyPackAnswer in schemas/openapi/helm.openapi.yaml."""

    authenticated: bool
    checks: list[dict[str, Any]]
    subject: dict[str, Any]


class ReplayPackAnswer(TypedDict):
    """See ReplayPackAnswer in schemas/openapi/helm.openapi.yaml."""

    authenticated: bool
    divergence: dict[str, Any] | None
    failed_check: dict[str, Any] | None
    judged: int
    problem: str | None
    redacted: int
    verified: bool


class ListEnvelopesAnswer(TypedDict):
    """See ListEnvelopesAnswer in schemas/openapi/helm.openapi.yaml."""

    envelopes: list[dict[str, Any]]
    next: str | None


class CreateEnvelopeAnswer(TypedDict):
    """What is kept beside an evidence envelope."""

    created_at: str
    envelope: str
    manifest_id: str
    native_authority: Any
    native_evidence_hash: str
    payload_hash: str
    payload_type: str
    statement_hash: str
    subject: str
    manifest_hash: str


class GetEnvelopeAnswer(TypedDict):
    """See GetEnvelopeAnswer in schemas/openapi/helm.openapi.yaml."""

    envelope: str
    manifest: dict[str, Any]
    media_type: str


class VerifyEnvelopeAnswer(TypedDict):
    """See VerifyEnvelopeAnswer in schemas/openapi/helm.openapi.yaml."""

    authoritative: Any
    checks: list[dict[str, Any]]
    envelope: str
    proved: str
    statement: dict[str, Any] | None
    verified: bool


class ListApprovalsAnswer(TypedDict):
    """See ListApprovalsAnswer in schemas/openapi/helm.openapi.yaml."""

    approvals: list[ApprovalCeremony]


class ChallengeApprovalAnswer(TypedDict):
    """See ChallengeApprovalAnswer in schemas/openapi/helm.openapi.yaml."""

    approval: ApprovalShown
    challenge: dict[str, Any]
    phrase: str
    signature: str


class ListDelegationsAnswer(TypedDict):
    """See ListDelegationsAnswer in schemas/openapi/helm.openapi.yaml."""

    delegations: list[Delegation]
    log_id: str


class ListBudgetsAnswer(TypedDict):
    """See ListBudgetsAnswer in schemas/openapi/helm.openapi.yaml."""

    budgets: list[BudgetCeiling]


class ListAuthzSnapshotsAnswer(TypedDict):
    """See ListAuthzSnapshotsAnswer in schemas/openapi/helm.openapi.yaml."""

    before: int | None
    snapshots: list[AuthzSnapshot]


class ListTrustEventsAnswer(TypedDict):
    """See ListTrustEventsAnswer in schemas/openapi/helm.openapi.yaml."""

    events: list[dict[str, Any]]
    log_id: str
    next: int | None


class AddTrustEventAnswer(TypedDict):
    """See AddTrustEventAnswer in schemas/openapi/helm.openapi.yaml."""

    event_hash: str
    height: int
    lamport: int


class ListTrustKeysAnswer(TypedDict):
    """See ListTrustKeysAnswer in schemas/openapi/helm.openapi.yaml."""

    keys: list[TrustKey]
    lamport: int
    log_id: str


class ListAgentsAnswer(TypedDict):
    """See ListAgentsAnswer in schemas/openapi/helm.openapi.yaml."""

    agents: list[Agent]
    is_complete: bool
    issuers: list[dict[str, Any]]
    policy_epoch: int
    trust_domains: list[dict[str, Any]]


class ListSandboxProfilesAnswer(TypedDict):
    """See ListSandboxProfilesAnswer in schemas/openapi/helm.openapi.yaml."""

    profiles: list[dict[str, Any]]


class ListSandboxGrantsAnswer(TypedDict):
    """See ListSandboxGrantsAnswer in schemas/openapi/helm.openapi.yaml."""

    grants: list[SandboxGrant]


class VerifySandboxGrantAnswer(TypedDict):
    """See VerifySandboxGrantAnswer in schemas/openapi/helm.openapi.yaml."""

    grant_hash: str
    grant_id: str
    in_policy: bool
    source: str
    verified: bool


class ListMcpServersAnswer(TypedDict):
    """See ListMcpServersAnswer in schemas/openapi/helm.openapi.yaml."""

    log_id: str
    sequence: int
    servers: list[McpServer]


class ScanMcpListingAnswer(TypedDict):
    """See ScanMcpListingAnswer in schemas/openapi/helm.openapi.yaml."""

    findings: list[dict[str, Any]]
    scanned: list[str]


class AuthorizeMcpCallAnswer(TypedDict):
    """See AuthorizeMcpCallAnswer in schemas/openapi/helm.openapi.yaml."""

    decision_id: str
    outcome: str
    output: Any
    reason: str
    reason_code: str
    receipt: Receipt
    record_id: str
    replayed: bool
    verdict: str
    status: str
    tool: str
    approval_id: NotRequired[str]


class ListAuthProfilesAnswer(TypedDict):
    """See ListAuthProfilesAnswer in schemas/openapi/helm.openapi.yaml."""

    auth_profiles: list[AuthProfile]


class ListConnectorsAnswer(TypedDict):
    """See ListConnectorsAnswer in schemas/openapi/helm.openapi.yaml."""

    connectors: list[Connector]


class ListActsAnswer(TypedDict):
    """See ListActsAnswer in schemas/openapi/helm.openapi.yaml."""

    acts: list[Act]
    log_id: str
    next: int | None


class ListNegativeVectorsAnswer(TypedDict):
    """See ListNegativeVectorsAnswer in schemas/openapi/helm.openapi.yaml."""

    vectors: list[dict[str, Any]]
    vectors_hash: str


class ListVectorsAnswer(TypedDict):
    """See ListVectorsAnswer in schemas/openapi/helm.openapi.yaml."""

    vectors: list[dict[str, Any]]
    vectors_hash: str


class RunConformanceAnswer(TypedDict):
    """See RunConformanceAnswer in schemas/openapi/helm.openapi.yaml."""

    public_key: str
    report: dict[str, Any]
    signature: str


class ListReportsAnswer(TypedDict):
    """See ListReportsAnswer in schemas/openapi/helm.openapi.yaml."""

    reports: list[dict[str, Any]]


class GetReportAnswer(TypedDict):
    """See GetReportAnswer in schemas/openapi/helm.openapi.yaml."""

    public_key: str
    report: dict[str, Any]
    signature: str


class OtelConfigAnswer(TypedDict):
    """See OtelConfigAnswer in schemas/openapi/helm.openapi.yaml."""

    attributes: list[str]
    authoritative: bool
    collector: dict[str, Any]
    environment: dict[str, Any]
    is_on: bool
    notice: str
    spans: list[str]


class ExportTelemetryAnswer(TypedDict):
    """See ExportTelemetryAnswer in schemas/openapi/helm.openapi.yaml."""

    after: int
    authoritative: bool
    is_complete: bool
    notice: str
    otlp: dict[str, Any]
    receipts: int


class ListCoexistenceAnswer(TypedDict):
    """See ListCoexistenceAnswer in schemas/openapi/helm.openapi.yaml."""

    authorities: list[dict[str, Any]]
    does_not_own: list[dict[str, Any]]
    manifest: str
    mode: str
    owns: list[dict[str, Any]]
    roots: dict[str, Any]
    tells: list[dict[str, Any]]
    updated_at: str
    version: str


class ListKeysAnswer(TypedDict):
    """See ListKeysAnswer in schemas/openapi/helm.openapi.yaml."""

    is_complete: bool
    keys: list[BearerKey]


class IssueKeyAnswer(TypedDict):
    """See IssueKeyAnswer in schemas/openapi/helm.openapi.yaml."""

    bearer_key: BearerKey
    key: str
