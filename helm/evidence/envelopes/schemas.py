"""The published JSON Schemas of an envelope's manifest and statement. No pack holds an envelope, nor these."""

from __future__ import annotations

from typing import Final

from helm.evidence.envelopes.envelope_manifest import MOMENT, NAME, EnvelopeManifest
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.statement import NATIVE_KINDS, VERSION, EvidenceStatement
from helm.evidence.schemas import HASH, document, drawn, one_of, text

OF_ENVELOPES: Final = (
    document(
        "envelope-manifest",
        "What is kept beside an evidence envelope",
        drawn(EnvelopeManifest)
        | {name: text(HASH) for name in ("manifest_hash", "native_evidence_hash", "payload_hash", "statement_hash")}
        | {
            "created_at": text(f"^{MOMENT.pattern}$"),
            "envelope": one_of(*EnvelopeKind),
            "manifest_id": text(f"^{NAME.pattern}$"),
            "native_authority": {"const": True},
        },
    ),
    document(
        "evidence-statement",
        "What an evidence envelope says of native evidence",
        drawn(EvidenceStatement)
        | {name: text(HASH) for name in ("evidence_hash", "evidence_root")}
        | {
            "authoritative": {"const": False},
            "evidence_kind": one_of(*NATIVE_KINDS),
            "version": {"const": VERSION},
        },
    ),
)
