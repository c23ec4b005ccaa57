// Tables, drawn from the contracts and from `helm verify`, by `python -m conformance.schemas`.

export const COVER = "from_ms:i key_id:s lamport:i log_id:s open_intents:l redacted:i scope:s sessions:l shard:s until_ms:i version:s";

export const DECISION = "approval_approvers:l approval_expires_at_ms:i approval_id:s approval_quorum:i approval_role:s approval_timelock_until_ms:i args_hash:s authz_snapshot_hash:s budget_reservation:l call_seq:i decided_at_ms:i delegation_id:s delegation_sequence:i door:s effect_id:s effect_type:s facts_hash:s gate_results:l gate_roster_hash:s idempotency_key:s input_schema_hash:s intent_hash:s kernel_epoch:i labels:l log_id:s output_schema_hash:s p0_ceiling_hash:s pdp_policy_hash:s policy_epoch:i policy_hash:s principal:s reason:s reason_code:s requirement_set_hash:s risk_tier:s sandbox_grant_hash:s session_id:s tenant:s tool:s transport:s velocity:l verdict:s";

export const RECORD = "approval_ids:l args_hash:s args_malformed:b authz_snapshot_hash:s created_at_ms:i credential_ref:s decision_id:s destination:s direct_dispatch_seen:b input_schema_hash:s log_id:s mcp_server_id:s oauth_resource:s oauth_scopes:l pinned_schema_hash:s policy_epoch:i policy_hash:s principal:s reason:s reason_code:s sandbox_grant_hash:s session_id:s tenant:s tool_effect:s tool_name:s verdict:s";

export const RECEIPT = "args_hash:s decision_hash:s decision_id:s door:s effect_id:s fuel_used:i idempotency_key:s intent_node:s issued_at_ms:i key_id:s lamport_clock:i lease_id:s log_id:s module_hash:s output_hash:s policy_epoch:i policy_hash:s prev_hash:s principal:s reason_code:s record_hash:s risk_tier:s sandbox_grant_hash:s sandbox_limits:l session_id:s status:s tenant:s tool:s transport:s trap:s verdict:s version:s";

export const EFFECT = "args_hash:s connector:s destination:s effect_type:s idempotency_key:s irreversible:b risk_tier:s tool:s";

export const TRUST_EVENT = "height:i issued_at_ms:i key_id:s kind:s log_id:s prev_event_hash:s public_key:s purpose:s reason:s replaces:s role:s signature:s signed_by:s";

export const DELEGATION = "capabilities:d challenge:s delegate:s delegator:s expires_at_ms:i issued_at_ms:i key_id:s log_id:s mfa_at_ms:i mfa_evidence_hash:s mfa_method:s nonce:s tenant:s";

export const DELEGATION_END = "delegation_id:s issued_at_ms:i key_id:s log_id:s reason:s";

export const FREEZE = "action:s issued_at_ms:i key_id:s log_id:s reason:s scope:s sequence:i target:s";

export const CHALLENGE = "action:s approval_id:s args_hash:s expires_at_ms:i intent_hash:s issued_at_ms:i key_id:s log_id:s p0_ceiling_hash:s policy_bundle_hash:s sequence:i signed_by:s";

export const ASSERTION = "action:s approval_id:s challenge_response:s confirmation_hash:s intent_hash:s key_id:s log_id:s p0_ceiling_hash:s policy_bundle_hash:s reason:s reason_code:s";

export const MCP_SERVER = "action:s expires_at_ms:i issued_at_ms:i key_id:s log_id:s pins_hash:s reason:s sequence:i server_id:s";

export const RELATIONS = "add:l issued_at_ms:i key_id:s log_id:s model_id:s remove:l sequence:i";

export const CHECKPOINT = "cause:s control_head:s heads_root:s heads_size:i issued_at_ms:i key_id:s lamport:i log_id:s prev_checkpoint_hash:s receipts_root:s receipts_size:i records_root:s records_size:i sequence:i shard:s version:s";

export const LEAF = "body_hash:s lamport_clock:i log_id:s prev_hash:s risk_tier:s session:s signature:s tenant:s";

export const DRIFT = "at_ms:i decision_id:s destination:s host_receipt_hash:s key_id:s log_id:s manifest_hash:s number:i reason:s reason_code:s receipt_id:s source:s total:i type:s version:s";

export const OVERLAY = "action:s epoch:i issued_at_ms:i key_id:s log_id:s narrows:s overlay_hash:s overlay_id:s principals:l reason:s tenants:l";

export const RAISE_CANCEL = "due_at_ms:i issued_at_ms:i key_id:s log_id:s p0_ceiling_hash:s reason:s";

export const NODE = "kind:s lamport:i node_hash:s parents:l payload:d principal:s session_id:s shard:s tenant:s";

export const INTENT = "decision:d effect:d record:d type:s";

