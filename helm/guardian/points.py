"""Decision points: who else must allow a call, as the policy pins it (the PDP port).

The built-in rules are always asked. A point beside them may only narrow: what they refuse is not put before it, and
its word ends nothing but an ALLOW.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import attrs

from helm.contracts.form import JSONValue, Noun
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.cedar import CedarProgram

ALL_ARGUMENTS: Final = "*"


class PointKind(StrEnum):
    """What speaks at a decision point."""

    CEDAR = "cedar"
    OPA = "opa"


@attrs.frozen(kw_only=True, eq=False)
class CedarPoint:
    """Cedar policies of the bundle itself: evaluated in the guardian's own step."""

    name: str
    content_hash: str
    program: CedarProgram = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class OpaPoint:
    """A server that speaks OPA's data API: asked beforehand, and believed for the pinned bundles only."""

    name: str
    content_hash: str
    origin: str
    path: str
    bundles: tuple[tuple[str, str], ...]
    """Each bundle that the server must report, with its revision; in order, and no other."""
    deadline_ms: int
    max_age_ms: int
    """How old an answer may be when it is judged by, counted from the question."""
    max_response_bytes: int
    places: int
    """Questions under way at once; one more is answered as an error, at once (T4)."""
    allow_private: bool
    token_file: str
    """Where the bearer token lies, "" for none."""
    ca_pem: str = attrs.field(repr=False)
    """Whose certificates are believed, "" for those of the system."""


Point = CedarPoint | OpaPoint


@attrs.frozen(kw_only=True)
class PointRule:
    """Which point a tool's calls need, and which of their arguments it is shown."""

    point: Point
    arguments: frozenset[str]
    all_arguments: bool

    @property
    def is_remote(self) -> bool:
        """Whether the point is asked over the network, before the call is judged."""
        return isinstance(self.point, OpaPoint)

    def shown(self, arguments: JSONValue) -> dict[str, JSONValue]:
        """Return the arguments that the point may see."""
        if type(arguments) is not dict:
            return {}
        if self.all_arguments:
            return dict(arguments)
        return {name: value for name, value in arguments.items() if name in self.arguments}


class Question(Noun, frozen=True, kw_only=True):
    """What a remote point is asked about one call: `request` are canonical bytes."""

    point: OpaPoint
    request: bytes
    request_hash: str


class Advice(Noun, frozen=True, kw_only=True):
    """What a remote point said of one call, as it was said: a fact of the call's World."""

    answer_hash: str
    """SHA-256 of the answer's bytes, "" where none came."""
    asked_at_ms: int
    bundles: tuple[tuple[str, str], ...]
    """The policy that the server reports to have answered by: bundles with their revisions, in order."""
    decision_ref: str
    """The name of the answer in the server's own log, "" where it gives none."""
    error: str
    """Why there is no answer, "" where there is one."""
    latency_ms: int
    point: str
    request_hash: str
    result: str
    """`true`, `false`, `undefined`, or `other` for what is no truth value; "" where no answer came."""


def content_hash(content: dict[str, JSONValue]) -> str:
    """Return the hash that a decision names a point's policy by."""
    return hash_in(domains.DECISION_POINT, canonical(content))
