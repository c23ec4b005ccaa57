"""Facts are canonical whatever a World holds, and give the same World again (T5)."""

from __future__ import annotations

from helm.crypto.canonical import canonical, parse
from helm.guardian.delegation import Standing
from helm.guardian.facts import read_facts
from helm.guardian.judgement import facts_bytes
from helm.guardian.points import Advice
from helm.guardian.relations import AuthzSnapshot
from tests.helm.guardian.worlds import call, grant, policy, world

STANDING = Standing(
    ended="",
    grant=grant("alice", {"ask": "", "read": 'args.path == "\u00e9"'}),
    used=True,
)

SNAPSHOT = AuthzSnapshot(
    checked_at_ms=1,
    decision="related",
    model_id="m",
    model_mismatch=False,
    object="document:7",
    relation="viewer",
    relationship_hash="sha256:r",
    resolver="local",
    snapshot_token="3",
    stale=True,
    subject="user:alice",
)

ADVICE = Advice(
    answer_hash="sha256:a",
    asked_at_ms=1,
    bundles=(("authz", "r1"), ("other", "")),
    decision_ref="d",
    error="",
    latency_ms=2,
    point="opa",
    request_hash="sha256:q",
    result="true",
)


def test_what_was_looked_up_for_a_call_stands_in_its_facts_in_canonical_order() -> None:
    made, moment = call(), world(delegation=STANDING, authz=SNAPSHOT, pdp=ADVICE)
    facts = facts_bytes(made, moment)
    assert canonical(parse(facts)) == facts
    assert read_facts(facts, policy(), "facts") == (made, moment)
