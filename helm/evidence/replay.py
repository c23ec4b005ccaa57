"""Replay: judge again every call whose facts are in a pack, and compare every word of the decision.

A receipt proves what was decided. Replay proves that this is what the policy decides: same call, same world, same
policy, same roster, same decision and record, byte by byte.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from helm.contracts.decision import DECISION, Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import Sealed
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


@attrs.frozen(kw_only=True)
class Replayed:
    """What a replay came to: how many calls were judged again, and where facts were left out."""

    judged: int
    redacted: tuple[str, ...]


def replay_pack(reading: Reading) -> Replayed:
    """Judge again every call of a verified pack. Raises Invalid at the first that is decided otherwise."""
    policies = compiled(reading)
    judged = 0
    for told in reading.calls:
        where = facts_path(told.node.lamport)
        facts = reading.members.get(where)
        if facts is not None:
            replay(told, facts, policies[told.decision.content.policy_hash], where)
            judged += 1
    return Replayed(judged=judged, redacted=reading.manifest.cover.redacted)


def compiled(reading: Reading) -> Mapping[str, Policy]:
    """Return every policy that a call of the pack was decided under, compiled. Raises Invalid."""
    used = {told.decision.content.policy_hash for told in reading.calls}
    return {policy_hash: compile_named(policy_hash, reading.members) for policy_hash in used}


def replay(told: Told, facts: bytes, policy: Policy, where: str) -> None:
    """Judge one call again, by its facts. Raises Invalid naming what comes out otherwise."""
    decision = told.decision.content
    if hash_in(domains.FACTS, facts) != decision.facts_hash:
        raise Invalid("are not the facts that the decision was made by", where, "they were edited")
    if CHAIN.roster_hash != decision.gate_roster_hash:
        hint = "replay it with a HELM of the age of the decision"
        raise Invalid("the decision was made by another roster of gates than this program's", where, hint)
    again = CHAIN.evaluate(*read_facts(facts, policy, where))
    if again.decision.hash != told.decision.hash:
        raise Invalid(divergence(told.decision, again.decision), where, "the decision is not what the policy says")
    if again.record.hash != told.record.hash:
        raise Invalid("the same decision makes another boundary record", where, "the record was not made by it")


def divergence(told: Sealed[Decision], again: Sealed[Decision]) -> str:
    """Say in which member two decisions about one call differ first."""
    was, now = DECISION.body(told.content), DECISION.body(again.content)
    names = [name for name in (*FIRST, *was) if was[name] != now[name]]
    return f"the decision's {names[0]} was {was[names[0]]!r}, and comes out as {now[names[0]]!r}"
