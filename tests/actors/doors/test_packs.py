"""Packs over HTTP: anyone has one verified, by a trust root of their own; who may make one, and of whose sessions."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trio

from actors.doors import exports
from actors.doors.bounds import Bounds
from actors.doors.desk import Desk
from actors.doors.exports import ExportRoutes, Sending
from actors.doors.packs import ERRANDS, MAX_PACK_BYTES, REPLAY, UPLOADS, VERIFY, PacksDoor
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKeys
from actors.process import aside
from actors.process.aside import Bound, Unfinished
from actors.process.clock import SystemClock
from helm.config import Config
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import CHECKS, verify_pack
from helm.guardian.bearers import Bearers
from helm.guardian.policy import NO_POLICY
from tests.actors.doors.street import SOON_S, Reply, Street, open_street
from tests.actors.kit import House
from tests.helm.evidence.forger import a_log, a_pack, flipped, pack_of
from tests.helm.evidence.lying import lying_log

EXPORT = "/api/v1/evidence/export"
TAR = "application/x-tar"
CALL = {"tool": "read", "arguments": {"path": "a"}}


def pins(**given: str) -> str:
    """Return a query that names a trust root, by default the log that the packs here are of."""
    return "?" + urlencode(given or {"log_id": a_log().log_id})


async def brought(street: Street, path: str, pack: bytes, query: str | None = None, **headers: str) -> Reply:
    """Bring a pack, without any key."""
    fields = {"content_type": TAR, **headers}
    return await street.ask("POST", path + (pins() if query is None else query), pack, key="", **fields)


def heading(framing: str = "content-length: 9999") -> bytes:
    """Return how a request to have a pack verified begins."""
    return f"POST {VERIFY}{pins()} HTTP/1.1\r\nhost: helm\r\ncontent-type: {TAR}\r\n{framing}\r\n\r\n".encode()


def open_files() -> set[str]:
    """Return what this process holds open that has no name any more."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{number}"))
        except OSError:
            continue  # the listing's own
    return {name for name in found if name.endswith("(deleted)")}


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Refuse a test behind which a file without a name is still held."""
    before = open_files()
    yield
    assert open_files() <= before


async def test_anyone_has_a_pack_verified_by_a_trust_root_of_their_own(street: Street) -> None:
    reply = await brought(street, VERIFY, a_pack())
    assert reply.status == 200
    assert reply.json() == verify_pack(a_pack(), TrustRoot(log_id=a_log().log_id)).body()
    again = await brought(street, REPLAY, a_pack())
    assert (again.status, again.json()["verified"], again.json()["judged"]) == (200, True, 5)


async def test_a_pack_that_does_not_hold_is_refused_with_its_named_checks(street: Street) -> None:
    replayed = await brought(street, REPLAY, flipped(a_pack()))
    assert (replayed.status, replayed.headers["content-type"]) == (422, "application/problem+json")
    assert replayed.json()["failed_check"]["name"] == "manifest"
    reply = await brought(street, VERIFY, a_pack(), pins(log_id="sha256:" + 64 * "0"))
    assert (reply.status, reply.json()["authenticated"]) == (422, False)
    checks = reply.json()["checks"]
    assert [check["name"] for check in checks] == [name for name, _ in CHECKS]
    assert [check["number"] for check in checks if check["ok"]] == [1, 2, 3, 4]
    assert checks[4]["name"] == "genesis"


async def test_an_authentic_pack_that_its_policy_does_not_bear_out_is_refused_by_replay(street: Street) -> None:
    log = lying_log()
    told = await brought(street, REPLAY, pack_of(log), pins(log_id=log.log_id))
    assert (told.status, told.json()["authenticated"]) == (422, True)
    assert told.json()["divergence"]["member"] == "verdict"


async def test_without_a_trust_root_no_pack_is_looked_at(street: Street) -> None:
    twice = pins() + "&" + pins()[1:]
    for query in ("", "?", "?log_id=", "?log_id=sha256:12", "?execution_key=zz", "?log=1", twice, "?%ff=1", "?a"):
        assert (await brought(street, VERIFY, a_pack(), query)).status == 400


async def test_what_is_no_pack_is_refused_unread(street: Street) -> None:
    assert (await street.ask("GET", VERIFY + pins(), key="")).status == 405
    assert (await brought(street, VERIFY, b"{}", content_type="application/json")).status == 415
    assert (await brought(street, VERIFY, b"x", content_encoding="gzip")).status == 415
    long = await street.shout(heading(f"content-length: {MAX_PACK_BYTES + 1}"))
    assert long.startswith(b"HTTP/1.1 413 ")
    crumbs = await street.shout(heading("transfer-encoding: chunked") + b"1\r\nx\r\n" * 1_100)
    assert crumbs.startswith(b"HTTP/1.1 413 ")


async def test_a_pack_longer_than_it_says_ends_at_the_limit() -> None:
    heard: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        await trio.lowlevel.checkpoint()
        heard.append(message.get("status", 0))

    async def receive() -> dict[str, object]:
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": bytes(600), "more_body": True}

    headers = [(b"content-type", TAR.encode())]
    scope = {"method": "POST", "path": VERIFY, "query_string": pins()[1:].encode(), "headers": headers}
    door = PacksDoor(max_bytes=5_000)
    await door(scope, receive, send)
    assert heard[0] == 413
    assert door.uploads == 0


async def test_a_slow_upload_and_a_cut_one_leave_nothing_behind(house: House) -> None:
    async with open_street(house, bounds=Bounds(pack_s=0.3)) as street:
        assert (await street.shout(heading() + b"x")).startswith(b"HTTP/1.1 408 ")
        async with street.connected() as client:
            await client.stream.send_all(heading() + bytes(5_000))
        assert (await street.call(CALL)).status == 200


async def test_more_uploads_than_there_are_places_are_refused_and_calls_go_on(house: House) -> None:
    async with open_street(house) as street, trio.open_nursery() as nursery:
        for _ in range(UPLOADS):
            await nursery.start(held, street, heading() + b"x")
        with trio.fail_after(SOON_S):
            while (reply := await brought(street, VERIFY, b"no pack")).status != 503:
                assert reply.status == 422
        assert reply.headers["retry-after"]
        assert (await street.call(CALL)).status == 200
        nursery.cancel_scope.cancel()


async def held(street: Street, raw: bytes, task_status: trio.TaskStatus[None]) -> None:
    """Begin an upload, and never end it."""
    async with street.connected() as client:
        await client.stream.send_all(raw)
        task_status.started()
        await trio.sleep_forever()


async def test_a_verification_that_takes_too_long_or_too_much_memory_is_ended(tmp_path: Path) -> None:
    pack = tmp_path / "pack.tar"
    pack.write_bytes(a_pack())
    asked = {"errand": "verify", "pins": {"log_id": a_log().log_id}}
    for bound in (Bound(wall_s=0.001, memory_mib=2048), Bound(wall_s=60, memory_mib=4)):
        with pack.open("rb") as file, pytest.raises(Unfinished):
            await aside.run(ERRANDS, asked, file, bound)


async def test_an_errand_whose_kernel_was_killed_ends_by_itself(tmp_path: Path) -> None:
    """A pack that keeps its reader busy for ever must not outlive whoever would have ended it (T4)."""
    spinning = "import actors.evidence.errands as e; e.ERRANDS = {'spin': lambda: exec('while True: pass')}; e.serve()"
    line = [sys.executable, "-c", spinning, '{"asked":{"errand":"spin"},"cpu_s":1,"memory_mib":2048}']
    with trio.fail_after(SOON_S):
        ended = await trio.run_process(line, check=False)
    assert ended.returncode == -signal.SIGKILL


@pytest.fixture
async def real(house: House) -> AsyncIterator[Street]:
    """A street whose journal is on disk, and whose tenants may export."""
    async with open_street(house, config=Config(port=0, grace_s=2.0, tenant_exports=True), real=True) as street:
        await street.call(CALL | {"session_id": "ours"})
        await street.call(CALL | {"session_id": "theirs"}, key=street.rival)
        await street.call(CALL | {"session_id": "later"})
        yield street


async def test_a_tenant_exports_its_own_sessions_and_no_others(real: Street) -> None:
    pack = await real.ask("GET", EXPORT + "?session_id=ours")
    assert (pack.status, pack.headers["content-type"]) == (200, TAR)
    assert int(pack.headers["content-length"]) == len(pack.body)
    about = verify_pack(pack.body, TrustRoot(log_id=real.kernel.parts.boot.log_id)).subject
    assert (about.tenant, about.session_id, about.receipts) == ("acme", "ours", 1)
    theirs = await real.ask("GET", EXPORT + "?session_id=theirs")
    assert (theirs.status, theirs.json()["detail"]) == (404, "nothing is known of it")
    for query in ("?session_id=theirs&tenant=globex", "?whole=true"):
        assert (await real.ask("GET", EXPORT + query)).status == 403
    assert (await real.ask("GET", EXPORT + "?session_id=ours", key="")).status == 401


async def test_a_range_is_of_the_tenants_sessions_and_the_operators_is_of_all(real: Street) -> None:
    root = TrustRoot(log_id=real.kernel.parts.boot.log_id)
    found = []
    for key, query in ((real.agent, "?from_ms=0"), (real.admin, "?whole=true")):
        pack = (await real.ask("GET", EXPORT + query, key=key)).body
        report = verify_pack(pack, root)
        assert report.authenticated, report.text()
        found.append((report.subject.scope, report.subject.sessions))
        assert (b"theirs" in pack) == (key == real.admin)
    assert found == [("range", 2), ("whole", 3)]
    asked = {"tenant": "globex", "session_id": "theirs", "redact_facts": True}
    theirs = await real.ask("POST", EXPORT, asked, key=real.admin)
    assert verify_pack(theirs.body, root).subject.redacted == 1


async def test_a_tenants_key_exports_nothing_unless_helm_toml_says_so(street: Street) -> None:
    reply = await street.ask("GET", EXPORT + "?session_id=ours")
    assert (reply.status, reply.json()["place"]) == (403, "authorization")


async def test_an_export_of_nothing_in_particular_is_refused(real: Street) -> None:
    both, empty, below = "?session_id=x&whole=true", "?from_ms=5&until_ms=5", "?through=-1&whole=true"
    for query in ("", "?whole=yes", both, empty, below, "?session_id=x", "?tenant=acme", "?weekly=true"):
        assert (await real.ask("GET", EXPORT + query, key=real.admin)).status == 400
    for body in ({"whole": 1}, {"session_id": 7}, {"from_ms": True}, {"through": "1", "whole": True}):
        assert (await real.ask("POST", EXPORT, body, key=real.admin)).status == 400


async def test_a_checkpoint_that_is_not_there_yet_is_not_reached(real: Street) -> None:
    assert (await real.ask("GET", EXPORT + "?whole=true&through=9", key=real.admin)).status == 404


async def test_a_log_that_does_not_verify_is_not_exported_and_nobody_is_told_where_it_is(real: Street) -> None:
    (real.kernel.parts.sensor.data_dir / "genesis.json").unlink()
    reply = await real.ask("GET", EXPORT + "?whole=true", key=real.admin)
    assert reply.status == 422
    assert str(real.kernel.parts.sensor.data_dir) not in reply.body.decode()


async def test_a_reader_who_leaves_gives_its_place_back(real: Street) -> None:
    for _ in range(2):
        async with real.connected() as client:
            request = f"GET {EXPORT}?whole=true HTTP/1.1\r\nhost: helm\r\nauthorization: Bearer {real.admin}\r\n\r\n"
            await client.stream.send_all(request.encode())
            with trio.fail_after(30):
                assert (await client.stream.receive_some(12)).startswith(b"HTTP/1.1 200")
    with trio.fail_after(30):
        while (await real.ask("GET", EXPORT + "?whole=true", key=real.admin)).status != 200:
            await trio.lowlevel.checkpoint()


async def test_tenants_that_export_leave_a_place_for_an_operator(real: Street) -> None:
    wanted = ((real.agent, "session_id=ours"), (real.rival, "session_id=theirs"), (real.admin, "whole=true"))
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(real.connected()) for _ in wanted]
        for client, (key, query) in zip(clients, wanted, strict=True):
            head = {"host": "helm", "authorization": f"Bearer {key}", "content-length": "0"}
            await client.send("GET", f"{EXPORT}?{query}", b"", head)
        ours, theirs, whole = [(await client.reply()).status for client in clients]
    assert (sorted([ours, theirs]), whole) == ([200, 503], 200)
    assert (await real.ask("GET", EXPORT + "?session_id=theirs", key=real.rival)).status == 200


async def test_whoever_has_the_last_piece_of_a_pack_finds_its_place_free(
    real: Street, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = BearerKeys(Path("none.json"), ())
    routes = ExportRoutes(real.kernel, Config(), Desk(Credentials(keys, lambda: NO_POLICY, SystemClock(), Bearers())))
    monkeypatch.setattr(exports, "PIECE", 4)
    sending = Sending(routes, of_tenant=True)
    sending.file.write(b"pack of 14 byt")
    sending.file.seek(0)
    found = [(piece, routes.busy, routes.busy_tenants) async for piece in sending]
    assert found == [(b"pack", 1, 1), (b" of ", 1, 1), (b"14 b", 1, 1), (b"yt", 0, 0)]
    await sending.aclose()
    assert (routes.busy, routes.busy_tenants) == (0, 0)


async def test_a_place_that_was_never_taken_is_not_given_back(real: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room for a pack must not make more places than there are."""
    keys = BearerKeys(Path("none.json"), ())
    routes = ExportRoutes(real.kernel, Config(), Desk(Credentials(keys, lambda: NO_POLICY, SystemClock(), Bearers())))
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(OSError, match="nowhere"):
        Sending(routes, of_tenant=True)
    gc.collect()
    assert (routes.busy, routes.busy_tenants) == (0, 0)
