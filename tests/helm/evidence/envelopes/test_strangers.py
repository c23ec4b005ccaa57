"""Whoever has never heard of HELM verifies its envelopes, with a library of their own and the public key."""

from __future__ import annotations

import base64
import json
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws as jose
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from securesystemslib.dsse import Envelope as DsseEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer._key import SSlibKey

from helm.crypto.hashing import sha256
from helm.evidence.envelopes.cbor import Tagged, decode, encode
from helm.evidence.envelopes.dsse import said_of
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.statement import STATEMENT
from tests.helm.evidence.envelopes.wrapped import evidence, pen, wrapped


def hex_of_evidence() -> str:
    return sha256(evidence()).removeprefix("sha256:")


def dsse_in(kind: EnvelopeKind) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(wrapped(kind).raw)
    return body["dsseEnvelope"] if kind is EnvelopeKind.SIGSTORE else body


def sslib_key(number: int = 1) -> SSlibKey:
    key = pen(number)
    return SSlibKey(pen().key_id, "ed25519", "ed25519", {"public": key.public_key})


@pytest.mark.parametrize("kind", [EnvelopeKind.DSSE, EnvelopeKind.IN_TOTO, EnvelopeKind.SLSA, EnvelopeKind.SIGSTORE])
def test_securesystemslib_verifies_ours(kind: EnvelopeKind) -> None:
    envelope = DsseEnvelope.from_dict(dsse_in(kind))
    assert envelope.verify([sslib_key()], 1).keys() == {pen().key_id}
    assert envelope.payload == wrapped(kind).payload
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([sslib_key()], 1)
    with pytest.raises(VerificationError):
        DsseEnvelope.from_dict(dsse_in(kind)).verify([sslib_key(2)], 1)


@given(st.text(max_size=40), st.binary(max_size=80))
def test_securesystemslib_encodes_what_is_signed_as_we_do(payload_type: str, payload: bytes) -> None:
    assert DsseEnvelope(payload, payload_type, {}).pae() == b"DSSEv1 " + said_of(payload_type, payload)


@pytest.mark.parametrize("kind", [EnvelopeKind.IN_TOTO, EnvelopeKind.SLSA, EnvelopeKind.SIGSTORE])
def test_an_in_toto_reader_finds_the_evidence_as_the_subject(kind: EnvelopeKind) -> None:
    said = json.loads(base64.b64decode(dsse_in(kind)["payload"]))
    assert dsse_in(kind)["payloadType"] == "application/vnd.in-toto+json"
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    [subject] = said["subject"]
    assert subject["digest"] == {"sha256": hex_of_evidence()} and subject["name"]
    assert said.keys() == {"_type", "subject", "predicateType", "predicate"}


def test_a_reader_of_provenance_finds_what_it_must_have() -> None:
    """Required by https://slsa.dev/spec/v1.0/provenance: buildType, externalParameters, builder.id."""
    said = json.loads(wrapped(EnvelopeKind.SLSA).payload)
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, details = said["predicate"]["buildDefinition"], said["predicate"]["runDetails"]
    assert definition["buildType"] and details["builder"]["id"]
    assert definition["externalParameters"]["statement"]["authoritative"] is False
    assert definition["resolvedDependencies"][0]["uri"] == details["builder"]["id"]


def test_a_reader_of_bundles_finds_version_key_and_no_log_entry() -> None:
    body = json.loads(wrapped(EnvelopeKind.SIGSTORE).raw)
    assert body["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert body["verificationMaterial"] == {"publicKey": {"hint": pen().key_id}, "tlogEntries": []}


def jwk(number: int = 1) -> OKPKey:
    x = base64.urlsafe_b64encode(bytes.fromhex(pen(number).public_key)).rstrip(b"=").decode()
    return OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": x})


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
def test_joserfc_verifies_ours() -> None:
    raw = wrapped(EnvelopeKind.JWS).raw
    found = jose.deserialize_compact(raw, jwk(), algorithms=["EdDSA"])
    assert json.loads(found.payload) == STATEMENT.body(wrapped().statement)
    assert found.protected["kid"] == pen().key_id
    with pytest.raises(JoseError):
        jose.deserialize_compact(raw, jwk(2), algorithms=["EdDSA"])


@pytest.mark.parametrize("kind", [EnvelopeKind.COSE, EnvelopeKind.SCITT])
def test_cbor2_and_a_bare_ed25519_verify_ours(kind: EnvelopeKind) -> None:
    found = cbor2.loads(wrapped(kind).raw)
    protected, unprotected, payload, signature = found.value
    header = cbor2.loads(protected)
    assert (found.tag, dict(unprotected), header[1], header[3]) == (18, {}, -8, "application/vnd.helm.evidence+json")
    assert json.loads(payload)["evidence_hash"] == sha256(evidence())
    said = cbor2.dumps(["Signature1", protected, b"", payload])
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(pen().public_key))
    key.verify(signature, said)
    with pytest.raises(InvalidSignature):
        key.verify(signature, said + b"\0")
    assert cbor2.dumps(found, canonical=True) == wrapped(kind).raw
    if kind is EnvelopeKind.SCITT:
        statement = wrapped().statement
        assert dict(header[15]) == {
            1: f"urn:helm:log:{statement.log_id}",
            2: f"urn:helm:evidence:{statement.evidence_hash}",
        }


NAMES = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=30)
VALUES = st.recursive(
    NAMES | st.binary(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_cbor2_writes_deterministically_what_we_write(value: Any) -> None:
    """But for the order of names of different lengths: cbor2 keeps RFC 7049's, which went by length first."""
    written = encode(Tagged(18, value))
    assert plain(cbor2.loads(written).value) == value
    if not has_long_names(value):
        assert cbor2.dumps(cbor2.CBORTag(18, value), canonical=True) == written


@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    written = encode(value)
    if depth_of(value) <= 6:
        assert decode(written) == value


def plain(value: Any) -> Any:
    """Return a value of cbor2's in the house's kinds."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (str, bytes, int)):
        return value
    return {name: plain(said) for name, said in value.items()}


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth_of, inner), default=0)


def has_long_names(value: Any) -> bool:
    if isinstance(value, dict):
        return len({len(encode(name)) for name in value}) > 1 or any(map(has_long_names, value.values()))
    return isinstance(value, list) and any(map(has_long_names, value))
