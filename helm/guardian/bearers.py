"""Bearer keys as the log knows them: which were issued, and which were taken back for ever (T8).

The file of keys says which hash opens what; no node holds a hash. What the log took back counts for nothing,
whatever file of keys is put in the place of the present one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs
from attrs.validators import ge, max_len

from helm.contracts.errors import Invalid

MAX_LABEL: Final = 100
"""Characters of what an operator calls a key (T4)."""

MAX_REASON: Final = 500
"""Characters of why a key is taken back, as in a freeze command (T4)."""

NAMED: Final = "bk_"
"""How the name of a key begins: a hash of the hash that is kept, so that the name opens nothing."""


class KeyClass(StrEnum):
    """What a bearer key opens: calls in one tenant, or the control plane."""

    TENANT = "tenant"
    ADMIN = "admin"


class KeyScope(StrEnum):
    """How much of that: all of it, or only what is read with GET."""

    ALL = ""
    READ = "read"


class KeyState(StrEnum):
    """Whether it opens that still, or why not."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@attrs.frozen(kw_only=True)
class Issued:
    """Whom a key was issued for, and when. `expires_at_ms` is 0 for a key that counts until it is taken back."""

    bearer_key: str
    expires_at_ms: int = attrs.field(validator=ge(0))
    issued_at_ms: int = attrs.field(validator=ge(0))
    key_class: str
    label: str = attrs.field(validator=max_len(MAX_LABEL))
    principal: str
    scope: str
    tenant: str


@attrs.frozen(kw_only=True)
class TakenBack:
    """Why a key counts no more, since when, and whose it was."""

    key_class: str
    label: str
    principal: str
    reason: str
    revoked_at_ms: int
    tenant: str


@attrs.define
class Bearers:
    """The keys of a log, by their names."""

    issued: dict[str, Issued] = attrs.field(factory=dict)
    revoked: dict[str, TakenBack] = attrs.field(factory=dict)

    def issue(self, key: Issued) -> None:
        """Note a new key. Raises Invalid for a name that was issued before, or taken back."""
        if key.bearer_key in self.issued or key.bearer_key in self.revoked:
            raise Invalid("the bearer key was issued before", key.bearer_key, "a key is new, or it is none")
        self.issued[key.bearer_key] = key

    def revoke(self, name: str, taken: TakenBack) -> None:
        """Note that a key counts no more. Raises Invalid for one that did not count already."""
        if name in self.revoked:
            raise Invalid("the bearer key was taken back before", name, "once is enough")
        self.revoked[name] = taken


def check_last(name: str, admins: frozenset[str]) -> None:
    """Refuse to take back the last key that opens the whole control plane: nobody could issue the next. Raises Invalid.

    `admins` are the names of all keys that open it now.
    """
    if admins == {name}:
        hint = "issue another admin key first: helm key issue --class admin --principal NAME"
        raise Invalid("it is the last admin key", name, hint)


def check_words(text: str, what: str, most: int, least: int = 0) -> None:
    """Raise Invalid unless a text is one line of `least` to `most` characters."""
    if not least <= len(text) <= most or not text.isprintable():
        raise Invalid(f"a {what} is one line of {least} to {most} characters", what, "say it in fewer words")
