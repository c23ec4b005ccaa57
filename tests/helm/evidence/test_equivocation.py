"""A log that tells two stories: whoever holds both can show it, and a log that tells one is never accused (T5)."""

from __future__ import annotations

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.evidence.checkpoints import seal
from helm.evidence.equivocation import Equivocation, Statement, check_no_equivocation, statement_of
from helm.proofgraph.checkpoint import SealedCheckpoint
from tests.helm.evidence.material import Log, key_of


def log_of(*sessions: str) -> Log:
    log = Log().begin()
    for session in sessions:
        log.call(session)
    return log


def told(log: Log) -> Statement:
    return statement_of(log.checkpoint())


def test_a_log_that_grows_is_never_accused() -> None:
    log = log_of("s1")
    statements = [told(log)]
    for session in ("s1", "s2", "s1"):
        log.call(session)
        statements.append(told(log))
    for one in statements:
        for other in statements:
            check_no_equivocation(one, other)


def test_two_pasts_of_one_size_are_caught_also_by_their_notes_alone() -> None:
    one, other = told(log_of("s1", "s2")), told(log_of("s2", "s1"))
    with pytest.raises(Equivocation, match="two roots over the same 2 receipts"):
        check_no_equivocation(one, other)
    notes = [Statement(origin=said.origin, size=said.size, root=said.root) for said in (one, other)]
    with pytest.raises(Equivocation, match="two roots"):
        check_no_equivocation(*notes)


def test_two_checkpoints_of_one_number_are_caught() -> None:
    with pytest.raises(Equivocation, match="two checkpoints of number 1"):
        check_no_equivocation(told(log_of("s1")), told(log_of("s1", "s1")))


def test_a_checkpoint_that_disowns_the_one_before_it_is_caught() -> None:
    log = log_of("s1")
    first = told(log)
    log.call("s1")

    def disown(sealed: SealedCheckpoint) -> SealedCheckpoint:
        return seal(sealed.content.but(prev_checkpoint_hash="sha256:" + "0" * 64), key_of(KeyPurpose.EXECUTION))

    second = statement_of(log.checkpoint(forge=disown))
    with pytest.raises(Equivocation, match="stands on another one"):
        check_no_equivocation(second, first)


def test_a_log_that_was_cut_off_and_went_on_is_caught() -> None:
    long, short = log_of("s1", "s1", "s1"), log_of("s1")
    early = told(long)
    short.checkpoint()
    short.call("s1")
    short.checkpoint()
    later = told(short)
    with pytest.raises(Equivocation, match=r"covers less|two checkpoints"):
        check_no_equivocation(early, later)


def test_checkpoints_of_two_logs_say_nothing_about_each_other() -> None:
    other = Log(number=2).begin()
    other.call("s1")
    with pytest.raises(Invalid, match="of two logs"):
        check_no_equivocation(told(log_of("s1")), told(other))
