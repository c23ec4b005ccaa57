"""The objects that answers are made of, each under the name that the document gives it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from helm.contracts.verdict import Status
from helm.crypto.canonical import reread
from helm.crypto.domains import KeyPurpose
from helm.evidence.schemas import PUBLISHED
from helm.guardian.bearers import KeyClass, KeyScope, KeyState
from helm.guardian.freezes import SCOPES
from helm.surfaces.words import (
    ANYTHING,
    CODE,
    DIGEST,
    FLAG,
    MAYBE_CODE,
    MAYBE_DIGEST,
    OBJECT,
    TEXT,
    VERDICT,
    WHOLE,
    WORDS,
    Schema,
    closed,
    listed,
    maybe,
    one_of,
    pattern,
    ref,
    shaped,
)

RECEIPT_ID: Final = pattern("^rcpt_[0-9a-f]{32}$")
RECORD_ID: Final = pattern("^rec_[0-9a-f]{32}$")
DECISION_ID: Final = pattern("^dec_[0-9a-f]{32}$")
STATUS: Final = one_of(*Status)


def published(name: str) -> Schema:
    """Return a contract's own schema, without the head that makes it a document of its own."""
    body: dict[str, Any] = reread(PUBLISHED[name])
    return {key: value for key, value in body.items() if not key.startswith("$")}


MOMENT_TEXT: Final[Schema] = {"type": "string", "format": "date-time"}
MOMENT: Final = closed({"height": WHOLE, "lamport": WHOLE})

GOVERNED: Final[dict[str, Schema]] = {
    "decision_id": DECISION_ID,
    "outcome": STATUS,
    "output": ANYTHING,
    "reason": TEXT,
    "reason_code": MAYBE_CODE,
    "receipt": ref("Receipt"),
    "record_id": RECORD_ID,
    "replayed": FLAG,
    "verdict": VERDICT,
}
"""What every governed answer has."""

PROBLEM: Final[dict[str, Schema]] = {
    "detail": TEXT,
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "title": TEXT,
    "type": TEXT,
}

CEREMONY: Final[dict[str, Schema]] = {
    "approval_id": WORDS,
    "approvers": listed(TEXT),
    "args_hash": DIGEST,
    "break_glass": TEXT,
    "ceremony_hash": DIGEST,
    "delegation_id": TEXT,
    "disputes": WHOLE,
    "effect_id": TEXT,
    "expires_at_ms": WHOLE,
    "grants": listed(closed({"key_id": TEXT, "principal": TEXT, "signature": TEXT})),
    "idempotency_key": TEXT,
    "intent_hash": DIGEST,
    "p0_ceiling_hash": MAYBE_DIGEST,
    "policy_epoch": WHOLE,
    "policy_hash": MAYBE_DIGEST,
    "principal": TEXT,
    "quorum": WHOLE,
    "reason": TEXT,
    "reason_code": MAYBE_CODE,
    "record_id": TEXT,
    "requested_at_ms": WHOLE,
    "review": one_of("", "OPEN", "CLOSED"),
    "risk_tier": TEXT,
    "role": TEXT,
    "session_id": TEXT,
    "state": WORDS,
    "tenant": TEXT,
    "timelock_until_ms": WHOLE,
    "tool": TEXT,
    "unlocked": FLAG,
    "unlocked_at_ms": WHOLE,
}

SNAPSHOT: Final[dict[str, Schema]] = {
    "checked_at_ms": WHOLE,
    "decision": one_of("related", "unrelated", "unknown"),
    "model_id": TEXT,
    "model_mismatch": FLAG,
    "object": TEXT,
    "relation": TEXT,
    "relationship_hash": MAYBE_DIGEST,
    "resolver": TEXT,
    "snapshot_hash": DIGEST,
    "snapshot_token": TEXT,
    "stale": FLAG,
    "subject": TEXT,
}

