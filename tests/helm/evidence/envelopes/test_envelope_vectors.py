"""The public vectors of COSE and Sigstore: we encode what they encode, and believe none of their bundles."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from helm.crypto import domains
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.envelopes import cbor, cose
from helm.evidence.envelopes.dsse import said_of
from tests.helm.evidence.envelopes.wrapped import refusing_check
from tests.vectors import folder, load


def cose_vectors() -> list[tuple[str, dict[str, Any]]]:
    """Return the vectors of one signer with Ed25519: what else there is, is Ed448 or of several signers."""
    found = [(path.stem, load(path)) for path in sorted((folder("cose") / "eddsa-examples").glob("*.json"))]
    return [
        (name, vector)
        for name, vector in found
        if "sign0" in vector["input"] and vector["input"]["sign0"]["key"]["crv"] == "Ed25519"
    ]


def test_cose_sign1_with_ed25519() -> None:
    """Their messages are in the form that we write: read, written again, and their signatures verified by our own."""
    vectors = cose_vectors()
    assert [name for name, _ in vectors] == ["eddsa-sig-01"]
    for _, vector in vectors:
        raw = bytes.fromhex(vector["output"]["cbor"])
        message = cbor.decode(raw)
        assert cbor.encode(message) == raw
        protected, _, payload, signature = message.value
        said = cose.said_of(protected, payload)
        assert (domains.COSE + said).hex().upper() == vector["intermediates"]["ToBeSign_hex"]
        key = PublicKey.from_hex(vector["input"]["sign0"]["key"]["x_hex"])
        key.verify(domains.COSE, said, signature.hex())
        with pytest.raises(SignatureInvalid):
            key.verify(domains.COSE, said + b"\0", signature.hex())
        assert refusing_check(raw) == "header"


def bundles() -> list[Path]:
    return sorted(folder("sigstore").glob("bundle-verify/*/bundle.sigstore.json"))


def test_no_bundle_of_others_is_believed_whether_theirs_to_believe_or_not() -> None:
    found = bundles()
    assert len(found) > 60
    assert {refusing_check(path.read_bytes()) for path in found} <= {"form", "header"}


def test_the_signatures_in_public_bundles_are_over_our_encoding() -> None:
    """Signed by others, with their tools: an encoding that differed anywhere would not verify."""
    verified = 0
    for path in bundles():
        body = {} if path.parent.name.endswith("_fail") else load(path)  # one of those is cut off
        envelope, material = body.get("dsseEnvelope"), body.get("verificationMaterial", {})
        chain = material.get("x509CertificateChain", {}).get("certificates", [None])
        certificate = material.get("certificate") or chain[0]
        if envelope is None or certificate is None:
            continue
        key = x509.load_der_x509_certificate(base64.b64decode(certificate["rawBytes"])).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        payload = base64.b64decode(envelope["payload"])
        signature = base64.b64decode(envelope["signatures"][0]["sig"])
        said = domains.DSSE + said_of(envelope["payloadType"], payload)
        key.verify(signature, said, ec.ECDSA(SHA256()))
        with pytest.raises(InvalidSignature):
            key.verify(signature, said + b"\0", ec.ECDSA(SHA256()))
        verified += 1
    assert verified > 2
