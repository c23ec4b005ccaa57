"""The memory is a fold: it comes out the same however far refusals lag behind, and it makes the same world."""

from __future__ import annotations

import random
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.decision import Decision
from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import GENESIS, RECEIPT_VERSION, Receipt
from helm.contracts.verdict import Status, Verdict
from helm.guardian.chain import CHAIN
from helm.guardian.memory import Boot, Memory
from tests.helm.guardian.worlds import NOON_MS, call, policy

BOOT = Boot(fingerprint="sha256:here", kernel_epoch=1, log_id="sha256:log")
TOOLS = ("read", "nope", "limited", "pay", "asking", "slowly", "private", "write")


def decide(memory: Memory, number: int, now_ms: int, tool: str, **whom: Any) -> Decision:
    """Have the chain judge one call in the world of `memory`, which notes it."""
    asked = call(tool, {"n": number % 3}, **whom)
    moment = memory.world(asked, BOOT, now_ms=now_ms, call_seq=number, fingerprint=BOOT.fingerprint, conflict=False)
    decision = CHAIN.evaluate(asked, moment).decision.content
    memory.note_decision(decision)
    return decision


def receipt_of(decision: Decision, status: Status, code: ReasonCode) -> Receipt:
    """Return what is sealed of an ALLOWed call, as far as the memory looks at it."""
    return Receipt(
        args_hash=decision.args_hash,
        decision_hash="sha256:d",
        decision_id=f"dec_{decision.call_seq}",
        door="",
        effect_id="",
        fuel_used=0,
        idempotency_key="",
        intent_node="n",
        issued_at_ms=0,
        key_id="",
        lamport_clock=1,
        lease_id="",
        log_id="",
        module_hash="",
        output_hash="",
        policy_epoch=0,
        policy_hash="",
        prev_hash=GENESIS,
        principal="",
        reason_code=code.value,
        record_hash="",
        risk_tier="",
        sandbox_grant_hash="",
        sandbox_limits=(),
        session_id="",
        status=status.value,
        tenant="",
        tool="",
        transport="",
        trap="",
        verdict="ALLOW",
        version=RECEIPT_VERSION,
    )


def known(memory: Memory) -> dict[str, Any]:
    """Return what a memory holds, its policy aside."""
    return {
        "approvals": memory.approvals.ceremonies,
        "halted": memory.halted,
        "ledger": memory.ledger.accounts,
        "sessions": memory.sessions.bindings,
        "velocities": memory.velocities,
    }


@given(st.integers(0, 2**32))
def test_it_does_not_matter_how_far_a_refusal_lags_behind(seed: int) -> None:
    luck, live, folded = random.Random(seed), Memory(policy=policy()), Memory(policy=policy())
    lagging: list[Decision] = []
    for number in range(60):
        labels = luck.choice(((), (), ("web",), ("mail",)))
        whom = {"session": f"s{number // 6}", "principal": luck.choice(("a", "b")), "labels": labels}
        decision = decide(live, number, NOON_MS + number + luck.choice((0, 0, -5, 90_000)), luck.choice(TOOLS), **whom)
        if decision.verdict == Verdict.ALLOW:
            folded.note_decision(decision)  # straight to the book
        else:
            lagging.append(decision)  # by way of the pen, in order
        while lagging and luck.random() < 0.4:
            folded.note_decision(lagging.pop(0))
    for decision in lagging:
        folded.note_decision(decision)
    assert known(folded) == known(live)


