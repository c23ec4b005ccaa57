"""What an MCP server that is a program may do to us: nothing beyond a limit with a name (T4)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from actors.connectors import mcp, mcp_stdio
from actors.connectors.mcp import AGAIN_S, START_S, STEADY_S, McpConnector, Pauses, look_at
from actors.connectors.port import ConnectorUnknown, NotDispatched
from helm.contracts.errors import Invalid
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from tests.actors.connectors.orders import order

RAW = str(Path(__file__).with_name("mcp_raw.py"))


def raw(*how: str) -> McpConnection:
    return McpConnection(name="raw", command=(sys.executable, RAW, *how), max_response_bytes=MAX_BYTES)


async def nobody(*_: str) -> None:
    """Take no notice of a drift."""


@asynccontextmanager
async def attended(connection: McpConnection) -> AsyncIterator[McpConnector]:
    """Attend a connector of a server, pinned as it lists when it behaves."""
    pins = {name: tool.pin for name, tool in (await look_at(raw())).items()}
    connector = McpConnector(connection, pins)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, nobody)
        yield connector
        nursery.cancel_scope.cancel()


async def test_a_server_that_greets_people_on_stdout_is_served_all_the_same() -> None:
    async with attended(raw("noisy")) as connector:
        assert await connector.dispatch(order({}, operation="sum")) == {"content": [{"text": "3", "type": "text"}]}


async def test_a_line_without_an_end_is_not_kept_and_its_call_is_told_as_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_stdio, "CLOSE_S", 0.1)  # it goes on writing its line for as long as it lives
    async with attended(raw("endless")) as connector:
        with trio.fail_after(60), pytest.raises(ConnectorUnknown, match="lost before it answered"):
            await connector.dispatch(order({}, operation="sum"))
        with trio.fail_after(60):
            await connector.listed()  # it was started again


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("endless at once", "a line of more than"),
        ("noise", "lines that are no messages"),
        ("pages", "more than 64 pages"),
        ("many", "not a list of at most 1024 tools"),
        ("large", "bytes"),
    ],
)
async def test_a_server_that_says_too_much_is_not_listed(how: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "CLOSE_S", 0.1)  # some of them go on saying it for as long as they live
    with trio.fail_after(60), pytest.raises(Invalid, match=says):
        await look_at(raw(how))


async def test_a_server_that_never_greets_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "READY_S", 0.5)
    monkeypatch.setattr(mcp, "START_S", 0.5)
    monkeypatch.setattr(mcp_stdio, "CLOSE_S", 0.5)
    connector = McpConnector(raw("silent"), {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, nobody)
        with pytest.raises(NotDispatched, match="is not there"):
            await connector.dispatch(order({}, operation="sum"))
        with trio.fail_after(30):
            while connector.trouble is None or "did not greet" not in connector.trouble.said:
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()


async def test_a_flood_of_notifications_makes_its_server_wait_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_stdio, "NOTICES_A_SECOND", 1_000)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await trio.sleep(0.01)
            beats += 1

    async with attended(raw("flood")) as connector, trio.open_nursery() as nursery:
        nursery.start_soon(beat)
        await connector.listed()
        before, began = beats, trio.current_time()
        answer = await connector.dispatch(order({}, operation="sum"))
        took_s, beaten = trio.current_time() - began, beats - before
        nursery.cancel_scope.cancel()
    assert answer == {"content": [{"text": "3", "type": "text"}]}
    assert took_s > 0.9
    assert beaten > 10


async def test_a_program_that_does_not_want_to_end_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_stdio, "CLOSE_S", 0.5)
    noted = tmp_path / "pids"
    await look_at(raw("stubborn", str(noted)))
    for pid in noted.read_text().split():
        with trio.fail_after(20):
            while alive(int(pid)):
                await trio.lowlevel.checkpoint()


def alive(pid: int) -> bool:
    """Tell whether a process runs; one that nobody has collected yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def test_a_server_that_reads_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "CLOSE_S", 0.5)
    long = {"text": "x" * 500_000}
    async with attended(raw("deaf")) as connector:
        await connector.listed()
        with trio.move_on_after(1) as scope:
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(connector.dispatch, order(long, operation="sum"))
    assert scope.cancelled_caught


def test_a_server_that_ends_at_once_is_tried_again_later_each_time() -> None:
    pauses = Pauses()
    waits = [pauses.after(ran_s=0.1) for _ in range(len(AGAIN_S) + 2)]
    assert waits == [*AGAIN_S, AGAIN_S[-1], AGAIN_S[-1]]


def test_a_server_that_hangs_at_its_start_is_not_taken_for_one_that_ran() -> None:
    pauses = Pauses()
    assert [pauses.after(ran_s=START_S) for _ in AGAIN_S] == [*AGAIN_S]


def test_a_server_that_ran_for_long_is_back_at_once_when_it_ends() -> None:
    pauses = Pauses()
    for _ in AGAIN_S:
        pauses.after(ran_s=0.1)
    assert [pauses.after(ran_s=STEADY_S), pauses.after(ran_s=0.1)] == [*AGAIN_S[:2]]
