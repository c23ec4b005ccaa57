"""The one door to python-tuf: its set of trusted metadata, at a time that the caller gives, with refusals of ours.

Its set follows the client workflow of the TUF specification (section 5) and holds every trust decision of it; here is
added what it leaves to its caller. Metadata is strict JSON within bounds. A role's threshold is counted in distinct
keys, whatever they are named, so that one key under two names counts once; and a key that other programs might read
in another way does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

import attrs
from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]  # public, and not marked so
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Targets  # type: ignore[attr-defined]  # likewise
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import canonical, parse
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import sha256
from helm.crypto.radix64 import from_base64
from helm.supply.outside_key import BEGIN, END, read_key

ROOT: Final = "root"
TIMESTAMP: Final = "timestamp"
SNAPSHOT: Final = "snapshot"
TARGETS: Final = "targets"

LIMITS: Final[Mapping[str, int]] = {ROOT: 512_000, TIMESTAMP: 16_384, SNAPSHOT: 2_000_000}
"""Longest metadata of a role, as python-tuf's own client has it (T4)."""

MAX_TARGETS_BYTES: Final = 5_000_000
"""Longest metadata of targets, likewise."""

KINDS: Final = frozenset(
    {
        ("ed25519", "ed25519"),
        ("ecdsa", "ecdsa-sha2-nistp256"),
        ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
        ("rsa", "rsassa-pss-sha256"),
    }
)
"""The kinds of keys that count, by type and scheme: those of the specification (section 4.2), and no others."""

RSA_HEAD: Final = bytes.fromhex("3082")
RSA: Final = bytes.fromhex("300d06092a864886f70d0101010500")
"""How an RSA key of 2048 bits or more begins, and what stands behind its length (RFC 3279 section 2.3.1)."""

FAULTS: Final = (RepositoryError, Malformed, ValueError, TypeError, KeyError, AttributeError)
"""What reading and verifying metadata may raise for what is in it."""

Delegator: TypeAlias = Root | Targets


@attrs.frozen(kw_only=True)
class TargetInfo:
    """What signed metadata says of a target file."""

    role: str
    length: int
    hashes: Mapping[str, str]


