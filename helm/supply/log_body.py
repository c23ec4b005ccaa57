"""What an entry of a Rekor log says: over which digest, by which signatures, under which keys.

The record types are hashedrekord 0.0.1 and 0.0.2, dsse 0.0.1 and intoto 0.0.2; each in the one shape of its version
(the log's own JSON Schemas). That a signature in an entry is good is the log's word, and nothing is built on it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import parse
from helm.crypto.dsse import MAX_ENVELOPE_BYTES
from helm.crypto.radix64 import from_base64
from helm.proofgraph.merkle import HASH_BYTES
from helm.supply.members import a_list, a_text, an_object, hex_bytes, some_bytes

MAX_SIGNATURES: Final = 16
"""Most signatures of one entry (T4)."""

SIGNED: Final = frozenset({"data", "signature"})


@attrs.frozen(kw_only=True)
class LoggedSignature:
    """A signature in an entry, and the key or certificate that it is said to be of, in DER."""

    raw: bytes = attrs.field(repr=False)
    verifier: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Logged:
    """What an entry says, in the nouns of this house."""

    kind: str
    version: str
    digest: bytes
    """SHA-256: of an artifact or of an envelope's signed bytes for hashedrekord, of its payload for the others."""
    of_payload: bool
    signatures: tuple[LoggedSignature, ...]


def read_logged(body: bytes) -> Logged:
    """Return what the body of an entry says. Raises Malformed, and Invalid for a record that is not known."""
    value = an_object(
        parse(body, max_bytes=MAX_ENVELOPE_BYTES),
        "body",
        must=frozenset({"apiVersion", "kind", "spec"}),
        may=frozenset(),
    )
    name = (a_text(value["kind"], "kind", at_most=64), a_text(value["apiVersion"], "apiVersion", at_most=64))
    read = RECORDS.get(name)
    if read is None:
        known = ", ".join(" ".join(one) for one in RECORDS)
        raise Invalid(f"a record {name[0]!r} {name[1]!r}, which is not known", "body", f"known are {known}")
    return read(value["spec"])


def read_hashedrekord_1(spec: Any) -> Logged:
    """Return what a hashedrekord 0.0.1 says. Raises Invalid."""
    body = an_object(spec, "spec", must=SIGNED, may=frozenset())
    signature = an_object(
        body["signature"], "signature", must=frozenset({"content", "publicKey"}), may=frozenset({"format"})
    )
    key = an_object(signature["publicKey"], "publicKey", must=frozenset({"content"}), may=frozenset())
    data = an_object(body["data"], "data", must=frozenset({"hash"}), may=frozenset())
    said = some_bytes(signature["content"], "signature.content")
    verifier = of_pem(some_bytes(key["content"], "publicKey.content"))
    return Logged(
        kind="hashedrekord",
        version="0.0.1",
        digest=hash_in(data["hash"], "data.hash"),
        of_payload=False,
        signatures=(LoggedSignature(raw=said, verifier=verifier),),
    )


def read_hashedrekord_2(spec: Any) -> Logged:
    """Return what a hashedrekord 0.0.2 says. Raises Invalid."""
    one = frozenset({"hashedRekordV002"})
    body = an_object(
        an_object(spec, "spec", must=one, may=frozenset())["hashedRekordV002"], "spec", must=SIGNED, may=frozenset()
    )
    data = an_object(body["data"], "data", must=frozenset({"algorithm", "digest"}), may=frozenset())
    if data["algorithm"] != "SHA2_256":
        raise Invalid("not SHA2_256", "data.algorithm", "sign with SHA-256")
    signature = an_object(body["signature"], "signature", must=frozenset({"content", "verifier"}), may=frozenset())
    said = some_bytes(signature["content"], "signature.content")
    return Logged(
        kind="hashedrekord",
        version="0.0.2",
        digest=some_bytes(data["digest"], "data.digest", size=HASH_BYTES),
        of_payload=False,
        signatures=(LoggedSignature(raw=said, verifier=verifier_in(signature["verifier"])),),
    )


