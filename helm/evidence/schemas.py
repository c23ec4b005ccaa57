"""The published JSON Schemas of the contracts, drawn from the record classes themselves.

A stranger reads a receipt with its schema beside it; so every pack carries the schemas of what it holds, and
`schemas/` shows the same to whoever writes a client. A schema says what a member looks like. Whether it is
true, only verification says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect, Intent, OutboundPermit, Permit
from helm.contracts.form import JSONValue, kinds_of
from helm.contracts.receipt import GENESIS, Receipt
from helm.contracts.record import BoundaryRecord
from helm.contracts.verdict import EffectType, RiskTier, Status, Verdict
from helm.crypto.canonical import canonical
from helm.crypto.domains import KeyPurpose
from helm.crypto.numbers import MAX_SAFE
from helm.evidence.manifest import Cover
from helm.guardian.bundle_signature import PolicySignature
from helm.guardian.freezes import ACTIONS, SCOPES, FreezeCommand
from helm.proofgraph.checkpoint import CAUSES, Checkpoint
from helm.proofgraph.node import NodeKind
from helm.trust.event import EventKind, TrustEvent

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
HASH: Final = "^sha256:[0-9a-f]{64}$"
MAYBE_HASH: Final = "^(sha256:[0-9a-f]{64})?$"
SIGNATURE: Final = "^[0-9a-f]{128}$"


def text(pattern: str) -> dict[str, JSONValue]:
    """Return the schema of a text of this pattern."""
    return {"type": "string", "pattern": pattern}


def one_of(*words: str) -> dict[str, JSONValue]:
    """Return the schema of one of these words."""
    return {"type": "string", "enum": sorted(map(str, words))}


MEMBERS: Final[Mapping[str, dict[str, JSONValue]]] = MappingProxyType(
    {
        "decision_id": text("^dec_[0-9a-f]{32}$"),
        "effect_id": text("^(eff_[0-9a-f]{32})?$"),
        "receipt_id": text("^rcpt_[0-9a-f]{32}$"),
        "record_id": text("^rec_[0-9a-f]{32}$"),
        "log_id": text(HASH),
        "prev_hash": text(f"^({GENESIS}|[0-9a-f]{{128}})$"),
        "prev_event_hash": text(f"^({GENESIS}|sha256:[0-9a-f]{{64}})$"),
        "public_key": text("^[0-9a-f]{64}$"),
        "signature": text(SIGNATURE),
        "intent_node": text(MAYBE_HASH),
        "node_hash": text(HASH),
        "record_hash": text(HASH),
        "decision_hash": text(HASH),
        "args_hash": text(HASH),
        "facts_hash": text(HASH),
        "lamport_clock": {"type": "integer", "minimum": 1, "maximum": MAX_SAFE},
        "verdict": one_of(*Verdict),
        "status": one_of(*Status),
        "reason_code": text("^([A-Z][A-Z0-9_]*)?$"),
        "risk_tier": one_of("", *RiskTier),
        "effect_type": one_of("", *EffectType),
        "tool_effect": one_of("", *EffectType),
    }
)
"""What a member of this name looks like, wherever it stands."""

LOG_OF_EVENT: Final = text(MAYBE_HASH)
"""The first event of a log gives the log its name, and so has none."""

NODE_MEMBERS: Final[Mapping[str, dict[str, JSONValue]]] = MappingProxyType(
    {
        "kind": one_of(*NodeKind),
        "lamport": {"type": "integer", "minimum": 1, "maximum": MAX_SAFE},
        "node_hash": text(HASH),
        "parents": {"type": "array", "items": text(HASH), "uniqueItems": True},
        "payload": {"type": "object"},
        "principal": {"type": "string"},
        "session_id": {"type": "string"},
        "shard": {"type": "string"},
        "tenant": {"type": "string"},
    }
)

ENTRY: Final = {
    "hash": text(HASH),
    "path": text("^[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*$"),
    "size": {"type": "integer", "minimum": 0, "maximum": MAX_SAFE},
    "type": text("^[a-z]+/[a-z-]+$"),
}


def member(name: str, kind: Any) -> dict[str, JSONValue]:
    """Return the schema of one member, by its name and its type."""
    if name in MEMBERS:
        return MEMBERS[name]
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": member("", get_args(kind)[1])}
    if get_origin(kind) is tuple:
        return array(get_args(kind))
    if kind is str and name.endswith("_hash"):
        return text(MAYBE_HASH)
    if kind is int:
        return {"type": "integer", "minimum": 0, "maximum": MAX_SAFE}
    return {"type": {str: "string", bool: "boolean"}[kind]}


def array(items: tuple[Any, ...]) -> dict[str, JSONValue]:
    """Return the schema of a tuple type: of any length, or of these items one by one."""
    if items[-1] is Ellipsis:
        return {"type": "array", "items": member("", items[0])}
    each = [member("", item) for item in items]
    return {"type": "array", "prefixItems": each, "minItems": len(each), "maxItems": len(each)}


def closed(members: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the schema of an object with exactly these members."""
    return {
        "type": "object",
        "properties": dict(members),
        "required": sorted(members),
        "additionalProperties": False,
    }


