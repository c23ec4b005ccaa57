"""A counterpart that speaks OPA's data API as its documentation says: the rules are functions of the test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs
import trio

UNDEFINED = object()
"""What a rule gives that does not hold for the input: the answer then has no result."""

Rule = Callable[[Any], Any]


@attrs.define(eq=False)
class OpaServer:
    """Serves rules by path, loaded from bundles with these revisions."""

    rules: Mapping[str, Rule]
    bundles: dict[str, str] = attrs.field(factory=lambda: {"main": "r1"})
    token: str = ""
    raw: Callable[[bytes], bytes] | None = None
    """Turns an honest response into what this server sends instead."""
    hold: Callable[[], Awaitable[None]] | None = None
    """Awaited before each answer."""
    port: int = 0
    inputs: list[Any] = attrs.field(factory=list)
    heads: list[str] = attrs.field(factory=list)
    under_way: int = 0
    most_under_way: int = 0
    _news: trio.Condition = attrs.field(factory=trio.Condition, init=False)

    async def asked(self, times: int) -> None:
        """Wait until so many questions have come."""
        async with self._news:
            while len(self.inputs) < times:
                await self._news.wait()

    async def start(self, nursery: trio.Nursery) -> OpaServer:
        """Listen on a free loopback port."""
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.port = listeners[0].socket.getsockname()[1]
        return self

    async def _serve(self, stream: trio.SocketStream) -> None:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            while (asked := await _request(stream)) is not None:
                response = self._respond(*asked)
                async with self._news:
                    self._news.notify_all()
                if self.hold is not None:
                    await self.hold()
                await stream.send_all(response if self.raw is None else self.raw(response))
                if self.raw is not None:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client left: that is what some tests are about
        finally:
            self.under_way -= 1
            await trio.aclose_forcefully(stream)

    def _respond(self, head: str, body: bytes) -> bytes:
        self.heads.append(head)
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        if self.token and f"authorization: Bearer {self.token}".lower() not in head.lower():
            return _response("401 Unauthorized", {"code": "unauthorized", "message": "request rejected"})
        url = urlsplit(target)
        if method != "POST" or not url.path.startswith("/v1/data/"):
            return _response("404 Not Found", {"code": "undefined_document", "message": "path not found"})
        try:
            document = json.loads(body)
        except ValueError:
            return _response(
                "400 Bad Request", {"code": "invalid_parameter", "message": "body contains malformed input"}
            )
        return self._evaluate(url.path.removeprefix("/v1/data/"), document, parse_qs(url.query))

    def _evaluate(self, path: str, document: dict[str, Any], query: dict[str, list[str]]) -> bytes:
        answer: dict[str, Any] = {"decision_id": str(uuid.uuid4())}
        if "input" not in document:
            answer["warning"] = {"code": "api_usage_warning", "message": "'input' key missing from the request"}
        self.inputs.append(document.get("input"))
        rule = self.rules.get(path)
        result = UNDEFINED if rule is None else rule(document.get("input"))
        if result is not UNDEFINED:
            answer["result"] = result
        if query.get("provenance") == ["true"]:
            told = {name: {"revision": revision} for name, revision in self.bundles.items()}
            answer["provenance"] = {"version": "1.9.0", "build_commit": "", "bundles": told}
        return _response("200 OK", answer)


def _response(status: str, body: Any) -> bytes:
    return response_of(json.dumps(body).encode(), status)


def response_of(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """Return an HTTP response with this body."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _request(stream: trio.abc.ReceiveStream) -> tuple[str, bytes] | None:
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = await stream.receive_some(65536)
        if not chunk:
            return None
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
    while len(body) < length:
        body += await stream.receive_some(65536)
    return head.decode(), body
