"""Why a connector cannot be used is told in words of our own: a server's words may hold anything (T2), and secrets."""

from __future__ import annotations

import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import httpcore2
import httpx2
import pytest
import trio
import trio.testing

from actors.connectors import mcp, mcp_stdio
from actors.connectors.http import what_is_known
from actors.connectors.mcp import McpConnector, look_at
from actors.connectors.mcp_http import Wire
from actors.connectors.port import ConnectorFailed, NotDispatched, Unreachable
from actors.connectors.trouble import MAX_SAID, Trouble, Troubles, after, cause_of, plain
from actors.connectors.tunnel import TunnelConnector
from actors.doors.connect.mouth import ClientMouth
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection, TunnelConnection
from tests.actors.connectors.mcp_address import Front, at_address
from tests.actors.connectors.mcp_server import small
from tests.actors.connectors.orders import order

SOON_S: Final = 60.0
SECRET: Final = "correct-horse-battery-staple"

REFUSING: Final = f"""
import json, sys
for line in sys.stdin:
    error = {{"code": -32603, "message": "{SECRET} \\x1b[2J\\u202e"}}
    print(json.dumps({{"jsonrpc": "2.0", "id": json.loads(line)["id"], "error": error}}), flush=True)
"""
BABBLING: Final = f"""
import json, sys
for line in sys.stdin:
    print(json.dumps({{"jsonrpc": "2.0", "id": json.loads(line).get("id"), "result": {{"{SECRET}": 7}}}}), flush=True)
"""
SHADOWING: Final = f"""
import json, sys
TOOL = {{"name": "{SECRET}", "inputSchema": {{"type": "object"}}}}
for line in sys.stdin:
    asked = json.loads(line)
    version = asked.get("params", {{}}).get("protocolVersion")
    about = {{"capabilities": {{"tools": {{}}}}, "serverInfo": {{"name": "x", "version": "1"}}}}
    result = about | {{"protocolVersion": version}} if asked["method"] == "initialize" else {{"tools": [TOOL, TOOL]}}
    if "id" in asked:
        print(json.dumps({{"jsonrpc": "2.0", "id": asked["id"], "result": result}}), flush=True)
"""


@attrs.define
class Hours:
    """A clock that a test moves."""

    at_ms: int = 1_000

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""
        return self.at_ms


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for an ending program as long as a busy machine takes."""
    monkeypatch.setattr(mcp_stdio, "ENDED_S", SOON_S)


async def unheard(*_: str) -> None:
    raise AssertionError("nothing drifted")


@asynccontextmanager
async def attended(connector: McpConnector) -> AsyncIterator[McpConnector]:
    """Attend a connector until the body ends."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, unheard)
        yield connector
        nursery.cancel_scope.cancel()


async def trouble_of(connector: McpConnector) -> Trouble:
    """Return a connector's trouble as soon as it has one."""
    with trio.fail_after(SOON_S):
        while connector.trouble is None:
            await trio.lowlevel.checkpoint()
        return connector.trouble


def program(*words: str) -> McpConnection:
    return McpConnection(name="small", command=words, max_response_bytes=MAX_BYTES)


def address(url: str, **changes: Any) -> McpConnection:
    return McpConnection(name="small", url=url, allow_private=True, max_response_bytes=MAX_BYTES, **changes)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/nowhere/at-all",), "its program cannot be started: No such file or directory"),
        (("/",), "its program cannot be started: Permission denied"),
        ((sys.executable, "-c", f"import sys; sys.exit('{SECRET}')"), "it ended with exit code 1"),
        ((sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"), "it was ended by signal 9"),
        ((sys.executable, "-c", REFUSING), "it answered with the error -32603"),
        ((sys.executable, "-c", BABBLING), "it does not speak MCP: "),
        ((sys.executable, "-c", SHADOWING), "what it lists cannot be used: `helm mcp pin` says why"),
    ],
    ids=["is not there", "is no program", "ends", "is killed", "refuses", "babbles", "shadows"],
)
async def test_a_server_that_cannot_be_started_is_told_of_without_a_word_of_its_own(
    words: tuple[str, ...], said: str
) -> None:
    async with attended(McpConnector(program(*words), {})) as connector:
        trouble = await trouble_of(connector)
    assert trouble.said.startswith(said)
    assert trouble.said == plain(trouble.said)
    assert SECRET not in trouble.said


