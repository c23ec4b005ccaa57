"""A Sigstore bundle v0.3 around the in-toto envelope, for tools that take evidence in that shape.

Its verification material is the hint of a public key, and no log entry: nothing of ours is in a public log, and the
bundle does not say so. https://github.com/sigstore/protobuf-specs, sigstore_bundle.proto
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.crypto.ed25519 import Signer
from helm.crypto.statement import PAYLOAD_TYPE
from helm.evidence.envelopes import dsse
from helm.evidence.envelopes.parted import Parted, odd

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
MEMBERS: Final = frozenset({"dsseEnvelope", "mediaType", "verificationMaterial"})


def bundle_of(payload: bytes, pen: Signer) -> dict[str, JSONValue]:
    """Return the signed bundle. Raises PurposeMismatch."""
    return {
        "dsseEnvelope": dsse.dsse_of(PAYLOAD_TYPE, payload, pen),
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": material_of(pen.key_id),
    }


def material_of(key_id: str) -> dict[str, JSONValue]:
    """Return what a bundle says of who can verify it."""
    return {"publicKey": {"hint": key_id}, "tlogEntries": []}


def take_apart(body: dict[str, Any]) -> Parted:
    """Return what stands in a bundle. Raises Invalid for another form."""
    if body.keys() != MEMBERS:
        raise odd("not the three members of a bundle with a DSSE envelope, and no other")
    parted = dsse.take_apart(body["dsseEnvelope"], sigstore=True)
    fault = parted.header_fault
    if body["mediaType"] != MEDIA_TYPE:
        fault = "it is not a bundle of version 0.3"
    elif body["verificationMaterial"] != material_of(parted.key_id):
        fault = "its verification material is not the hint of the key that signed: what else it claims is not ours"
    return attrs.evolve(parted, header_fault=fault)