SIGNED_CHECKPOINT: Final[dict[str, Schema]] = {
    "checkpoint": ref("Checkpoint"),
    "note_signature": TEXT,
    "signature": TEXT,
    "version": TEXT,
}

CHECK: Final = closed({"detail": TEXT, "name": TEXT, "ok": FLAG})

OBJECTS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "Receipt": published("receipt"),
        "Decision": published("decision"),
        "BoundaryRecord": published("record"),
        "Checkpoint": published("checkpoint"),
        "TrustEvent": {"type": "object", "properties": published("trust-event")["properties"]},
        "Problem": shaped(PROBLEM, outcome_unknown=FLAG, place=TEXT, reason_code=CODE, receipt_id=RECEIPT_ID),
        "Refusal": shaped(
            {**PROBLEM, **GOVERNED, "receipt_id": RECEIPT_ID},
            approval_id=TEXT,
            outcome_unknown=FLAG,
        ),
        "Governed": shaped({**GOVERNED, "status": STATUS}, approval_id=TEXT),
        "Story": closed(
            {
                "decision": maybe(ref("Decision")),
                "reason": TEXT,
                "receipt": ref("Receipt"),
                "record": maybe(ref("BoundaryRecord")),
                "seq": WHOLE,
            }
        ),
        "Session": closed(
            {
                "closed": FLAG,
                "labels": listed(TEXT),
                "lamport_clock": WHOLE,
                "opened_at_ms": WHOLE,
                "principal": TEXT,
                "session_id": TEXT,
                "tenant": TEXT,
            }
        ),
        "ApprovalCeremony": closed(CEREMONY),
        "ApprovalShown": closed({**CEREMONY, "arguments": ANYTHING, "log_id": DIGEST}),
        "Delegation": closed({"calls_up_to": WHOLE, "delegation_id": WORDS, "ended": TEXT, "grant": OBJECT}),
        "BudgetCeiling": closed(
            {
                "accounts": listed(
                    closed(
                        {
                            "account": TEXT,
                            "egress_bytes": WHOLE,
                            "spend_cents": WHOLE,
                            "tool_calls": WHOLE,
                            "write_operations": WHOLE,
                        }
                    )
                ),
                "approval_required_above_cents": maybe(WHOLE),
                "budget_id": TEXT,
                "egress_limit_bytes": maybe(WHOLE),
                "layer": TEXT,
                "narrowed_by": listed(OBJECT),
                "policy_epoch": WHOLE,
                "spend_limit_cents": maybe(WHOLE),
                "subject": TEXT,
                "tool_call_limit": maybe(WHOLE),
                "window_s": WHOLE,
                "window_start_ms": WHOLE,
                "write_operation_limit": maybe(WHOLE),
            }
        ),
        "PolicyLayers": closed(
            {
                "bundle_hash": MAYBE_DIGEST,
                "epoch": WHOLE,
                "log_id": DIGEST,
                "overlay_epochs": {"type": "object", "additionalProperties": WHOLE},
                "overlays": listed(closed({"command": OBJECT, "document": OBJECT})),
                "p0": maybe(
                    closed(
                        {
                            "due_at_ms": WHOLE,
                            "in_force": OBJECT,
                            "in_force_hash": DIGEST,
                            "stated": OBJECT,
                            "stated_hash": DIGEST,
                        }
                    )
                ),
                "scope": TEXT,
            }
        ),
        "AuthzHealth": closed(
            {
                "confirmed_at_ms": WHOLE,
                "log_id": DIGEST,
                "model_id": TEXT,
                "model_mismatch": FLAG,
                "sequence": WHOLE,
                "stale": FLAG,
                "tuples": WHOLE,
                "tuples_model_id": TEXT,
            }
        ),
        "AuthzAnswer": closed(SNAPSHOT),
        "AuthzSnapshot": closed({**SNAPSHOT, "decision_id": DECISION_ID, "snapshot_id": WORDS}),
        "SignedCheckpoint": closed(SIGNED_CHECKPOINT),
        "CheckpointShown": shaped(
            {**SIGNED_CHECKPOINT, "checkpoint_hash": DIGEST, "checkpoint_id": WORDS, "note": TEXT}, taken=WHOLE
        ),
        "Inclusion": shaped(
            {"index": WHOLE, "path": listed(TEXT), "under": ref("SignedCheckpoint"), "version": TEXT},
            receipt=ref("Receipt"),
            record=ref("BoundaryRecord"),
        ),
        "SandboxGrant": closed(
            {
                "clock": TEXT,
                "connector": TEXT,
                "declared_at_ms": WHOLE,
                "env": OBJECT,
                "filesystem_preopens": listed(OBJECT),
                "grant_hash": DIGEST,
                "grant_id": WORDS,
                "limits": OBJECT,
                "module_hash": MAYBE_DIGEST,
                "network": OBJECT,
                "policy_epoch": WHOLE,
                "profile": TEXT,
                "randomness": TEXT,
                "runtime": TEXT,
                "runtime_version": TEXT,
                "source": one_of("draft", "policy"),
            }
        ),
        "SandboxPreflight": closed(
            {
                "checked_at_ms": WHOLE,
                "dispatch_ready": FLAG,
                "findings": listed(closed({"code": TEXT, "detail": TEXT})),
                "grant_hash": DIGEST,
                "grant_id": WORDS,
                "reason_code": MAYBE_CODE,
                "verdict": VERDICT,
            }
        ),
        "TrustKey": closed(
            {
                "added": MOMENT,
                "key_id": WORDS,
                "public_key": WORDS,
                "purpose": one_of(*KeyPurpose),
                "replaced_by": TEXT,
                "revoked": maybe(MOMENT),
                "roles": listed(closed({"granted": MOMENT, "revoked": maybe(MOMENT), "role": TEXT})),
                "rotated": maybe(MOMENT),
                "status": one_of("ACTIVE", "ROTATED", "REVOKED"),
            }
        ),
        "TrustSnapshot": shaped(
            {
                "height": WHOLE,
                "keys": listed(ref("TrustKey")),
                "lamport": WHOLE,
                "last_event_hash": TEXT,
                "log_id": DIGEST,
            },
            threshold=WHOLE,
        ),
        "Agent": shaped(
            {
                "agent_id": WORDS,
                "class": one_of("tenant", "admin"),
                "first_session_at_ms": maybe(WHOLE),
                "frozen": TEXT,
                "key_created_at_ms": maybe(WHOLE),
                "last_seen_ms": maybe(WHOLE),
                "latest_session_at_ms": maybe(WHOLE),
                "principal": TEXT,
                "sessions": closed({"closed": WHOLE, "open": WHOLE}),
                "source": TEXT,
                "tenant": TEXT,
                "trusted": FLAG,
            },
            latest_sessions=listed(closed({"closed": FLAG, "opened_at_ms": WHOLE, "session_id": TEXT})),
        ),
        "McpServer": closed(
            {
                "approved_at_ms": WHOLE,
                "approved_by": TEXT,
                "approved_effects": listed(TEXT),
                "approved_tool_names": listed(TEXT),
                "declared": FLAG,
                "drifted": listed(TEXT),
                "endpoint": TEXT,
                "expires_at_ms": WHOLE,
                "name": TEXT,
                "pins_hash": MAYBE_DIGEST,
                "reason": TEXT,
                "revoked_at_ms": WHOLE,
                "risk": TEXT,
                "server_id": TEXT,
                "state": one_of("discovered", "quarantined", "approved", "revoked", "expired"),
                "tool_names": listed(TEXT),
                "transport": TEXT,
            }
        ),
        "AuthProfile": closed(
            {
                "algorithms": listed(TEXT),
                "authorization_servers": listed(TEXT),
                "jwks_hash": DIGEST,
                "principal_claim": TEXT,
                "profile_hash": DIGEST,
                "profile_id": TEXT,
                "protocol_versions": listed(TEXT),
                "required_scopes": listed(TEXT),
                "resource": TEXT,
                "scopes_supported": listed(TEXT),
                "tenant": TEXT,
                "tool_scope_hash": DIGEST,
                "tool_scopes": OBJECT,
            }
        ),
        "Stops": closed(
            {
                "in_force": listed(closed({"scope": one_of(*SCOPES), "target": TEXT})),
                "log_id": DIGEST,
                "sequence": WHOLE,
            }
        ),
        "ConnectorPins": closed(
            {
                "halted": TEXT,
                "name": TEXT,
                "pins": listed(closed({"drifted": FLAG, "listed": TEXT, "operation": TEXT, "pinned": TEXT})),
                "pins_hash": MAYBE_DIGEST,
                "policy_epoch": WHOLE,
            }
        ),
        "GraphNode": closed({"kind": TEXT, "lamport": WHOLE, "node_hash": DIGEST, "parents": listed(DIGEST)}),
        "BoundaryStatus": shaped(
            {
                **dict.fromkeys(
                    ("authz", "checkpoint_log", "evidence_verifier", "mcp_firewall", "pdp", "sandbox"), WORDS
                ),
                "components": listed(closed({"detail": TEXT, "name": WORDS, "state": WORDS})),
                "mode": one_of("kernel", "standalone"),
                "open_approval_count": WHOLE,
                "quarantined_mcp_count": WHOLE,
                "receipt_signer": TEXT,
                "receipt_store": WORDS,
                "status": one_of("ready", "refusing", "frozen", "at-rest"),
                "updated_at": MOMENT_TEXT,
                "version": WORDS,
            },
            last_checkpoint_hash=DIGEST,
        ),
        "BoundaryCapability": closed(
            {
                "authority": WORDS,
                "capability_id": WORDS,
                "category": WORDS,
                "cli_commands": listed(TEXT),
                "conformance_level": WORDS,
                "notes": TEXT,
                "public_routes": listed(TEXT),
                "receipt_bindings": listed(TEXT),
                "status": one_of("available"),
            }
        ),
        "RecordVerification": shaped(
            {
                "checks": listed(CHECK),
                "errors": listed(TEXT),
                "offline": FLAG,
                "receipt_id": TEXT,
                "record_hash": TEXT,
                "record_id": TEXT,
                "verdict": TEXT,
                "verified": FLAG,
                "verified_at": MOMENT_TEXT,
            },
            checkpoint_hash=DIGEST,
            inclusion_proof=ref("Inclusion"),
        ),
        "Connector": closed({"failing_since_ms": maybe(WHOLE), "failure": TEXT, "halted": TEXT, "name": TEXT}),
        "BearerKey": closed(
            {
                "class": one_of(*KeyClass),
                "created_at_ms": maybe(WHOLE),
                "expires_at_ms": maybe(WHOLE),
                "key_id": pattern("^bk_[0-9a-f]{32}$"),
                "label": TEXT,
                "principal": TEXT,
                "reason": TEXT,
                "revoked_at_ms": maybe(WHOLE),
                "scope": one_of(*KeyScope),
                "source": one_of("file", "environment"),
                "state": one_of(*KeyState),
                "tenant": TEXT,
            }
        ),
        "Act": closed(
            {
                "at_ms": WHOLE,
                "kind": TEXT,
                "lamport": WHOLE,
                "node_hash": DIGEST,
                "reason": TEXT,
                "says": OBJECT,
                "who": TEXT,
            }
        ),
        "Check": CHECK,
        "OpenAiError": closed(
            {
                "error": shaped(
                    {"code": maybe(TEXT), "message": TEXT, "param": maybe(TEXT), "type": TEXT}, receipt_id=RECEIPT_ID
                )
            }
        ),
    }
)
"""By name, for `components/schemas`."""
