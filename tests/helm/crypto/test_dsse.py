"""DSSE envelopes and in-toto statements: read in one form, or not at all."""

import json
from base64 import b64encode
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from helm.contracts.errors import Invalid, Malformed
from helm.crypto.dsse import (
    MAX_SIGNATURES,
    Envelope,
    EnvelopeSignature,
    pae,
    read_envelope,
    written_envelope,
)
from helm.crypto.radix64 import from_base64
from helm.crypto.statement import MAX_SUBJECTS, read_statement
from tests import vectors

SIG: Final = b64encode(b"signature").decode()
ENVELOPE: Final[dict[str, Any]] = {
    "payload": b64encode(b"{}").decode(),
    "payloadType": "application/vnd.in-toto+json",
    "signatures": [{"keyid": "", "sig": SIG}],
}
STATEMENT: Final[dict[str, Any]] = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "tool.wasm", "digest": {"sha256": "ab" * 32}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {},
}


def _envelope(**changes: Any) -> bytes:
    return json.dumps(ENVELOPE | changes).encode()


def _statement(**changes: Any) -> bytes:
    return json.dumps(STATEMENT | changes).encode()


def test_the_protocol_s_own_vector_is_encoded_and_signed_as_it_says() -> None:
    vector = vectors.load(vectors.folder("dsse") / "dsse_protocol_vector.json")
    envelope = read_envelope(json.dumps(vector["envelope"]).encode())
    assert envelope.payload == vector["payload"].encode()
    assert envelope.signed_bytes == vector["pae"].encode()
    raw = envelope.signatures[0].raw
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key = EllipticCurvePublicNumbers(vector["pub_x"], vector["pub_y"], SECP256R1()).public_key()
    key.verify(der, envelope.signed_bytes, ECDSA(SHA256()))


def test_the_encoding_counts_bytes_and_not_characters() -> None:
    assert pae("type", "ä".encode()) == b"DSSEv1 4 type 2 \xc3\xa4"


def test_no_two_pairs_of_type_and_payload_have_one_encoding() -> None:
    assert pae("a", b"b 1 c") != pae("a 1 b", b"c")


def test_what_is_written_reads_the_same() -> None:
    signature = EnvelopeSignature(key_id="k", raw=b"s")
    envelope = Envelope(payload_type="t", payload=b"\x00\xff", signatures=(signature, signature))
    assert read_envelope(written_envelope(envelope)) == envelope


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        _envelope(extra=1),
        json.dumps({name: value for name, value in ENVELOPE.items() if name != "payloadType"}).encode(),
        _envelope(payload=1),
        _envelope(payload="e30"),
        _envelope(payload="e3 0="),
        _envelope(payload="e31="),
        _envelope(payload="_-8="),
        _envelope(payload="e30=\n"),
        _envelope(payload="é==="),
        _envelope(payloadType=""),
        _envelope(payloadType="a\nb"),
        _envelope(payloadType="x" * 256),
        _envelope(signatures=[]),
        _envelope(signatures={}),
        _envelope(signatures=[{"sig": ""}]),
        _envelope(signatures=[{"keyid": "k"}]),
        _envelope(signatures=[{"keyid": 1, "sig": SIG}]),
        _envelope(signatures=[{"keyid": "k", "sig": SIG, "cert": "c"}]),
        _envelope(signatures=[{"sig": SIG}] * (MAX_SIGNATURES + 1)),
    ],
)
def test_an_envelope_that_two_readers_could_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_envelope(raw)


@pytest.mark.parametrize("raw", [b"", b"{", _envelope()[:-1] + b',"payload":""}', b"[" * 100, b'{"a":NaN}'])
def test_an_envelope_that_is_no_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        read_envelope(raw)


@pytest.mark.parametrize("text", ["QR==", "QQ", "QQ=", "Q Q==", "QQ==\n", "-_8=", "QQ===", "=", "QQ==QQ=="])
def test_base64_has_one_form(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        from_base64(text)


def test_a_statement_is_read() -> None:
    statement = read_statement(_statement())
    assert statement.predicate_type == "https://slsa.dev/provenance/v1"
    assert statement.subjects[0].digests == {"sha256": "ab" * 32}


@pytest.mark.parametrize(
    "raw",
    [
        b"[]",
        _statement(_type="https://in-toto.io/Statement/v0.1"),
        _statement(_type="https://in-toto.io/Statement/v1/"),
        _statement(extra=1),
        _statement(predicate=[]),
        _statement(predicateType=""),
        _statement(predicateType=None),
        _statement(subject=[]),
        _statement(subject={}),
        _statement(subject=["tool.wasm"]),
        _statement(subject=[{"name": "tool.wasm"}]),
        _statement(subject=[{"name": "tool.wasm", "digest": {}}]),
        _statement(subject=[{"name": "tool.wasm", "digest": {"sha256": "AB" * 32}}]),
        _statement(subject=[{"name": "tool.wasm", "digest": {"sha256": ""}}]),
        _statement(subject=[{"name": "tool.wasm", "digest": {"sha256": 1}}]),
        _statement(subject=[{"name": 1, "digest": {"sha256": "ab" * 32}}]),
        _statement(subject=[{"digest": {f"sha{n}": "ab" for n in range(17)}}]),
        _statement(subject=[{"digest": {"sha256": "ab" * 32}}] * (MAX_SUBJECTS + 1)),
    ],
)
def test_what_is_no_statement_is_refused(raw: bytes) -> None:
    with pytest.raises(Invalid):
        read_statement(raw)
