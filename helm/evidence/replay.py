"""Replay: judge again every call whose facts are in a pack, and compare every word of the decision.

A receipt proves what was decided. Replay proves that this is what the policy decides: same call, same world, same
policy, same roster, same decision and record, byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from helm.contracts.decision import DECISION, Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Sealed
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from helm.evidence.layout import facts_path
from helm.evidence.reading import Reading, Told
from helm.evidence.sets import compile_named
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.policy import Policy

FIRST = ("verdict", "reason_code", "reason")
"""What a person asks first where two decisions differ."""


class Diverged(Invalid):
    """A call that is decided otherwise when it is judged again: which call, and the first word that differs."""

    def __init__(self, told: Told, member: str, was: JSONValue, now: JSONValue) -> None:
        self.lamport = told.node.lamport
        self.decision_id = told.decision.id
        self.member, self.was, self.now = member, was, now
        what = f"the decision's {member} was {was!r}, and comes out as {now!r}"
        hint = "the decision is not what the policy says of these facts"
        super().__init__(what, facts_path(self.lamport), hint)


@attrs.frozen(kw_only=True)
class Rejudged:
    """One call that came out as it was."""

    lamport: int
    decision_id: str
    tool: str
    verdict: str
    reason_code: str


@attrs.frozen(kw_only=True)
class Replayed:
    """What a replay came to: how many calls were judged again, and where facts were left out."""

    judged: int
    redacted: tuple[str, ...]


def replay_pack(reading: Reading) -> Replayed:
    """Judge again every call of a verified pack. Raises Invalid at the first that is decided otherwise."""
    judged = sum(1 for _ in replay_calls(reading))
    return Replayed(judged=judged, redacted=reading.manifest.cover.redacted)


def replay_calls(reading: Reading) -> Iterator[Rejudged]:
    """Judge again the calls of a verified pack, one after the other, in the order of the graph.

    Yields each that is decided as it was. Raises Diverged at the first that is not; Invalid where a call cannot be
    judged again: by another roster of gates, or by a policy that does not compile.
    """
    policies = compiled(reading)
    for told in reading.calls:
        where = facts_path(told.node.lamport)
        facts = reading.members.get(where)
        if facts is not None:
            replay(told, facts, policies[told.decision.content.policy_hash], where)
            yield rejudged(told)


def rejudged(told: Told) -> Rejudged:
    """Return what is said of a call that came out as it was."""
    decision = told.decision.content
    return Rejudged(
        lamport=told.node.lamport,
        decision_id=told.decision.id,
        tool=decision.tool,
        verdict=decision.verdict,
        reason_code=decision.reason_code,
    )


def compiled(reading: Reading) -> Mapping[str, Policy]:
    """Return every policy that a call of the pack was decided under, compiled. Raises Invalid."""
    used = {told.decision.content.policy_hash for told in reading.calls}
    return {policy_hash: compile_named(policy_hash, reading.members) for policy_hash in used}


def replay(told: Told, facts: bytes, policy: Policy, where: str) -> None:
    """Judge one call again, by its facts. Raises Diverged, and Invalid where it cannot be judged again."""
    decision = told.decision.content
    if hash_in(domains.FACTS, facts) != decision.facts_hash:
        raise Invalid("are not the facts that the decision was made by", where, "they were edited")
    if CHAIN.roster_hash != decision.gate_roster_hash:
        hint = "replay it with a HELM of the age of the decision"
        raise Invalid("the decision was made by another roster of gates than this program's", where, hint)
    again = CHAIN.evaluate(*read_facts(facts, policy, where))
    if again.decision.hash != told.decision.hash:
        raise Diverged(told, *divergence(told.decision, again.decision))
    if again.record.hash != told.record.hash:
        raise Diverged(told, "record", told.record.hash, again.record.hash)


def divergence(told: Sealed[Decision], again: Sealed[Decision]) -> tuple[str, JSONValue, JSONValue]:
    """Return the member in which two decisions about one call differ first, and what it was and is."""
    was, now = DECISION.body(told.content), DECISION.body(again.content)
    name = next(name for name in (*FIRST, *was) if was[name] != now[name])
    return name, was[name], now[name]
