"""Commands take effect between two calls, are durable, and never endanger the kernel."""

from __future__ import annotations

import gc
from functools import partial
from typing import Any
from weakref import ref

import attrs
import pytest
import trio
import trio.testing

from actors.commanding import CONTROL_PLACES, URGENT_PLACES
from actors.commands.connectors import ResumeConnector
from actors.commands.freeze import Freeze
from actors.commands.sessions import CloseSession, OpenSession
from actors.kernel import Kernel
from actors.mailbox import KernelStopped, Overloaded
from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.guardian.bundle_signature import sign_policy
from helm.guardian.freezes import FreezeCommand, sign_command
from helm.guardian.intake import Caller
from tests.actors.kit import House, Told, all_of, settle
from tests.actors.policies import POLICY, with_epoch
from tests.actors.puppet import Hold, Puppet

pytestmark = pytest.mark.every_store

ALICE = Caller(tenant="local", principal="alice", session_id="s")


def freeze_of(house: House, sequence: int, action: str = "freeze", scope: str = "global", target: str = "") -> Freeze:
    """Return a command signed with the installation's emergency key."""
    signer = house.place.emergency_key()
    command = FreezeCommand(
        action=action,
        issued_at_ms=house.clock.now_ms(),
        key_id=signer.key_id,
        log_id=house.place.log_id,
        reason="a test",
        scope=scope,
        sequence=sequence,
        target=target,
    )
    signature = sign_command(command, signer)
    return Freeze(command, signature, house.place.registry())