export const REFUSAL = "decision:d receipt_hash:s record:d type:s";

export const OUTCOME = "intent_node:s reason:s receipt_hash:s type:s";

export const CHECKPOINT_PAYLOAD = "checkpoint:d note_signature:s signature:s type:s";

export const OF_LOG = {
  "APPROVALS_EXPIRED": "approval_ids:l expired_at_ms:i type:s",
  "APPROVALS_UNLOCKED": "approval_ids:l type:s unlocked_at_ms:i",
  "BEARER_KEY_ISSUED": "bearer_key:s expires_at_ms:i issued_at_ms:i key_class:s label:s principal:s scope:s tenant:s type:s",
  "BEARER_KEY_REVOKED": "bearer_key:s key_class:s label:s principal:s reason:s revoked_at_ms:i tenant:s type:s",
  "CHECKPOINT_COSIGNED": "checkpoint_hash:s cosigned_at_s:i key_id:s name:s signature:s type:s",
  "CONNECTOR_RESUMED": "connector:s lifted:s reason:s resumed_at_ms:i type:s",
  "DELEGATION_BOUND": "bound_at_ms:i delegation_id:s grant:d signature:s type:s",
  "DELEGATION_REVOKED": "command:d revoked_at_ms:i signature:s type:s",
  "FREEZE": "command:d signature:s type:s",
  "KERNEL_STARTED": "fingerprint:s kernel_epoch:i started_at_ms:i type:s",
  "MCP_DRIFT": "listed:s noted_at_ms:i operation:s server_id:s type:s",
  "MCP_SERVER": "command:d signature:s type:s",
  "OVERLAID": "commands:d obeyed_at_ms:i type:s",
  "P0_RAISED": "due_at_ms:i raised_at_ms:i type:s",
  "P0_RAISE_CANCELLED": "cancelled_at_ms:i command:d signature:s type:s",
  "RELATIONS": "command:d obeyed_at_ms:i signature:s type:s",
  "POLICY_ACTIVATED": "activated_at_ms:i epoch:i key_id:s p0_ceiling_hash:s policy_hash:s scope:s signature:s type:s",
};

export const OF_SESSION = {
  "APPROVAL_ASSERTED": "asserted_at_ms:i assertion:d signature:s type:s",
  "APPROVAL_CHALLENGED": "challenge:d signature:s type:s",
  "EXCHANGE_BEGUN": "began_at_ms:i reserved_microcents:i type:s",
  "EXCHANGE_SETTLED": "began_at_ms:i change_microcents:i type:s",
  "SESSION_CLOSED": "closed_at_ms:i type:s",
  "SESSION_OPENED": "opened_at_ms:i type:s",
};

export const SCHEMAS = {
  "checkpoint": "sha256:a0fe6dc0a7fd86f738eff1b24c972bcf555925519a174c1e8924f93b35a6c384",
  "decision": "sha256:9e98305ad8e15e0de7f81eec6ae55f5716b2368e3ea64f621a4849e5ff2c4b73",
  "effect": "sha256:c1bca83233da3aef46994822cb6a5b46d4fa4711edead2b1c204739e9ed3a5ea",
  "freeze-command": "sha256:e01334f5e5e66aaae3a2a01848def824972c81545bb0e23bd5f7f2a65bcb6d0b",
  "intent": "sha256:30983971acab47b445e8e878c35bd7f16bcabe3bd62a6fef7b18dead0ef1f9ed",
  "node": "sha256:71984df415d01fede99f25d49c8c4d9f173e1260c54bf841fb5ffdb84297b4a4",
  "outbound-permit": "sha256:3f264b66093cc9ee7b02fc065b3cd117a2c17ed878aa01b968dd4f0e706b5296",
  "pack-manifest": "sha256:4a2e8a120f0adb8ad1f33c57bd8d4e6dbd4ee6863f24d5b9c3390f0238760327",
  "permit": "sha256:f3c63de0ebc1609833c78f790c650a2467bc1225de2b8f2ee1518bf16fedb056",
  "policy-signature": "sha256:13cae34fe6266b00de1dba2e59f9c97f80382197ca5933d956bc924a73cda061",
  "receipt": "sha256:40742ed1b70bfff396827199372e79c2e61bea10fffb4331fb5e0a0e19504144",
  "record": "sha256:097ba5c36c99d4059524f7d55bda43766f2e1633e8c4057b1cc8cab34b608dde",
  "trust-event": "sha256:c41f8468bad9f54b9e978dcf6ceb293201bcfdb798c8b4124b1e8b96ef497733",
};

export const SCRIPTS = [
  "sha256:4a19a5b473fd7504b67c07ccb3708664b6f9a4e44f4dfd491c9e8bfb958b590a",
];

export const PURPOSES = new Set("execution approval delegation trust-admin policy evidence emergency witness".split(" "));

