"""One row of an explanation: an office, what it asks, and the answer as far as it is known without a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import attrs

PASS, DENY, ESCALATE, ASK = "PASS", "DENY", "ESCALATE", "per call"


class Row(NamedTuple):
    """One rule: the office that applies it, what it asks, and the answer as far as it is known."""

    phase: str
    what: str
    outcome: str


@attrs.frozen(kw_only=True)
class Supposed:
    """What the one who asks supposes of the call; what is not supposed stays open."""

    tenant: str = ""
    at_ms: int | None = None
    """When it comes."""
    calls: int | None = None
    """How many others came before it, in every window that counts them."""


NOTHING = Supposed()


def listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def verdict(good: bool, code: str) -> str:
    return PASS if good else f"{DENY} {code}"
