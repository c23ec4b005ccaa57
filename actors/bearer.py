"""Bearer keys: who a caller is, by a secret of which HELM keeps only the hash."""

from __future__ import annotations

import hmac
import re
import secrets
from enum import StrEnum
from pathlib import Path

import attrs
from attrs.validators import ge, matches_re

from actors import durable
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.hashing import sha256
from helm.guardian.identity import is_from_elsewhere
from helm.wire import structure

SCHEME = "bearer"
PREFIX = "helm_"
"""Secret scanners find a leaked key by it."""

KEY_BYTES = 32
"""256 random bits, 43 characters: the stored hash needs no salt, nobody guesses what it hashes."""

MAX_HEADER = 4096
"""Longest header that is hashed: the one thing here that anyone may ask for without a key (T4)."""

MAX_BYTES = 16 * 1024 * 1024
"""Largest file of keys, some 60,000 of them: more come from something that issues them in a loop (T4)."""

HASH = re.compile(r"sha256:[0-9a-f]{64}")
PRINCIPAL = re.compile(r"[!-~]{1,256}")
"""ASCII: two principals that look alike are one principal."""

ROUTE = slice(7, 15)
"""The hex digits of a hash by which it is looked up. They name a handful of candidates and grant nothing."""

ADMIN_FROM_ENVIRONMENT = "admin"


class KeyClass(StrEnum):
    """What a bearer key opens: calls in one tenant, or the control plane."""

    TENANT = "tenant"
    ADMIN = "admin"


TENANTS = {KeyClass.TENANT: re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"), KeyClass.ADMIN: re.compile("")}
"""No slash: "tenant/principal" must have one reading. An administrator stands in no tenant."""


@attrs.frozen(kw_only=True)
class BearerKey:
    """Who holds a key, known by its SHA-256. An admin key has no tenant."""

    credential_hash: str = attrs.field(validator=matches_re(HASH))
    created_at_ms: int = attrs.field(validator=ge(0))
    key_class: str
    principal: str = attrs.field(validator=matches_re(PRINCIPAL))
    tenant: str

    @property
    def oauth_resource(self) -> str:
        """What the caller's access token is for: a key of ours is none."""
        return ""

    @property
    def oauth_scopes(self) -> tuple[str, ...]:
        """What the caller's access token carries."""
        return ()

    def __attrs_post_init__(self) -> None:
        if not TENANTS[KeyClass(self.key_class)].fullmatch(self.tenant):
            raise ValueError(f"{self.tenant!r} is not the tenant of a key of class {self.key_class}")


@attrs.frozen
class BearerFile:
    """What bearer.json says."""

    keys: tuple[BearerKey, ...]


@attrs.define
class BearerKeys:
    """Every key that opens this installation. None at all opens nothing."""

    path: Path
    issued: tuple[BearerKey, ...] = attrs.field(repr=False)
    environment: tuple[BearerKey, ...] = attrs.field(default=(), repr=False)
    _routes: dict[str, list[BearerKey]] = attrs.field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        for key in self.everyone:
            self._route(key)

    @classmethod
    def load(cls, path: Path, admin_api_key: str = "") -> BearerKeys:
        """Return the keys of the file at `path`, and the admin key of the environment. Raises Invalid."""
        try:
            body = parse(path.read_bytes(), max_bytes=MAX_BYTES)
        except OSError as error:
            raise Invalid(f"cannot be read: {error.strerror}", str(path)) from error
        except Malformed as problem:
            raise Invalid(str(problem), str(path)) from problem
        issued = structure(body, BearerFile, str(path)).keys
        return cls(path, issued, environment=_from_environment(admin_api_key))

    @property
    def has_admin(self) -> bool:
        """Whether any key opens the control plane."""
        return any(key.key_class == KeyClass.ADMIN for key in self.everyone)

    @property
    def everyone(self) -> tuple[BearerKey, ...]:
        """Everyone who holds a key."""
        return (*self.issued, *self.environment)

    def issue(self, key_class: KeyClass, tenant: str, principal: str, *, at_ms: int) -> str:
        """Return a new key, said here once; what is kept is its hash, in the file. Raises Invalid."""
        plain = PREFIX + secrets.token_urlsafe(KEY_BYTES)
        try:
            key = _record(plain, key_class, tenant, principal, at_ms)
        except ValueError as problem:
            raise Invalid(str(problem), "bearer key") from problem
        self._check_own(key)
        issued = (*self.issued, key)
        content = record_bytes({"keys": [attrs.asdict(one) for one in issued]})
        if len(content) > MAX_BYTES:
            raise Invalid("no more keys fit in the file", str(self.path), "take out those that nobody uses")
        durable.replace(self.path, content)
        self.issued = issued
        self._route(key)
        return plain

    def find(self, header: str | None) -> BearerKey | None:
        """Return whose key an Authorization header carries (RFC 6750 section 2.1), None for nobody's."""
        if header is None or len(header) > MAX_HEADER:
            return None
        scheme, _, plain = header.partition(" ")
        if scheme.lower() != SCHEME or not plain:
            return None
        presented = sha256(plain.encode("utf-8", "replace"))
        found = None
        for key in self._routes.get(presented[ROUTE], ()):
            if hmac.compare_digest(key.credential_hash, presented):
                found = key
        return found

    def _check_own(self, key: BearerKey) -> None:
        """Raise Invalid for a key that would make its holder somebody whom an issuer or a trust domain vouches for."""
        if is_from_elsewhere(key.principal):
            hint = "names that begin with oidc: or spiffe: are for those who come with tokens and certificates"
            raise Invalid(f"no key of HELM's own stands for {key.principal!r}", str(self.path), hint)

    def _route(self, key: BearerKey) -> None:
        self._check_own(key)
        candidates = self._routes.setdefault(key.credential_hash[ROUTE], [])
        if any(other.credential_hash == key.credential_hash for other in candidates):
            hint = "one credential stands for one principal: issue a key for each"
            raise Invalid(f"one key stands twice, also for {key.principal!r}", str(self.path), hint)
        candidates.append(key)


def _from_environment(admin_api_key: str) -> tuple[BearerKey, ...]:
    if not admin_api_key:
        return ()
    return (_record(admin_api_key, KeyClass.ADMIN, "", ADMIN_FROM_ENVIRONMENT, 0),)


def _record(plain: str, key_class: KeyClass, tenant: str, principal: str, at_ms: int) -> BearerKey:
    return BearerKey(
        credential_hash=sha256(plain.encode()),
        created_at_ms=at_ms,
        key_class=key_class.value,
        principal=principal,
        tenant=tenant,
    )
