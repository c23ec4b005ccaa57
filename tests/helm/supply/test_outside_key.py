"""Keys of others: one form each, and never used for another algorithm."""

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from helm.contracts.errors import Invalid
from helm.crypto.dsse import read_envelope
from helm.crypto.ed25519 import SignatureInvalid
from helm.evidence.es256 import N
from helm.supply.outside_key import ED25519, P256, key_of_der, read_key
from tests import vectors
from tests.helm.supply.keys import KINDS, Signing, ed25519, p256


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_reads_the_same_as_pem(kind: Callable[[int], Signing]) -> None:
    key = kind(3)
    assert read_key(key.pem) == key.public
    key.public.verify(b"said", key.sign(b"said"))
    with pytest.raises(SignatureInvalid):
        key.public.verify(b"unsaid", key.sign(b"said"))


def test_an_ed25519_key_reads_the_same_as_digits() -> None:
    assert read_key(ed25519(3).public.raw.hex()) == ed25519(3).public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        "AB" * 32,
        "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----",
        p256(1).pem.replace("PUBLIC", "PRIVATE"),
        p256(1).pem + "more",
        "x" * 5000,
        p256(1).pem.replace("BEGIN", "BEGUN"),
        " " * 2000 + p256(1).pem + " " * 2000 + "x",
        "00" * 32,
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        read_key(text)


def test_keys_of_other_kinds_are_refused() -> None:
    other = generate_private_key(SECP384R1()).public_key()
    with pytest.raises(Invalid):
        key_of_der(other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


@pytest.mark.parametrize("der", [P256 + b"\x04" + bytes(64), P256 + b"\x02" + bytes(64), P256, ED25519 + bytes(32)])
def test_a_point_that_no_honest_key_has_is_refused(der: bytes) -> None:
    with pytest.raises(Invalid):
        key_of_der(der)


def test_a_key_is_not_used_for_another_algorithm() -> None:
    """A signature of one kind is nothing under a key of the other, whatever names the key."""
    for key, other in ((p256(1), ed25519(1)), (ed25519(1), p256(1))):
        with pytest.raises(SignatureInvalid):
            key.public.verify(b"said", other.sign(b"said"))


def _der(*numbers: bytes) -> bytes:
    """Return a sequence of what may be numbers."""
    body = b"".join(b"\x02" + bytes([len(one)]) + one for one in numbers)
    return b"\x30" + bytes([len(body)]) + body


def _least(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


R, S = decode_dss_signature(p256(1).sign(b"said"))
GOOD = _der(_least(R), _least(S))


def test_the_one_form_is_the_one_that_signers_write() -> None:
    assert encode_dss_signature(R, S) == GOOD
    p256(1).public.verify(b"said", GOOD)
    p256(1).public.verify(b"said", _der(_least(R), _least(N - S)))  # logs write either


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (b"", "one sequence"),
        (GOOD[:-1], "one sequence"),
        (GOOD + b"\x00", "one sequence"),
        (b"\x31" + GOOD[1:], "one sequence"),
        (b"\x30\x81" + GOOD[1:], "one sequence"),
        (_der(_least(R), b"\x00" * 30 + _least(S)), "one sequence"),
        (R.to_bytes(32, "big") + S.to_bytes(32, "big"), "one sequence"),
        (_der(_least(R), b"\x01", b"\x01"), "goes on"),
        (_der(_least(R)), "no two numbers"),
        (_der(b"\x01", b"\x01")[:-1] + b"\x02", "not this key's"),
        (b"\x30\x06\x02\x01\x01\x02\x02\x01", "no two numbers"),
        (b"\x30\x06\x03\x01\x01\x02\x01\x01", "no two numbers"),
        (_der(b"\x00\x01", b"\x01"), "one form"),
        (_der(b"\xff", b"\x01"), "one form"),
        (_der(b"", b"\x01\x01\x01"), "one form"),
        (_der(b"\x00", b"\x01"), "out of range"),
        (_der(b"\x01", b"\x00"), "out of range"),
        (_der(_least(N), b"\x01"), "out of range"),
        (_der(b"\x01", _least(N)), "out of range"),
        (_der(_least(R), _least(S + N)), "range"),
    ],
)
def test_a_signature_has_one_form(odd: bytes, why: str) -> None:
    with pytest.raises(SignatureInvalid, match=why):
        p256(1).public.verify(b"said", odd)


def test_the_protocol_s_own_signature_holds() -> None:
    """The vector of DSSE is signed with P-256; there the two numbers stand bare."""
    vector = vectors.load(vectors.folder("dsse") / "dsse_protocol_vector.json")
    signed = read_envelope(json.dumps(vector["envelope"]).encode())
    raw = signed.signatures[0].raw
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    point = b"\x04" + vector["pub_x"].to_bytes(32, "big") + vector["pub_y"].to_bytes(32, "big")
    key = key_of_der(P256 + point)
    key.verify(signed.signed_bytes, der)
    with pytest.raises(SignatureInvalid):
        key.verify(signed.signed_bytes, raw)
