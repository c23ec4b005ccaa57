"""How fast the HTTP door is, against an echo of the same JSON by bare ASGI on stock Hypercorn; and MCP behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio import serve as hypercorn_serve

from bench.figure import Figure
from bench.ground import kernel_to_measure
from bench.load import CONNECTIONS, load
from bench.stream import gateway, interleaved, over

SLICE_REQUESTS = CONNECTIONS * 8


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send the body back."""
    if scope["type"] == "lifespan":
        while (event := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{event['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        event = await receive()
        body, more = body + event.get("body", b""), event.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """Run the echo on Hypercorn's Trio worker, as it comes, on a free loopback port."""
    config = HypercornConfig()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    async with trio.open_nursery() as nursery:
        run = partial(hypercorn_serve, echo, config, shutdown_trigger=trio.sleep_forever, mode="asgi")
        (url,) = await nursery.start(run)
        yield urlsplit(url).port or 0
        nursery.cancel_scope.cancel()


async def http(runs: int) -> list[Figure]:
    """Measure 64 connections, each of which asks again as soon as it has its answer."""
    async with kernel_to_measure() as kernel, gateway(kernel) as door, echoing() as port, load() as to:
        bare, governed = ("post-echo", port), ("post", door.port)
        await interleaved(to, bare, governed, door.key, CONNECTIONS * 2)
        measured = [await interleaved(to, bare, governed, door.key, SLICE_REQUESTS) for _ in range(runs)]
        alone = [await to.seconds("mcp", door.port, door.key, SLICE_REQUESTS) for _ in range(runs + 1)]
    name = f"POST /v1/tools/execute on {CONNECTIONS} connections, over the same JSON echoed by bare ASGI on Hypercorn"
    return [over(name, 0.75, measured), mcp(alone[1:])]


def mcp(seconds: list[float]) -> Figure:
    """Return the figure of governed tools/call over MCP; its target is a rate, in thousands a second."""
    rates = [SLICE_REQUESTS / one for one in seconds]
    return Figure(
        name=f"thousands of MCP tools/call a second over HTTP, {CONNECTIONS} connections, receipts durable",
        target=1.0,
        at_least=True,
        samples=[rate / 1000 for rate in rates],
        detail=f"{median(rates):,.0f}/s",
    )
