"""Attacks on signatures and on the keys that make them."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.crypto import domains, ed25519
from helm.crypto.domains import SIGNS, KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import L, P, PublicKey, SignatureInvalid, Signer, SigningKey, verify

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
KEY = SigningKey.from_seed(SEED, KeyPurpose.EXECUTION)
MESSAGE = b'{"receipt_id":"rcpt_1"}'
SIGNATURE = KEY.sign(domains.RECEIPT, MESSAGE)

RFC_8032 = [  # section 7.1, tests 1 to 3: seed, public key, message, signature
    (
        SEED.hex(),
        PUBLIC,
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032_hold(seed: str, public: str, message: str, signature: str) -> None:
    """A context line is a part of the message, so a vector's message may stand for one and bytes after it."""
    key = SigningKey.from_seed(bytes.fromhex(seed), KeyPurpose.EXECUTION)
    assert key.public_key == public
    verify(public, bytes.fromhex(message), b"", signature)
    verify(public, b"", bytes.fromhex(message), signature)
    with pytest.raises(SignatureInvalid):
        verify(public, b"", bytes.fromhex(message) + b"\x00", signature)


def test_what_a_key_signs_verifies_and_is_the_same_every_time() -> None:
    verify(PUBLIC, domains.RECEIPT, MESSAGE, SIGNATURE)
    assert KEY.sign(domains.RECEIPT, MESSAGE) == SIGNATURE
    assert len(SIGNATURE) == 128


def test_a_signature_over_one_kind_of_statement_is_none_over_another() -> None:
    for domain in (domains.PERMIT, domains.APPROVAL, b""):
        with pytest.raises(SignatureInvalid):
            verify(PUBLIC, domain, MESSAGE, SIGNATURE)


@given(st.integers(0, 511))
def test_one_flipped_bit_of_a_signature_is_seen(bit: int) -> None:
    raw = bytearray.fromhex(SIGNATURE)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify(PUBLIC, domains.RECEIPT, MESSAGE, raw.hex())


@given(st.integers(0, len(MESSAGE) * 8 - 1))
def test_one_flipped_bit_of_a_statement_is_seen(bit: int) -> None:
    changed = bytearray(MESSAGE)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify(PUBLIC, domains.RECEIPT, bytes(changed), SIGNATURE)


def test_another_key_did_not_sign_it() -> None:
    other = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION)
    with pytest.raises(SignatureInvalid, match="not this key's"):
        verify(other.public_key, domains.RECEIPT, MESSAGE, SIGNATURE)


def test_a_signature_has_no_second_form_by_adding_l_to_s() -> None:
    raw = bytes.fromhex(SIGNATURE)
    malleated = int.from_bytes(raw[32:], "little") + L
    with pytest.raises(SignatureInvalid, match="S is not below L"):
        verify(PUBLIC, domains.RECEIPT, MESSAGE, (raw[:32] + malleated.to_bytes(32, "little")).hex())


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(SIGNATURE.upper(), id="capitals"),
        pytest.param(SIGNATURE[:64] + " " + SIGNATURE[64:], id="a blank inside"),
        pytest.param(SIGNATURE + "\n", id="a newline after"),
        pytest.param(SIGNATURE + "00", id="a byte after"),
        pytest.param(SIGNATURE[:-2], id="a byte less"),
        pytest.param(SIGNATURE[:-1], id="a digit less"),
        pytest.param("", id="nothing"),
        pytest.param("g" * 128, id="no digits"),
        pytest.param("１" * 128, id="digits of another script"),
        pytest.param("0" * 128, id="zeros"),
    ],
)
def test_a_signature_has_no_second_written_form(written: str) -> None:
    """The next receipt links to the signature as it is written: a second form would fork the chain."""
    with pytest.raises(SignatureInvalid):
        verify(PUBLIC, domains.RECEIPT, MESSAGE, written)


@pytest.mark.parametrize("written", [PUBLIC.upper(), PUBLIC[:-2], PUBLIC + "00", " " + PUBLIC, "", "x" * 64])
def test_a_public_key_has_no_second_written_form(written: str) -> None:
    with pytest.raises(SignatureInvalid, match="public key"):
        PublicKey.from_hex(written)


# The curve, written out once more, so that the table of low-order points is computed and not believed.

