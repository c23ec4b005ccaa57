"""X.509-SVIDs: which workload a certificate is for, and which certificates may vouch for one (SPIFFE X509-SVID)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from itertools import pairwise
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DuplicateExtension,
    ExtensionNotFound,
    KeyUsage,
    SubjectAlternativeName,
    UniformResourceIdentifier,
    UnsupportedGeneralNameType,
    load_der_x509_certificate,
    load_pem_x509_certificates,
)

from actors.identity.holder import Holder, Unbelieved, check_workload
from helm.contracts.errors import Invalid

UNREADABLE: Final = (ValueError, UnsupportedAlgorithm, DuplicateExtension, UnsupportedGeneralNameType)
"""What the library says of a certificate that it cannot read; the last two are no ValueError."""


@attrs.frozen(kw_only=True)
class Workload:
    """What a client certificate says; who vouches for it is another question."""

    spiffe_id: str
    trust_domain: str
    since_ms: int
    until_ms: int


@attrs.define(eq=False)
class Presented:
    """The certificates with which a client opened its connection, its own first.

    The TLS library has proved the path: each is signed by the next, none had ended then, and the client has the key
    of the first (RFC 5280 section 6). That the path ends with the right roots is still to be seen.
    """

    path: tuple[bytes, ...] = attrs.field(repr=False, on_setattr=attrs.setters.frozen)
    holder: Holder | None = attrs.field(default=None, init=False, repr=False)
    """Whom it made of the client when that was last asked."""

    @property
    def thumbprint(self) -> str:
        """The name by which a token may be bound to the client's certificate (RFC 8705 section 3.1)."""
        return urlsafe_b64encode(sha256(self.path[0]).digest()).rstrip(b"=").decode()


def read_workload(presented: Presented) -> Workload:
    """Return whom a path of certificates is for. Raises Unbelieved."""
    try:
        path = [load_der_x509_certificate(one) for one in presented.path]
        leaf = path[0]
        names, usage, is_authority = names_of(leaf), usage_of(leaf), is_authority_in(leaf)
    except UNREADABLE as problem:
        raise Unbelieved("the client certificate cannot be read") from problem
    # X509-SVID section 5.2, in its order: 1. it is a leaf, and no authority
    if is_authority or usage is None or usage.key_cert_sign or usage.crl_sign:
        raise Unbelieved("the client certificate is an authority's, or does not say that it is none")
    if not usage.digital_signature:
        raise Unbelieved("the client certificate's key signs nothing (X509-SVID section 4.3)")
    # 2. it names one workload
    if len(names) != 1:
        raise Unbelieved(f"the client certificate has {len(names)} URIs: an SVID has exactly one")
    return Workload(
        spiffe_id=names[0],
        trust_domain=check_workload(names[0]),
        since_ms=max(int(one.not_valid_before_utc.timestamp() * 1000) for one in path),
        until_ms=min(int(one.not_valid_after_utc.timestamp() * 1000) for one in path),
    )


def proved(pem: bytes, roots: list[bytes]) -> Presented:
    """Return the path from a certificate to a pinned root, as it will be proved in a handshake. Raises Unbelieved.

    It is for an operator who tries a certificate: names, order and signatures are looked at, and what an authority may
    do; the TLS library looks at more.
    """
    try:
        path = load_pem_x509_certificates(pem)
        pinned = [load_der_x509_certificate(root) for root in roots]
        while not any(path[-1] == root for root in pinned):
            above = next(root for root in pinned if root.subject == path[-1].issuer and has_issued(root, path[-1]))
            path.append(above)
        if not all(is_authority_in(upper) and has_issued(upper, lower) for lower, upper in pairwise(path)):
            raise StopIteration
    except StopIteration as problem:
        raise Unbelieved("no root that the policy pins vouches for the client certificate") from problem
    except UNREADABLE as problem:
        raise Unbelieved("the client certificate cannot be read") from problem
    return Presented(tuple(one.public_bytes(Encoding.DER) for one in path))


def has_issued(upper: Certificate, lower: Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def check_root(der: bytes, where: str) -> None:
    """Raise Invalid for a certificate that cannot vouch for others (X509-SVID section 3.2)."""
    try:
        root = load_der_x509_certificate(der)
        usage, is_authority = usage_of(root), is_authority_in(root)
    except UNREADABLE as problem:
        raise Invalid(f"not a certificate: {problem}", where, "DER, in base64") from problem
    if not is_authority or (usage is not None and not usage.key_cert_sign):
        hint = "pin the authorities of the trust domain, not its workloads"
        raise Invalid("a certificate that may sign no others", where, hint)


def names_of(certificate: Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return []
    return found.get_values_for_type(UniformResourceIdentifier)


def usage_of(certificate: Certificate) -> KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(KeyUsage).value
    except ExtensionNotFound:
        return None


def is_authority_in(certificate: Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except ExtensionNotFound:
        return False
