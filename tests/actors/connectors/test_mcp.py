"""An MCP server behind HELM: started, pinned, asked, and told the truth of whatever it does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.cli.mcp.declaring import Terms, declaration
from actors.commands.servers import CommandServer
from actors.connectors.mcp import McpConnector, look_at, pins_for
from actors.kernel import Kernel
from actors.mailbox import Answer
from helm.contracts.reason import ReasonCode
from helm.guardian.bundle import load_toml
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from helm.guardian.servers import APPROVE, REVOKE, ServerCommand, sign_server_command
from tests.actors.connectors.orders import order
from tests.actors.kit import House, all_of
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.warm.python import python

SERVER = str(Path(__file__).with_name("mcp_server.py"))
DAY_MS = 86_400_000


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


def server(*how: str, environment: tuple[str, ...] = ()) -> McpConnection:
    """Return our small server, which misbehaves as its arguments say."""
    return McpConnection(
        name="small", command=(*python(), SERVER, *how), environment=environment, max_response_bytes=MAX_BYTES
    )


async def policy_of(connection: McpConnection) -> str:
    """Return the test policy with the server in it, pinned as it is when it behaves."""
    listing = await look_at(server())
    return f"{POLICY}\n{declaration(connection, listing, Terms())}"


def command(kernel: Kernel, house: House, action: str, **changes: Any) -> CommandServer:
    """Return a signed command about the server, good unless changed."""
    key = changes.pop("key", house.place.approval_key())
    now_ms = house.clock.now_ms()
    one = ServerCommand(
        **{
            "action": action,
            "expires_at_ms": now_ms + DAY_MS if action == APPROVE else 0,
            "issued_at_ms": now_ms,
            "key_id": key.key_id,
            "log_id": house.place.log_id,
            "pins_hash": kernel.memory.policy.server_pins["small"] if action == APPROVE else "",
            "reason": "a test",
            "sequence": kernel.memory.servers.sequence + 1,
            "server_id": "small",
        }
        | changes
    )
    return CommandServer(one, sign_server_command(one, key), kernel.parts.state.registry)


async def behind(connection: McpConnection, *, text: str) -> dict[str, Any]:
    """Return the connectors of a policy with the server in it."""
    policy = load_toml(text, "test")
    return {**all_of(Puppet()), "small": McpConnector(connection, pins_for(policy, "small"))}


async def compared(kernel: Kernel) -> None:
    """Return once what the server lists has been compared with its pins."""
    small = kernel.executor.connectors["small"]
    assert isinstance(small, McpConnector)
    with trio.fail_after(30):
        await small.listed()


async def sums(kernel: Kernel) -> Answer:
    return await kernel.call("small.sum", {"a": 1, "b": 2}, principal="agent")


async def test_an_approved_server_is_asked_and_its_answer_checked(house: House) -> None:
    text = await policy_of(server())
    async with house.kernel(await behind(server(), text=text), policy=text, ground=await house.real_ground()) as kernel:
        quarantined = await sums(kernel)
        await kernel.command(command(kernel, house, APPROVE))
        answer = await sums(kernel)
        failed = await kernel.call("small.say", {"fails": True}, principal="agent")
        unknown = await kernel.call("small.rm", {}, principal="agent")
        await kernel.command(command(kernel, house, REVOKE))
        revoked = await sums(kernel)
    assert (quarantined.verdict, quarantined.reason_code) == ("ESCALATE", ReasonCode.APPROVAL_REQUIRED)
    assert answer.output == {"content": [{"text": "3", "type": "text"}], "structuredContent": {"sum": 3}}
    assert (failed.status, failed.reason) == ("FAILED", "it did not work")
    assert unknown.reason_code is ReasonCode.NO_POLICY_DEFINED
    assert (revoked.verdict, revoked.reason_code) == ("DENY", ReasonCode.PDP_DENY)
    state, log = await house.read_real()
    assert state.memory.servers.said["small"].action == REVOKE
    assert log.events.count("MCP_SERVER") == 2


async def test_the_record_names_the_server(house: House) -> None:
    text = await policy_of(server())
    async with house.kernel(await behind(server(), text=text), policy=text, ground=await house.real_ground()) as kernel:
        answer = await sums(kernel)
        found = await kernel.library.story(answer.receipt.receipt_id)
    assert found is not None
    assert found["record"]["mcp_server_id"] == "small"


async def test_a_tool_that_drifted_between_list_and_call_is_never_called(house: House) -> None:
    changed = server("drifted")
    text = await policy_of(changed)
    async with house.kernel(await behind(changed, text=text), policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE))
        await compared(kernel)
        denied = await sums(kernel)
        other = await kernel.call("small.say", {}, principal="agent")
    assert (denied.verdict, denied.reason_code) == ("DENY", ReasonCode.SCHEMA_VIOLATION)
    assert other.allowed
    state, log = await house.read_real()
    assert list(state.memory.servers.drifted["small"]) == ["sum"]
    assert log.events.count("MCP_DRIFT") == 1


async def test_a_drift_that_nobody_noted_yet_is_not_dispatched_either(house: House) -> None:
    changed = server("shrunk")
    connector = McpConnector(changed, {"say": "sha256:" + "0" * 64})
    text = await policy_of(changed)
    connectors = {**all_of(Puppet()), "small": connector}
    async with house.kernel(connectors, policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE))
        answer = await sums(kernel)
    assert (answer.status, answer.reason_code) == ("NOT_DISPATCHED", ReasonCode.SCHEMA_VIOLATION)


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ("spoofs", "FAILED", ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT),
        ("dies", "INDETERMINATE", ReasonCode.ERR_INDETERMINATE),
        ("hangs", "INDETERMINATE", ReasonCode.ERR_CONNECTOR_TIMEOUT),
    ],
)
async def test_whatever_a_server_does_is_told_as_what_is_known(
    house: House, how: str, status: str, code: ReasonCode
) -> None:
    hostile = server(how)
    text = (await policy_of(hostile)).replace('operation = "sum"', 'operation = "sum"\ntimeout_ms = 1500')
    async with house.kernel(await behind(hostile, text=text), policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE))
        await compared(kernel)
        answer = await sums(kernel)
        alive = await kernel.call("read", {}, principal="agent")
    assert (answer.status, answer.reason_code) == (status, code)
    assert alive.allowed


async def test_a_server_that_died_is_started_again(house: House) -> None:
    dying = server("dies")
    text = await policy_of(dying)
    async with house.kernel(await behind(dying, text=text), policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE))
        assert (await sums(kernel)).status == "INDETERMINATE"
        with trio.fail_after(60):
            while not (await kernel.call("small.say", {}, principal="agent")).allowed:
                await compared(kernel)


async def test_whoever_waits_for_a_server_that_is_looked_at_again_goes_on_waiting() -> None:
    connector = McpConnector(server(), {name: tool.pin for name, tool in (await look_at(server())).items()})
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await connector.dispatch(order({"a": 1, "b": 2}, tool="small.sum", operation="sum")))

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as asking:
            asking.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            connector._ready.set()  # it is there, and before anybody wakes
            connector._ready = trio.Event()  # it says that its list has changed
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(connector.attend, unheard)
        nursery.cancel_scope.cancel()
    assert answers[0]["structuredContent"] == {"sum": 3}


async def test_a_server_that_is_restless_is_asked_all_the_same() -> None:
    connector = McpConnector(server("restless"), {name: tool.pin for name, tool in (await look_at(server())).items()})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, unheard)
        for _ in range(20):
            answer = await connector.dispatch(order({"a": 1, "b": 2}, tool="small.sum", operation="sum"))
            assert answer["structuredContent"] == {"sum": 3}
        nursery.cancel_scope.cancel()


async def unheard(*_: str) -> None:
    raise AssertionError("nothing drifted")


LIES = """
import sys
for number, line in enumerate(sys.stdin):
    said = '{"jsonrpc":"2.0","id":%d,"result":{"protocolVersion":7,"tools":"many","content":"no list"}}'
    print(said % number, flush=True)
