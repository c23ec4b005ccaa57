"""Wrapping: from native evidence to a signed envelope of a kind. Same evidence, same key, same kind: same bytes."""

from __future__ import annotations

from typing import assert_never

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.crypto.statement import PAYLOAD_TYPE
from helm.evidence.envelopes import in_toto
from helm.evidence.envelopes.cose import claims_of, cose_of
from helm.evidence.envelopes.dsse import dsse_of
from helm.evidence.envelopes.jws import jws_of
from helm.evidence.envelopes.kinds import EXPERIMENTAL, EnvelopeKind
from helm.evidence.envelopes.native import NativeEvidence
from helm.evidence.envelopes.parted import OWN_TYPE
from helm.evidence.envelopes.sigstore import bundle_of
from helm.evidence.envelopes.statement import EvidenceStatement, written
from helm.trust.registry import Registry


@attrs.frozen(kw_only=True)
class Envelope:
    """A signed envelope, and what is in it."""

    kind: EnvelopeKind
    raw: bytes = attrs.field(repr=False)
    payload_type: str
    payload: bytes = attrs.field(repr=False)
    statement: EvidenceStatement


def check_wanted(kind: EnvelopeKind, *, experimental: bool) -> None:
    """Raise Invalid for an experimental kind that nobody asked for as such."""
    if kind in EXPERIMENTAL and not experimental:
        hint = 'say --experimental (over HTTP "experimental": true): its form may still change'
        raise Invalid("this kind of envelope is experimental", kind.value, hint)


def check_counts(registry: Registry, pen: Signer) -> None:
    """Raise Invalid unless this is an evidence key that counts in the log now: others would refuse the envelope."""
    known = registry.keys.get(pen.key_id)
    if known is None or known.purpose is not KeyPurpose.EVIDENCE or not known.is_active:
        hint = "`helm trust keys` shows which key does"
        raise Invalid("it is no evidence key that counts in this log now", f"key {pen.key_id}", hint)


def wrap(native: NativeEvidence, kind: EnvelopeKind, pen: Signer, *, experimental: bool = False) -> Envelope:
    """Return the evidence in an envelope that an evidence key signs. Raises Invalid, PurposeMismatch."""
    check_wanted(kind, experimental=experimental)
    statement = native.statement(pen.key_id)
    payload_type, payload = payload_of(kind, statement)
    return Envelope(
        kind=kind,
        raw=signed(kind, statement, payload, pen),
        payload_type=payload_type,
        payload=payload,
        statement=statement,
    )


def payload_of(kind: EnvelopeKind, statement: EvidenceStatement) -> tuple[str, bytes]:
    """Return type and bytes of what an envelope of this kind carries."""
    match kind:
        case EnvelopeKind.IN_TOTO | EnvelopeKind.SIGSTORE:
            return PAYLOAD_TYPE, in_toto.in_toto(statement)
        case EnvelopeKind.SLSA:
            return PAYLOAD_TYPE, in_toto.slsa(statement)
        case EnvelopeKind.DSSE | EnvelopeKind.JWS | EnvelopeKind.COSE | EnvelopeKind.SCITT:
            return OWN_TYPE, written(statement)
        case _:
            assert_never(kind)


def signed(kind: EnvelopeKind, statement: EvidenceStatement, payload: bytes, pen: Signer) -> bytes:
    """Return the bytes of the envelope around a payload. Raises PurposeMismatch."""
    match kind:
        case EnvelopeKind.DSSE:
            return canonical(dsse_of(OWN_TYPE, payload, pen))
        case EnvelopeKind.IN_TOTO | EnvelopeKind.SLSA:
            return canonical(dsse_of(PAYLOAD_TYPE, payload, pen))
        case EnvelopeKind.SIGSTORE:
            return canonical(bundle_of(payload, pen))
        case EnvelopeKind.JWS:
            return jws_of(payload, pen)
        case EnvelopeKind.COSE:
            return cose_of(payload, pen)
        case EnvelopeKind.SCITT:
            return cose_of(payload, pen, claims_of(statement))
        case _:
            assert_never(kind)
