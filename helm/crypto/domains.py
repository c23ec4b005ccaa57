"""The context lines: what kind of statement a signature or a hash is about.

A signature covers its context line and then canonical bytes, so that a signature over a receipt is never one
over an approval, whatever the bytes say (T5). Internal hashes carry theirs for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

# What a key may sign.
RECEIPT = b"HELM/Receipt/v1\n"
APPROVAL = b"HELM/Approval/v1\n"
APPROVAL_CHALLENGE = b"HELM/ApprovalChallenge/v1\n"
APPROVAL_OVERRIDE = b"HELM/ApprovalOverride/v1\n"
DELEGATION = b"HELM/Delegation/v1\n"
DELEGATION_END = b"HELM/DelegationEnd/v1\n"
DELEGATION_STOP = b"HELM/DelegationStop/v1\n"
TRUST_EVENT = b"HELM/TrustEvent/v1\n"
CHECKPOINT = b"HELM/Checkpoint/v1\n"
POLICY_BUNDLE = b"HELM/PolicyBundle/v1\n"
PACK = b"HELM/Pack/v1\n"
BACKUP = b"HELM/Backup/v1\n"
FREEZE = b"HELM/Freeze/v1\n"
PERMIT = b"HELM/Permit/v1\n"
DRIFT = b"HELM/Drift/v1\n"
CONFORMANCE_REPORT = b"HELM/ConformanceReport/v1\n"
MCP_SERVER = b"HELM/McpServer/v1\n"
RELATIONS = b"HELM/Relations/v1\n"
OVERLAY = b"HELM/Overlay/v1\n"
P0_RAISE = b"HELM/P0Raise/v1\n"
CHECKPOINT_NOTE = b"HELM/CheckpointNote/v1/"
"""The beginning of a signed note's first line, which the log's name ends: c2sp.org/signed-note signs its text alone."""
COSIGNATURE = b"cosignature/v1\n"
"""The words of c2sp.org/tlog-cosignature."""
DSSE = b"DSSEv1 "
"""How the pre-authentication encoding of secure-systems-lab/dsse begins."""
JWS = b"eyJhbGciOiJFZERTQSIsImN0eSI6"
"""How our protected header begins, in base64url: {"alg":"EdDSA","cty": (RFC 7515 section 5.1)."""
COSE = b"\x84jSignature1"
"""How the Sig_structure of a COSE_Sign1 begins: an array of four, and a text of ten (RFC 9052 section 4.4)."""

# What is only ever hashed. No purpose below may sign one of these.
NODE = b"HELM/Node/v1\n"
RECEIPT_NAME = b"HELM/ReceiptName/v1\n"
RECEIPT_HASH = b"HELM/ReceiptHash/v1\n"
DECISION = b"HELM/Decision/v1\n"
RECORD = b"HELM/Record/v1\n"
EFFECT = b"HELM/Effect/v1\n"
INTENT = b"HELM/Intent/v1\n"
FACTS = b"HELM/Facts/v1\n"
POLICY = b"HELM/Policy/v1\n"
P0 = b"HELM/P0/v1\n"
OVERLAY_TEXT = b"HELM/OverlayText/v1\n"
POLICY_SET = b"HELM/PolicySet/v1\n"
GATES = b"HELM/Gates/v1\n"
GENESIS = b"HELM/Genesis/v1\n"
KEEPERS = b"HELM/Keepers/v1\n"
TRUST_EVENT_HASH = b"HELM/TrustEventHash/v1\n"
REQUIREMENTS = b"HELM/Requirements/v1\n"
SCHEMA = b"HELM/Schema/v1\n"
LEAF = b"HELM/Leaf/v1\n"
RECORD_LEAF = b"HELM/RecordLeaf/v1\n"
HEAD_LEAF = b"HELM/HeadLeaf/v1\n"
CHECKPOINT_HASH = b"HELM/CheckpointHash/v1\n"
MANIFEST = b"HELM/Manifest/v1\n"
FINGERPRINT = b"HELM/Fingerprint/v1\n"
GRANT = b"HELM/Grant/v1\n"
LEASE = b"HELM/Lease/v1\n"
TREE = b"HELM/Tree/v1\n"
MCP_TOOL = b"HELM/McpTool/v1\n"
MCP_PINS = b"HELM/McpPins/v1\n"
CLAIM = b"HELM/Claim/v1\n"
APPROVAL_NAME = b"HELM/ApprovalName/v1\n"
APPROVAL_RESPONSE = b"HELM/ApprovalResponse/v1\n"
APPROVAL_CONFIRMATION = b"HELM/ApprovalConfirmation/v1\n"
CEREMONY = b"HELM/Ceremony/v1\n"
DELEGATION_NAME = b"HELM/DelegationName/v1\n"
BYPASS = b"HELM/Bypass/v1\n"
RELATIONSHIPS = b"HELM/Relationships/v1\n"
AUTHZ_SNAPSHOT = b"HELM/AuthzSnapshot/v1\n"
DECISION_POINT = b"HELM/DecisionPoint/v1\n"
DECISION_POINT_REQUEST = b"HELM/DecisionPointRequest/v1\n"
OAUTH_KEYS = b"HELM/OauthKeys/v1\n"
OAUTH_SCOPES = b"HELM/OauthScopes/v1\n"
OAUTH_PROFILE = b"HELM/OauthProfile/v1\n"
ENVELOPE_MANIFEST = b"HELM/EnvelopeManifest/v1\n"
CONFORMANCE_REPORT_NAME = b"HELM/ConformanceReportName/v1\n"
CONFORMANCE_VECTORS = b"HELM/ConformanceVectors/v1\n"


class KeyPurpose(StrEnum):
    """The one thing a key is for."""

    EXECUTION = "execution"
    APPROVAL = "approval"
    DELEGATION = "delegation"
    TRUST_ADMIN = "trust-admin"
    POLICY = "policy"
    EVIDENCE = "evidence"
    EMERGENCY = "emergency"
    WITNESS = "witness"


class PurposeMismatch(Exception):
    """A key was asked to make, or to answer for, a statement that is not what the key is for."""

    def __init__(self, purpose: KeyPurpose, domain: bytes) -> None:
        super().__init__(f"a key for {purpose} may not sign {domain!r}; use the key that is made for it")
        self.purpose = purpose
        self.domain = domain


SIGNS: Mapping[KeyPurpose, frozenset[bytes]] = MappingProxyType(
    {
        KeyPurpose.EXECUTION: frozenset({RECEIPT, CHECKPOINT, CHECKPOINT_NOTE, PERMIT, APPROVAL_CHALLENGE}),
        KeyPurpose.APPROVAL: frozenset({APPROVAL, MCP_SERVER}),
        KeyPurpose.DELEGATION: frozenset({DELEGATION, DELEGATION_END}),
        KeyPurpose.TRUST_ADMIN: frozenset({TRUST_EVENT}),
        KeyPurpose.POLICY: frozenset({POLICY_BUNDLE, RELATIONS, OVERLAY, P0_RAISE}),
        KeyPurpose.EVIDENCE: frozenset({PACK, BACKUP, DRIFT, CONFORMANCE_REPORT, DSSE, JWS, COSE}),
        KeyPurpose.EMERGENCY: frozenset({FREEZE, DELEGATION_STOP, APPROVAL_OVERRIDE}),
        KeyPurpose.WITNESS: frozenset({COSIGNATURE}),
    }
)
"""Which statements each purpose may sign. None stands twice: a key stolen for one thing buys one thing."""


def check_may_sign(purpose: KeyPurpose, domain: bytes) -> None:
    """Raise PurposeMismatch unless a key of this purpose may sign statements of this kind."""
    if domain not in SIGNS[purpose]:
        raise PurposeMismatch(purpose, domain)