"""
"""Answers everything, and nothing as it should be."""


@pytest.mark.parametrize(
    "words",
    [("/nowhere/at-all",), (sys.executable, "-c", "print('hello')"), (sys.executable, "-c", LIES)],
    ids=["is not there", "is no server", "lies"],
)
async def test_a_server_that_cannot_be_asked_ends_no_kernel(house: House, words: tuple[str, ...]) -> None:
    text = await policy_of(server())
    odd = McpConnection(name="small", command=words, environment=(), max_response_bytes=MAX_BYTES)
    text = text.replace('operation = "sum"', 'operation = "sum"\ntimeout_ms = 2500')
    async with house.kernel(await behind(odd, text=text), policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE))
        answer = await sums(kernel)
        alive = await kernel.call("read", {}, principal="agent")
    assert answer.status in ("NOT_DISPATCHED", "INDETERMINATE")
    assert answer.reason_code in (ReasonCode.ERR_CONNECTOR_ERROR, ReasonCode.ERR_CONNECTOR_TIMEOUT)
    assert alive.allowed


@pytest.mark.parametrize(
    "changes",
    [
        {"sequence": 7},
        {"log_id": "sha256:" + "1" * 64},
        {"key": "emergency"},
    ],
    ids=["played again", "of another log", "of another key"],
)
async def test_an_approval_that_no_approver_gave_grants_nothing(house: House, changes: dict[str, Any]) -> None:
    from helm.contracts.errors import Invalid, Refused
    from helm.crypto.domains import PurposeMismatch

    text = await policy_of(server())
    async with house.kernel(await behind(server(), text=text), policy=text, ground=await house.real_ground()) as kernel:
        if "key" in changes:
            with pytest.raises(PurposeMismatch):
                command(kernel, house, APPROVE, key=house.place.emergency_key())
        else:
            with pytest.raises((Invalid, Refused)):
                await kernel.command(command(kernel, house, APPROVE, **changes))
        assert (await sums(kernel)).reason_code is ReasonCode.APPROVAL_REQUIRED


async def test_an_approval_ends_and_does_not_cover_other_pins(house: House) -> None:
    text = await policy_of(server())
    async with house.kernel(await behind(server(), text=text), policy=text, ground=await house.real_ground()) as kernel:
        await kernel.command(command(kernel, house, APPROVE, pins_hash="sha256:" + "2" * 64))
        assert (await sums(kernel)).reason_code is ReasonCode.APPROVAL_REQUIRED
        await kernel.command(command(kernel, house, APPROVE))
        assert (await sums(kernel)).allowed
        house.clock.advance(DAY_MS / 1000 + 1)
        late = await sums(kernel)
    assert late.reason_code is ReasonCode.APPROVAL_REQUIRED
    assert "expired" in late.reason