D = -121665 * pow(121666, -1, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(one: Point, other: Point) -> Point:
    """RFC 8032 section 5.1.4, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    twist = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + twist, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - twist, -1, P)
    return x % P, y % P


def times(number: int, point: Point) -> Point:
    total = IDENTITY
    for bit in f"{number:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def point_of(y: int) -> Point | None:
    """RFC 8032 section 5.1.3, step 2; None where no point has this y."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    for x in (root := pow(square, (P + 3) // 8, P), root * ROOT_OF_MINUS_ONE % P):
        if x * x % P == square:
            return x, y
    return None


def torsion() -> set[Point]:
    """The points whose order divides 8: the multiples by L of whatever points there are."""
    found: set[Point] = set()
    for y in range(2, 40):
        point = point_of(y)
        if point is not None:
            low = times(L, point)
            found |= {times(count, low) for count in range(8)}
    return found


def encoded(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


TORSION = torsion()


def test_the_table_of_low_order_points_is_complete() -> None:
    assert len(TORSION) == 8
    assert {y for _, y in TORSION} == ed25519.LOW_ORDER_Y


@pytest.mark.parametrize("point", sorted(TORSION))
def test_a_low_order_key_verifies_what_nobody_signed_and_is_refused(point: Point) -> None:
    for sign in (0, 1 << 255):
        raw = (int.from_bytes(encoded(point), "little") ^ sign).to_bytes(32, "little")
        with pytest.raises(SignatureInvalid, match="low order"):
            PublicKey.from_hex(raw.hex())


@pytest.mark.parametrize("point", sorted(TORSION))
def test_a_low_order_r_is_refused(point: Point) -> None:
    forged = encoded(point).hex() + SIGNATURE[64:]
    with pytest.raises(SignatureInvalid, match="R is of low order"):
        verify(PUBLIC, domains.RECEIPT, MESSAGE, forged)


@pytest.mark.parametrize("excess", range(19))
def test_a_point_has_no_second_form_by_adding_p_to_y(excess: int) -> None:
    for sign in (0, 1 << 255):
        raw = (P + excess | sign).to_bytes(32, "little").hex()
        with pytest.raises(SignatureInvalid, match="not in canonical form"):
            PublicKey.from_hex(raw)
        with pytest.raises(SignatureInvalid, match="R is not in canonical form"):
            verify(PUBLIC, domains.RECEIPT, MESSAGE, raw + SIGNATURE[64:])


def test_a_key_with_a_part_of_low_order_is_refused() -> None:
    """Such a key lets its owner make signatures that some verifiers accept and some refuse."""
    y = int.from_bytes(bytes.fromhex(PUBLIC), "little") & ed25519.Y_BITS
    honest = point_of(y)
    assert honest is not None
    for low in TORSION - {IDENTITY}:
        with pytest.raises(SignatureInvalid, match="prime-order"):
            PublicKey.from_hex(encoded(add(honest, low)).hex())


def test_bytes_that_are_no_point_are_no_key() -> None:
    nowhere = next(y for y in range(2, 100) if point_of(y) is None)
    with pytest.raises(SignatureInvalid, match="prime-order"):
        PublicKey.from_hex(nowhere.to_bytes(32, "little").hex())


# The private half


@pytest.mark.parametrize("purpose", KeyPurpose)
def test_a_key_signs_what_it_is_for_and_nothing_else(purpose: KeyPurpose) -> None:
    key = SigningKey.from_seed(SEED, purpose)
    allowed = SIGNS[purpose]
    for domain in allowed:
        verify(key.public_key, domain, MESSAGE, key.sign(domain, MESSAGE))
    for domain in (frozenset().union(*SIGNS.values()) - allowed) | {domains.NODE, b"", b"HELM/Receipt/v1"}:
        with pytest.raises(PurposeMismatch):
            key.sign(domain, MESSAGE)


def test_a_key_is_never_printed() -> None:
    shown = f"{KEY!r} {KEY}"
    assert KEY.key_id in shown
    for part in (SEED.hex(), repr(SEED), KEY._secret.hex(), repr(KEY._secret)):
        assert part not in shown
    assert "secret" not in shown


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_key_is_never_pickled(protocol: int) -> None:
    with pytest.raises(TypeError, match="does not leave the process"):
        pickle.dumps(KEY, protocol)


def test_a_key_is_never_copied() -> None:
    with pytest.raises(TypeError, match="does not leave the process"):
        copy.copy(KEY)
    with pytest.raises(TypeError, match="does not leave the process"):
        copy.deepcopy(KEY)


def test_keys_are_not_compared_by_their_secret() -> None:
    twin = SigningKey.from_seed(SEED, KeyPurpose.EXECUTION)
    assert twin != KEY
    assert len({KEY, twin}) == 2


def test_the_secret_cannot_be_replaced() -> None:
    with pytest.raises(AttributeError):
        KEY._secret = bytes(64)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        KEY.purpose = KeyPurpose.APPROVAL  # type: ignore[misc]


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_a_seed_of_another_size_makes_no_key(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(bytes(size), KeyPurpose.EXECUTION)


def test_a_key_id_is_cut_from_the_hash_of_the_public_key_and_both_halves_agree() -> None:
    assert KEY.key_id == PublicKey.from_hex(PUBLIC).key_id == "key_21fe31dfa154a261626bf854046fd227"


def test_a_software_key_stands_behind_the_signers_port() -> None:
    signer: Signer = KEY
    assert signer.purpose is KeyPurpose.EXECUTION
    assert signer.public_key == PUBLIC