def read_dsse(spec: Any) -> Logged:
    """Return what a dsse 0.0.1 says. Raises Invalid."""
    body = an_object(spec, "spec", must=frozenset({"envelopeHash", "payloadHash", "signatures"}), may=frozenset())
    hash_in(body["envelopeHash"], "envelopeHash")  # over a form of JSON that nobody has to keep: only its shape counts
    two = frozenset({"signature", "verifier"})
    signatures = [
        an_object(one, "signatures", must=two, may=frozenset())
        for one in a_list(body["signatures"], "signatures", at_most=MAX_SIGNATURES)
    ]
    return Logged(
        kind="dsse",
        version="0.0.1",
        digest=hash_in(body["payloadHash"], "payloadHash"),
        of_payload=True,
        signatures=tuple(
            LoggedSignature(
                raw=some_bytes(one["signature"], "signature"),
                verifier=of_pem(some_bytes(one["verifier"], "verifier")),
            )
            for one in signatures
        ),
    )


def read_intoto(spec: Any) -> Logged:
    """Return what an intoto 0.0.2 says; its signatures stand in base64 of base64. Raises Invalid."""
    content = an_object(
        an_object(spec, "spec", must=frozenset({"content"}), may=frozenset())["content"],
        "content",
        must=frozenset({"envelope", "hash", "payloadHash"}),
        may=frozenset(),
    )
    hash_in(content["hash"], "content.hash")
    envelope = an_object(
        content["envelope"],
        "content.envelope",
        must=frozenset({"payloadType", "signatures"}),
        may=frozenset({"payload"}),
    )
    signatures = [
        an_object(one, "signatures", must=frozenset({"publicKey", "sig"}), may=frozenset({"keyid"}))
        for one in a_list(envelope["signatures"], "signatures", at_most=MAX_SIGNATURES)
    ]
    return Logged(
        kind="intoto",
        version="0.0.2",
        digest=hash_in(content["payloadHash"], "content.payloadHash"),
        of_payload=True,
        signatures=tuple(
            LoggedSignature(
                raw=some_bytes(a_text_in(one["sig"], "sig"), "sig"),
                verifier=of_pem(some_bytes(one["publicKey"], "publicKey")),
            )
            for one in signatures
        ),
    )


RECORDS: Final[Mapping[tuple[str, str], Callable[[Any], Logged]]] = MappingProxyType(
    {
        ("hashedrekord", "0.0.1"): read_hashedrekord_1,
        ("hashedrekord", "0.0.2"): read_hashedrekord_2,
        ("dsse", "0.0.1"): read_dsse,
        ("intoto", "0.0.2"): read_intoto,
    }
)


def hash_in(value: Any, where: str) -> bytes:
    """Return the SHA-256 of a named hash. Raises Invalid for another algorithm."""
    body = an_object(value, where, must=frozenset({"algorithm", "value"}), may=frozenset())
    if body["algorithm"] != "sha256":
        raise Invalid("not sha256", f"{where}.algorithm", "sign with SHA-256")
    return hex_bytes(body["value"], f"{where}.value", size=HASH_BYTES)


def verifier_in(value: Any) -> bytes:
    """Return the key or certificate of a record of version 0.0.2. Raises Invalid unless it is one of both."""
    body = an_object(
        value,
        "verifier",
        must=frozenset({"keyDetails"}),
        may=frozenset({"x509Certificate", "publicKey"}),
    )
    if ("x509Certificate" in body) == ("publicKey" in body):
        raise Invalid("not one of x509Certificate and publicKey", "verifier")
    one = body.get("x509Certificate", body.get("publicKey"))
    return some_bytes(an_object(one, "verifier", must=frozenset({"rawBytes"}), may=frozenset())["rawBytes"], "verifier")


def a_text_in(value: Any, where: str) -> str:
    """Return the text that a text in base64 stands for. Raises Invalid."""
    try:
        return some_bytes(value, where).decode("ascii")
    except UnicodeDecodeError:
        raise Invalid("not base64 of base64", where) from None


def of_pem(raw: bytes) -> bytes:
    """Return the DER of one PEM block, whatever it says that it is. Raises Invalid."""
    lines = raw.decode("ascii", "replace").split("\n")
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) < 3 or not lines[0].startswith("-----BEGIN ") or not lines[-1].startswith("-----END "):
        raise Invalid("not one block of PEM", "verifier")
    try:
        return from_base64("".join(lines[1:-1]))
    except ValueError as problem:
        raise Invalid(f"its PEM is {problem}", "verifier") from None
