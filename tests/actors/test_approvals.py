"""Approvals as a kernel holds them: who may agree, to what, when, how often, and what a restart makes of it (T7)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.approving import Approving
from actors.commands.approvals import Assert, Stale
from actors.commands.trust import ChangeTrust
from actors.evidence.export import export_session
from actors.kernel import Kernel
from actors.mailbox import Answer, KernelStopped
from actors.recovery import refold
from actors.stores.index_file import open_index
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.crypto.canonical import reread
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.evidence.replay import replay_pack
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, verify_pack
from helm.guardian import approvals
from helm.guardian.ceremony import CHALLENGE_TTL_MS, sign_assertion
from helm.guardian.intake import Caller, Terms, admit
from helm.guardian.memory import Memory
from helm.trust.event import EventKind, KeyChange, sign_event
from tests.actors.approvers import Panel, add_key
from tests.actors.kit import House, InlineIndex, known_to, remembered, settle
from tests.actors.puppet import Hold, Puppet
from tests.actors.rewriting import rewritten
from tests.actors.stores.simulated import SimulatedJournal
from tests.helm.evidence.forger import refusing_check_of_script

pytestmark = pytest.mark.every_store

Clock = trio.testing.MockClock


@pytest.fixture
def panel(house: House) -> Panel:
    return Panel.seat(house)


async def call(kernel: Kernel, approval_id: str = "", *, n: int = 1, principal: str = "agent") -> Answer:
    terms = Terms(approval_id=approval_id)
    return await kernel.call("asking", {"n": n}, principal=principal, session=f"of-{principal}", terms=terms)


async def ask(kernel: Kernel, *, n: int = 1, principal: str = "agent") -> str:
    answer = await call(kernel, n=n, principal=principal)
    assert (answer.status, answer.reason_code) == (Status.ESCALATED, ReasonCode.APPROVAL_REQUIRED)
    return answer.approval_id


async def approved(kernel: Kernel, panel: Panel, *, n: int = 1) -> str:
    approval_id = await ask(kernel, n=n)
    for approver in (panel.alice, panel.bob):
        await approver.say(kernel, approval_id)
    assert state(kernel, approval_id) == "APPROVED"
    return approval_id


def state(kernel: Kernel, approval_id: str) -> str:
    return kernel.memory.approvals.ceremonies[approval_id].state


async def test_a_call_runs_once_its_quorum_agreed_and_once_only(panel: Panel, autojump_clock: Clock) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await ask(kernel)
        assert (await panel.alice.say(kernel, approval_id)).state == "PENDING"
        early = await call(kernel, approval_id)
        assert early.reason_code == ReasonCode.APPROVAL_REQUIRED and early.approval_id == approval_id
        assert (await panel.bob.say(kernel, approval_id)).state == "APPROVED"
        unnamed = await call(kernel)
        assert (unnamed.status, unnamed.approval_id) == (Status.ESCALATED, approval_id)
        ran = await call(kernel, approval_id)
        assert ran.allowed and len(puppet.orders) == 1
        again = await call(kernel, approval_id)
        assert (again.reason_code, len(puppet.orders)) == (ReasonCode.PDP_DENY, 1)
        assert ran.approval_id == again.approval_id == ""  # nobody is asked for anything
        live = known_to(kernel)
    folded, log = await panel.house.read_simulated()
    assert remembered(folded) == live
    log.check_all_sealed()
    assert folded.memory.approvals.ceremonies[approval_id].state == "CONSUMED"


# -- who --------------------------------------------------------------------------------------------------------------


async def test_whoever_asked_cannot_approve(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1")) as kernel:
        approval_id = await ask(kernel, principal="alice")
        with pytest.raises(Invalid, match="none of its approvers"):
            await panel.alice.say(kernel, approval_id)
        assert state(kernel, approval_id) == "PENDING"
        assert (await panel.bob.say(kernel, approval_id)).state == "APPROVED"


async def test_whoever_asked_under_another_name_of_theirs_cannot_approve(panel: Panel, autojump_clock: Clock) -> None:
    also = f'["{panel.alice.key.key_id}"]'
    policy = panel.policy("quorum = 1").replace(also, f'{also}\nalso = ["oidc:corp:alice"]')
    async with panel.house.kernel(policy=policy) as kernel:
        approval_id = await ask(kernel, principal="oidc:corp:alice")
        with pytest.raises(Invalid, match="none of its approvers"):
            await panel.alice.say(kernel, approval_id)
        assert (await panel.bob.say(kernel, approval_id)).state == "APPROVED"


@pytest.mark.parametrize("name", ["bob", "oidc:corp:bob"])
async def test_a_name_of_two_approvers_makes_no_policy(panel: Panel, name: str) -> None:
    policy = panel.policy()
    for approver, also in ((panel.alice, name), (panel.bob, "oidc:corp:bob")):
        keys = f'["{approver.key.key_id}"]'
        policy = policy.replace(keys, f'{keys}\nalso = ["{also}"]')
    with pytest.raises(Invalid, match="name already"):
        panel.house.sign(policy)


async def test_a_call_that_only_its_own_asker_could_approve_is_approved_by_nobody(
    panel: Panel, autojump_clock: Clock
) -> None:
    async with panel.house.kernel(policy=panel.policy('approvers = ["alice"]')) as kernel:
        approval_id = await ask(kernel, principal="alice")
        for approver in panel.all:
            with pytest.raises(Invalid, match="none of its approvers"):
                await approver.say(kernel, approval_id)


async def test_one_principal_with_two_keys_is_one_of_a_quorum(panel: Panel, autojump_clock: Clock) -> None:
    second = add_key(panel.house, KeyPurpose.APPROVAL, "second")
    keys = f'"{panel.alice.key.key_id}"'
    policy = panel.policy().replace(keys, f'{keys}, "{second.key_id}"')
    async with panel.house.kernel(policy=policy) as kernel:
        approval_id = await ask(kernel)
        await panel.alice.say(kernel, approval_id)
        for key in (panel.alice.key, second):
            with pytest.raises(Invalid, match="alice has agreed already"):
                await type(panel.alice)("alice", key).say(kernel, approval_id)
        assert state(kernel, approval_id) == "PENDING"


async def test_one_key_under_two_names_makes_no_policy(panel: Panel) -> None:
    policy = panel.policy().replace(panel.bob.key.key_id, panel.alice.key.key_id)
    with pytest.raises(Invalid, match="one key under two names would be two approvers"):
        panel.house.sign(policy)


async def test_a_quorum_without_names_makes_no_policy(panel: Panel) -> None:
    with pytest.raises(Invalid, match="2 different principals must agree, and 0 are named"):
        panel.house.sign(panel.policy().replace("[approvers.", "[principals.").replace("keys = ", "credentials = "))


async def test_a_key_of_another_purpose_signs_no_approval(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1")) as kernel:
        approval_id = await ask(kernel)
        emergency = panel.emergency
        with pytest.raises(Invalid, match="the key is for emergency, not for approval"):
            await emergency.say(kernel, approval_id)
        offer = await panel.alice.offered(kernel, approval_id)
        offer["challenge"]["key_id"] = emergency.key.key_id
        with pytest.raises(PurposeMismatch):
            emergency.sign(offer)
        stranger = add_key(panel.house, KeyPurpose.APPROVAL, "stranger")  # after the log began: no event adds it
        with pytest.raises(Invalid, match="no trust event ever added this key"):
            await type(emergency)("stranger", stranger).say(kernel, approval_id)


async def test_a_revoked_key_approves_nothing_more(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1")) as kernel:
        approval_id = await ask(kernel)
        offer = await panel.alice.offered(kernel, approval_id)
        signed = panel.alice.sign(offer)
        await change_key(panel, kernel, EventKind.KEY_REVOKED)
        with pytest.raises(Invalid, match="was revoked"):
            await Approving(kernel).say(*signed, offer["approval"]["ceremony_hash"])
        assert state(kernel, approval_id) == "PENDING"
    await panel.house.read_simulated()


async def change_key(panel: Panel, kernel: Kernel, kind: EventKind, role: str = "") -> None:
    """Let the administrators change what becomes of alice's key."""
    key, registry = panel.alice.key, kernel.parts.state.registry
    assert registry is not None
    change = KeyChange(
        kind=kind.value,
        key_id=key.key_id,
        public_key=key.public_key,
        purpose=key.purpose.value,
        reason="the administrators say so",
        role=role,
    )
    event = sign_event(change, registry.place, 0, panel.house.place.trust_admin_key())
    await kernel.command(ChangeTrust(event, registry, kernel.parts.pen.key_id))