def drawn(record_class: type[Any]) -> dict[str, JSONValue]:
    """Return the schema of each field of a record class."""
    return {name: member(name, kind) for name, kind in kinds_of(record_class).items()}


def sealed(record_class: type[Any], *seals: str) -> dict[str, JSONValue]:
    """Return the members of a record class together with those that sealing adds."""
    return drawn(record_class) | {seal: MEMBERS[seal] for seal in seals}


def document(name: str, title: str, members: Mapping[str, JSONValue]) -> dict[str, JSONValue]:
    """Return the published document of one contract."""
    head = {"$schema": DRAFT, "$id": f"urn:helm:schema:{name}:1", "title": title}
    return head | closed(members)


DOCUMENTS: Final = (
    document("decision", "One verdict of the guardian, sealed", sealed(Decision, "decision_id")),
    document("effect", "The change that a call asks for", drawn(Effect)),
    document("intent", "What an approver approves", drawn(Intent)),
    document("permit", "An ALLOW made usable once", drawn(Permit)),
    document("outbound-permit", "What a tool server is shown of a permit", drawn(OutboundPermit)),
    document("record", "The boundary record", sealed(BoundaryRecord, "record_id", "record_hash")),
    document("receipt", "The signed receipt of one call", sealed(Receipt, "receipt_id", "signature")),
    document("node", "One node of the ProofGraph", NODE_MEMBERS),
    document(
        "trust-event",
        "One signed change of the set of keys that count",
        sealed(TrustEvent) | {"kind": one_of(*EventKind), "purpose": one_of(*KeyPurpose), "log_id": LOG_OF_EVENT},
    ),
    document(
        "freeze-command",
        "A stop, or its end, as an emergency key signs it",
        drawn(FreezeCommand) | {"action": one_of(*ACTIONS), "scope": one_of(*SCOPES)},
    ),
    document(
        "checkpoint",
        "What a checkpoint says of its log; signed beside it",
        drawn(Checkpoint)
        | {"cause": one_of(*CAUSES), "prev_checkpoint_hash": text(f"^({GENESIS}|sha256:[0-9a-f]{{64}})$")}
        | {name: text(HASH) for name in ("heads_root", "receipts_root", "records_root", "control_head")},
    ),
    document("policy-signature", "Who vouches for a policy bundle", drawn(PolicySignature)),
    document(
        "pack-manifest",
        "The signed list of an evidence pack's files",
        sealed(Cover, "signature")
        | {"entries": {"type": "array", "items": closed(ENTRY)}, "manifest_hash": text(HASH)},
    ),
)

PUBLISHED: Final[Mapping[str, bytes]] = MappingProxyType(
    {one["$id"].split(":")[3]: canonical(one) for one in DOCUMENTS}
)
"""Every contract's schema in canonical bytes, by name."""
