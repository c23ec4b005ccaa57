"""Which PostgreSQL database keeps a journal: a URL that is never shown whole, because it may hold a password."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from helm.contracts.errors import Invalid

SCHEMES: Final = ("postgresql", "postgres")
SECRET: Final = frozenset({"password", "passfile", "sslpassword"})
"""Parameters of a URL that are, or lead to, a secret."""

PLAIN: Final = re.compile(r"[ -~]*")
HOSTS: Final = re.compile(r"(?:(?:\[[^\]@]*\]|[^,:@\[\]]*)(?::[0-9]*)?(?:,|$))*")
"""Hosts, each perhaps with a port."""

HINT: Final = "postgresql://USER@HOST/DATABASE, its password in PGPASSFILE or, in the environment alone, in the URL"


@attrs.frozen
class Database:
    """One database, named by its URL."""

    url: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        if not PLAIN.fullmatch(self.url):
            raise Invalid("not a URL in plain ASCII", "DATABASE_URL", HINT)
        try:
            parts = urlsplit(self.url)
        except ValueError as problem:
            raise Invalid("not a URL", "DATABASE_URL", HINT) from problem
        if parts.scheme not in SCHEMES:
            raise Invalid(f"{parts.scheme or 'no'} scheme: only PostgreSQL keeps a journal", "DATABASE_URL", HINT)
        if not parts.path.strip("/"):
            raise Invalid("no database is named", "DATABASE_URL", HINT)
        if "@" in parts.path or HOSTS.fullmatch(parts.netloc.rpartition("@")[2]) is None:
            hint = "a /, ?, # or @ in a password is written %2F, %3F, %23 or %40"  # else it would be shown as a host
            raise Invalid("no host and port stand where they should", "DATABASE_URL", hint)

    @property
    def has_password(self) -> bool:
        """Whether the URL itself holds a password."""
        parts = urlsplit(self.url)
        return ":" in parts.netloc.rpartition("@")[0] or any(name in SECRET for name, _ in parse_qsl(parts.query))

    def __str__(self) -> str:
        """Return it for people: without user, password or parameters, but for a host that stands among these."""
        parts = urlsplit(self.url)
        asked = dict(parse_qsl(parts.query))
        host = parts.netloc.rpartition("@")[2] or asked.get("host", "")
        return f"postgresql://{unquote(host)}/{parts.path.strip('/')}"

    @property
    def secrets(self) -> frozenset[str]:
        """What the URL holds in secret, as it is written there and as it is meant."""
        parts = urlsplit(self.url)
        found = [parts.netloc.rpartition("@")[0].partition(":")[2]]
        found += [value for name, value in parse_qsl(parts.query) if name in SECRET]
        return frozenset(one for hidden in found for one in (hidden, unquote(hidden)) if one)

    def scrubbed(self, text: str) -> str:
        """Return a message without what the URL holds in secret: of a malformed URL, libpq repeats parts."""
        for secret in self.secrets:
            text = text.replace(secret, "...")
        return text