async def test_a_tool_that_asks_for_a_role_is_approved_by_whom_the_administrators_gave_it_to(
    panel: Panel, autojump_clock: Clock, tmp_path: Path
) -> None:
    puppet, path = Puppet(), tmp_path / "p.tar"
    async with panel.house.kernel(puppet, policy=panel.policy('quorum = 1, role = "payments"')) as kernel:
        first, second, third = await ask(kernel, n=1), await ask(kernel, n=2), await ask(kernel, n=3)
        await change_key(panel, kernel, EventKind.ROLE_GRANTED, "releases")
        with pytest.raises(Invalid, match="has not the role payments"):  # it is not even asked
            await panel.alice.offered(kernel, first)
        await change_key(panel, kernel, EventKind.ROLE_GRANTED, "payments")
        assert (await panel.alice.say(kernel, first)).state == "APPROVED"
        offer = await panel.alice.offered(kernel, second)
        signed = panel.alice.sign(offer)
        await change_key(panel, kernel, EventKind.ROLE_REVOKED, "payments")
        with pytest.raises(Invalid, match="has not the role payments"):  # it was asked while it had the role
            await Approving(kernel).say(*signed, offer["approval"]["ceremony_hash"])
        assert (await call(kernel, first)).allowed  # what was said in the role stands
        assert (await panel.emergency.say(kernel, third, "override", reason_code="LEGAL_ORDER")).state == "APPROVED"
        await export_session(kernel.library, Selection("local", "of-agent"), panel.house.place.evidence_key(), path)
    await panel.house.read_simulated()
    raw, root = await trio.to_thread.run_sync(path.read_bytes), TrustRoot(log_id=panel.house.place.log_id)
    report = verify_pack(raw, root)
    assert report.authenticated, report.text()
    assert refusing_check_of_script(raw, root) == ""


