"""Figures for dashboards: they agree with the receipts, name nobody, and are an operator's to read."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from actors.doors.metrics import METRICS
from tests.actors.doors.street import Street


async def figures(street: Street) -> dict[str, dict[tuple[str, ...], float]]:
    """Return every figure, by name and labels in the order of their names, as a client of another make reads them."""
    reply = await street.ask("GET", METRICS, key=street.admin)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain")
    read: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            read.setdefault(sample.name, {})[tuple(sample.labels[name] for name in sorted(sample.labels))] = (
                sample.value
            )
    return read


async def test_decisions_are_counted_by_how_they_ended(street: Street) -> None:
    for body in ({"tool": "read", "arguments": {}}, {"tool": "read", "arguments": {}}, {"tool": "nowhere"}):
        await street.call(body)
    counted = (await figures(street))["helm_decisions_total"]
    assert counted == {("", "SUCCESS", "ALLOW"): 2, ("NO_POLICY_DEFINED", "DENIED", "DENY"): 1}


async def test_every_answer_is_in_one_span_of_time(street: Street) -> None:
    for _ in range(3):
        await street.call({"tool": "read", "arguments": {}})
    found = await figures(street)
    assert found["helm_call_seconds_count"] == {(): 3}
    assert found["helm_call_seconds_bucket"]["+Inf",] == 3
    assert 0 < found["helm_call_seconds_sum"][()] < 60
    upwards = list(found["helm_call_seconds_bucket"].values())
    assert upwards == sorted(upwards)


async def test_levels_say_how_the_kernel_stands(street: Street) -> None:
    found = await figures(street)
    assert found["helm_ready"] == {(): 1}
    assert found["helm_calls_in_flight"] == {(): 0}
    assert found["helm_calls_in_flight_limit"] == {(): 16}
    assert found["helm_policy_epoch"] == {(): 7}
    assert found["helm_stops_in_force"] == {(): 0}
    before = found["helm_journal_entries"][()]
    await street.call({"tool": "read", "arguments": {}})
    assert (await figures(street))["helm_journal_entries"][()] == before + 2


async def test_no_figure_names_who_asked_or_for_what(street: Street) -> None:
    await street.call({"tool": "a-very-private-name", "arguments": {}})
    body = (await street.ask("GET", METRICS, key=street.admin)).body
    assert b"a-very-private-name" not in body
    assert b"acme" not in body


async def test_a_tenants_key_reads_no_figures(street: Street) -> None:
    assert (await street.ask("GET", METRICS)).status == 403
    assert (await street.ask("GET", METRICS, key="")).status == 401
