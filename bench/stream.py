"""How fast the stream door is, against an echo of the same frames on stock trio-websocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

import attrs
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from actors.doors.serve import serve
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys, KeyClass
from bench.figure import Figure
from bench.ground import kernel_to_measure
from bench.load import Load, load
from helm.config import Config

SLICES = 8
"""Slices of a run: the echo and the governed calls take turns, so that a busy neighbour slows both alike."""
SLICE_CALLS = 960


@attrs.frozen
class Gateway:
    """An open door before a kernel: where, and the key that opens it."""

    port: int
    key: str


@asynccontextmanager
async def gateway(kernel: Kernel) -> AsyncIterator[Gateway]:
    """Open the kernel's door on a free loopback port."""
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        keys = BearerKeys(Path(directory) / "keys.json", ())
        key = keys.issue(KeyClass.TENANT, "bench", "bench", at_ms=0)
        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0), keys))
        yield Gateway(door.address.port, key)


async def echo(request: WebSocketRequest) -> None:
    """Send every message back, as trio-websocket's own example does."""
    socket = await request.accept(subprotocol=request.proposed_subprotocols[0])
    try:
        while True:
            await socket.send_message(await socket.get_message())
    except ConnectionClosed:
        pass


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """Run the echo on a free loopback port."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(partial(serve_websocket, echo, "127.0.0.1", 0, None))
        yield server.port
        nursery.cancel_scope.cancel()


Target = tuple[str, int]
"""What kind of load, and to which port."""


async def interleaved(to: Load, plain: Target, governed: Target, key: str, count: int) -> tuple[float, float]:
    """Return what one plain and one governed exchange cost in us, measured in turns."""
    costs: tuple[list[float], list[float]] = ([], [])
    for _ in range(SLICES):
        for cost, (kind, port) in zip(costs, (plain, governed), strict=True):
            cost.append(await to.seconds(kind, port, key, count) / count * 1e6)
    return mean(costs[0]), mean(costs[1])


def over(name: str, target: float, measured: list[tuple[float, float]]) -> Figure:
    """Return the figure of several runs."""
    plain, governed = (median(costs) for costs in zip(*measured, strict=True))
    return Figure(
        name=name,
        target=target,
        at_least=True,
        samples=[bare / cost for bare, cost in measured],
        detail=f"{1e6 / governed:,.0f}/s, the echo {1e6 / plain:,.0f}/s",
    )


async def stream(runs: int) -> list[Figure]:
    """Measure one stream that is never short of calls."""
    async with kernel_to_measure() as kernel, gateway(kernel) as door, echoing() as port, load() as to:
        bare, governed = ("echo", port), ("stream", door.port)
        await interleaved(to, bare, governed, door.key, SLICE_CALLS // 2)
        measured = [await interleaved(to, bare, governed, door.key, SLICE_CALLS) for _ in range(runs)]
    name = "calls/s on one stream, governed and durable, over the same frames echoed by trio-websocket"
    return [over(name, 0.35, measured)]