async def test_a_pack_of_a_kernel_that_looked_at_no_roles_is_refused_with_helm_and_without(
    panel: Panel, autojump_clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "p.tar"
    with monkeypatch.context() as insider:
        insider.setattr(approvals, "role_for", lambda *_: "")
        async with panel.house.kernel(policy=panel.policy('quorum = 1, role = "payments"')) as kernel:
            approval_id = await ask(kernel)
            assert (await panel.alice.say(kernel, approval_id)).state == "APPROVED"
            assert (await call(kernel, approval_id)).allowed
            await export_session(kernel.library, Selection("local", "of-agent"), panel.house.place.evidence_key(), path)
    raw, root = await trio.to_thread.run_sync(path.read_bytes), TrustRoot(log_id=panel.house.place.log_id)
    failed = verify_pack(raw, root).failed
    assert failed is not None
    assert "has not the role payments" in failed.detail
    assert refusing_check_of_script(raw, root) == failed.name
    with pytest.raises(Invalid, match="has not the role payments"):
        await panel.house.read_simulated()


async def test_a_role_has_a_name_that_a_trust_event_can_give(panel: Panel) -> None:
    with pytest.raises(Invalid, match="is no role's name"):
        panel.house.sign(panel.policy('quorum = 1, role = "Payments!"'))


# -- what -------------------------------------------------------------------------------------------------------------


async def test_an_approval_of_another_intent_opens_nothing(panel: Panel, autojump_clock: Clock) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel, n=1)
        other = await call(kernel, approval_id, n=2)
        assert other.status is Status.ESCALATED and other.approval_id != approval_id
        rival = await call(kernel, approval_id, principal="rival")
        assert rival.status is Status.ESCALATED and rival.approval_id != approval_id
        assert (state(kernel, approval_id), puppet.orders) == ("APPROVED", [])


