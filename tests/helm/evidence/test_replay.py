"""What was decided is what the policy decides, again and again."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.call import CallContext
from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical, reread
from helm.crypto.seals import seal_decision, seal_record
from helm.evidence.reading import Reading
from helm.evidence.replay import Decided, decided_in, replay, replay_pack
from helm.evidence.verify import check_pack
from helm.guardian.facts import read_facts
from helm.guardian.intake import Terms
from helm.guardian.policy import NO_POLICY
from tests.helm.evidence.forger import a_log, a_pack, pack_of, root_of
from tests.helm.evidence.material import Log, policy_of


def read(log: Log, *, redact_facts: bool = False) -> Reading:
    return check_pack(pack_of(log, redact_facts=redact_facts), root_of(log))


def test_every_call_of_a_pack_is_decided_as_it_was() -> None:
    replayed = replay_pack(check_pack(a_pack(), root_of(a_log())))
    assert (replayed.judged, replayed.redacted) == (5, 0)


def test_redacted_facts_are_named_and_not_judged() -> None:
    reading = read(a_log(), redact_facts=True)
    replayed = replay_pack(reading)
    assert replayed.judged == 0
    assert replayed.redacted == 5


def test_each_call_is_judged_by_the_policy_of_its_time() -> None:
    log = Log().begin()
    log.call("s1")
    log.activate(policy_of(2))
    log.call("s1")
    assert replay_pack(read(log)).judged == 2


def test_a_call_before_any_policy_is_judged_again_without_one() -> None:
    log = Log().begin()
    log.memory.policy = NO_POLICY
    log.refuse("s1", "notes.read", {"name": "x"})
    reading = read(log)
    assert reading.calls[0].decision.content.reason_code == "NO_POLICY_DEFINED"
    assert replay_pack(reading).judged == 1


@pytest.mark.parametrize(
    "arguments",
    [b"{bad", b"\xff\xfe", b"", b'{"a":1,"a":2}', {"name": "ok", "größe": 2.5}, {"name": "z" * 99}, {"name": 3}, [],
     None, "text", {"name": "\U0001f600\x00\u2028"}],
)  # fmt: skip
def test_arguments_of_every_kind_come_back_as_they_were(arguments: Any) -> None:
    log = Log().begin()
    judgement = log.judge("s1", "notes.read", arguments, Terms(idempotency_key="k"))
    call, world = read_facts(judgement.facts, policy_of(), "here")
    assert call.args_hash == judgement.decision.content.args_hash
    assert world.policy is policy_of()
    if judgement.permit is None:
        log = Log().begin()
        log.refuse("s1", "notes.read", arguments)
        assert replay_pack(read(log)).judged == 1


def test_context_and_labels_come_back_as_they_were() -> None:
    log = Log().begin()
    log.context = CallContext(credential_hash="sha256:1", claimed_principal="agent-1", texts=("née",), labels=("web",))
    log.call("s1")
    log.refuse("s1")
    assert replay_pack(read(log)).judged == 2


def first(log: Log) -> Decided:
    return next(decided_in(read(log).members))


def test_a_call_that_was_allowed_against_the_policy_is_found() -> None:
    log = Log().begin()
    judgement = log.judge("s1", "notes.read", {"name": "z" * 99})
    assert judgement.decision.content.reason_code == "MISSING_REQUIREMENT"
    log = Log().begin()
    allowed = log.judge("s1", "notes.read", {"name": "z"})
    lie = seal_decision(allowed.decision.content.but(facts_hash=judgement.decision.content.facts_hash))
    record = seal_record(allowed.record.content.but(decision_id=lie.id))
    forged = allowed.but(decision=lie, record=record, facts=judgement.facts)
    log.end(forged, log.write_intent(forged))
    with pytest.raises(Invalid, match="the decision's verdict was 'ALLOW', and comes out as 'DENY'"):
        replay_pack(read(log))


def test_a_decision_of_another_roster_is_not_said_to_be_wrong() -> None:
    log = Log().begin()
    log.call("s1")
    told = first(log)
    other = told.decision.content.but(gate_roster_hash="sha256:" + "0" * 64)
    with pytest.raises(Invalid, match="another roster of gates"):
        replay(attrs.evolve(told, decision=seal_decision(other)), policy_of())


def test_a_record_that_the_decision_does_not_make_is_found() -> None:
    log = Log().begin()
    log.call("s1")
    told = first(log)
    other = seal_record(told.record.content.but(destination="elsewhere"))
    with pytest.raises(Invalid, match="the decision's record was"):
        replay(attrs.evolve(told, record=other), policy_of())


def test_facts_of_another_call_are_refused() -> None:
    log = Log().begin()
    log.call("s1")
    told = first(log)
    with pytest.raises(Invalid, match="not the facts"):
        replay(attrs.evolve(told, facts=b"{}"), policy_of())


def test_facts_under_another_policy_are_refused() -> None:
    log = Log().begin()
    log.call("s1")
    told = first(log)
    for policy in (NO_POLICY, policy_of(2)):
        with pytest.raises(Invalid, match="under this policy"):
            replay(told, policy)


@pytest.mark.parametrize("part", ["call", "world"])
def test_facts_with_any_member_missing_added_or_of_another_type_are_refused(part: str) -> None:
    log = Log().begin()
    facts = log.judge("s1", "notes.read", {"name": "x"}).facts
    policy = policy_of()
    whole = reread(facts)
    odd: tuple[object, ...] = (None, 7.5, {"x": 1}, [3], [[]])
    changes: list[dict[str, object]] = [{"evil": 1}]
    for name in whole[part].keys() - {"arguments"}:  # those are any JSON, bound by args_hash
        changes += [{name: value} for value in odd if value != whole[part][name]]
        lacking = {other: value for other, value in whole[part].items() if other != name}
        with pytest.raises(Invalid):
            read_facts(canonical(whole | {part: lacking}), policy, "here")
    for change in changes:
        with pytest.raises(Invalid):
            read_facts(canonical(whole | {part: whole[part] | change}), policy, "here")


def test_arguments_that_are_not_the_ones_that_were_hashed_are_refused() -> None:
    facts = Log().begin().judge("s1", "notes.read", {"name": "x"}).facts
    whole = reread(facts)
    whole["call"]["arguments"] = {"name": "y"}
    with pytest.raises(Invalid, match="args_hash"):
        read_facts(canonical(whole), policy_of(), "here")


@pytest.mark.parametrize(
    "facts", [b"", b"null", b"[]", b"{}", b'{"call":{},"world":{}}', b'{"call":1,"world":2}', b"{" * 200]
)
def test_what_is_no_facts_is_refused(facts: bytes) -> None:
    with pytest.raises(Invalid):
        read_facts(facts, NO_POLICY, "here")
