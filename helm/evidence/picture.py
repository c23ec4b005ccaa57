"""A session as a picture: which nodes there are, in which lane, what each stood on, and what it says in a few words.

It is made of a pack that verified, so that nothing is drawn that is not proven; how it looks is its painter's.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.form import JSONValue
from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status, Verdict
from helm.evidence.layout import REFUSAL
from helm.evidence.part import PartNode
from helm.evidence.reading import Reading, Told
from helm.proofgraph.node import NodeKind


class Lane(StrEnum):
    """Which chain a node belongs to."""

    LOG = "log"
    SESSION = "session"


class Tone(StrEnum):
    """What a node means to whoever looks for trouble."""

    ALLOWED = "allowed"
    ASKED = "asked"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    RULE = "rule"


@attrs.frozen(kw_only=True)
class Mark:
    """One node. `title` names it, `words` tell of it; `stands_on` are the nodes of the picture before it."""

    node_hash: str
    lamport: int
    lane: Lane
    tone: Tone
    title: str
    words: str
    stands_on: tuple[str, ...]
    elsewhere: int
    """How many nodes it stands on that are not in the picture: those of other sessions."""

    def body(self) -> dict[str, JSONValue]:
        """Return the mark as a JSON object."""
        return {**attrs.asdict(self, recurse=False), "stands_on": list(self.stands_on)}


@attrs.frozen(kw_only=True)
class Picture:
    """A session and the log around it, in the order of the log's clock."""

    log_id: str
    tenant: str
    session_id: str
    marks: tuple[Mark, ...]

    def body(self) -> dict[str, JSONValue]:
        """Return the picture as a JSON object."""
        return {
            "log_id": self.log_id,
            "marks": [mark.body() for mark in self.marks],
            "session_id": self.session_id,
            "tenant": self.tenant,
        }


OF_VERDICT: Final[Mapping[str, Tone]] = MappingProxyType(
    {Verdict.ALLOW: Tone.ALLOWED, Verdict.DENY: Tone.REFUSED, Verdict.ESCALATE: Tone.ASKED}
)


def picture(reading: Reading) -> Picture:
    """Return the picture of a pack whose every check held."""
    told = {one.node.node_hash: one for one in reading.calls}
    outcomes = {one.outcome.node_hash: one for one in reading.calls if one.outcome is not None}
    marks: list[Mark] = []
    known: set[str] = set()
    for node in reading.nodes:
        tone, title, words = tell(node, told.get(node.node_hash), outcomes.get(node.node_hash))
        inside = tuple(parent for parent in node.parents if parent in known)
        marks.append(
            Mark(
                node_hash=node.node_hash,
                lamport=node.lamport,
                lane=Lane.LOG if node.session == ("", "") else Lane.SESSION,
                tone=tone,
                title=title,
                words=words,
                stands_on=inside,
                elsewhere=len(node.parents) - len(inside),
            )
        )
        known.add(node.node_hash)
    tenant, session_id = reading.session
    return Picture(log_id=reading.log_id, tenant=tenant, session_id=session_id, marks=tuple(marks))


def tell(node: PartNode, call: Told | None, outcome_of: Told | None) -> tuple[Tone, str, str]:
    """Return what a node means, its name, and what it says."""
    if call is not None:
        decision = call.decision.content
        tone = OF_VERDICT[decision.verdict]
        why = decision.reason_code if decision.reason_code != "NONE" else ""
        kind = node.kind if decision.verdict == Verdict.ALLOW else REFUSAL
        return tone, f"{kind} {decision.tool}", joined(decision.verdict, why, decision.reason)
    if outcome_of is not None and outcome_of.receipt is not None:
        return of_outcome(outcome_of.receipt.content)
    return of_event(node)


def of_outcome(receipt: Receipt) -> tuple[Tone, str, str]:
    """Tell what became of an effect."""
    tone = Tone.DONE if receipt.status == Status.SUCCESS else Tone.FAILED
    code = receipt.reason_code if receipt.reason_code != "NONE" else ""
    return tone, f"{NodeKind.EFFECT} {receipt.tool}", joined(receipt.status, code)


def of_event(node: PartNode) -> tuple[Tone, str, str]:
    """Tell an event of the log, or of an approval."""
    body = node.payload
    kind = str(body.get("type", node.kind))
    said = next(
        (body[name] for name in ("event", "command", "assertion", "challenge", "checkpoint") if name in body), body
    )
    words = [str(said[name]) for name in TOLD if isinstance(said.get(name), (str, int)) and said[name] != ""]
    tone = Tone.ASKED if node.session != ("", "") else Tone.RULE
    return tone, kind, " ".join(words)


TOLD: Final = (
    *("action", "kind", "purpose", "role", "scope", "target", "cause"),
    *("kernel_epoch", "epoch", "sequence", "principal", "reason_code", "reason"),
)
"""Members of events that say the most, in this order."""


def joined(*words: str) -> str:
    """Return the words that are there, in one line."""
    return " ".join(word for word in words if word)