async def test_a_signature_for_one_approval_is_none_for_another(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1")) as kernel:
        first, second = await ask(kernel, n=1), await ask(kernel, n=2)
        offer = await panel.alice.offered(kernel, first)
        await panel.alice.offered(kernel, second)
        assertion, signature = panel.alice.sign(offer)
        moved = assertion.but(approval_id=second)
        seen = Approving(kernel).find(second).ceremony_hash
        with pytest.raises(Invalid, match="not this key's over this statement"):
            await Approving(kernel).say(moved, signature, seen)


async def test_a_newer_policy_voids_the_approvals_of_the_older_one(panel: Panel, autojump_clock: Clock) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)
        newer = panel.house.sign(panel.policy(epoch=8))
        await kernel.activate(newer, kernel.executor.connectors)
        anew = await call(kernel, approval_id)
        assert anew.status is Status.ESCALATED and anew.approval_id != approval_id
        assert puppet.orders == []


async def test_what_is_retyped_must_be_what_was_shown(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1")) as kernel:
        approval_id = await ask(kernel)
        offer = await panel.alice.offered(kernel, approval_id)
        assertion, _ = panel.alice.sign(offer)
        careless = assertion.but(confirmation_hash="sha256:" + "0" * 64)
        with pytest.raises(Invalid, match="what was retyped is not what was shown"):
            signature = sign_assertion(careless, panel.alice.key)
            await Approving(kernel).say(careless, signature, offer["approval"]["ceremony_hash"])


@pytest.mark.parametrize(
    ("member", "lie"), [("arguments", {"n": 0}), ("tool", "read"), ("principal", "somebody"), ("args_hash", "sha256:0")]
)
async def test_an_approver_who_is_shown_another_call_signs_nothing(
    panel: Panel, autojump_clock: Clock, member: str, lie: Any
) -> None:
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        offer = await panel.alice.offered(kernel, await ask(kernel))
        assert offer["approval"]["arguments"] == {"n": 1}
        offer["approval"][member] = lie
        with pytest.raises(Invalid, match=r"not those of the call|not the one that its intent_hash names"):
            panel.alice.sign(offer)


# -- when -------------------------------------------------------------------------------------------------------------


async def test_nobody_approves_before_the_timelock_elapsed_whatever_their_clock_says(
    panel: Panel, autojump_clock: Clock
) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 1, timelock_s = 60")) as kernel:
        approval_id = await ask(kernel)
        with pytest.raises(Invalid, match="timelock"):
            await panel.alice.say(kernel, approval_id)
        assert (await call(kernel, approval_id)).reason_code == ReasonCode.ERR_APPROVAL_TIMELOCK_ACTIVE
        panel.house.clock.advance(-3600)  # a clock set back gives no time away
        await trio.sleep(61)
        with pytest.raises(Invalid, match="timelock"):
            await panel.alice.say(kernel, approval_id)
        panel.house.clock.advance(3600)
        await trio.sleep(61)
        assert (await panel.alice.say(kernel, approval_id)).state == "APPROVED"


async def test_a_timelock_goes_on_after_a_restart(panel: Panel, autojump_clock: Clock) -> None:
    policy = panel.policy("quorum = 1, timelock_s = 60")
    async with panel.house.kernel(policy=policy) as kernel:
        approval_id = await ask(kernel)
    async with panel.house.kernel(policy=policy) as kernel:
        with pytest.raises(Invalid, match="timelock"):
            await panel.alice.say(kernel, approval_id)
        await trio.sleep(61)
        assert (await panel.alice.say(kernel, approval_id)).state == "APPROVED"
    async with panel.house.kernel(policy=policy) as kernel:
        assert (await call(kernel, approval_id)).allowed


async def test_a_challenge_is_answered_once_and_in_time(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(
        policy=panel.policy("quorum = 2").replace("expires_s = 600", "expires_s = 7200")
    ) as kernel:
        approval_id = await ask(kernel)
        offer = await panel.alice.offered(kernel, approval_id)
        assert (await panel.alice.offered(kernel, approval_id))["challenge"] == offer["challenge"]
        await trio.sleep(CHALLENGE_TTL_MS / 1000 + 1)
        with pytest.raises(Invalid, match="answered too late"):
            await Approving(kernel).say(*panel.alice.sign(offer), offer["approval"]["ceremony_hash"])
        anew = await panel.alice.offered(kernel, approval_id)
        with pytest.raises(Invalid, match="does not answer the challenge"):
            await Approving(kernel).say(*panel.alice.sign(offer), offer["approval"]["ceremony_hash"])
        await Approving(kernel).say(*panel.alice.sign(anew), anew["approval"]["ceremony_hash"])
        await panel.bob.say(kernel, approval_id)
        await panel.carol.say(kernel, approval_id, "dispute")
        seen = Approving(kernel).find(approval_id).ceremony_hash
        with pytest.raises(Invalid, match="does not answer the challenge"):  # replayed, after everyone is asked again
            await Approving(kernel).say(*panel.alice.sign(anew), seen)


async def test_an_approval_that_expired_is_a_timeout_and_approved_or_not_it_opens_nothing(
    panel: Panel, autojump_clock: Clock
) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        granted, waiting = await approved(kernel, panel, n=1), await ask(kernel, n=2)
        await trio.sleep(601)
        for approval_id, n in ((granted, 1), (waiting, 2)):
            assert state(kernel, approval_id) == "EXPIRED"
            assert (await call(kernel, approval_id, n=n)).reason_code == ReasonCode.APPROVAL_TIMEOUT
        with pytest.raises(Invalid, match="EXPIRED"):
            await panel.alice.say(kernel, waiting)
        assert puppet.orders == []


# -- how often --------------------------------------------------------------------------------------------------------


async def test_two_callers_who_race_for_one_approval_execute_once(panel: Panel, autojump_clock: Clock) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    answers: list[Answer] = []
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)

        async def race() -> None:
            answers.append(await call(kernel, approval_id))

        async with trio.open_nursery() as racers:
            for _ in range(5):
                racers.start_soon(race)
            await puppet.began.wait()
            await settle()
            hold.let_go()
    assert len(puppet.orders) == 1
    assert sorted(answer.status for answer in answers) == ["DENIED"] * 4 + ["SUCCESS"]
    await panel.house.read_simulated()


async def test_a_call_that_was_only_judged_gives_its_approval_back(panel: Panel, autojump_clock: Clock) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)
        caller = Caller(tenant="local", principal="agent", session_id="of-agent")
        judged = await kernel.govern(
            admit(caller, "asking", {"n": 1}, Terms(approval_id=approval_id)), decide_only=True
        )
        assert (judged.status, state(kernel, approval_id)) == (Status.NOT_DISPATCHED, "APPROVED")
        assert (await call(kernel, approval_id)).allowed
        assert state(kernel, approval_id) == "CONSUMED"
    folded, _ = await panel.house.read_simulated()
    assert folded.memory.approvals.ceremonies[approval_id].state == "CONSUMED"


