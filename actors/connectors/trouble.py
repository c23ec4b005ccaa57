"""Trouble: why a connector cannot be started or reached, in words of HELM's own, and since when."""

from __future__ import annotations

import os
import ssl
from typing import Final, Protocol, runtime_checkable

import attrs

MAX_SAID: Final = 200
"""Characters that are told of one trouble (T4)."""

MAX_CAUSES: Final = 8
"""How far back a failure's causes are followed: what raises it may tie them into a ring (T4)."""


@attrs.frozen(kw_only=True)
class Trouble:
    """What failed last. `since_ms` is when it failed first since it last served."""

    said: str
    since_ms: int


@runtime_checkable
class Troubled(Protocol):
    """A connector that knows without a call whether it can be used."""

    trouble: Trouble | None


@attrs.define
class Troubles:
    """What calls met at connectors, by name. It tells of now: it is no evidence, and outlives no kernel."""

    _by_name: dict[str, Trouble] = attrs.field(factory=dict, init=False)

    def note(self, name: str, said: str, now_ms: int) -> None:
        """Note that a connector could not be used."""
        self._by_name[name] = after(self._by_name.get(name), said, now_ms)

    def forget(self, name: str) -> None:
        """Note that a connector was reached, or that another is plugged in under its name."""
        self._by_name.pop(name, None)

    def of(self, name: str, connector: object) -> Trouble | None:
        """Return a connector's trouble: as it knows it itself, or as calls met it."""
        known = connector.trouble if isinstance(connector, Troubled) else None
        return known or self._by_name.get(name)


def after(before: Trouble | None, said: str, now_ms: int) -> Trouble:
    """Return the trouble that follows another without a call served in between: it lasts since the first."""
    return Trouble(said=plain(said), since_ms=before.since_ms if before is not None else now_ms)


def plain(said: str) -> str:
    """Return words that can be shown anywhere: bounded, on one line, visible ASCII."""
    return "".join(char if " " <= char <= "~" else "?" for char in said[:MAX_SAID])


def cause_of(failure: BaseException) -> str:
    """Return why something was not reached in this machine's words, "" where it has none; never in the other side's."""
    step: BaseException | None = failure
    for _ in range(MAX_CAUSES):
        match step:
            case None:
                break
            case BaseExceptionGroup():
                step = step.exceptions[0]
                continue
            case ssl.SSLCertVerificationError():
                return "its certificate is not trusted"
            case ssl.SSLError():
                return "TLS failed"
            case OSError() if step.errno:
                return os.strerror(step.errno)
        step = step.__cause__ or step.__context__
    return ""
