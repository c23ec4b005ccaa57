"""An MCP server on the official SDK at an address of this machine, and what stands before it when it misbehaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio
from hypercorn.config import Config
from hypercorn.trio import serve
from mcp.server.lowlevel.server import Server

Wrong = Callable[["Front", Any, Any, Any], Awaitable[bool]]
"""Answers a request in the server's place; returns whether it did."""


@attrs.define(eq=False)
class Front:
    """An ASGI application before the server's own: takes notes of every request, and may answer it wrongly."""

    app: Any
    wrong: Wrong | None = None
    seen: list[tuple[str, dict[str, str], bytes]] = attrs.field(factory=list)
    """Method, headers and body of each request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass one request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more and scope["method"] == "POST":
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.seen.append((scope["method"], headers, body))
        if self.wrong is not None and await self.wrong(self, scope, body, send):
            return
        told = False

        async def again() -> Any:
            nonlocal told
            if scope["method"] == "POST" and not told:
                told = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self.app(scope, again, send)


@asynccontextmanager
async def at_address(server: Server[Any], wrong: Wrong | None = None, **how: Any) -> AsyncIterator[tuple[str, Front]]:
    """Serve over streamable HTTP; yield the address and what stands before it."""
    front = Front(server.streamable_http_app(**how), wrong)
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.graceful_timeout = 0.1
    config.errorlog = None
    end = trio.Event()
    async with trio.open_nursery() as nursery:

        async def run(task_status: Any) -> None:
            await serve(front, config, shutdown_trigger=end.wait, task_status=task_status)

        [url] = await nursery.start(run)
        yield f"{url}/mcp", front
        end.set()


def answers(status: int, body: bytes = b"", **headers: str) -> Wrong:
    """Return what answers every call of a tool with this."""

    async def wrong(_: Front, __: Any, body_in: bytes, send: Any) -> bool:
        if b'"tools/call"' not in body_in:
            return False
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": named})
        await send({"type": "http.response.body", "body": body})
        return True

    return wrong
