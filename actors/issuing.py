"""Bearer keys of one kernel: issued, shown, and taken back. The log is told first, the file of keys after it.

A crash between the two leaves an event without a key that anyone was told, or a hash of a key that the log has taken
back: neither opens anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

import attrs
import trio

from actors.commands.bearers import IssueBearerKey, RevokeBearerKey
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey, BearerKeys, KeyTerms, content_of
from actors.process import durable
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.bearers import MAX_LABEL, Bearers, Issued, KeyClass, KeyState, TakenBack, check_words

LOG = logging.getLogger("helm.keys")

FROM_FILE: Final = "file"
FROM_ENVIRONMENT: Final = "environment"


class NotKept(Invalid):
    """The file of keys cannot be written: what was asked for was not done, and the log says that it was begun."""


@attrs.frozen(kw_only=True)
class Wanted:
    """What kind of key an operator asks for."""

    key_class: KeyClass
    principal: str
    tenant: str = ""
    expires_in_s: int = 0
    label: str = ""
    scope: str = ""


@attrs.define(eq=False)
class Issuing:
    """The keys that open one kernel's doors."""

    kernel: Kernel
    keys: BearerKeys
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    """One change of the file at a time."""

    async def issue(self, wanted: Wanted, operator: str) -> tuple[str, dict[str, JSONValue]]:
        """Return a new key, said here once, and what is kept of it. Raises Invalid, NotKept among them."""
        check_words(wanted.label, "label", MAX_LABEL)
        now_ms = self.kernel.parts.clock.now_ms()
        terms = KeyTerms(
            expires_at_ms=now_ms + wanted.expires_in_s * 1000 if wanted.expires_in_s else 0,
            label=wanted.label,
            scope=wanted.scope,
        )
        async with self._writing:
            plain, key = self.keys.draw(wanted.key_class, wanted.tenant, wanted.principal, at_ms=now_ms, terms=terms)
            await self.kernel.command(IssueBearerKey(key, operator))
            try:
                await self._keep((*self.keys.issued, key))
            except Invalid as problem:
                LOG.error("a key was issued in the log, and cannot be kept: %s", problem)
                raise NotKept("the file of keys cannot be written: nobody has the new key", key.name) from problem
        return plain, self.show(key.name)

    async def revoke(self, name: str, reason: str, operator: str) -> dict[str, JSONValue]:
        """Take a key back for ever. Raises KeyError for one that never was, Invalid for one that must stay."""
        key = self._known(name)
        await self.kernel.command(RevokeBearerKey(name, key, reason, operator, self.keys))
        async with self._writing:
            revoked = self.kernel.memory.bearers.revoked
            left = tuple(one for one in self.keys.issued if one.name not in revoked)
            try:
                if len(left) < len(self.keys.issued):
                    await self._keep(left)
            except Invalid as problem:  # the log outweighs the file: what stays there opens nothing
                LOG.warning("a revoked key's hash stays in the file: %s", problem)
        return self.show(name)

    async def _keep(self, issued: tuple[BearerKey, ...]) -> None:
        await trio.to_thread.run_sync(durable.replace, self.keys.path, content_of(issued, self.keys.path))
        self.keys.take(issued)

    def _known(self, name: str) -> BearerKey | Issued | TakenBack:
        bearers = self.kernel.memory.bearers
        key = next((one for one in self.keys.everyone if one.name == name), None)
        if key is not None:
            return key
        return bearers.issued[name] if name in bearers.issued else bearers.revoked[name]

    def show(self, name: str) -> dict[str, JSONValue]:
        """Return what is known of a key. Raises KeyError for one that never was."""
        for one in listed(self.keys, self.kernel.memory.bearers, self.kernel.parts.clock.now_ms()):
            if one["key_id"] == name:
                return one
        raise KeyError(name)


def listed(keys: BearerKeys, bearers: Bearers, now_ms: int) -> Iterator[dict[str, JSONValue]]:
    """Yield the keys that open something, or did until they expired, and then those that were taken back."""
    for key in keys.everyone:
        if key.name not in bearers.revoked:
            source = FROM_ENVIRONMENT if key in keys.environment else FROM_FILE
            yield standing(key, source, now_ms)
    for name, taken in reversed(bearers.revoked.items()):
        yield ended(name, taken, bearers.issued.get(name))


def standing(key: BearerKey, source: str, now_ms: int) -> dict[str, JSONValue]:
    """Return a key that nobody took back, as people and programs read it; no hash is told."""
    return {
        "class": key.key_class,
        "created_at_ms": key.created_at_ms,
        "expires_at_ms": key.expires_at_ms or None,
        "key_id": key.name,
        "label": key.label,
        "principal": key.principal,
        "reason": "",
        "revoked_at_ms": None,
        "scope": key.scope,
        "source": source,
        "state": (KeyState.ACTIVE if key.counts_at(now_ms) else KeyState.EXPIRED).value,
        "tenant": key.tenant,
    }


def ended(name: str, taken: TakenBack, issued: Issued | None) -> dict[str, JSONValue]:
    """Return a key that was taken back. Of one that no log saw issued, its beginning is not known any more."""
    return {
        "class": taken.key_class,
        "created_at_ms": issued.issued_at_ms if issued is not None else None,
        "expires_at_ms": (issued.expires_at_ms or None) if issued is not None else None,
        "key_id": name,
        "label": taken.label,
        "principal": taken.principal,
        "reason": taken.reason,
        "revoked_at_ms": taken.revoked_at_ms,
        "scope": issued.scope if issued is not None else "",
        "source": FROM_FILE,
        "state": KeyState.REVOKED.value,
        "tenant": taken.tenant,
    }