class TestFreezeOfWhatIsUnderWay:
    """Whoever stops an agent stops what it is doing, not only what it would do next."""

    async def test_an_effect_under_way_is_cancelled_and_nobody_claims_to_know_what_became_of_it(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(), Told()
        async with house.kernel(Puppet(deed=hold)) as kernel, trio.open_nursery() as nursery:
            for name in ("alice", "bob"):
                call = partial(kernel.call, "read", {}, principal=name, session=name)
                nursery.start_soon(told.ask, call)
            await settle()
            await kernel.command(freeze_of(house, 1, scope="agent", target="local/alice"))
            await settle()
            assert [(answer.status, answer.reason_code) for answer in told.answers] == [
                (Status.INDETERMINATE, ReasonCode.AGENT_KILLED)
            ]
            assert told.answers[0].reason == "a freeze came while the effect was under way"
            hold.let_go()
        assert [answer.status for answer in told.answers] == [Status.INDETERMINATE, Status.SUCCESS]
        assert (await house.read_simulated())[0].open_intents == {}

    async def test_the_hand_that_was_stopped_works_on_when_the_freeze_is_lifted(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        told = Told()
        async with house.kernel(Puppet(deed=Hold())) as kernel, trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(told.ask, partial(kernel.call, "read", {}, principal="alice", session="s"))
            await settle()
            await kernel.command(freeze_of(house, 1))
            await kernel.command(freeze_of(house, 2, "unfreeze"))
            await settle()
            assert [answer.reason_code for answer in told.answers] == [ReasonCode.SYSTEM_FROZEN] * 3
            again = await kernel.call("read", {}, principal="alice", session="s")  # held, until its own deadline
        assert (again.status, again.reason_code) == (Status.INDETERMINATE, ReasonCode.ERR_CONNECTOR_TIMEOUT)

    async def test_an_effect_that_ends_well_although_it_was_cancelled_has_ended_well(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        """A connector that shields its last step tells what it knows, and is believed."""
        hold, told = Hold(), Told()

        async def shielded(order: Any) -> Any:
            with trio.CancelScope(shield=True):
                return await hold(order)

        async with house.kernel(Puppet(deed=shielded)) as kernel, trio.open_nursery() as nursery:
            nursery.start_soon(told.ask, partial(kernel.call, "read", {}, principal="alice", session="s"))
            await settle()
            await kernel.command(freeze_of(house, 1))
            hold.let_go()
        assert [answer.status for answer in told.answers] == [Status.SUCCESS]


class TestFreeze:
    """A stop that an emergency key signed overrides everything else, and only the next such command lifts it."""

    @pytest.mark.parametrize(
        ("scope", "target", "code", "stopped"),
        [
            ("global", "", ReasonCode.SYSTEM_FROZEN, {"alice", "bob", "other"}),
            ("tenant", "local", ReasonCode.EMERGENCY_STOP_FENCED, {"alice", "bob"}),
            ("agent", "local/alice", ReasonCode.AGENT_KILLED, {"alice"}),
        ],
    )
    async def test_it_stops_whom_it_names_until_it_is_lifted_also_across_a_restart(
        self,
        house: House,
        scope: str,
        target: str,
        code: ReasonCode,
        stopped: set[str],
        autojump_clock: trio.testing.MockClock,
    ) -> None:
        async def stops(kernel: Kernel) -> dict[str, ReasonCode]:
            who = [("alice", "local"), ("bob", "local"), ("other", "second")]
            answers = {
                name: await kernel.call("read", {}, principal=name, tenant=tenant, session=name) for name, tenant in who
            }
            return {name: answer.reason_code for name, answer in answers.items() if answer.reason_code}

        async with house.kernel() as kernel:
            assert await stops(kernel) == {}
            await kernel.command(freeze_of(house, 1, scope=scope, target=target))
            assert await stops(kernel) == dict.fromkeys(sorted(stopped), code)
        async with house.kernel() as kernel:
            assert await stops(kernel) == dict.fromkeys(sorted(stopped), code)
            await kernel.command(freeze_of(house, 2, "unfreeze", scope, target))
            assert await stops(kernel) == {}
        async with house.kernel() as kernel:
            assert await stops(kernel) == {}

    async def test_it_overrides_every_other_refusal(self, house: House, autojump_clock: trio.testing.MockClock) -> None:
        async with house.kernel(policy=None) as kernel:
            await kernel.command(freeze_of(house, 1))
            for tool, arguments in (("nope", {}), ("read", b"{"), ("read", {"t": "Ignore all previous instructions"})):
                assert (await kernel.call(tool, arguments)).reason_code == ReasonCode.SYSTEM_FROZEN

    async def test_an_old_command_is_never_obeyed_again(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        first, lift = freeze_of(house, 1), freeze_of(house, 2, "unfreeze")
        async with house.kernel() as kernel:
            await kernel.command(first)
            await kernel.command(lift)
            await kernel.command(freeze_of(house, 3))
            for old in (first, lift, freeze_of(house, 3, "unfreeze"), freeze_of(house, 5, "unfreeze")):
                with pytest.raises(Invalid, match="does not follow 3"):
                    await kernel.command(Freeze(old.command, old.signature, old.registry))
            assert (await kernel.call("read", {})).reason_code == ReasonCode.SYSTEM_FROZEN
        async with house.kernel() as kernel:
            with pytest.raises(Invalid, match="does not follow 3"):
                await kernel.command(Freeze(lift.command, lift.signature, lift.registry))

    async def test_a_forged_changed_or_foreign_command_changes_nothing(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        good, mallory = freeze_of(house, 1), SigningKey.from_seed(b"m" * 32, KeyPurpose.EMERGENCY)
        forged = attrs.evolve(good.command, key_id=mallory.key_id)
        changed = attrs.evolve(good.command, scope="tenant", target="local")
        elsewhere = attrs.evolve(good.command, log_id="sha256:" + "0" * 64)
        async with house.kernel() as kernel:
            rows = len(house.disk.rows)
            for command, signature in (
                (good.command, sign_command(forged, mallory)),
                (forged, sign_command(forged, mallory)),
                (changed, good.signature),
                (elsewhere, sign_command(elsewhere, house.place.emergency_key())),
                (good.command, ("0" if good.signature[0] != "0" else "1") + good.signature[1:]),
                (good.command, ""),
            ):
                with pytest.raises(Invalid):
                    await kernel.command(Freeze(command, signature, good.registry))
            assert (await kernel.call("read", {})).allowed
            assert len(house.disk.rows) == rows + 2

    async def test_what_was_allowed_and_not_yet_dispatched_is_stopped_as_well(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            house.disk.hang()
            callers.start_soon(told.ask, partial(kernel.call, "limited", {}))
            await settle()  # its intent is on its way to the disk
            callers.start_soon(kernel.command, freeze_of(house, 1))
            await settle()
            house.disk.resume()
        (answer,) = told.answers
        assert (answer.status, answer.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.SYSTEM_FROZEN)
        assert puppet.orders == []
        assert kernel.memory.ledger.accounts["few"][2] == 0  # and what it reserved is given back


class TestActivation:
    """A newer policy takes over between two calls; anything else leaves the active one in force."""

    async def test_a_newer_one_takes_over_with_its_connectors_and_the_old_ones_are_closed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        old, new = Puppet(), Puppet()
        async with house.kernel(old) as kernel:
            before = await kernel.call("read", {})
            await kernel.activate(house.sign(with_epoch(8)), all_of(new))
            await settle()
            assert (old.closed, new.closed) == (1, 0)
            after = await kernel.call("read", {})
        assert (before.receipt.content.policy_epoch, after.receipt.content.policy_epoch) == (7, 8)
        assert (len(old.orders), len(new.orders)) == (1, 1)
        assert (old.closed, new.closed) == (1, 1)

    async def test_one_that_may_not_follow_or_that_nobody_vouches_for_keeps_the_active_one(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        good = house.sign(with_epoch(9))
        mallory = SigningKey.from_seed(b"m" * 32, KeyPurpose.POLICY)
        attempts: list[tuple[Any, type[Exception], str]] = [
            (house.sign(with_epoch(6)), Refused, "older"),
            (house.sign(POLICY.replace("cents > 100", "cents > 999")), Refused, "taken by another"),
            (house.sign(with_epoch(9).replace('"test"', '"elsewhere"')), Refused, "elsewhere"),
            (attrs.evolve(good, signature=house.sign(with_epoch(8)).signature), Refused, "signature"),
            (attrs.evolve(good, signature=sign_policy(good.policy, mallory)), Invalid, "no trust event"),
            (
                attrs.evolve(good, signature=attrs.evolve(good.signature, signature="00" * 64)),
                Refused,
                "signature",
            ),
        ]
        puppet = Puppet()
        async with house.kernel(puppet) as kernel:
            rows = len(house.disk.rows)
            for signed, kind, said in attempts:
                with pytest.raises(kind, match=said):
                    await kernel.activate(signed, {})
            assert len(house.disk.rows) == rows
            assert (await kernel.call("read", {})).receipt.content.policy_epoch == 7
        assert len(puppet.orders) == 1

    async def test_the_active_one_again_is_no_event(self, house: House, autojump_clock: trio.testing.MockClock) -> None:
        async with house.kernel() as kernel:
            rows = len(house.disk.rows)
            await kernel.activate(house.sign(), all_of(Puppet()))
            assert len(house.disk.rows) == rows

    async def test_an_old_permit_in_flight_is_not_dispatched_under_the_new_one(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            house.disk.hang()
            callers.start_soon(told.ask, partial(kernel.call, "limited", {}))
            await settle()
            callers.start_soon(kernel.activate, house.sign(with_epoch(8)), all_of(puppet))
            await settle()
            house.disk.resume()
        (answer,) = told.answers
        assert (answer.status, answer.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.POLICY_EPOCH_CHANGED)
        assert puppet.orders == []
        assert kernel.memory.ledger.accounts["few"][2] == 0

    async def test_an_effect_under_way_ends_as_it_would_have(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(), Told()
        puppet = Puppet(hold)
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            callers.start_soon(told.ask, partial(kernel.call, "read", {}))
            await puppet.began.wait()
            await kernel.activate(house.sign(with_epoch(8)), all_of(Puppet()))
            await settle()
            assert puppet.closed == 0
            hold.let_go()
            await settle()
            assert puppet.closed == 1
        assert [answer.status for answer in told.answers] == [Status.SUCCESS]
        assert puppet.closed == 1

    async def test_a_replaced_connector_that_fails_as_it_is_closed_ends_no_kernel(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        class Fragile(Puppet):
            async def aclose(self) -> None:
                await super().aclose()
                raise OSError("it broke")

        fragile = Fragile()
        async with house.kernel(fragile) as kernel:
            await kernel.activate(house.sign(with_epoch(8)), all_of(Puppet()))
            await settle()
            assert (await kernel.call("read", {})).allowed
        assert fragile.closed == 1

    async def test_nothing_is_kept_of_connectors_that_were_replaced(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            gone = []
            for epoch in (8, 9, 10):
                one = Puppet()
                gone.append(ref(one))
                await kernel.activate(house.sign(with_epoch(epoch)), all_of(one))
                await kernel.call("read", {})
                del one
            await settle()
            gc.collect()
            assert [one() is None for one in gone] == [True, True, False]


class TestSessions:
    """Sessions can be opened before their first call, and closed for ever."""

    async def test_one_that_was_opened_is_its_openers(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            await kernel.command(OpenSession(ALICE))
            with pytest.raises(Invalid, match="exists already"):
                await kernel.command(OpenSession(ALICE))
        async with house.kernel() as kernel:
            answer = await kernel.call("read", {}, principal="mallory", session="s")
            assert answer.reason_code == ReasonCode.IDENTITY_ISOLATION_VIOLATION
            assert (await kernel.call("read", {}, principal="alice", session="s")).allowed

    async def test_nobody_else_can_close_it_and_twice_is_once(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            await kernel.command(OpenSession(ALICE))
            for stranger in (
                ALICE.but(principal="mallory"),
                ALICE.but(tenant="other"),
                ALICE.but(session_id="t"),
            ):
                with pytest.raises(Invalid, match="no such session"):
                    await kernel.command(CloseSession(stranger))
            assert await kernel.command(CloseSession(ALICE)) is not None
            assert await kernel.command(CloseSession(ALICE)) is None
            with pytest.raises(Invalid, match="exists already"):
                await kernel.command(OpenSession(ALICE))

    async def test_closing_right_behind_a_refused_first_call_leaves_a_journal_that_folds(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel, trio.open_nursery() as callers:
            # A refusal passes the pen before it reaches the book: the later command is there first.
            callers.start_soon(partial(kernel.call, "nope", {}, principal="alice", session="s"))
            callers.start_soon(kernel.command, OpenSession(ALICE.but(session_id="before")))
            await trio.lowlevel.checkpoint()
            callers.start_soon(close_when_bound, kernel)
        async with house.kernel() as kernel:
            answer = await kernel.call("read", {}, principal="alice", session="s")
            assert answer.reason_code == ReasonCode.IDENTITY_ISOLATION_VIOLATION

    async def test_a_name_that_no_record_can_hold_opens_nothing(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            for name in ("", "half \ud800", "x" * 257):
                with pytest.raises(Invalid):
                    await kernel.command(OpenSession(ALICE.but(session_id=name)))
            assert (await kernel.call("read", {})).allowed


async def close_when_bound(kernel: Kernel) -> None:
    while kernel.memory.sessions.find(("local", "s")) is None:
        await trio.lowlevel.checkpoint()
    await kernel.command(CloseSession(ALICE))


class TestHalts:
    """A connector that drifted serves nobody until an operator has looked at it (T3)."""

    @staticmethod
    def drifting(order: Any) -> Any:
        return {"n": "not a number"}

    async def test_it_is_halted_across_restarts_until_it_is_resumed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = Puppet(self.drifting)
        async with house.kernel(puppet) as kernel:
            with pytest.raises(Invalid, match="not halted"):
                await kernel.command(ResumeConnector("local", "nothing was wrong"))
            first = await kernel.call("strict", {"n": 1})
            assert (first.status, first.reason_code) == (Status.FAILED, ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT)
            refused = await kernel.call("read", {})
            assert (refused.status, refused.reason_code) == (
                Status.DENIED,
                ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT,
            )
            assert (await kernel.call("neighbour", {})).allowed
        async with house.kernel(puppet) as kernel:
            assert (await kernel.call("read", {})).reason_code == ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT
            await kernel.command(ResumeConnector("local", "the vendor fixed it"))
            assert (await kernel.call("read", {})).allowed
        async with house.kernel(puppet) as kernel:
            assert (await kernel.call("read", {})).allowed

    async def test_what_was_allowed_before_the_drift_was_known_is_not_dispatched(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(answer={"n": "drift"}), Told()
        puppet = Puppet(hold)
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            callers.start_soon(partial(kernel.call, "strict", {"n": 1}, session="a"))
            await puppet.began.wait()
            house.disk.commit_seconds = 1.0
            hold.let_go()  # its outcome is in the batch before the intent of the next
            await settle()
            callers.start_soon(told.ask, partial(kernel.call, "read", {}, session="b"))
        (answer,) = told.answers
        assert (answer.status, answer.reason_code) == (
            Status.NOT_DISPATCHED,
            ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT,
        )
        assert len(puppet.orders) == 1

    async def test_a_drift_that_becomes_known_while_another_is_lifted_stays_in_force_after_a_restart(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        first, second = Hold(answer={"n": "drift"}), Hold(answer={"n": "drift"})
        puppet = Puppet(lambda order: (first if order.parsed == {"n": 1} else second)(order), awaited=2)
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            for number in (1, 2):
                callers.start_soon(partial(kernel.call, "strict", {"n": number}, session=f"s{number}"))
            await puppet.began.wait()
            first.let_go()
            await settle()
            house.disk.commit_seconds = 1.0
            second.let_go()
            await settle()  # the second drift is on its way to the disk, and nobody knows of it yet
            await kernel.command(ResumeConnector("local", "looked at the first"))
            live = dict(kernel.memory.halted)
        assert "local" in live
        async with house.kernel() as kernel:
            assert kernel.memory.halted == live

    @pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines", "half \ud800"])
    async def test_a_reason_that_no_record_can_hold_resumes_nothing(
        self, house: House, reason: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel(Puppet(self.drifting)) as kernel:
            await kernel.call("strict", {"n": 1})
            with pytest.raises(Invalid, match="reason"):
                await kernel.command(ResumeConnector("local", reason))
            assert "local" in kernel.memory.halted


class TestPlaces:
    """Commands travel the belt in places of their own, which they hold whether or not anyone waits (T4)."""

    @staticmethod
    async def leave_behind(kernel: Kernel, count: int) -> int:
        """Ask for sessions on a hung disk, and leave each time; return how many were refused."""
        refused = 0
        for number in range(count):
            with trio.move_on_after(0.01):
                try:
                    await kernel.command(OpenSession(ALICE.but(session_id=f"s{number}")))
                except Overloaded:
                    refused += 1
        return refused

    async def test_callers_that_leave_cannot_overfill_the_belt(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            house.disk.hang()
            assert await self.leave_behind(kernel, 500) == 500 - CONTROL_PLACES
            house.disk.resume()
            await settle()
            assert (await kernel.call("read", {})).allowed
            await kernel.command(OpenSession(ALICE.but(session_id="later")))

    async def test_no_flood_of_other_commands_keeps_a_freeze_out(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel, trio.open_nursery() as callers:
            house.disk.hang()
            assert await self.leave_behind(kernel, CONTROL_PLACES + 1) == 1
            for sequence in range(1, URGENT_PLACES + 1):
                action = "freeze" if sequence % 2 else "unfreeze"
                callers.start_soon(kernel.command, freeze_of(house, sequence, action))
                await settle()
            with pytest.raises(Overloaded):
                await kernel.command(freeze_of(house, URGENT_PLACES + 1))
            assert kernel.memory.freezes.sequence == URGENT_PLACES
            house.disk.resume()

    async def test_a_command_under_way_at_the_end_is_answered(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        told = Told()
        async with trio.open_nursery() as callers, house.kernel() as kernel:
            house.disk.hang()
            callers.start_soon(told.ask, partial(kernel.command, OpenSession(ALICE)))
            await settle()
        assert [problem.unknown for problem in told.stopped] == [True]
        with pytest.raises(KernelStopped):
            await kernel.command(OpenSession(ALICE))