class MetadataSet:
    """Metadata that is trusted so far, from the root that the caller pins on."""

    def __init__(self, root: bytes, at: datetime) -> None:
        """Trust a root that is signed by its own threshold of keys. Raises Invalid."""
        self.signed_hashes: dict[str, str] = {}
        place = "the pinned root"
        self._taken(root, ROOT, place)
        self._set = self._tried(lambda: TrustedMetadataSet(root, EnvelopeType.METADATA), place)
        self._set.reference_time = at  # before anything that expires is looked at
        self._count(self._set.root, root, ROOT, place)

    @property
    def root_version(self) -> int:
        """The version of the last root."""
        return int(self._set.root.version)

    @property
    def is_consistent(self) -> bool:
        """Whether files carry their versions and hashes in their names (specification section 6.2)."""
        return bool(self._set.root.consistent_snapshot)

    def add_root(self, data: bytes, file: str) -> None:
        """Trust the next root, which the one before it and itself must have signed. Raises Invalid."""
        before = self._set.root
        self._taken(data, ROOT, file)
        self._tried(lambda: self._set.update_root(data), file)
        self._count(before, data, ROOT, file)
        self._count(self._set.root, data, ROOT, file)

    def check_current(self) -> None:
        """Raise Invalid where the last root has expired."""
        if self._set.root.is_expired(self._set.reference_time):
            raise Invalid(f"it expired at {self._set.root.expires}", f"root {self.root_version}", STALE)

    def add_timestamp(self, data: bytes, file: str) -> None:
        """Trust a timestamp that the root's key signed and that has not expired. Raises Invalid."""
        self._taken(data, TIMESTAMP, file)
        self._tried(lambda: self._set.update_timestamp(data), file)
        self._count(self._set.root, data, TIMESTAMP, file)

    def add_snapshot(self, data: bytes, file: str) -> None:
        """Trust the snapshot that the timestamp names. Raises Invalid."""
        self._taken(data, SNAPSHOT, file)
        self._tried(lambda: self._set.update_snapshot(data), file)
        self._count(self._set.root, data, SNAPSHOT, file)

    def add_targets(self, data: bytes, file: str, role: str, delegator: str) -> None:
        """Trust the metadata of a role that the snapshot names and the delegator's keys signed. Raises Invalid."""
        self._taken(data, role, file)
        self._tried(lambda: self._set.update_delegated_targets(data, role, delegator), file)
        self._count(self._delegator(delegator), data, role, file)

    def has(self, role: str, delegator: str) -> bool:
        """Tell whether a role is trusted already by the word of this delegator."""
        return bool(self._set.contains(role, delegator))

    def snapshot_version(self) -> int:
        """Return the version of the snapshot that the timestamp names."""
        return int(self._set.timestamp.snapshot_meta.version)

    def role_versions(self) -> dict[str, int]:
        """Return the version of every role of targets that the snapshot names."""
        return {name.removesuffix(".json"): int(meta.version) for name, meta in self._set.snapshot.meta.items()}

    def version_of(self, role: str) -> int:
        """Return the version of a role that is trusted."""
        return int(self._set[role].version)

    def first_expiry(self) -> str:
        """Return when the first of all that is trusted expires."""
        return str(min(one.expires for one in self._set).strftime("%Y-%m-%dT%H:%M:%SZ"))

    def online_keys(self) -> str:
        """Return a hash over who may sign timestamps and snapshots."""
        root = self._set.root
        body: dict[str, Any] = {
            name: {
                "keys": sorted(identity_of(root.keys[key]) for key in root.roles[name].keyids),
                "threshold": root.roles[name].threshold,
            }
            for name in (SNAPSHOT, TIMESTAMP)
        }
        return sha256(canonical(body))

    def target(self, name: str, role: str) -> TargetInfo | None:
        """Return what a trusted role says of a target, None where that is nothing."""
        found = self._targets(role).targets.get(name)
        return None if found is None else TargetInfo(role=role, length=found.length, hashes=dict(found.hashes))

    def delegated_for(self, name: str, role: str) -> list[tuple[str, bool]]:
        """Return the roles to which a role delegates a target, in order, and whether the search ends with each."""
        delegations = self._targets(role).delegations
        return [] if delegations is None else list(delegations.get_roles_for_target(name))

    def delegated(self, role: str, at_most: int) -> list[str]:
        """Return every role to which a role delegates anything. Raises Invalid where these are too many."""
        delegations = self._targets(role).delegations
        if delegations is None:
            return []
        bins = delegations.succinct_roles
        count = len(delegations.roles or {}) if bins is None else bins.number_of_bins
        if count > at_most:
            raise Invalid(f"{count} delegations, more than {at_most}", role, "name the targets that you need")
        names: Iterator[str] = iter(delegations.roles or {}) if bins is None else bins.get_roles()
        return list(names)

    def _targets(self, role: str) -> Targets:
        found = self._set[role]
        if not isinstance(found, Targets):
            raise Invalid("has no targets", role)
        return found

    def _delegator(self, name: str) -> Delegator:
        return self._set.root if name == ROOT else self._targets(name)

    def _taken(self, data: bytes, role: str, file: str) -> None:
        """Raise Invalid for what is too long, or not strict JSON."""
        self._tried(lambda: parse(data, max_bytes=LIMITS.get(role, MAX_TARGETS_BYTES)), file)

    def _tried(self, attempt: Callable[[], Any], file: str) -> Any:
        try:
            return attempt()
        except FAULTS as problem:
            raise Invalid(str(problem) or type(problem).__name__, file, MEND) from None

    def _count(self, delegator: Delegator, data: bytes, role: str, file: str) -> None:
        """Raise Invalid unless the threshold is met by distinct keys, each strictly verified."""
        read: Metadata[Any] = Metadata.from_bytes(data)
        signed = read.signed_bytes
        result = delegator.get_verification_result(role, signed, read.signatures)
        counted = {
            identity_of(key) for name, key in result.signed.items() if counts(key, read.signatures[name], signed)
        }
        if len(counted) < result.threshold:
            what = f"signed by {len(counted)} distinct keys that count, and {result.threshold} are needed"
            raise Invalid(what, file, "one key under two names counts once, and only Ed25519, P-256 and RSA-PSS count")
        self.signed_hashes[role] = sha256(signed)


MEND: Final = "get the metadata again from its repository, whole; do not mix two of its states"
STALE: Final = "get newer metadata; if there is none, the repository is dead or somebody holds it back"


def counts(key: Key, signature: Signature, signed: bytes) -> bool:
    """Tell whether a signature that python-tuf verified is one that any reader would."""
    if (key.keytype, key.scheme) not in KINDS:
        return False
    try:
        if key.keytype == "rsa":
            rsa_der(str(key.keyval["public"]))  # the signature was verified by the library; the key may have twins
        else:
            read_key(key.keyval["public"]).verify(signed, bytes.fromhex(signature.signature))
    except (Invalid, SignatureInvalid, ValueError):
        return False
    return True


def identity_of(key: Key) -> str:
    """Return one name per key, whatever it is called: the hash of its own bytes."""
    public = str(key.keyval["public"])
    try:
        return sha256(rsa_der(public) if key.keytype == "rsa" else read_key(public).der)
    except Invalid:
        return sha256("".join(public.split()).encode())


def rsa_der(text: str) -> bytes:
    """Return the SubjectPublicKeyInfo of an RSA key in PEM. Raises Invalid for any other form.

    The library takes PKCS#1 as well, parameters left out, and words before the key: one key would then count twice.
    """
    text = text.strip()
    if not (text.startswith(BEGIN) and text.endswith(END)):
        raise Invalid("not one PEM block of a SubjectPublicKeyInfo", "public key", MEND)
    try:
        der = from_base64("".join(text[len(BEGIN) : -len(END)].split()))
    except ValueError as problem:
        raise Invalid(f"its text is {problem}", "public key", MEND) from None
    if der[:2] != RSA_HEAD or not der[4:].startswith(RSA):
        raise Invalid("no RSA key of 2048 bits or more in its one form", "public key", MEND)
    return der