export const CAUSES = new Set("count demand override time".split(" "));

export const OVERRIDES = new Set("LIFE_SAFETY SECURITY_RESPONSE SERVICE_RESTORATION LEGAL_ORDER".split(" "));

export const ESCALATING = new Set("APPROVAL_REQUIRED TEMPORAL_INTERVENTION".split(" "));

export const REASONS = new Set("AGENT_KILLED APPROVAL_REQUIRED APPROVAL_TIMEOUT BUDGET_ERROR BUDGET_EXCEEDED COMPLIANCE_VIOLATION CONTEXT_MISMATCH DATA_EGRESS_BLOCKED DELEGATION_INVALID DELEGATION_PRINCIPAL_MISMATCH DELEGATION_SCOPE_VIOLATION EMERGENCY_STOP_FENCED ENVELOPE_INVALID ERR_APPROVAL_RATE_LIMIT_EXCEEDED ERR_APPROVAL_TIMELOCK_ACTIVE ERR_COMPUTE_GAS_EXHAUSTED ERR_COMPUTE_MEMORY_EXHAUSTED ERR_COMPUTE_OUTPUT_EXHAUSTED ERR_COMPUTE_TIME_EXHAUSTED ERR_COMPUTE_TRAP ERR_CONNECTOR_CONTRACT_DRIFT ERR_CONNECTOR_ERROR ERR_CONNECTOR_TIMEOUT ERR_HOST_DESTINATION_MISMATCH ERR_HOST_EGRESS_AFTER_DENY ERR_HOST_EGRESS_WITHOUT_INTENT ERR_HOST_RECEIPT_MISSING ERR_HOST_VOLUME_EXCEEDED ERR_INDETERMINATE ERR_ISLAND_MODE_RESTRICTED ERR_ISOLATION_TIER_UNAVAILABLE ERR_PACK_HASH_MISMATCH EVALUATED_ONLY IDEMPOTENCY_KEY_REUSED IDENTITY_ISOLATION_VIOLATION INSUFFICIENT_PRIVILEGE JURISDICTION_VIOLATION KERNEL_STOPPED MISSING_REQUIREMENT NO_POLICY_DEFINED OVERLOADED PDP_DENY PDP_ERROR POLICY_EPOCH_CHANGED POLICY_HASH_MISMATCH POLICY_NOT_READY POLICY_SIGNATURE_INVALID POLICY_VIOLATION PRG_EVALUATION_ERROR PROMPT_INJECTION_DETECTED PROVENANCE_FAILURE PROXY_ITERATION_LIMIT PROXY_WALLCLOCK_LIMIT RELEASED_TO_CLIENT SANDBOX_VIOLATION SCHEMA_VIOLATION SYSTEM_FROZEN TAINTED_CREDENTIAL_ACCESS_DENY TAINTED_DATA_EGRESS_DENY TAINTED_INPUT_HIGH_RISK_DENY TEMPORAL_INTERVENTION TEMPORAL_THROTTLE TRANSPORT_UNSUPPORTED UNICODE_OBFUSCATION_DETECTED".split(" "));

export const CHECKS = [
  ["archive", "The file is an archive in the one form that HELM writes"],
  ["manifest", "The manifest lists exactly the files that are there, and hashes to its own hash"],
  ["versions", "Pack format, schemas and replay script are ones that this verifier knows"],
  ["nodes", "Every node hashes to its name, and stands on what came before it"],
  ["genesis", "The log begins with the event that the caller pinned"],
  ["trust", "Trust events are signed by who may sign them, and the snapshot is what comes of them"],
  ["signature", "The manifest is signed by an evidence key that counted when the pack was made"],
  ["control", "Every event says what its kind says, kernels started in order, stops and approvals are signed, in sequence"],
  ["policies", "Every activation is signed, newer than the last one, and of the bundle that the pack holds"],
  ["seals", "Decisions, records, effects and facts hash to what names them"],
  ["receipts", "Every receipt earns its id, is bound by one node, and signed by a key that counted at that node"],
  ["chain", "The receipts of a session are one dense chain from GENESIS on, each over the signature of the one before it"],
  ["stories", "Node, decision, record and receipt of every call tell one story"],
  ["approvals", "Every approval that a call relied on was agreed to by its quorum, for this very call, and used once"],
  ["complete", "Every call has its receipt or is listed as open, every fact is there or listed, and nothing else is"],
  ["inclusion", "The tree over the receipts has the root, and the subtrees, that the pack states"],
  ["checkpoints", "Checkpoints are one signed chain over these calls; no session was cut off before the last of them"],
  ["condensed", "Whatever was condensed is of low risk, was allowed without a human's word, and lies under a checkpoint"],
  ["host", "What recorders on hosts wrote stands beside the pack as it was exported, in whole chains"],
];