@given(st.integers(0, 2**32))
def test_it_does_not_matter_when_a_reservation_is_given_back(seed: int) -> None:
    luck, early, late = random.Random(seed), Memory(policy=policy()), Memory(policy=policy())
    spent: list[Decision] = []
    for number in range(30):
        decision = decide(early, number, NOON_MS + number * luck.choice((0, 1, 400_000)), "pay")
        late.note_decision(decision)
        if decision.verdict == Verdict.ALLOW:
            spent.append(decision)
    released = luck.sample(spent, len(spent) // 2)
    for decisions, memory in ((released, early), (luck.sample(released, len(released)), late)):
        for decision in decisions:
            memory.note_outcome(
                decision, receipt_of(decision, Status.NOT_DISPATCHED, ReasonCode.KERNEL_STOPPED), "local"
            )
    assert early.ledger.accounts == late.ledger.accounts
    assert all(amount >= 0 for usage in early.ledger.accounts.values() for amount in usage[2:])


@pytest.mark.parametrize(
    ("status", "code", "spent"),
    [
        (Status.SUCCESS, ReasonCode.NONE, 1),
        (Status.FAILED, ReasonCode.ERR_CONNECTOR_ERROR, 1),
        (Status.INDETERMINATE, ReasonCode.ERR_INDETERMINATE, 1),
        (Status.NOT_DISPATCHED, ReasonCode.KERNEL_STOPPED, 0),
        (Status.INTERRUPTED, ReasonCode.KERNEL_STOPPED, 0),
    ],
)
def test_only_what_provably_did_not_happen_is_given_back(status: Status, code: ReasonCode, spent: int) -> None:
    memory = Memory(policy=policy())
    decision = decide(memory, 1, NOON_MS, "limited")
    memory.note_outcome(decision, receipt_of(decision, status, code), "local")
    assert memory.ledger.accounts["few"][2] == spent
    assert memory.halted == {}


def test_a_drift_halts_its_connector_and_only_the_halt_that_was_looked_at_is_lifted() -> None:
    memory = Memory(policy=policy())
    first, second = (decide(memory, number, NOON_MS, "strict") for number in (1, 2))
    drift = ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT
    memory.note_outcome(first, receipt_of(first, Status.FAILED, drift), "local")
    seen = memory.halted["local"]
    memory.note_outcome(second, receipt_of(second, Status.FAILED, drift), "local")
    memory.resume("local", seen)
    assert "local" in memory.halted
    memory.resume("local", memory.halted["local"])
    assert memory.halted == {}
    with pytest.raises(KeyError):
        memory.resume("local", seen)


def test_a_world_holds_what_is_known_of_its_call_and_of_no_other() -> None:
    memory = Memory(policy=policy())
    decide(memory, 1, NOON_MS, "slowly", session="s", principal="a", labels=("web",))
    decide(memory, 2, NOON_MS, "pay", session="t", principal="b")

    def seen(tool: str, **whom: Any) -> tuple[object, ...]:
        moment = memory.world(
            call(tool, **whom), BOOT, now_ms=NOON_MS, call_seq=3, fingerprint="sha256:now", conflict=True
        )
        calls = [pace.calls for pace in moment.velocity]
        return moment.session_owner, moment.session_labels, calls, [usage[2:] for usage in moment.budgets]

    assert seen("slowly", session="s", principal="a") == ("a", ("web",), [1], [])
    assert seen("slowly", session="s", principal="b") == ("a", ("web",), [0], [])
    assert seen("pay", session="new", principal="a") == ("", (), [], [(1, 10, 1, 0)])
    moment = memory.world(call(), BOOT, now_ms=NOON_MS, call_seq=3, fingerprint="sha256:now", conflict=True)
    assert (moment.fingerprint, moment.fingerprint_at_boot) == ("sha256:now", "sha256:here")
    assert (moment.claim_conflict, moment.call_seq, moment.kernel_epoch) == (True, 3, 1)


def test_a_decision_that_changes_nothing_else_binds_its_session() -> None:
    memory = Memory()
    decision = decide(memory, 1, NOON_MS, "read", session="s", principal="a")
    assert decision.verdict == Verdict.DENY
    binding = memory.sessions.find(("t", "s"))
    assert binding is not None and (binding.principal, binding.opened_at_ms) == ("a", NOON_MS)
    assert attrs.evolve(memory, sessions=Memory().sessions) == Memory()
