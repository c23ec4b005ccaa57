"""Evidence of every kind in envelopes of every kind, and ways to look at them."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.evidence.checkpoint_document import signed_document
from helm.evidence.envelopes.envelope_manifest import manifest_of
from helm.evidence.envelopes.examine import EnvelopeReport, EnvelopeTrust, Examination, examine
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.native import NativeEvidence, read_native
from helm.evidence.envelopes.wrap import Envelope, wrap
from helm.evidence.trust_root import TrustRoot
from tests.helm.evidence.forger import RECEIPT_LINES, a_log, a_pack, unpacked
from tests.helm.evidence.material import Log, key_of

NOON: Final = "2026-11-21T12:00:00.000Z"
EVIDENCE_KINDS: Final = ("pack", "receipt", "checkpoint")


def pen(number: int = 1) -> SigningKey:
    """Return the evidence key of the tests' log, or of another one."""
    return key_of(KeyPurpose.EVIDENCE, number)


@cache
def evidence(kind: str = "pack") -> bytes:
    """Return native evidence as it is handed around."""
    if kind == "pack":
        return a_pack()
    if kind == "receipt":
        return unpacked(a_pack())[RECEIPT_LINES].splitlines()[0]
    log = Log().begin()
    return record_bytes(signed_document(log.checkpoint()))


def native(kind: str = "pack") -> NativeEvidence:
    return read_native(evidence(kind))


def wrapped(kind: EnvelopeKind = EnvelopeKind.DSSE, of: str = "pack", number: int = 1) -> Envelope:
    """Return the evidence in an envelope."""
    return wrap(native(of), kind, pen(number), experimental=True)


def root() -> TrustRoot:
    """Return what is known of the log by another way."""
    return TrustRoot(log_id=a_log().log_id, execution_key=key_of(KeyPurpose.EXECUTION).public_key)


def seen(raw: bytes, **how: Any) -> EnvelopeReport:
    """Examine an envelope, with the log's evidence key where nothing else is said."""
    trust = how.pop("trust", None) or EnvelopeTrust(
        key=PublicKey.from_hex(pen().public_key), root=how.pop("root", None)
    )
    return examine(Examination(raw=raw, trust=trust, **{"experimental": True, **how}))


def refusing_check(raw: bytes, **how: Any) -> str:
    """Return the name of the check that refuses an envelope, "" where none does."""
    failed = seen(raw, **how).failed
    return "" if failed is None else failed.name


def sealed(envelope: Envelope) -> dict[str, Any]:
    return manifest_of(envelope, NOON)


def edited(raw: bytes, **changes: Any) -> bytes:
    """Return JSON with other members."""
    return record_bytes(reread(raw) | changes)