async def test_an_effect_of_which_nobody_knows_keeps_its_approval_spent(panel: Panel, autojump_clock: Clock) -> None:
    async def hangs(order: Any) -> None:
        await trio.sleep_forever()

    async with panel.house.kernel(Puppet(hangs), policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)
        assert (await call(kernel, approval_id)).status is Status.INDETERMINATE
        assert state(kernel, approval_id) == "CONSUMED"
        assert (await call(kernel, approval_id)).reason_code == ReasonCode.PDP_DENY


async def test_asking_more_often_than_the_policy_lets_anyone_be_asked_is_refused(
    panel: Panel, autojump_clock: Clock
) -> None:
    async with panel.house.kernel(policy=panel.policy("max_per_hour = 2, max_per_day = 3")) as kernel:
        asked = [(await call(kernel, n=n)).reason_code for n in (1, 2, 1, 3)]
        assert asked == [ReasonCode.APPROVAL_REQUIRED] * 3 + [ReasonCode.ERR_APPROVAL_RATE_LIMIT_EXCEEDED]
        await trio.sleep(3601)
        asked = [(await call(kernel, n=n)).reason_code for n in (4, 5)]
        assert asked == [ReasonCode.APPROVAL_REQUIRED, ReasonCode.ERR_APPROVAL_RATE_LIMIT_EXCEEDED]
        assert (await call(kernel, n=6, principal="another")).reason_code == ReasonCode.APPROVAL_REQUIRED


