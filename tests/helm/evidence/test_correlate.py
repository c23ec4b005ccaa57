"""What a host saw is explained by the best call there is, and by none that does not fit: that is boundary drift."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.evidence import correlate as module
from helm.evidence.correlate import Match, correlate
from tests.helm.evidence.hosts import EVIL, A, B, Web, connection
from tests.helm.evidence.recorder import Recorder

WITHOUT_INTENT = [ReasonCode.ERR_HOST_EGRESS_WITHOUT_INTENT]
AFTER_DENY = [ReasonCode.ERR_HOST_EGRESS_AFTER_DENY]
MISMATCH = [ReasonCode.ERR_HOST_DESTINATION_MISMATCH]
VOLUME = [ReasonCode.ERR_HOST_VOLUME_EXCEEDED]


def matched(log: Web, to: str = "api.example.com", at_s: float = 0, **more: Any) -> Match:
    """Return what explains one connection."""
    recorder = Recorder()
    connection(recorder, to, at_s, **more)
    (match,) = correlate(log.seen(recorder)).matches
    return match


def codes(match: Match) -> list[ReasonCode]:
    return [code for code, _ in match.drift]


def of_one_call(to: str = A, **more: Any) -> Web:
    log = Web.new()
    log.fetch(to, **more)
    return log


@pytest.mark.parametrize(
    ("words", "score"),
    [
        ({"agent_id": "agent"}, 100),
        ({"workload_id": "agent"}, 100),
        ({"process_identity": "web"}, 85),
        ({"process_ancestry": ["sh", "web"]}, 85),
        ({}, 65),
        ({"process_identity": "another", "workload_id": "another"}, 65),
    ],
)
def test_identity_says_more_than_a_process_and_a_process_more_than_a_destination(
    words: dict[str, Any], score: int
) -> None:
    match = matched(of_one_call(), **words)
    assert (int(match.score), codes(match)) == (score, [])


def test_a_connection_that_no_call_explains_is_drift() -> None:
    assert codes(matched(of_one_call(), "other.example.com")) == WITHOUT_INTENT


def test_an_agent_does_not_travel_on_the_call_of_another() -> None:
    """Its name is known, and the destination fits the call of somebody else."""
    log = of_one_call(principal="trusted")
    assert codes(matched(log)) == []
    assert codes(matched(log, agent_id="intruder")) == WITHOUT_INTENT


def test_a_sandbox_does_not_travel_on_the_call_of_another() -> None:
    assert codes(matched(of_one_call(), sandbox_lease_id="lease-1")) == WITHOUT_INTENT


def test_a_connection_after_a_refusal_is_drift() -> None:
    log = of_one_call(EVIL)
    assert codes(matched(log, "evil.example.com")) == AFTER_DENY
    assert codes(matched(log, "evil.example.com", agent_id="agent")) == AFTER_DENY


def test_an_agent_that_was_refused_before_it_could_say_where_to_is_refused() -> None:
    log = Web.new()
    log.freeze()
    log.fetch(A)
    assert codes(matched(log, agent_id="agent")) == AFTER_DENY


def test_a_connection_of_a_call_that_never_started_is_drift() -> None:
    log = Web.new()
    log.unstarted(A)
    assert codes(matched(log)) == WITHOUT_INTENT


def test_a_known_agent_that_goes_elsewhere_is_a_mismatch() -> None:
    assert codes(matched(of_one_call(), "other.example.com", agent_id="agent")) == MISMATCH
    assert codes(matched(of_one_call(), "other.example.com", process_identity="web")) == MISMATCH
    assert codes(matched(of_one_call(), event={"destination_port": 22}, agent_id="agent")) == MISMATCH


def test_a_local_call_explains_no_connection() -> None:
    log = Web.new()
    log.fetch("", tool="web.local")
    assert codes(matched(log, agent_id="agent")) == WITHOUT_INTENT


@pytest.mark.parametrize(("at_s", "drift"), [(-300, []), (-301, WITHOUT_INTENT), (300, []), (301, WITHOUT_INTENT)])
@pytest.mark.parametrize("words", [{}, {"agent_id": "agent"}])
def test_five_minutes_are_the_end_of_it_also_for_a_known_agent(
    at_s: int, drift: list[ReasonCode], words: dict[str, Any]
) -> None:
    assert codes(matched(of_one_call(), at_s=at_s, **words)) == drift


def test_a_day_later_nothing_is_explained() -> None:
    assert codes(matched(of_one_call(), at_s=86_400, agent_id="agent")) == WITHOUT_INTENT


def test_a_call_that_lasts_explains_what_is_seen_within_it() -> None:
    log = of_one_call(ends_s=3600)
    assert codes(matched(log, at_s=1800)) == []
    assert codes(matched(log, at_s=3600 + 301)) == WITHOUT_INTENT


def test_of_all_candidates_the_best_is_taken_wherever_it_stands() -> None:
    log = Web.new()
    log.fetch(B, at_s=0)
    wanted = log.fetch(A, at_s=60)
    log.fetch(B, at_s=61)
    match = matched(log, at_s=61, agent_id="agent")
    assert (match.call is not None and match.call.receipt_id, codes(match)) == (wanted, [])


def test_identity_outweighs_a_destination_that_fits_somebody_elses_call() -> None:
    log = Web.new()
    log.fetch(A, principal="other")
    log.fetch(B, principal="agent")
    assert codes(matched(log, workload_id="agent")) == MISMATCH


def test_the_nearest_of_two_calls_to_one_place_counts() -> None:
    log = Web.new()
    log.fetch(A, at_s=0)
    wanted = log.fetch(A, at_s=100)
    log.fetch(A, at_s=290)
    match = matched(log, at_s=110)
    assert match.call is not None
    assert match.call.receipt_id == wanted


def test_a_call_decided_by_then_counts_before_a_nearer_one_to_come() -> None:
    log = Web.new()
    wanted = log.fetch(A, at_s=0)
    log.fetch(A, at_s=100)
    match = matched(log, at_s=95)
    assert match.call is not None
    assert match.call.receipt_id == wanted


def test_calls_that_tie_give_nobody_the_benefit_of_a_doubt() -> None:
    """Refused and allowed at the same moment, to the same place: the refusal counts, in either order."""
    for first, second in ((A, ""), ("", A)):
        log = Web.new()
        for to in (first, second):
            if to:
                log.fetch(to)
            else:
                log.freeze()
                log.fetch(A)
                log.freeze("unfreeze")
        match = matched(log, process_identity="nobody")
        assert codes(match) == []  # the one that could say where to is the better candidate
    log = Web.new()
    log.fetch(EVIL)
    log.fetch(B)
    assert codes(matched(log, "elsewhere.example.com", agent_id="agent")) == AFTER_DENY
    log = Web.new()
    log.fetch(B)
    log.fetch(EVIL)
    assert codes(matched(log, "elsewhere.example.com", agent_id="agent")) == AFTER_DENY


def test_candidates_that_are_alike_in_all_else_come_out_in_the_order_of_the_log() -> None:
    log = Web.new()
    wanted = log.fetch(A)
    log.fetch(A)
    matches = {matched(log).body()["receipt_id"] for _ in range(2)}
    assert matches == {wanted}


@pytest.mark.parametrize("address", ["93.184.216.34", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_an_address_is_the_same_in_every_form(address: str) -> None:
    log = of_one_call("https://93.184.216.34")
    assert codes(matched(log, "", address=address)) == []


def test_a_written_out_ipv6_address_is_the_short_one() -> None:
    log = of_one_call("https://[2606:4700::1111]")
    assert codes(matched(log, "", address="2606:4700:0:0:0:0:0:1111")) == []
    assert codes(matched(log, "", address="2606:4700::1112")) == WITHOUT_INTENT


def test_an_address_without_a_name_is_not_the_host_that_was_named() -> None:
    assert codes(matched(of_one_call(), "")) == WITHOUT_INTENT
    assert codes(matched(of_one_call(), "", agent_id="agent")) == MISMATCH


def test_more_bytes_than_the_budget_lets_out_are_drift_from_the_receipt_on_that_exceeds_it() -> None:
    log, recorder = of_one_call(), Recorder()
    for amount in (600, 400, 1, 0):
        connection(recorder, event={"bytes_sent": amount}, agent_id="agent")
    found = [codes(match) for match in correlate(log.seen(recorder)).matches]
    assert found == [[], [], VOLUME, VOLUME]


def test_a_budget_is_counted_by_window_and_by_whom_it_binds() -> None:
    log, recorder = Web.new(), Recorder()
    for principal, at_s in (("agent", 0), ("other", 0), ("agent", 3600)):
        log.fetch(A, principal=principal, at_s=at_s)
        connection(recorder, at_s=at_s, event={"bytes_sent": 1000}, agent_id=principal)
    assert [codes(match) for match in correlate(log.seen(recorder)).matches] == [[], [], []]


def test_what_no_recorder_saw_is_drift_only_where_it_is_said_to_see_everything() -> None:
    log, recorder = Web.new(), Recorder()
    log.fetch(A, at_s=0)
    unseen = log.fetch(B, at_s=10)
    log.fetch(EVIL, at_s=11)  # refused: nothing to see
    log.fetch("", at_s=12, tool="web.local")
    log.fetch(A, at_s=20)
    log.fetch(B, at_s=9_000)  # nobody watched any more
    for at_s in (0, 20):
        connection(recorder, at_s=at_s)
    reading = log.seen(recorder)
    assert correlate(reading).drifts(reading, "key") == []
    (drift,) = correlate(reading, complete=True).drifts(reading, "key")
    assert (drift.reason_code, drift.receipt_id) == (ReasonCode.ERR_HOST_RECEIPT_MISSING, unseen)
    assert (drift.host_receipt_hash, drift.source) == ("", "")


def test_the_same_pack_and_chain_make_the_same_drift() -> None:
    log, recorder = of_one_call(EVIL), Recorder()
    connection(recorder, "evil.example.com")
    connection(recorder, "nobody.example.com")
    one, other = log.seen(recorder), log.seen(recorder)
    first = correlate(one).drifts(one, "key")
    assert first == correlate(other).drifts(other, "key")
    assert [(drift.number, drift.total) for drift in first] == [(1, 2), (2, 2)]
    assert [drift.reason_code for drift in first] == AFTER_DENY + WITHOUT_INTENT


def test_more_pairs_than_anyone_looks_at_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    log, recorder = of_one_call(), Recorder()
    for _ in range(3):
        connection(recorder)
    monkeypatch.setattr(module, "MAX_COMPARISONS", 2)
    with pytest.raises(Invalid, match="too many"):
        correlate(log.seen(recorder))