async def test_a_server_that_falls_silent_and_does_not_end_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "ENDED_S", 0.01)
    silent = program(sys.executable, "-c", "import os, sys; os.close(1); sys.stdin.read()")
    async with attended(McpConnector(silent, {})) as connector:
        trouble = await trouble_of(connector)
    assert trouble.said == "it closed its output"


async def test_an_address_where_nobody_listens_says_so() -> None:
    with trio.socket.socket() as taken:
        await taken.bind(("127.0.0.1", 0))  # and it does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/mcp"
        async with attended(McpConnector(address(url), {})) as connector:
            trouble = await trouble_of(connector)
    assert trouble.said == "127.0.0.1: ConnectError (Connection refused) before anything was sent"


async def test_an_address_that_refuses_its_token_says_so_without_its_words() -> None:
    async def refuse(_: Front, __: Any, ___: bytes, send: Any) -> bool:
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": f'{{"error": "{SECRET} is no token"}}'.encode()})
        return True

    async with at_address(small(), refuse) as (url, _):
        connection = address(url, bearer="SMALL_TOKEN")
        async with attended(McpConnector(connection, {}, environment={"SMALL_TOKEN": SECRET})) as connector:
            trouble = await trouble_of(connector)
    assert trouble.said == "HTTP 401"


async def test_what_failed_at_an_earlier_try_is_not_why_a_later_one_does() -> None:
    answers = [(500, b"text/plain", b"")]

    async def refuse(_: Front, __: Any, body: bytes, send: Any) -> bool:
        status, kind, said = answers[0]
        if not said and status == 200:
            error = {"code": -32603, "message": SECRET}
            said = json.dumps({"jsonrpc": "2.0", "id": json.loads(body)["id"], "error": error}).encode()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": said})
        return True

    async with at_address(small(), refuse) as (url, _), attended(McpConnector(address(url), {})) as connector:
        first = await trouble_of(connector)
        answers[0] = (200, b"application/json", b"")
        connector.look_again()
        with trio.fail_after(SOON_S):
            while connector.trouble == first:
                await trio.lowlevel.checkpoint()
        later = await trouble_of(connector)
    assert (first.said, later.said) == ("HTTP 500", "it answered with the error -32603")


