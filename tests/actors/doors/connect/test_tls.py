"""The proxy behind TLS: a key crosses no network in the clear, and an end is an end of both ways."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio

from actors.doors.bounds import BOUNDS
from tests.actors.doors.connect.lane import POLICY, Lane, echo, open_lane, opened, place
from tests.actors.doors.issuing import certified
from tests.actors.doors.street import SOON_S, heard
from tests.actors.kit import House

Tls = trio.SSLStream[trio.SocketStream]


@asynccontextmanager
async def secured(house: House, folder: Path, policy: str = POLICY) -> AsyncIterator[tuple[Lane, ssl.SSLContext]]:
    """Run a proxy with a certificate; yield it, and what a client trusts."""
    cert, key = certified().files(folder)
    trusts = ssl.create_default_context(cafile=cert)
    bounds = attrs.evolve(BOUNDS, handshake_s=3.0, idle_s=5.0)
    async with open_lane(house, policy=policy, bounds=bounds, tls_cert=cert, tls_key=key) as lane:
        yield lane, trusts


async def tunnel(lane: Lane, trusts: ssl.SSLContext, port: int) -> Tls:
    """Return the client's end of an open tunnel."""
    stream = trio.SSLStream(await lane.connect(), trusts, server_hostname="127.0.0.1", https_compatible=True)
    with trio.fail_after(SOON_S):
        await stream.send_all(lane.head(f"127.0.0.1:{port}"))
        assert (await opened(stream)).status == 200
    return stream


async def test_a_tunnel_behind_tls_carries_and_is_counted(house: House, tmp_path: Path) -> None:
    async with secured(house, tmp_path) as (lane, trusts), place(echo) as port:
        stream = await tunnel(lane, trusts, port)
        await stream.send_all(b"secret")
        assert await stream.receive_some() == b"secret"
        await trio.aclose_forcefully(stream)
        (receipt,) = await lane.receipts()
    assert (receipt["status"], receipt["output"]["bytes_sent"]) == ("SUCCESS", 6)


async def test_a_destination_that_ends_ends_the_tunnel_with_all_that_it_said(house: House, tmp_path: Path) -> None:
    async def speaks(stream: trio.SocketStream) -> None:
        await stream.send_all(b"x" * 50_000)

    async with secured(house, tmp_path) as (lane, trusts), place(speaks) as port:
        stream = await tunnel(lane, trusts, port)
        heard = b""
        with trio.fail_after(SOON_S):
            while piece := await stream.receive_some():
                heard += piece
        await trio.aclose_forcefully(stream)
        (receipt,) = await lane.receipts()
    assert len(heard) == 50_000
    assert receipt["output"]["ended_by"] == "destination"


async def test_a_tunnel_that_is_cut_behind_tls_breaks(house: House, tmp_path: Path) -> None:
    low = POLICY.replace("max_sent_bytes = 100000", "max_sent_bytes = 10")
    async with secured(house, tmp_path, low) as (lane, trusts), place(echo) as port:
        stream = await tunnel(lane, trusts, port)
        await stream.send_all(b"more than ten bytes")
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
            while await stream.receive_some():
                pass
        await trio.aclose_forcefully(stream)
        (receipt,) = await lane.receipts()
    assert receipt["output"]["ended_by"] == "max_sent_bytes"


async def test_a_client_in_the_clear_gets_no_tunnel(house: House, tmp_path: Path) -> None:
    async with secured(house, tmp_path) as (lane, _):
        stream = await lane.connect()
        await stream.send_all(lane.head("127.0.0.1:443"))
        with trio.fail_after(SOON_S):
            said = await heard(stream)
        await trio.aclose_forcefully(stream)
        assert b"HTTP/" not in said
        assert lane.kernel.memory.sessions.bindings == {}
