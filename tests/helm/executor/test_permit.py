"""The last lock: whatever was changed between the judgement and the dispatch, nothing is sent (T1, T6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs
import pytest

from helm.contracts.decision import Decision
from helm.contracts.effect import Permit
from helm.contracts.errors import Refused
from helm.contracts.form import Sealed
from helm.contracts.reason import ReasonCode
from helm.crypto.hashing import sha256
from helm.crypto.seals import seal_decision
from helm.executor.permit import Moment, check_permit
from helm.guardian.chain import CHAIN
from helm.guardian.judgement import Judgement
from tests.helm.guardian.worlds import NOON_MS, call, policy, world

ARGUMENTS = b'{"n":1}'


@attrs.frozen
class Lock:
    """What the executor holds when it asks."""

    permit: Permit
    decision: Sealed[Decision]
    arguments: bytes
    moment: Moment

    def check(self) -> None:
        check_permit(self.permit, self.decision, self.arguments, self.moment)


def judged(arguments: bytes = ARGUMENTS, tool: str = "read", sequence: int = 1) -> Judgement:
    return CHAIN.evaluate(call(tool, arguments), world(call_seq=sequence))


def lock() -> Lock:
    judgement = judged()
    assert judgement.permit is not None
    moment = Moment(NOON_MS + 9_999, policy().policy_hash, "", "")
    return Lock(judgement.permit, judgement.decision, ARGUMENTS, moment)


def other_permit(**changes: object) -> Callable[[Lock], Lock]:
    return lambda held: attrs.evolve(held, permit=held.permit.but(**changes))


def other_moment(**changes: object) -> Callable[[Lock], Lock]:
    return lambda held: attrs.evolve(held, moment=held.moment.but(**changes))


def another_decision(held: Lock) -> Lock:
    return attrs.evolve(held, decision=judged(sequence=2).decision)


def edited_decision(held: Lock) -> Lock:
    edited = seal_decision(held.decision.content.but(principal="mallory"))
    return attrs.evolve(held, decision=edited.but(id=held.decision.id, hash=held.decision.hash))


def refused_decision(held: Lock) -> Lock:
    denied = judged(tool="private").decision
    permit = held.permit.but(decision_id=denied.id, decision_hash=denied.hash)
    return attrs.evolve(held, decision=denied, permit=permit)


def other_bytes(held: Lock) -> Lock:
    return attrs.evolve(held, arguments=b'{"n":2}')


def other_bytes_with_their_hash(held: Lock) -> Lock:
    permit = held.permit.but(args_hash=sha256(b'{"n":2}'))
    return attrs.evolve(held, arguments=b'{"n":2}', permit=permit)


ATTACKS: Mapping[str, tuple[Callable[[Lock], Lock], ReasonCode]] = {
    "1 a decision that was edited": (edited_decision, ReasonCode.PROVENANCE_FAILURE),
    "2 the permit of another decision": (another_decision, ReasonCode.PROVENANCE_FAILURE),
    "2 a permit for a refusal": (refused_decision, ReasonCode.PROVENANCE_FAILURE),
    "2 another decision's hash": (other_permit(decision_hash="sha256:x"), ReasonCode.PROVENANCE_FAILURE),
    "3 a global freeze": (other_moment(frozen="SYSTEM_FROZEN"), ReasonCode.SYSTEM_FROZEN),
    "3 a killed agent": (other_moment(frozen="AGENT_KILLED"), ReasonCode.AGENT_KILLED),
    "4 a permit of ten seconds ago": (other_moment(now_ms=NOON_MS + 10_000), ReasonCode.POLICY_NOT_READY),
    "5 another policy": (other_moment(policy_hash="sha256:new"), ReasonCode.POLICY_EPOCH_CHANGED),
    "5 no policy any more": (other_moment(policy_hash=""), ReasonCode.POLICY_EPOCH_CHANGED),
    "6 other bytes": (other_bytes, ReasonCode.PROVENANCE_FAILURE),
    "6 other bytes with their hash": (other_bytes_with_their_hash, ReasonCode.PROVENANCE_FAILURE),
    "7 another tool": (other_permit(tool="write"), ReasonCode.PROVENANCE_FAILURE),
    "7 another effect": (other_permit(effect_id="eff_other"), ReasonCode.PROVENANCE_FAILURE),
    "8 a halted connector": (other_moment(halted="drift"), ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT),
}


def test_what_was_judged_is_dispatched() -> None:
    lock().check()


@pytest.mark.parametrize(("attack", "code"), ATTACKS.values(), ids=ATTACKS)
def test_whatever_was_changed_nothing_is_dispatched(attack: Callable[[Lock], Lock], code: ReasonCode) -> None:
    with pytest.raises(Refused) as refused:
        attack(lock()).check()
    assert refused.value.code == code
