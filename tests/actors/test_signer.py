"""The signer's batches: those of different sessions are signed side by side, those of one session one after another."""

from __future__ import annotations

import itertools
import threading
from functools import partial

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from actors.mailbox import Answer, Case
from actors.signer import of_different_sessions
from helm.contracts.errors import Broken
from helm.contracts.verdict import Status
from helm.crypto.ed25519 import Signer as Pen
from helm.guardian.intake import Caller, admit
from tests.actors.kit import LIMITS, House
from tests.actors.puppet import Puppet


def case_of(session: str) -> Case:
    return Case(admit(Caller(tenant="local", principal="agent", session_id=session), "read", {}))


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20))
def test_cases_keep_their_order_and_no_two_of_a_part_are_of_one_session(sessions: list[str]) -> None:
    cases = [case_of(session) for session in sessions]
    parts = list(of_different_sessions(cases))
    assert [case for part in parts for case in part] == cases
    for part in parts:
        assert len({case.call.session for case in part}) == len(part) > 0
    for before, after in itertools.pairwise(parts):
        assert after[0].call.session in {case.call.session for case in before}  # cut where it must be, not elsewhere


@pytest.mark.parametrize("sessions", [1, 2, 7, 60], ids="{} sessions".format)
async def test_receipts_of_a_crowd_follow_each_other_in_each_session(
    sessions: int, house: House, autojump_clock: trio.testing.MockClock
) -> None:
    answers: dict[str, list[Answer]] = {f"s{number}": [] for number in range(sessions)}

    async def ask(session: str) -> None:
        answers[session].append(await kernel.call("read", {"of": session}, session=session))

    limits = attrs.evolve(LIMITS, places=64, places_per_principal=64)
    async with house.kernel(Puppet(), limits=limits) as kernel, trio.open_nursery() as nursery:
        for number in range(60):
            nursery.start_soon(partial(ask, f"s{number % sessions}"))
    for session in answers.values():
        chain = sorted((answer.receipt for answer in session), key=lambda sealed: sealed.content.lamport_clock)
        assert [sealed.content.lamport_clock for sealed in chain] == [*range(1, len(chain) + 1)]
        for before, after in itertools.pairwise(chain):
            assert after.content.prev_hash == before.signature
    _, log = await house.read_simulated()
    log.check_all_sealed(shown={one.receipt.receipt_id for of in answers.values() for one in of}, dispatched=set())


async def test_a_receipt_that_claims_what_was_not_decided_is_not_signed(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(Puppet()) as kernel:
        case = Case(admit(Caller(tenant="local", principal="agent", session_id="s"), "no.such.tool", {}))
        kernel.guardian.post_refusal = kernel.guardian.post_intent = ignore
        kernel.guardian.judge(case)
        case.status = Status.SUCCESS
        with pytest.raises(Broken, match="receipt policy"):
            kernel.signer.seal([case], 1, nobody_signs)
        assert case.sealed is None


async def test_a_pen_that_blocks_signs_beside_the_loop(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel(Puppet()) as kernel:
        pen = kernel.signer.pen = Watched(kernel.signer.pen)
        kernel.signer.pen_blocks = True
        answer = await kernel.call("read", {})
    assert answer.allowed
    assert pen.threads and threading.current_thread() not in pen.threads


class Watched:
    """A pen that notes in which thread it signs."""

    def __init__(self, pen: Pen) -> None:
        self.key_id, self.purpose, self.public_key = pen.key_id, pen.purpose, pen.public_key
        self._pen = pen
        self.threads: list[threading.Thread] = []

    def sign(self, domain: bytes, message: bytes) -> str:
        self.threads.append(threading.current_thread())
        return self._pen.sign(domain, message)


def ignore(_: object) -> None:
    """Leave a case where it is."""


def nobody_signs(domain: bytes, messages: list[bytes]) -> list[str]:
    raise AssertionError("it came as far as the pen")