async def test_a_lost_race_is_a_conflict_and_never_a_second_grant(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        approval_id = await ask(kernel)
        offers = [await one.offered(kernel, approval_id) for one in (panel.alice, panel.bob)]
        seen = offers[0]["approval"]["ceremony_hash"]
        assert offers[1]["approval"]["ceremony_hash"] == seen  # being asked changes nothing
        await Approving(kernel).say(*panel.alice.sign(offers[0]), seen)
        with pytest.raises(Stale):
            await Approving(kernel).say(*panel.bob.sign(offers[1]), seen)
        now = Approving(kernel).find(approval_id)
        assert [grant.principal for grant in now.grants] == ["alice"]
        assert (await Approving(kernel).say(*panel.bob.sign(offers[1]), now.ceremony_hash)).state == "APPROVED"


# -- no, and taken back -----------------------------------------------------------------------------------------------


async def test_a_denial_stands_and_asking_again_does_not_outlast_it(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        approval_id = await ask(kernel)
        assert (await panel.bob.say(kernel, approval_id, "deny")).state == "DENIED"
        assert [(await call(kernel, name)).reason_code for name in ("", approval_id)] == [ReasonCode.PDP_DENY] * 2
        with pytest.raises(Invalid, match="DENIED"):
            await panel.alice.say(kernel, approval_id)
        await trio.sleep(601)
        assert await ask(kernel) != approval_id


async def test_what_was_revoked_before_its_use_is_not_used(panel: Panel, autojump_clock: Clock) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)
        assert (await panel.carol.say(kernel, approval_id, "revoke")).state == "REVOKED"
        assert (await call(kernel, approval_id)).reason_code == ReasonCode.PDP_DENY
        used = await approved(kernel, panel, n=2)
        assert (await call(kernel, used, n=2)).allowed
        with pytest.raises(Invalid, match="CONSUMED"):
            await panel.carol.say(kernel, used, "revoke")
        assert len(puppet.orders) == 1


async def test_a_dispute_holds_an_approval_back_until_everyone_agreed_anew(panel: Panel, autojump_clock: Clock) -> None:
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel)
        disputed = await panel.carol.say(kernel, approval_id, "dispute")
        assert (disputed.state, disputed.grants, disputed.disputes) == ("DISPUTED", (), 1)
        assert (await call(kernel, approval_id)).reason_code == ReasonCode.APPROVAL_REQUIRED
        for approver in (panel.alice, panel.bob):
            await approver.say(kernel, approval_id)
        assert (await call(kernel, approval_id)).allowed
    await panel.house.read_simulated()


