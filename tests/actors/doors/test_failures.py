"""What a door says when something behind it fails: as much as a caller must know, and no more."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, cast

import h11
import pytest
from hypercorn.events import RawData
from hypercorn.protocol.events import Response
from hypercorn.trio.worker_context import WorkerContext

from actors.doors.calls import EXECUTE, CallsDoor
from actors.doors.http1 import Http1
from actors.doors.serve import hypercorn_config
from actors.doors.told import Headers, Told
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys, KeyClass
from actors.mailbox import KernelStopped
from actors.process.clock import SystemClock
from actors.stores.index import IndexFailed
from actors.stores.port import JournalFailed
from helm.config import Config
from helm.guardian.bearers import Bearers
from helm.guardian.policy import NO_POLICY
from tests.actors.doors.street import open_street
from tests.actors.kit import House

READ = json.dumps({"tool": "read", "arguments": {}, "session_id": "s"}).encode()


class FailingKernel:
    """The kernel's port, as far as the data plane uses it; it fails as it is told to."""

    def __init__(self, failure: Exception) -> None:
        self.failure = failure

    async def govern(self, call: object, *, decide_only: bool = False, origin: object = None) -> None:
        raise self.failure


async def said(tmp_path: Path, failure: Exception, messages: list[dict[str, Any]]) -> list[MutableMapping[str, Any]]:
    """Return what the data plane sends when the kernel behind it fails."""
    keys = BearerKeys(tmp_path / "keys.json", ())
    bearer = keys.issue(KeyClass.TENANT, "acme", "agent", at_ms=0).encode()
    door = CallsDoor(
        cast(Kernel, FailingKernel(failure)), Config(), Credentials(keys, lambda: NO_POLICY, SystemClock(), Bearers())
    )
    headers = [(b"authorization", b"Bearer " + bearer), (b"content-type", b"application/json")]
    sent: list[MutableMapping[str, Any]] = []
    incoming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(incoming)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": EXECUTE, "headers": headers}
    try:
        await door(scope, receive, send)
    except ZeroDivisionError:
        assert isinstance(failure, ZeroDivisionError)
    return sent


WHOLE = [{"type": "http.request", "body": READ, "more_body": False}]


async def test_a_bug_of_ours_is_a_500_that_tells_nothing_and_goes_on_to_the_log(tmp_path: Path) -> None:
    start, body = await said(tmp_path, ZeroDivisionError("the secret is 1234"), WHOLE)
    assert start["status"] == 500
    assert b"secret" not in body["body"]
    assert json.loads(body["body"])["title"] == "Internal Server Error"


@pytest.mark.parametrize("failure", [JournalFailed("EIO"), IndexFailed("EIO")])
async def test_a_store_that_fails_before_the_judgement_dispatched_nothing(tmp_path: Path, failure: Exception) -> None:
    start, body = await said(tmp_path, failure, WHOLE)
    problem = json.loads(body["body"])
    assert (start["status"], problem["reason_code"], problem["outcome_unknown"]) == (503, "KERNEL_STOPPED", False)


async def test_nothing_is_said_to_a_client_that_left_before_it_had_asked(tmp_path: Path) -> None:
    piece = {"type": "http.request", "body": b"{", "more_body": True}
    assert await said(tmp_path, ValueError(), [piece, {"type": "http.disconnect"}]) == []


async def test_reads_from_a_journal_that_failed_are_refused(house: House) -> None:
    async with open_street(house) as street:
        house.disk.closed = True
        reply = await street.ask("GET", "/api/v1/receipts")
        house.disk.closed = False
    assert (reply.status, reply.json()["reason_code"]) == (503, "KERNEL_STOPPED")


async def test_a_kernel_that_broke_is_not_ready(house: House) -> None:
    with pytest.raises(KernelStopped):
        async with open_street(house) as street:
            street.kernel.fail(ValueError("found by the test"))
            ready = await street.ask("GET", "/readyz", key="")
            command = await street.ask("POST", "/api/v1/sessions")
            metrics = await street.ask("GET", "/metrics", key=street.admin)
            standing = (await street.ask("GET", "/api/v1/boundary/status", key=street.admin)).json()
    assert b"\nhelm_ready 0.0\n" in metrics.body
    assert standing["status"] != "ready"
    assert [(reply.status, reply.json()["reason_code"]) for reply in (ready, command)] == [(503, "KERNEL_STOPPED")] * 2


@pytest.mark.parametrize(
    "header",
    [(b"x-name", b"a\r\nset-cookie: b"), (b"x-name", b"a\nb"), (b"x name", b"a"), (b"x:name", b"a"), (b"x\r\ny", b"a")],
)
async def test_no_answer_of_ours_can_be_made_to_hold_a_line_that_is_not_its_own(header: tuple[bytes, bytes]) -> None:
    sent: list[bytes] = []

    async def send(event: Any) -> None:
        sent.append(event.data)

    context = WorkerContext(None)
    nobody = cast(Any, None)
    protocol = Http1(nobody, hypercorn_config(), context, nobody, nobody, False, None, None, send)
    protocol.connection.receive_data(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
    protocol.connection.next_event()
    with pytest.raises(h11.LocalProtocolError):
        await protocol.stream_send(Response(stream_id=1, headers=[header, (b"content-length", b"0")], status_code=200))
    assert sent == []


async def test_a_bug_of_ours_in_an_answer_at_once_is_a_500_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[bytes] = []

    async def send(event: Any) -> None:
        sent.append(getattr(event, "data", b""))

    async def broken(headers: Headers, raw: bytes) -> Told:
        raise LookupError(f"a bug with {len(raw)} bytes")

    nobody: Any = None
    protocol = Http1(nobody, hypercorn_config(), WorkerContext(None), nobody, nobody, False, None, None, send)
    protocol.at_once = {b"/x": broken}
    request = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"
    await protocol.handle(RawData(request * 2))
    said = b"".join(sent)
    assert said.count(b"HTTP/1.1 500 ") == 2 and b"a bug with" not in said
    assert "a bug with 2 bytes" in caplog.text
