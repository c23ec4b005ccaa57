"""Spans and figures reach a collector, prove nothing, name no secret, and cost nothing but a count when it is gone."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final

import attrs
import pytest
import trio

from actors.connectors.port import ConnectorFailed, Dispatch
from actors.figures import Figure, figures
from actors.losses import Losses
from actors.observing import LOW_BITS, Sampler, observing
from actors.origin import Origin
from actors.telemetry import courier as couriers
from actors.telemetry.courier import Courier
from actors.telemetry.headers import Headers
from actors.telemetry.otlp import Otlp
from helm.contracts.form import JSONValue
from tests.actors.doors.street import Street, open_street
from tests.actors.kit import House
from tests.actors.puppet import Puppet
from tests.actors.telemetry.collector import Heard, attributes, collecting

TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER: Final = "00f067aa0ba902b7"
TRACEPARENT: Final = f"00-{TRACE}-{CALLER}-01"

SOON_S: Final = 60.0
"""Longest wait for a thread: on a busy machine it may get its turn late."""

SECRET: Final = "correct-horse-battery-staple"


@attrs.define(eq=False)
class Told:
    """A street whose calls are told to a collector."""

    street: Street
    heard: Heard
    losses: Losses
    orders: list[Dispatch]


@contextmanager
def carrying(courier: Courier) -> Iterator[None]:
    """Carry until the body ends; everything that was taken has been told then."""
    with courier.running():
        yield


@asynccontextmanager
async def told_street(
    house: House, heard: Heard, *, share: float = 1.0, puppet: Puppet | None = None, timeout_s: float = SOON_S
) -> AsyncIterator[Told]:
    """Open a street before a collector; once it is closed, the collector has heard everything."""
    losses, found = Losses(), list[Figure]()
    collector = Otlp(heard.url, house.place.log_id, Headers(), timeout_s)
    courier = Courier(collector, losses, lambda: found, 3600.0, last_words_s=SOON_S)
    puppet = puppet or Puppet()
    watched = observing(losses, share=share, tell_all=None, tell_traced=courier.take)
    async with open_street(house, puppet, observing=watched) as street:
        yield Told(street, heard, losses, puppet.orders)
        found += figures(street.kernel)
    with carrying(courier):
        pass


@pytest.fixture(scope="module")
def listening() -> Iterator[Heard]:
    """One collector for all of them."""
    with collecting() as heard:
        yield heard


@pytest.fixture
def heard(listening: Heard) -> Heard:
    """A collector that has heard nothing yet."""
    listening.traces.clear()
    listening.metrics.clear()
    listening.raw.clear()
    return listening


async def test_a_call_is_a_decision_and_within_it_the_tool_that_ran(house: House, heard: Heard) -> None:
    async with told_street(house, heard) as told:
        reply = await told.street.call({"tool": "read", "arguments": {}}, traceparent=TRACEPARENT)
    decision, effect = heard.spans
    assert (decision.name, effect.name) == ("helm.governance.decision", "gen_ai.tool_call")
    assert decision.trace_id.hex() == effect.trace_id.hex() == TRACE
    assert (decision.parent_span_id.hex(), effect.parent_span_id) == (CALLER, decision.span_id)
    assert decision.start_time_unix_nano <= effect.start_time_unix_nano <= effect.end_time_unix_nano
    assert effect.end_time_unix_nano <= decision.end_time_unix_nano
    said = attributes(effect)
    assert (said["gen_ai.operation.name"], said["gen_ai.tool.name"]) == ("execute_tool", "read")
    assert said["helm.receipt.id"] == reply.receipt["receipt_id"] == attributes(decision)["helm.receipt.id"]
    assert said["helm.args.hash"] == reply.receipt["args_hash"]
    assert (said["helm.verdict"], said["helm.tenant"], said["helm.status"]) == ("ALLOW", "acme", "SUCCESS")


async def test_a_refusal_has_no_span_of_a_tool_and_names_none_that_the_policy_does_not_know(
    house: House, heard: Heard
) -> None:
    async with told_street(house, heard) as told:
        await told.street.call({"tool": SECRET, "arguments": {}})
        await told.street.call({"tool": "strict", "arguments": {"no": 1}})
    unknown, known = heard.spans
    assert {unknown.name, known.name} == {"helm.governance.decision"}
    assert "gen_ai.tool.name" not in attributes(unknown)
    assert attributes(unknown)["helm.reason_code"] == "NO_POLICY_DEFINED"
    assert attributes(known)["gen_ai.tool.name"] == "strict"
    assert known.status.code == 0  # a refusal is no error: it is what HELM is there for


async def test_an_effect_that_failed_is_an_error_with_a_code_and_without_words(house: House, heard: Heard) -> None:
    def fail(order: Dispatch) -> JSONValue:
        raise ConnectorFailed(f"no such account {SECRET}")

    async with told_street(house, heard, puppet=Puppet(fail)) as told:
        await told.street.call({"tool": "read", "arguments": {}})
    assert [span.status.code for span in heard.spans] == [2, 2]
    assert {attributes(span)["error.type"] for span in heard.spans} == {"ERR_CONNECTOR_ERROR"}
    assert SECRET.encode() not in b"".join(heard.raw)


async def test_the_trace_goes_on_to_whoever_executes_the_call(house: House, heard: Heard) -> None:
    async with told_street(house, heard) as told:
        await told.street.call({"tool": "read", "arguments": {}}, traceparent=TRACEPARENT)
        await told.street.call({"tool": "read", "arguments": {}})
        (first, second) = told.orders
    effects = [span for span in heard.spans if span.name == "gen_ai.tool_call"]
    assert first.traceparent == f"00-{TRACE}-{effects[0].span_id.hex()}-01"
    assert second.traceparent == f"00-{effects[1].trace_id.hex()}-{effects[1].span_id.hex()}-01"


async def test_what_is_not_sampled_passes_with_the_trace_it_came_with(house: House, heard: Heard) -> None:
    async with told_street(house, heard, share=0.0) as told:
        await told.street.call({"tool": "read", "arguments": {}}, traceparent=TRACEPARENT)
        assert [order.traceparent for order in told.orders] == [TRACEPARENT]
    assert heard.spans == []


async def test_without_observers_a_trace_is_forwarded_all_the_same(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street:
        await street.call({"tool": "read", "arguments": {}}, traceparent=TRACEPARENT)
        await street.call({"tool": "read", "arguments": {}}, traceparent=f"00-{'0' * 32}-{CALLER}-01")
    assert [order.traceparent for order in puppet.orders] == [TRACEPARENT, ""]


async def test_an_embedding_program_says_which_trace_its_calls_belong_to(house: House, heard: Heard) -> None:
    async with told_street(house, heard) as told:
        await told.street.kernel.call("read", {}, origin=Origin(traceparent=TRACEPARENT))
    assert {span.trace_id.hex() for span in heard.spans} == {TRACE}


async def test_telemetry_says_of_itself_that_it_is_no_evidence(house: House, heard: Heard) -> None:
    async with told_street(house, heard) as told:
        await told.street.call({"tool": "read", "arguments": {}})
    assert [attributes(span)["helm.authoritative"] for span in heard.spans] == [False, False]
    assert len(heard.resources) == 2  # with the spans, and with the figures
    for about in heard.resources:
        assert about["helm.authoritative"] is False
        assert "not evidence" in about["helm.notice"]
        assert about["service.name"] == "helm"
        assert about["helm.log.id"] == house.place.log_id


async def test_no_secret_of_a_caller_or_a_tool_reaches_the_collector(house: House, heard: Heard) -> None:
    def answer(order: Dispatch) -> JSONValue:
        return {"answer": SECRET}

    async with told_street(house, heard, puppet=Puppet(answer)) as told:
        street = told.street
        headers = {"x_helm_session": SECRET, "x_upstream_key": SECRET, "x_request_id": SECRET, "cookie": SECRET}
        body = {"tool": "read", "arguments": {"token": SECRET}, "session_id": SECRET, "idempotency_key": SECRET}
        assert SECRET in (await street.call(body, **headers)).body.decode()
        await street.call({"tool": SECRET, "arguments": {SECRET: SECRET}}, **headers)
        await street.call(json.dumps({"tool": "read", "arguments": SECRET}).encode(), **headers)
        keys = (street.agent, street.admin)
    assert len(heard.spans) == 4
    told_all = b"".join(heard.raw)
    assert [secret for secret in (SECRET, *keys) if secret.encode() in told_all] == []


async def test_the_figures_are_those_of_the_metrics_route(house: House, heard: Heard) -> None:
    async with told_street(house, heard) as told:
        for tool in ("read", "read", "nowhere"):
            await told.street.call({"tool": tool, "arguments": {}})
    found = heard.figures
    points = found["helm.decisions.total"].sum.data_points
    decisions = {attributes(point)["verdict"]: point.as_double or point.as_int for point in points}
    assert decisions == {"ALLOW": 2, "DENY": 1}
    assert found["helm.decisions.total"].sum.is_monotonic
    (spans,) = found["helm.call.seconds"].histogram.data_points
    assert (spans.count, sum(spans.bucket_counts), len(spans.bucket_counts)) == (3, 3, len(spans.explicit_bounds) + 1)
    assert not spans.HasField("min")
    assert not spans.HasField("max")
    (receipts,) = found["helm.receipts.total"].sum.data_points
    assert (receipts.as_int or receipts.as_double) == 3
    assert found["helm.calls.in_flight"].gauge.data_points
    assert not any(SECRET in name or "acme" in str(metric) for name, metric in found.items())


# -- a collector that is gone -------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Deaf:
    """A collector that takes nothing, and may not even answer."""

    holds: threading.Event = attrs.field(factory=threading.Event)
    asked: threading.Event = attrs.field(factory=threading.Event)

    def spans(self, calls: Sequence[Any], /) -> bool:
        self.asked.set()
        self.holds.wait()
        return False

    def figures(self, found: Sequence[Figure], /) -> bool:
        return False

    def abandon(self) -> None:
        self.holds.set()


async def test_a_collector_that_refuses_costs_a_count_and_no_receipt(house: House) -> None:
    with collecting(status=400) as heard:
        async with told_street(house, heard) as told:
            for _ in range(3):
                assert (await told.street.call({"tool": "read", "arguments": {}})).status == 200
    assert (told.losses.spans_undelivered, told.losses.figures_undelivered) == (6, 1)


async def test_a_collector_that_is_not_there_costs_a_count(house: House) -> None:
    async with told_street(house, Heard(url="http://127.0.0.1:9"), timeout_s=0.2) as told:
        assert (await told.street.call({"tool": "read", "arguments": {}})).status == 200
    assert told.losses.spans == 2


ENDLESS = 256 * 1024 * 1024


FRAMINGS: Final = {
    "to the end of the connection": (b"", b""),
    "in chunks": (b"transfer-encoding: chunked\r\n", b"10000\r\n"),
    "compressed": (b"content-encoding: gzip\r\n", b""),
}


def tell_endlessly(listener: socket.socket, framing: tuple[bytes, bytes], sent: list[int]) -> None:
    """Answer one message with a body that goes on for as long as anybody takes it, or nearly so."""
    client, _ = listener.accept()
    header, size = framing
    block = size + bytes(64 * 1024) + (b"\r\n" if size else b"")
    with client, suppress(OSError):
        client.recv(65_536)
        client.sendall(b"HTTP/1.1 200 OK\r\n" + header + b"\r\n")
        while sum(sent) < ENDLESS:
            client.sendall(block)
            sent.append(len(block))


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_a_collector_that_never_ends_its_answer_does_not_fill_our_memory(framing: tuple[bytes, bytes]) -> None:
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        collector = threading.Thread(target=tell_endlessly, args=(listener, framing, sent))
        collector.start()
        assert Otlp(f"http://127.0.0.1:{listener.getsockname()[1]}", "log", Headers()).figures([])
        collector.join()
    assert sum(sent) < ENDLESS // 4


async def test_a_collector_that_hangs_fills_a_bounded_queue_and_stops_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "MAX_WAITING", 4)
    monkeypatch.setattr(couriers, "BATCH", 2)
    monkeypatch.setattr(couriers, "FLUSH_S", 3600.0)  # only a whole batch wakes it
    deaf, losses = Deaf(), Losses()
    courier = Courier(deaf, losses, lambda: (), 3600.0, last_words_s=SOON_S)
    watched = observing(losses, share=1.0, tell_all=None, tell_traced=courier.take)
    with courier.running():
        async with house.kernel(observing=watched) as kernel:
            for _ in range(2):
                await kernel.call("read", {})
            await trio.to_thread.run_sync(deaf.asked.wait)
            for _ in range(9):
                assert (await kernel.call("read", {})).allowed
            lost = next(one for one in figures(kernel) if one.name == "helm.telemetry.lost_spans.total")
        assert losses.spans_refused == lost.points[0].value == 2 * (11 - 2 - 4)
        deaf.abandon()
    assert losses.spans == 22


# -- which calls are traced ---------------------------------------------------------------------------------------


def test_samplers_that_go_by_the_trace_id_choose_the_same_traces() -> None:
    below, above = LOW_BITS // 4, LOW_BITS // 4 * 3
    sampler = Sampler(0.5)
    assert sampler.trace_of(f"00-{below:032x}-{CALLER}-00") is not None
    assert sampler.trace_of(f"00-{above:032x}-{CALLER}-01") is None  # whatever its caller would like


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (1.0, 400, 400), (0.5, 120, 280)])
def test_the_share_of_traces_is_as_it_is_set(share: float, least: int, most: int) -> None:
    sampler = Sampler(share)
    assert least <= sum(sampler.trace_of("") is not None for _ in range(400)) <= most