async def test_an_override_needs_its_own_key_and_leaves_a_review_that_bars_the_next(
    panel: Panel, autojump_clock: Clock
) -> None:
    async with panel.house.kernel(policy=panel.policy("quorum = 2, timelock_s = 60")) as kernel:
        first, second = await ask(kernel, n=1), await ask(kernel, n=2)
        with pytest.raises(Invalid, match="the key is for approval, not for emergency"):
            await panel.alice.say(kernel, first, "override", reason_code="LIFE_SAFETY")
        with pytest.raises(Invalid, match="names one of LIFE_SAFETY"):
            await panel.emergency.say(kernel, first, "override", reason_code="BECAUSE")
        granted = await panel.emergency.say(kernel, first, "override", reason_code="LIFE_SAFETY")
        assert (granted.state, granted.break_glass, granted.review) == ("APPROVED", "LIFE_SAFETY", "OPEN")
        assert (await call(kernel, first, n=1)).allowed
        with pytest.raises(Invalid, match="has not been reviewed"):
            await panel.emergency.say(kernel, second, "override", reason_code="LIFE_SAFETY")
        assert (await panel.alice.say(kernel, first, "review")).review == "CLOSED"
        assert (await panel.emergency.say(kernel, second, "override", reason_code="LEGAL_ORDER")).state == "APPROVED"
    await panel.house.read_simulated()


# -- a caller that waits ----------------------------------------------------------------------------------------------


async def test_an_embedding_program_waits_without_a_place_and_its_call_is_made_again(
    panel: Panel, autojump_clock: Clock
) -> None:
    answers: list[Answer] = []

    async def wait(kernel: Kernel, seconds: float) -> None:
        answers.append(await kernel.call("asking", {"n": 1}, principal="agent", wait_for_approval=seconds))

    async with panel.house.kernel(policy=panel.policy()) as kernel, trio.open_nursery() as callers:
        callers.start_soon(wait, kernel, 300)
        callers.start_soon(wait, kernel, 5)
        await settle()
        assert not kernel.cases
        await trio.sleep(6)
        assert [answer.status for answer in answers] == [Status.ESCALATED]
        approval_id = answers[0].approval_id
        for approver in (panel.alice, panel.bob):
            await approver.say(kernel, approval_id)
        await settle()
        assert [answer.status for answer in answers] == [Status.ESCALATED, Status.SUCCESS]


async def test_a_denial_ends_the_wait_and_so_does_the_end_of_the_kernel(panel: Panel, autojump_clock: Clock) -> None:
    ends: list[object] = []

    async def wait(kernel: Kernel, n: int) -> None:
        try:
            ends.append((await kernel.call("asking", {"n": n}, principal="agent", wait_for_approval=500)).status)
        except KernelStopped as stopped:
            ends.append(stopped.unknown)

    async with trio.open_nursery() as callers, panel.house.kernel(policy=panel.policy()) as kernel:
        for n in (1, 2):
            callers.start_soon(wait, kernel, n)
        await settle()
        denied = next(iter(kernel.memory.approvals.ceremonies))
        await panel.alice.say(kernel, denied, "deny")
        await settle()
        assert ends == [Status.ESCALATED]
    assert ends == [Status.ESCALATED, False]


# -- what is left of it -----------------------------------------------------------------------------------------------


async def a_past(panel: Panel) -> list[bytes]:
    """Ask, agree, run, and dispute another; return what stands in the journal."""
    async with panel.house.kernel(policy=panel.policy()) as kernel:
        approval_id = await approved(kernel, panel, n=1)
        assert (await call(kernel, approval_id, n=1)).allowed
        await panel.carol.say(kernel, await approved(kernel, panel, n=2), "dispute")
    return list(panel.house.disk.rows)


def asserted(entry: dict[str, Any], action: str = "approve") -> dict[str, Any] | None:
    payload = entry["node"]["payload"]
    is_one = payload["type"] == "APPROVAL_ASSERTED" and payload["assertion"]["action"] == action
    return payload if is_one else None


def forge_signature(payload: dict[str, Any]) -> None:
    payload["signature"] = payload["signature"][::-1]


def forge_hour(payload: dict[str, Any]) -> None:
    payload["asserted_at_ms"] += 3_600_000


def forge_reason(payload: dict[str, Any]) -> None:
    payload["assertion"]["reason"] = "another"


def forge_intent(payload: dict[str, Any]) -> None:
    payload["assertion"]["intent_hash"] = "sha256:" + "0" * 64


