"""Bearer keys: who a caller is, by a secret of which HELM keeps only the hash."""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path

import attrs
from attrs.validators import ge, in_, matches_re, max_len

from actors.process import durable
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.hashing import sha256
from helm.guardian.bearers import MAX_LABEL, NAMED, Bearers, KeyClass, KeyScope
from helm.guardian.identity import is_from_elsewhere
from helm.wire import structure

__all__ = ["KeyClass", "KeyScope"]

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


TENANTS = {KeyClass.TENANT: re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"), KeyClass.ADMIN: re.compile("")}
"""No slash: "tenant/principal" must have one reading. An administrator stands in no tenant."""


@attrs.frozen(kw_only=True)
class BearerKey:
    """Who holds a key, known by its SHA-256. An admin key has no tenant. 0 is no end."""

    credential_hash: str = attrs.field(validator=matches_re(HASH))
    created_at_ms: int = attrs.field(validator=ge(0))
    key_class: str
    principal: str = attrs.field(validator=matches_re(PRINCIPAL))
    tenant: str
    expires_at_ms: int = attrs.field(default=0, validator=ge(0))
    label: str = attrs.field(default="", validator=max_len(MAX_LABEL))
    scope: str = attrs.field(default=KeyScope.ALL.value, validator=in_(tuple(KeyScope)))
    name: str = attrs.field(init=False, eq=False)
    """By which it is spoken of: it opens nothing."""

    @name.default
    def _named(self) -> str:
        return name_of(self.credential_hash)

    @property
    def opens_all(self) -> bool:
        """Whether it opens the whole control plane."""
        return self.key_class == KeyClass.ADMIN and self.scope == KeyScope.ALL

    def counts_at(self, now_ms: int) -> bool:
        """Tell whether its time is not over."""
        return not self.expires_at_ms or now_ms < self.expires_at_ms

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


@attrs.frozen(kw_only=True)
class KeyTerms:
    """What an operator may say of a key beside whose it is."""

    expires_at_ms: int = 0
    label: str = ""
    scope: str = KeyScope.ALL.value


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
        """Whether any key opens the whole control plane."""
        return any(key.opens_all for key in self.everyone)

    @property
    def everyone(self) -> tuple[BearerKey, ...]:
        """Everyone who holds a key."""
        return (*self.issued, *self.environment)

    def admins(self, bearers: Bearers, now_ms: int) -> frozenset[str]:
        """Return the names of the keys that open the whole control plane now."""
        found = (key for key in self.everyone if key.opens_all and key.counts_at(now_ms))
        return frozenset(key.name for key in found if key.name not in bearers.revoked)

    def issue(self, key_class: KeyClass, tenant: str, principal: str, *, at_ms: int) -> str:
        """Return a new key, said here once; what is kept is its hash, in the file. Raises Invalid.

        No log is told: it is for a log that has not begun.
        """
        plain, key = self.draw(key_class, tenant, principal, at_ms=at_ms)
        self.add(key)
        return plain

    def draw(
        self, key_class: KeyClass, tenant: str, principal: str, *, at_ms: int, terms: KeyTerms | None = None
    ) -> tuple[str, BearerKey]:
        """Return a new key that opens nothing before it is added, and what is kept of it. Raises Invalid."""
        plain = PREFIX + secrets.token_urlsafe(KEY_BYTES)
        try:
            key = _record(plain, key_class, tenant, principal, at_ms, terms or KeyTerms())
        except ValueError as problem:
            raise Invalid(str(problem), "bearer key") from problem
        self._check_own(key)
        content_of((*self.issued, key), self.path)
        return plain, key

    def add(self, key: BearerKey) -> None:
        """Let a key in that was drawn. Raises Invalid."""
        issued = (*self.issued, key)
        durable.replace(self.path, content_of(issued, self.path))
        self.take(issued)

    def take(self, issued: tuple[BearerKey, ...]) -> None:
        """Know these keys and those of the environment, and no others, from this step on. Raises Invalid."""
        self.issued, self._routes = issued, {}
        for key in self.everyone:
            self._route(key)

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


def name_of(credential_hash: str) -> str:
    """Return the name of the key that has this hash."""
    return NAMED + sha256(credential_hash.encode())[7:39]


def content_of(issued: tuple[BearerKey, ...], path: Path) -> bytes:
    """Return the file of these keys. Raises Invalid for more than it may hold."""
    content = record_bytes({"keys": [kept(key) for key in issued]})
    if len(content) > MAX_BYTES:
        raise Invalid("no more keys fit in the file", str(path), "revoke those that nobody uses")
    return content


def kept(key: BearerKey) -> dict[str, JSONValue]:
    """Return what the file says of a key: whatever is not said of it has its default."""
    said = attrs.asdict(key, filter=lambda field, value: field.init and value != field.default)
    return dict(sorted(said.items()))


def _from_environment(admin_api_key: str) -> tuple[BearerKey, ...]:
    if not admin_api_key:
        return ()
    return (_record(admin_api_key, KeyClass.ADMIN, "", ADMIN_FROM_ENVIRONMENT, 0, KeyTerms()),)


def _record(plain: str, key_class: KeyClass, tenant: str, principal: str, at_ms: int, terms: KeyTerms) -> BearerKey:
    return BearerKey(
        credential_hash=sha256(plain.encode()),
        created_at_ms=at_ms,
        expires_at_ms=terms.expires_at_ms,
        key_class=key_class.value,
        label=terms.label,
        principal=principal,
        scope=terms.scope,
        tenant=tenant,
    )