async def test_what_a_call_met_is_not_why_the_server_cannot_be_asked_later() -> None:
    async def refuse(_: Front, __: Any, body: bytes, send: Any) -> bool:
        asked = json.loads(body or b"{}")
        if asked.get("method") not in refuses:
            return False
        error = {"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32603, "message": SECRET}}
        status, said = (500, b"") if asked["method"] == "tools/call" else (200, json.dumps(error).encode())
        headers = [(b"content-type", b"application/json" if said else b"text/plain")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": said})
        return True

    refuses = {"tools/call"}
    async with at_address(small(), refuse) as (url, _):
        pins = {name: tool.pin for name, tool in (await look_at(address(url))).items()}
        async with attended(McpConnector(address(url), pins)) as connector:
            with pytest.raises(ConnectorFailed, match="HTTP 500"):
                await connector.dispatch(order({"a": 1, "b": 2}, operation="sum"))
            assert connector.trouble is None
            refuses.add("tools/list")
            connector.look_again()
            trouble = await trouble_of(connector)
    assert trouble.said == "it answered with the error -32603"


async def test_a_token_that_is_not_set_is_named() -> None:
    connection = address("http://127.0.0.1:9/mcp", bearer="SMALL_TOKEN")
    async with attended(McpConnector(connection, {}, environment={})) as connector:
        trouble = await trouble_of(connector)
    assert trouble.said == "the variable SMALL_TOKEN holds no token"


async def test_it_lasts_since_the_first_failure_and_ends_when_the_server_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp, "AGAIN_S", (0.01,))
    hours, tries = Hours(), tmp_path / "tries"
    server = Path(__file__).with_name("mcp_raw.py")
    script = f"""
import os, runpy, sys
with open({str(tries)!r}, "a") as file: file.write("x")
if os.path.exists({str(tmp_path / "mended")!r}): runpy.run_path({str(server)!r}, run_name="__main__")
sys.exit(os.path.getsize({str(tries)!r}))
"""
    async with attended(McpConnector(program(sys.executable, "-c", script), {}, clock=hours)) as connector:
        first = await trouble_of(connector)
        hours.at_ms += 5_000
        with trio.fail_after(SOON_S):
            while connector.trouble == first:
                await trio.lowlevel.checkpoint()
            again = connector.trouble
            (tmp_path / "mended").touch()
            await connector.listed()
    assert (first.said, first.since_ms) == ("it ended with exit code 1", 1_000)
    assert again is not None
    assert again.said != first.said
    assert again.since_ms == 1_000
    assert connector.trouble is None


async def test_a_server_that_offers_no_stream_of_its_own_is_not_refusing() -> None:
    """HTTP 405 to a GET is how it says so: it must not stand there as why something else failed."""
    met: list[str] = []

    class Refusing(httpcore2.AsyncConnectionPool):
        async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
            return httpcore2.Response(405, content=b"")

    wire = Wire(Refusing(), "", MAX_BYTES, met.append)
    for method in ("GET", "DELETE", "POST"):
        answer = await wire.handle_async_request(httpx2.Request(method, "http://server.test/mcp"))
        await answer.aclose()
        assert (met != []) is (method == "POST"), method


@pytest.mark.parametrize("leads_to", ["nowhere", "10.0.0.1"])
async def test_one_name_that_a_tunnel_was_asked_for_is_no_trouble_of_every_tunnels(leads_to: str) -> None:
    """Whoever asked chose the name: an operator who was shown it would be told of one tenant's call."""

    async def resolve(_: str) -> list[str]:
        if leads_to == "nowhere":
            raise OSError("no such name")
        return [leads_to]

    silent: Any = trio.testing.memory_stream_pair()[0]
    bounds = TunnelConnection(name="egress", idle_s=60, max_sent_bytes=1, max_received_bytes=1)
    connector = TunnelConnector(bounds, resolver=resolve)
    asked = order({}, destination="chosen.example:443", line=ClientMouth(silent, b"", lambda: True))
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(asked)
    assert type(refused.value) is NotDispatched


# -- words ----------------------------------------------------------------------------------------------------------


def test_words_are_bounded_and_paint_no_terminal() -> None:
    assert plain("a\n\x1b[2J\u202eb\0é") == "a??[2J?b??"
    assert len(plain("x" * 10_000)) == MAX_SAID


def refused(error: Exception, cause: BaseException) -> Exception:
    """Return an error with its cause, as it is caught."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (ConnectionRefusedError(111, SECRET), "Connection refused"),
        (refused(OSError(SECRET), ExceptionGroup(SECRET, [OSError(113, SECRET)])), "No route to host"),
        (ssl.SSLCertVerificationError(1, SECRET), "its certificate is not trusted"),
        (ssl.SSLError(1, SECRET), "TLS failed"),
        (ValueError(SECRET), ""),
    ],
)
def test_a_cause_is_told_as_this_machine_says_it(cause: BaseException, said: str) -> None:
    error = refused(httpcore2.ConnectError(SECRET), cause)
    assert cause_of(error) == said
    known = what_is_known(error, "host:1", sent=False)
    assert isinstance(known, Unreachable)
    assert SECRET not in known.reason


def test_causes_in_a_ring_are_not_followed_for_ever() -> None:
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert cause_of(one) == ""


def test_a_service_that_is_busy_with_our_own_calls_is_not_out_of_reach() -> None:
    known = what_is_known(httpcore2.PoolTimeout(), "host:1", sent=False)
    assert type(known) is NotDispatched


def test_what_a_connector_knows_itself_outweighs_what_calls_met() -> None:
    troubles, connector = Troubles(), McpConnector(program("x"), {})
    assert troubles.of("small", connector) is None
    troubles.note("small", "met", 1)
    troubles.note("small", "met again", 2)
    assert troubles.of("small", connector) == Trouble(said="met again", since_ms=1)
    connector.trouble = after(None, "known", 3)
    assert troubles.of("small", connector) == Trouble(said="known", since_ms=3)
    assert troubles.of("other", object()) is None
    troubles.forget("small")
    assert troubles.of("small", object()) is None
