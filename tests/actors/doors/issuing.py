"""Issuers and authorities that tests make: tokens with any claims and headers, certificates with any names."""

from __future__ import annotations

import base64
import hmac
import json
import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.actors.kit import NOON_MS
from tests.actors.policies import POLICY

NOON = NOON_MS // 1000

ISSUER, PARTNER = "https://login.corp.example", "https://login.partner.example"
AUDIENCE = "https://helm.corp.example"
DOMAIN, FOREIGN = "prod.example", "other.example"
WORKLOAD = f"spiffe://{DOMAIN}/ns/agents/sa/writer"

GOOD: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": NOON, "exp": NOON + 600}
SVID: dict[str, Any] = {"sub": WORKLOAD, "aud": ["helm"], "exp": NOON + 300}

EVER = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def key(name: str = "one") -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": name})


@cache
def rsa(name: str = "rsa") -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


@cache
def curve(name: str = "svid") -> ECKey:
    return ECKey.generate_key("P-256", {"kid": name})


def public(*keys: Any) -> list[dict[str, Any]]:
    return [dict(one.as_dict(private=False)) for one in keys]


def token(changes: dict[str, Any] | None = None, signer: Any = None, **header: Any) -> str:
    """Return a token of the corp's issuer; a change to None leaves the claim, or the header, out."""
    return signed(GOOD | (changes or {}), signer or key(), {"alg": "Ed25519", "kid": "one", "typ": "at+jwt"} | header)


def svid(changes: dict[str, Any] | None = None, signer: Any = None, **header: Any) -> str:
    """Return a JWT-SVID of the trust domain."""
    return signed(SVID | (changes or {}), signer or curve(), {"alg": "ES256", "kid": "svid", "typ": "JWT"} | header)


def signed(claims: dict[str, Any], signer: Any, header: dict[str, Any]) -> str:
    body = json.dumps({name: value for name, value in claims.items() if value is not None}).encode()
    return written(body, signer, header)


def written(body: bytes, signer: Any, header: dict[str, Any]) -> str:
    """Sign any bytes, under any header: the library would refuse some of them."""
    said = {name: value for name, value in header.items() if value is not None}
    text = f"{part(json.dumps(said).encode())}.{part(body)}"
    return f"{text}.{part(jws.JWSRegistry.algorithms[said['alg']].sign(text.encode(), signer))}"


def part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(algorithm: str = "none") -> str:
    header = part(json.dumps({"alg": algorithm, "kid": "one", "typ": "at+jwt"}).encode())
    return f"{header}.{part(json.dumps(GOOD).encode())}.AA"


def hmac_of_the_public_key() -> str:
    """Sign with the public key as if it were a shared secret (algorithm confusion)."""
    header = part(json.dumps({"alg": "HS256", "kid": "rsa", "typ": "at+jwt"}).encode())
    text = f"{header}.{part(json.dumps(GOOD).encode())}"
    mac = hmac.new(rsa().as_pem(private=False), text.encode(), sha256).digest()
    return f"{text}.{part(mac)}"


@attrs.frozen(eq=False)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def files(self, directory: Path, *above: Pair) -> tuple[str, str]:
        """Write the certificate, those above it, and the key; return both paths."""
        name = f"{self.certificate.serial_number}"
        chain = b"".join(one.certificate.public_bytes(Encoding.PEM) for one in (self, *above))
        (directory / f"{name}.pem").write_bytes(chain)
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / f"{name}.key").write_bytes(pem)
        return str(directory / f"{name}.pem"), str(directory / f"{name}.key")


def certified(
    *names: str,
    by: Pair | None = None,
    authority: bool = False,
    days: int = 36_500,
    signs: bool = True,
    may_certify: bool | None = None,
    common_name: str = "helm.test",
    start: datetime = EVER,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    says_usage: bool = True,
    path_length: int | None = None,
    odd_name: bytes = b"",
    names_issuer: bool = True,
) -> Pair:
    """Return a certificate with these URIs, signed by another or by itself; `odd_name` is one more name, in DER."""
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certifies = authority if may_certify is None else may_certify
    usage = x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs,
        key_cert_sign=certifies,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if by is None else by.certificate.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
    )
    if names_issuer:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key((own if by is None else by.key).public_key())
        builder = builder.add_extension(issuer, critical=False)
    if says_usage:
        builder = builder.add_extension(usage, critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    alternatives: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in names]
    if not authority:
        alternatives.append(x509.IPAddress(ip_address("127.0.0.1")))
    if odd_name:
        raw = x509.SubjectAlternativeName(alternatives).public_bytes()
        named = raw[:1] + bytes([raw[1] + len(odd_name)]) + raw[2:] + odd_name
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, named), critical=False
        )
    elif alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return Pair(builder.sign(own if by is None else by.key, hashes.SHA256()), own)


@cache
def authority(domain: str = DOMAIN) -> Pair:
    """The root of a trust domain."""
    return certified(f"spiffe://{domain}", authority=True, common_name=f"root of {domain}")


def root_entry(pair: Pair) -> dict[str, Any]:
    point = pair.key.public_key().public_numbers()
    axes = {axis: part(value.to_bytes(32, "big")) for axis, value in (("x", point.x), ("y", point.y))}
    x5c = [base64.b64encode(pair.der).decode()]
    return {"kty": "EC", "crv": "P-256", **axes, "use": "x509-svid", "x5c": x5c}


def bundle(*entries: dict[str, Any]) -> str:
    return json.dumps({"keys": list(entries), "spiffe_sequence": 1, "spiffe_refresh_hint": 300})


def svid_key(one: ECKey) -> dict[str, Any]:
    return {**one.as_dict(private=False), "use": "jwt-svid"}


def policy(
    *,
    epoch: int = 7,
    keys: list[dict[str, Any]] | None = None,
    roots: list[Pair] | None = None,
    more: str = "",
    base: str = POLICY,
) -> str:
    """Return a policy that knows two issuers and two trust domains."""
    corp = public(key(), rsa()) if keys is None else keys
    ours = [svid_key(curve()), *(root_entry(one) for one in (roots if roots is not None else [authority()]))]
    theirs = [svid_key(curve("foreign")), root_entry(authority(FOREIGN))]
    return f"""{base.replace("epoch = 7", f"epoch = {epoch}")}
[identity.oidc.corp]
issuer = "{ISSUER}"
audiences = ["{AUDIENCE}"]
algorithms = ["Ed25519", "RS256"]
jwks = '{json.dumps({"keys": corp})}'
tenant = "acme"
{more}

[identity.oidc.partner]
issuer = "{PARTNER}"
audiences = ["{AUDIENCE}"]
algorithms = ["Ed25519"]
jwks = '{json.dumps({"keys": public(key("partner"))})}'
tenant_claim = "org"

[identity.oidc.partner.tenants]
org-1 = "acme"
org-2 = "globex"

[identity.oidc.partner.require]
env = "prod"

[identity.spiffe."{DOMAIN}"]
tenant = "acme"
audiences = ["helm"]
bundle = '{bundle(*ours)}'

[identity.spiffe."{FOREIGN}"]
tenant = "acme"
audiences = ["helm"]
bundle = '{bundle(*theirs)}'
"""


def client_tls(server: Pair, files: tuple[str, str] | None = None) -> ssl.SSLContext:
    """Return the client's side of TLS, with a certificate of its own or without."""
    context = ssl.create_default_context(cadata=server.certificate.public_bytes(Encoding.PEM).decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if files is not None:
        context.load_cert_chain(*files)
    return context
