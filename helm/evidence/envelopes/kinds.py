"""The kinds of envelope: in whose form evidence is handed to those who read that form."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class EnvelopeKind(StrEnum):
    """One form each; what they carry is the same statement."""

    DSSE = "dsse"
    """github.com/secure-systems-lab/dsse, around the statement itself."""
    IN_TOTO = "in-toto"
    """DSSE around an in-toto Statement v1, whose predicate is the statement."""
    SLSA = "slsa"
    """DSSE around an in-toto Statement v1 with SLSA provenance v1: who made the evidence, of what."""
    JWS = "jws"
    """RFC 7515 in its compact form."""
    SIGSTORE = "sigstore"
    """A Sigstore bundle v0.3 around the in-toto envelope, with a public key that the reader must have."""
    COSE = "cose"
    """COSE_Sign1, RFC 9052."""
    SCITT = "scitt"
    """COSE_Sign1 as a SCITT signed statement: who says it of what, in CWT claims. It has no receipt of any service."""


EXPERIMENTAL: Final = frozenset({EnvelopeKind.COSE, EnvelopeKind.SCITT})
"""Kinds whose form may still change: whoever makes or reads one says that they know."""

SUFFIXES: Final[Mapping[EnvelopeKind, str]] = MappingProxyType(
    {
        EnvelopeKind.DSSE: ".dsse.json",
        EnvelopeKind.IN_TOTO: ".intoto.json",
        EnvelopeKind.SLSA: ".slsa.json",
        EnvelopeKind.JWS: ".jws",
        EnvelopeKind.SIGSTORE: ".sigstore.json",
        EnvelopeKind.COSE: ".cose",
        EnvelopeKind.SCITT: ".scitt.cose",
    }
)
"""What is written behind the name of the evidence, to name its envelope."""

MEDIA_TYPES: Final[Mapping[EnvelopeKind, str]] = MappingProxyType(
    {
        EnvelopeKind.DSSE: "application/vnd.dsse+json",
        EnvelopeKind.IN_TOTO: "application/vnd.dsse+json",
        EnvelopeKind.SLSA: "application/vnd.dsse+json",
        EnvelopeKind.JWS: "application/jose",
        EnvelopeKind.SIGSTORE: "application/vnd.dev.sigstore.bundle.v0.3+json",
        EnvelopeKind.COSE: "application/cose",
        EnvelopeKind.SCITT: "application/cose",
    }
)
"""What an envelope is called on the wire."""
