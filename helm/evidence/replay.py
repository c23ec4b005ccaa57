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
from helm.contracts.record import BoundaryRecord
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from helm.evidence.check_graph import read_payload
from helm.evidence.check_seals import call_in
from helm.evidence.layout import FACTS, NODES, RECORDS
from helm.evidence.part import read_node
from helm.evidence.reading import Reading
from helm.evidence.sets import compile_named
from helm.evidence.shards import Lines, lines_of
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.policy import Policy
from helm.proofgraph.node import NodeKind

FIRST = ("verdict", "reason_code", "reason")
"""What a person asks first where two decisions differ."""


class Diverged(Invalid):
    """A call that is decided otherwise when it is judged again: which call, and the first word that differs."""

    def __init__(self, told: Decided, member: str, was: JSONValue, now: JSONValue) -> None:
        self.lamport = told.lamport
        self.decision_id = told.decision.id
        self.member, self.was, self.now = member, was, now
        what = f"the decision's {member} was {was!r}, and comes out as {now!r}"
        hint = "the decision is not what the policy says of these facts"
        super().__init__(what, told.where, hint)


@attrs.frozen(kw_only=True)
class Decided:
    """One call as it was decided: what is judged again, and the facts to judge it by, b"" where they were left out."""

    lamport: int
    decision: Sealed[Decision]
    record: Sealed[BoundaryRecord]
    facts: bytes = attrs.field(repr=False)
    where: str
    """The place of the facts."""


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
    """What a replay came to: how many calls were judged again, and how many facts were left out."""

    judged: int
    redacted: int


def replay_pack(reading: Reading) -> Replayed:
    """Judge again every call of a verified pack. Raises Invalid at the first that is decided otherwise."""
    judged = sum(1 for _ in replay_calls(reading))
    return Replayed(judged=judged, redacted=reading.manifest.cover.redacted)


def replay_calls(reading: Reading) -> Iterator[Rejudged]:
    """Judge again the calls of a verified pack, one after the other, in the order of the graph.

    Yields each that is decided as it was. Raises Diverged at the first that is not; Invalid where a call cannot be
    judged again: by another roster of gates, or by a policy that does not compile.
    """
    policies: dict[str, Policy] = {}
    for told in decided_in(reading.members):
        policy_hash = told.decision.content.policy_hash
        if policy_hash not in policies:
            policies[policy_hash] = compile_named(policy_hash, reading.members)
        if told.facts:
            replay(told, policies[policy_hash])
            yield rejudged(told)


def decided_in(members: Mapping[str, bytes]) -> Iterator[Decided]:
    """Yield every call of a verified pack, read once more: a pack is longer than memory."""
    records, facts = Lines(members, RECORDS), Lines(members, FACTS)
    for raw in lines_of(members, NODES):
        line = read_node(raw, NODES)
        if line.payload or line.node.kind == NodeKind.TRUST_EVENT:
            continue
        payload = read_payload(records.take(), records.where)
        call = payload.call or call_in(payload.body, payload.where)
        yield Decided(
            lamport=line.node.lamport,
            decision=call.decision,
            record=call.record,
            facts=facts.take(),
            where=facts.where,
        )


def rejudged(told: Decided) -> Rejudged:
    """Return what is said of a call that came out as it was."""
    decision = told.decision.content
    return Rejudged(
        lamport=told.lamport,
        decision_id=told.decision.id,
        tool=decision.tool,
        verdict=decision.verdict,
        reason_code=decision.reason_code,
    )


def replay(told: Decided, policy: Policy) -> None:
    """Judge one call again, by its facts. Raises Diverged, and Invalid where it cannot be judged again."""
    decision, where = told.decision.content, told.where
    if hash_in(domains.FACTS, told.facts) != decision.facts_hash:
        raise Invalid("are not the facts that the decision was made by", where, "they were edited")
    if CHAIN.roster_hash != decision.gate_roster_hash:
        hint = "replay it with a HELM of the age of the decision"
        raise Invalid("the decision was made by another roster of gates than this program's", where, hint)
    again = CHAIN.evaluate(*read_facts(told.facts, policy, where))
    if again.decision.hash != told.decision.hash:
        raise Diverged(told, *divergence(told.decision, again.decision))
    if again.record.hash != told.record.hash:
        raise Diverged(told, "record", told.record.hash, again.record.hash)


def divergence(told: Sealed[Decision], again: Sealed[Decision]) -> tuple[str, JSONValue, JSONValue]:
    """Return the member in which two decisions about one call differ first, and what it was and is."""
    was, now = DECISION.body(told.content), DECISION.body(again.content)
    name = next(name for name in (*FIRST, *was) if was[name] != now[name])
    return name, was[name], now[name]
