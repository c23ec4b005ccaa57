"""Envelopes that were edited, stretched, or made to be read in two ways: each is refused by the check that should."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.crypto import domains
from helm.crypto.canonical import canonical, record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.crypto.statement import PAYLOAD_TYPE
from helm.evidence.envelopes import cose, dsse, in_toto, jws
from helm.evidence.envelopes.cbor import Tagged, encode
from helm.evidence.envelopes.examine import EnvelopeTrust
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, base64url_of
from helm.evidence.envelopes.statement import STATEMENT, written
from helm.evidence.envelopes.unwrap import MAX_ENVELOPE_BYTES
from tests.helm.evidence.envelopes.wrapped import edited, native, pen, refusing_check, seen, wrapped
from tests.helm.evidence.material import key_of

JSON_KINDS = [EnvelopeKind.DSSE, EnvelopeKind.IN_TOTO, EnvelopeKind.SLSA, EnvelopeKind.SIGSTORE]
CBOR_KINDS = [EnvelopeKind.COSE, EnvelopeKind.SCITT]
KINDS = list(EnvelopeKind)

Change = Callable[[dict[str, Any]], object]


def within(kind: EnvelopeKind, change: Change) -> bytes:
    """Return a JSON envelope with its DSSE part changed."""
    body = json.loads(wrapped(kind).raw)
    change(body["dsseEnvelope"] if kind is EnvelopeKind.SIGSTORE else body)
    return json.dumps(body).encode()


def payload_set(payload: bytes) -> Change:
    return lambda body: body.update(payload=base64.b64encode(payload).decode())


@pytest.mark.parametrize("kind", KINDS)
def test_no_flipped_bit_verifies(kind: EnvelopeKind) -> None:
    raw = wrapped(kind).raw
    for at in range(len(raw)):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        assert refusing_check(changed), (at, raw[max(0, at - 20) : at + 1])


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_and_no_more_than_the_whole_verifies(kind: EnvelopeKind) -> None:
    raw = wrapped(kind).raw
    for end in range(0, len(raw), 7):
        assert refusing_check(raw[:end]) == "form"
    for more in (b"\0", b"}", b".", b"x", raw):
        assert refusing_check(raw + more) == "form"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_comes_is_refused_by_a_check_and_nothing_else(raw: bytes) -> None:
    for begin in (b"", b"{", b"\xd2\x84", b"eyJ"):
        assert refusing_check(begin + raw) in ("form", "header")


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_a_flipped_payload_fails_by_its_signature(kind: EnvelopeKind) -> None:
    other = wrapped(kind, "receipt").payload
    assert refusing_check(within(kind, payload_set(other))) == "signature"


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_another_payload_type_is_not_another_way_to_read_it(kind: EnvelopeKind) -> None:
    swapped = PAYLOAD_TYPE if kind is EnvelopeKind.DSSE else OWN_TYPE
    for other in ("application/json", swapped, "", OWN_TYPE.upper(), "application/vnd.in-toto+json; v=1"):
        assert refusing_check(within(kind, lambda body, other=other: body.update(payloadType=other)))  # type: ignore[misc]


def test_a_type_that_helm_does_not_sign_is_refused_although_it_is_signed() -> None:
    for payload in (wrapped().payload, wrapped(EnvelopeKind.IN_TOTO).payload):
        for other in ("application/json", "application/vnd.in-toto+JSON", "text/plain"):
            assert refusing_check(canonical(dsse.dsse_of(other, payload, pen()))) == "header"
    crossed = canonical(dsse.dsse_of(PAYLOAD_TYPE, wrapped().payload, pen()))
    assert refusing_check(crossed) == "statement"
    crossed = canonical(dsse.dsse_of(OWN_TYPE, wrapped(EnvelopeKind.IN_TOTO).payload, pen()))
    assert refusing_check(crossed) == "statement"


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_the_json_around_it_may_be_laid_out_in_any_way(kind: EnvelopeKind) -> None:
    """It is not signed; what is, stands in one text within it."""
    body = json.loads(wrapped(kind).raw)
    laid_out = json.dumps(dict(reversed(body.items())), indent=2).encode() + b"\n"
    assert refusing_check(laid_out) == ""


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_two_signatures_are_refused_whichever_is_good(kind: EnvelopeKind) -> None:
    good: list[dict[str, str]] = []
    within(kind, lambda body: good.extend(body["signatures"]))
    bad = {"keyid": good[0]["keyid"], "sig": base64.b64encode(bytes(64)).decode()}
    for signatures in ([*good, bad], [bad, *good], [*good, *good], []):
        assert refusing_check(within(kind, lambda body, s=signatures: body.update(signatures=s))) == "form"  # type: ignore[misc]


@pytest.mark.parametrize("kind", JSON_KINDS)
def test_a_member_that_nobody_knows_or_that_stands_twice_is_refused(kind: EnvelopeKind) -> None:
    raw = wrapped(kind).raw
    assert refusing_check(edited(raw, note="believe me")) == "form"
    assert refusing_check(within(kind, lambda body: body.update(note=""))) == "form"
    assert refusing_check(within(kind, lambda body: body["signatures"][0].update(cert="x"))) == "form"
    assert refusing_check(within(kind, lambda body: body["signatures"][0].pop("keyid"))) in ("header", "key")
    doubled = raw.replace(b'"payloadType":', b'"payloadType":"application/json","payloadType":', 1)
    assert doubled != raw and refusing_check(doubled) == "form"


@pytest.mark.parametrize("kind", JSON_KINDS)
@pytest.mark.parametrize(
    "vary",
    [
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: text[:8] + " " + text[8:],
        lambda text: text[:-3] + chr(ord(text[-3]) + 1) + "==",
        lambda text: 7,
        lambda text: None,
    ],
)
def test_base64_has_one_form(kind: EnvelopeKind, vary: Callable[[str], Any]) -> None:
    found: list[dict[str, str]] = []
    within(kind, lambda body: found.extend(body["signatures"]))
    other = vary(found[0]["sig"])
    changed = within(kind, lambda body: body["signatures"][0].update(sig=other))
    assert other == found[0]["sig"] or refusing_check(changed) == "form"


def test_spare_bits_of_base64_are_refused() -> None:
    sig = json.loads(wrapped().raw)["signatures"][0]["sig"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = sig[:-3] + letters[letters.index(sig[-3]) + 1] + "=="
    assert base64.b64decode(twin) == base64.b64decode(sig)
    assert refusing_check(within(EnvelopeKind.DSSE, lambda body: body["signatures"][0].update(sig=twin))) == "form"


def token(header: dict[str, Any] | bytes, payload: bytes | None = None) -> bytes:
    """Return a JWS under any header, really signed by the key: a thief's, or a fool's."""
    raw = header if type(header) is bytes else canonical(header)
    whole = base64url_of(raw) + b"." + base64url_of(payload or written(wrapped().statement))
    signature = pen().sign(domains.JWS, whole.removeprefix(domains.JWS))
    return whole + b"." + base64url_of(bytes.fromhex(signature))


HEADER = {"alg": "EdDSA", "cty": OWN_TYPE, "kid": pen().key_id, "typ": "helm-evidence+jws"}


def test_the_token_that_the_tests_forge_is_the_real_one() -> None:
    assert token(HEADER) == wrapped(EnvelopeKind.JWS).raw


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "none"}, {"alg": "None"}, {"alg": "HS256"}, {"alg": "ES256"}, {"alg": "RS256"}, {"alg": "Ed25519"},
        {"alg": ["EdDSA"]}, {"alg": None}, {"crit": ["exp"], "exp": 1}, {"crit": []}, {"b64": False}, {"zip": "DEF"},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A"}}, {"jku": "https://evil.example/"}, {"x5c": ["A"]},
        {"typ": "JWT"}, {"cty": "application/json"}, {"kid": 1},
    ],
)  # fmt: skip
def test_a_header_that_says_otherwise_is_refused_before_any_key_is_asked(change: dict[str, Any]) -> None:
    failed = seen(token(HEADER | change)).failed
    assert failed is not None and failed.name == "header"
    assert "alg" not in change or "EdDSA alone counts" in failed.detail


def test_a_header_in_another_spelling_is_refused() -> None:
    plain = canonical(HEADER)
    for other in (plain.replace(b":", b": ", 1), plain.replace(b"EdDSA", b"\\u0045dDSA"), plain + b" "):
        assert refusing_check(token(other)) == "header"
    for broken in (plain.replace(b"{", b'{"alg":"none",', 1), b"[]", b"", b"{", b"\xff"):
        assert refusing_check(token(broken)) == "form"


def test_a_token_without_its_signature_is_none() -> None:
    header, payload, _ = wrapped(EnvelopeKind.JWS).raw.split(b".")
    assert refusing_check(b".".join((header, payload, b""))) == "form"
    assert refusing_check(b".".join((base64url_of(b'{"alg":"none"}'), payload, b""))) == "header"


def test_base64url_has_one_form() -> None:
    header, payload, signature = wrapped(EnvelopeKind.JWS).raw.split(b".")
    for odd in (signature + b"=", signature + b"==", signature.replace(b"_", b"/").replace(b"-", b"+") + b"\n", b"!"):
        assert refusing_check(b".".join((header, payload, odd))) == "form"
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = signature[:-1] + letters[letters.index(signature[-1:]) + 1 :][:1]
    assert base64.urlsafe_b64decode(twin + b"==") == base64.urlsafe_b64decode(signature + b"==")
    assert refusing_check(b".".join((header, payload, twin))) == "form"


def test_a_payload_in_another_spelling_is_refused_although_it_is_signed() -> None:
    """The key signed it: a thief's, or a program's with a mistake in it. What is read in two ways is not believed."""
    said = written(wrapped().statement)
    body = STATEMENT.body(wrapped().statement)
    for payload in (
        said.replace(b":", b": ", 1),
        json.dumps(body | {"authoritative": True}).encode(),
        json.dumps(body | {"more": ""}).encode(),
        json.dumps({name: value for name, value in body.items() if name != "log_id"}).encode(),
        canonical(body | {"key_id": key_of(KeyPurpose.EVIDENCE, 2).key_id}),
        b"[]",
        b"1",
        b"{" + b'"a":[' * 50,
        b'{"a":"' + b"x" * 20_000 + b'"}',
    ):
        assert refusing_check(token(HEADER, payload)) == "statement"
        assert refusing_check(canonical(dsse.dsse_of(OWN_TYPE, payload, pen()))) == "statement"
        assert refusing_check(cose.cose_of(payload, pen())) == "statement"


def test_an_in_toto_statement_that_its_predicate_does_not_make_is_refused_although_it_is_signed() -> None:
    change: dict[str, Any]
    for made in (in_toto.in_toto, in_toto.slsa):
        body = json.loads(made(wrapped().statement))
        other = json.loads(made(native("receipt").statement(pen().key_id)))
        for change in (
            {"subject": other["subject"]},
            {"subject": body["subject"] * 2},
            {"subject": []},
            {"_type": "https://in-toto.io/Statement/v0.1"},
            {"predicate": other["predicate"]},
            {"predicate": None},
            {"predicate": []},
            {"predicateType": "https://example.com/other"},
            {"predicateType": None},
            {"note": "believe me"},
        ):
            payload = canonical(body | change)
            assert refusing_check(canonical(dsse.dsse_of(PAYLOAD_TYPE, payload, pen()))) == "statement"
        payload = record_bytes(body) + b" "
        assert refusing_check(canonical(dsse.dsse_of(PAYLOAD_TYPE, payload, pen()))) == "statement"


def test_a_bundle_claims_no_log_entry_no_certificate_and_no_time() -> None:
    body = json.loads(wrapped(EnvelopeKind.SIGSTORE).raw)
    material = body["verificationMaterial"]
    for other in (
        material | {"tlogEntries": [{"logIndex": "1"}]},
        material | {"timestampVerificationData": {}},
        {"certificate": {"rawBytes": "AA=="}, "tlogEntries": []},
        {"publicKey": {"hint": "key_other"}, "tlogEntries": []},
        {"publicKey": {"hint": pen().key_id}},
        {},
        None,
    ):
        assert refusing_check(edited(wrapped(EnvelopeKind.SIGSTORE).raw, verificationMaterial=other)) == "header"
    for version in ("0.1", "0.2", "0.4"):
        media = f"application/vnd.dev.sigstore.bundle.v{version}+json"
        assert refusing_check(edited(wrapped(EnvelopeKind.SIGSTORE).raw, mediaType=media)) == "header"
    provenance = canonical(
        body | {"dsseEnvelope": dsse.dsse_of(PAYLOAD_TYPE, in_toto.slsa(wrapped().statement), pen())}
    )
    assert refusing_check(provenance) == "statement"


def message(protected: bytes, unprotected: Any = None, payload: bytes | None = None) -> bytes:
    """Return a COSE_Sign1 under any header, really signed by the key."""
    said = payload or written(wrapped().statement)
    signature = bytes.fromhex(pen().sign(domains.COSE, cose.said_of(protected, said)))
    return encode(Tagged(18, [protected, unprotected or {}, said, signature]))


PROTECTED = {1: -8, 3: OWN_TYPE, 4: pen().key_id.encode()}


def test_the_message_that_the_tests_forge_is_the_real_one() -> None:
    assert message(encode(PROTECTED)) == wrapped(EnvelopeKind.COSE).raw


@pytest.mark.parametrize(
    "change",
    [
        {1: -7}, {1: -37}, {1: 5}, {1: "EdDSA"}, {1: -19}, {1: []}, {2: [99], 99: 1}, {2: []}, {3: 0},
        {3: "text/plain"}, {4: b"\xff"}, {4: "text"}, {5: b"iv"}, {15: {}}, {15: {1: "i"}}, {15: {1: "", 2: ""}},
        {15: 1}, {15: {1: "i", 2: "s", 6: 1}}, {33: b"x5chain"}, {394: [b"receipt"]}, {"x": 1},
    ],
)  # fmt: skip
def test_a_cose_header_that_says_otherwise_is_refused(change: dict[Any, Any]) -> None:
    """A transparency receipt (394) among them: none is claimed, so none is carried."""
    assert refusing_check(message(encode(PROTECTED | change))) == "header"


def test_claims_about_something_else_are_refused_although_they_are_signed() -> None:
    issuer, subject = cose.claims_of(wrapped().statement)
    said = written(wrapped().statement)
    for claims in (("urn:helm:log:other", subject), (issuer, "urn:other"), (subject, issuer)):
        assert refusing_check(cose.cose_of(said, pen(), claims)) == "statement"


def test_a_header_that_nobody_signed_is_refused() -> None:
    assert refusing_check(message(encode(PROTECTED), {4: b"kid"})) == "header"


@pytest.mark.parametrize("kind", CBOR_KINDS)
def test_cbor_has_one_form(kind: EnvelopeKind) -> None:
    raw = wrapped(kind).raw
    found = cbor2.loads(raw)
    parts = list(found.value)
    pieces = [encode(parts[0]), encode({}), encode(parts[2]), encode(parts[3])]
    assert b"\xd2\x84" + b"".join(pieces) == raw
    for other in (
        b"\xd2\x9f" + b"".join(pieces) + b"\xff",  # an array of indefinite length
        b"\xd2\x98\x04" + b"".join(pieces),  # a size in more bytes than it needs
        b"\xd8\x12\x84" + b"".join(pieces),  # the same of the tag
        b"\x84" + b"".join(pieces),  # no tag
        b"\xd1\x84" + b"".join(pieces),  # the tag of a MAC
        b"\xd2\x84" + pieces[0] + b"\xbf\xff" + pieces[2] + pieces[3],  # a map of indefinite length
        b"\xd2\x84" + pieces[0] + pieces[1] + b"\x5f" + pieces[2] + b"\xff" + pieces[3],  # bytes in pieces
        b"\xd2\x84" + pieces[0] + pieces[1] + b"\xf6" + pieces[3],  # a payload that is elsewhere
        b"\xd2\x83" + b"".join(pieces[:3]),
        b"\xd2\x85" + b"".join(pieces) + b"\x00",
    ):
        assert refusing_check(other) in ("form", "header")
    swapped = encode(parts[0]).replace(b"\x01\x27\x03", b"\x03\x27\x01", 1)
    assert refusing_check(b"\xd2\x84" + swapped + b"".join(pieces[1:]))


@pytest.mark.parametrize(
    "protected",
    [
        b"\xa3\x03\x00\x01\x27\x04\x41k",  # names out of order
        b"\xa2\x01\x27\x01\x26",  # a name twice
        b"\xa1\x18\x01\x27",  # a number in more bytes than it needs
        b"\xa1\x01\x38\x07",
        b"\xbf\x01\x27\xff",
        b"\xa1\x01\xf9\x00\x00",
        b"\x80",
        b"",
        b"\xa1\x01",
        b"\xa1\x41k\x27",
        b"\x9b" + b"\xff" * 8,
        b"\xbb" + b"\xff" * 8,
        b"\x5b" + b"\xff" * 8,
        b"\x81" * 5000,
        b"\xd2" * 5000,
        b"\x61\xff",
        b"\xa1\x01\x27\x00",
    ],
)
def test_a_header_in_another_cbor_is_refused(protected: bytes) -> None:
    assert refusing_check(message(protected)) == "form"


@pytest.mark.parametrize(
    "raw",
    [
        b"{" * 60_000,
        b"[" * 60_000,
        b'{"payload":' * 5_000,
        b'{"payload":"' + b"A" * MAX_ENVELOPE_BYTES + b'"}',
        b"A" * (MAX_ENVELOPE_BYTES + 1),
        b"." * 60_000,
        b"\xd2" + b"\x84" * 60_000,
        b"\xd2" * 60_000,
        b"\xd2\x9b" + b"\x7f" + b"\xff" * 7,
        b"",
        b"\xef\xbb\xbf{}",
        b"{}",
        b"null",
    ],
)
def test_what_is_huge_or_deep_or_nothing_is_refused_at_once(raw: bytes) -> None:
    failed = seen(raw).failed
    assert failed is not None and failed.name == "form"
    assert len(raw) <= MAX_ENVELOPE_BYTES or f"bytes, more than {MAX_ENVELOPE_BYTES}" in failed.detail


@pytest.mark.parametrize("kind", KINDS)
def test_another_logs_envelope_is_refused_whatever_it_is_called(kind: EnvelopeKind) -> None:
    other = wrapped(kind, number=2).raw
    assert refusing_check(other) == "key"
    trust = EnvelopeTrust(key=PublicKey.from_hex(pen(2).public_key))
    assert seen(other, trust=trust).failed is None


def test_a_keyid_is_a_hint_and_swapping_it_opens_nothing() -> None:
    raw = wrapped(number=2).raw.replace(pen(2).key_id.encode(), pen().key_id.encode())
    assert refusing_check(raw) == "signature"
    headed = wrapped(EnvelopeKind.JWS, number=2).raw.split(b".")
    headed[0] = base64url_of(jws.header_of(pen().key_id))
    assert refusing_check(b".".join(headed)) == "signature"


def test_no_signature_of_one_kind_of_envelope_is_one_of_another() -> None:
    """Nor of a pack: the words before what is signed differ from the first byte on, or within the fixed ones."""
    said = written(wrapped().statement)
    preimages = {
        EnvelopeKind.DSSE: domains.DSSE + dsse.said_of(OWN_TYPE, said),
        EnvelopeKind.IN_TOTO: domains.DSSE + dsse.said_of(PAYLOAD_TYPE, in_toto.in_toto(wrapped().statement)),
        EnvelopeKind.JWS: jws.said_of(jws.header_of(pen().key_id), said),
        EnvelopeKind.COSE: domains.COSE + cose.said_of(cose.protected_of(pen().key_id), said),
        EnvelopeKind.SCITT: domains.COSE
        + cose.said_of(cose.protected_of(pen().key_id, cose.claims_of(wrapped().statement)), said),
    }
    assert len(set(preimages.values())) == len(preimages)
    for preimage in preimages.values():
        begun = [domain for purpose in domains.SIGNS.values() for domain in purpose if preimage.startswith(domain)]
        assert begun in ([domains.DSSE], [domains.JWS], [domains.COSE])
        assert not preimage.startswith(b"HELM/")