@pytest.mark.parametrize("forge", [forge_signature, forge_hour, forge_reason, forge_intent])
async def test_an_edited_approval_does_not_start_a_kernel_again(
    panel: Panel, autojump_clock: Clock, forge: Callable[[dict[str, Any]], None]
) -> None:
    rows = await a_past(panel)

    def change(_: int, entry: dict[str, Any]) -> None:
        payload = asserted(entry)
        if payload is not None:
            forge(payload)

    with pytest.raises(Invalid):
        await reads(panel, rewritten(rows, change))
    await reads(panel, rewritten(rows, lambda *_: None))  # as it was written, it does


async def test_a_grant_that_another_event_takes_the_place_of_leaves_no_quorum(
    panel: Panel, autojump_clock: Clock
) -> None:
    rows = await a_past(panel)

    def replace(_: int, entry: dict[str, Any]) -> None:
        if asserted(entry) is not None:
            entry["node"]["payload"] = {"opened_at_ms": 1, "type": "SESSION_OPENED"}

    with pytest.raises(Invalid, match="does not stand on what granted"):
        await reads(panel, rewritten(rows, replace))


async def reads(panel: Panel, rows: list[bytes]) -> None:
    """Read rows back as a start would. Raises Invalid."""
    file = open_index(panel.house.path / "attack-index.sqlite", panel.house.place.log_id)
    try:
        await refold(SimulatedJournal(rows=rows), InlineIndex(file, 0), panel.house.place.log_id)
    finally:
        file.close()


async def test_a_pack_with_approvals_is_verified_by_a_stranger_with_helm_and_without(
    panel: Panel, autojump_clock: Clock, tmp_path: Path
) -> None:
    policy = panel.policy("quorum = 2, timelock_s = 30")
    path, key = tmp_path / "pack.tar", panel.house.place.evidence_key()
    async with panel.house.kernel(policy=policy) as kernel:
        first, second, third = [await ask(kernel, n=n) for n in (1, 2, 3)]
        await panel.emergency.say(kernel, third, "override", reason_code="LIFE_SAFETY")
        await trio.sleep(31)
        await approve_all(kernel, panel, first, second)
        await panel.carol.say(kernel, second, "dispute")
        await approve_all(kernel, panel, second)
        await panel.carol.say(kernel, second, "revoke")
        await panel.alice.say(kernel, third, "review")
        assert (await call(kernel, first, n=1)).allowed
        await panel.bob.say(kernel, await ask(kernel, n=4), "deny")
        await trio.sleep(601)
        await export_session(kernel.library, Selection("local", "of-agent"), key, path)
    raw, root = await trio.to_thread.run_sync(path.read_bytes), TrustRoot(log_id=panel.house.place.log_id)
    report = verify_pack(raw, root)
    assert report.authenticated, report.text()
    assert refusing_check_of_script(raw, root) == ""
    assert replay_pack(check_pack(raw, root)).judged == 5  # how the approvals stood is among the facts


async def approve_all(kernel: Kernel, panel: Panel, *approval_ids: str) -> None:
    for approval_id in approval_ids:
        for approver in (panel.alice, panel.bob):
            await approver.say(kernel, approval_id)


async def test_the_intent_stands_on_the_approval_that_it_relied_on(panel: Panel, autojump_clock: Clock) -> None:
    nodes = [reread(row)["node"] for row in await a_past(panel)]
    (intent,) = [node for node in nodes if node["kind"] == "INTENT"]
    decision = intent["payload"]["decision"]
    grants = [
        node["node_hash"]
        for node in nodes
        if node["payload"]["type"] == "APPROVAL_ASSERTED"
        and node["payload"]["assertion"]["approval_id"] == decision["approval_id"]
    ]
    assert grants[-1] in intent["parents"]
    assert intent["payload"]["record"]["approval_ids"] == [decision["approval_id"]]


def test_a_command_without_a_registry_is_refused(panel: Panel) -> None:
    with pytest.raises(Invalid, match="no key is known yet"):
        Assert(None, "", "", None).change(Memory(), 0)  # type: ignore[arg-type]
