"""One vector: what is done to a server under test, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
from attrs.validators import in_, matches_re

from helm.contracts.reason import CODES, ESCALATING
from helm.contracts.verdict import Status, Verdict

LEVELS: Final = ("L1", "L2", "L3")
"""docs/conformance.md says what each asks for; each holds the ones before it."""

CASES: Final = (
    "missing or stale policy",
    "PDP outage",
    "stale relationship snapshot",
    "missing credentials",
    "malformed tool arguments",
    "schema drift",
    "direct upstream bypass",
    "sandbox overgrant",
    "blocked egress",
    "denial receipt emission",
)
"""The fail-closed cases of the seeds, in their order."""

SERVERS: Final = ("main", "stale", "early", "moved", "hurried", "island", "narrow", "crash")
"""What a server under test is set up as: docs/conformance.md."""

JUDGED: Final = frozenset({"call", "chat"})
"""Steps that a server answers with a verdict; the last of them is what a vector is about."""


@attrs.frozen(kw_only=True)
class Step:
    """One thing that is done, by a word of a small closed set; the schema says which members belong to which word."""

    do: str
    tool: str = ""
    arguments: Mapping[str, Any] = attrs.field(factory=dict)
    arguments_text: str = ""
    """Arguments that are sent as this text, JSON or not."""
    by: str = "agent"
    session: str = ""
    """A session that several steps share by this name; without it the vector has one of its own for each caller."""
    taint: tuple[str, ...] = ()
    idempotency_key: str = ""
    approval: bool = False
    """Under the approval that the step before it was told to wait for."""
    delegated: bool = False
    """Under the delegation that was created before it."""
    decide_only: bool = False
    principal: str = ""
    """Whom the caller says it is."""
    times: int = 1
    patience_s: int = 0
    """How long it is done again until the expected code comes: for what only time brings about."""
    scope: str = ""
    target: str = ""
    choices: int = 1
    result: str = ""
    """The result of a tool call that nobody governed, which a chat request carries."""
    capabilities: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Expected:
    """What must come back."""

    http: int
    verdict: str = attrs.field(validator=in_([*map(str, Verdict), ""]))
    status: str = attrs.field(validator=in_([*map(str, Status), ""]))
    reason_code: str = attrs.field(validator=in_([*CODES, ""]))

    def __attrs_post_init__(self) -> None:
        if (self.verdict == "") != (self.status == ""):
            raise ValueError("a judged answer has a verdict and a status, any other has neither")
        if self.verdict == Verdict.ESCALATE and self.reason_code not in ESCALATING:
            raise ValueError(f"{self.reason_code} does not escalate")


@attrs.frozen(kw_only=True)
class Vector:
    """What is done, to which server, and what must be seen. One that no stranger can bring about says why not."""

    id: str = attrs.field(validator=matches_re("[a-z0-9][a-z0-9-]{0,63}"))
    category: str
    case: str = attrs.field(default="", validator=in_(("", *CASES)))
    level: str = attrs.field(validator=in_(LEVELS))
    about: str
    server: str = attrs.field(default="main", validator=in_(SERVERS))
    trigger: tuple[Step, ...] = ()
    expected: Expected
    must_bind: tuple[str, ...] = ()
    """Members that record, decision or receipt must hold, and hold truly."""
    must_not_dispatch: bool
    deeds: int = 0
    """How often the counterpart must have been reached by the judged call."""
    inside: str = ""
    """Why nobody brings this about over HTTP; then `proof` is the test that does it otherwise."""
    proof: str = ""

    def __attrs_post_init__(self) -> None:
        if self.must_not_dispatch and self.deeds:
            raise ValueError(f"{self.id}: what is not dispatched is not seen")
        if bool(self.inside) != bool(self.proof) or bool(self.inside) == bool(self.trigger):
            raise ValueError(f"{self.id}: it has a trigger, or a reason why not and a proof")
        if self.trigger and not any(step.do in JUDGED for step in self.trigger):
            raise ValueError(f"{self.id}: nothing in it is judged")

    @property
    def judged(self) -> int:
        """The place of the step that it is about."""
        return max(number for number, step in enumerate(self.trigger) if step.do in JUDGED)
