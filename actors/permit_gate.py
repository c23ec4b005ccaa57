"""For tool servers: no call without the signed permit by which HELM let it through, and a report of every other one.

    gate = PermitGate(Trusted(keys, log_id, "files"), report=Path("bypasses.jsonl"))
    server.middleware.append(gate)            # a server on the MCP SDK
    app = GatedApp(app, gate)                 # any ASGI application: MCP over HTTP, or what `reading` says

The gate decides offline: it holds public keys, the log's id and its own name, which `helm mcp permit-key` tells. A
permit is taken once. A gate that was started again knows of none that it took: for the few seconds that a permit is
good, a call could then be played again.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import attrs
import trio
from mcp.shared.exceptions import MCPError

from actors.bypass_report import append
from helm.contracts.errors import Malformed, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import sha256
from helm.executor.outbound import LEEWAY_MS, Called, Trusted, bypass, check_shown
from helm.guardian.methods import OF_SERVER

HEADER: Final = b"x-helm-permit"
MEMBER: Final = "helm/permit"

TOOLS: Final = "tools/call"
GATED: Final = OF_SERVER | {TOOLS}
"""Methods of MCP that need a permit: those that HELM governs."""

REFUSED: Final = -32003

MAX_TAKEN: Final = 100_000
"""Permits that are remembered until they expire; while there is no place for one more, none is taken (T4)."""

MAX_BODY: Final = 4 * 1024 * 1024
"""Bytes of a request that is looked at (T4)."""

Reading = Callable[[Mapping[str, Any], bytes], "tuple[str, JSONValue] | None"]
"""From an ASGI scope and a body to the operation and its arguments, None for what needs no permit. Raises Malformed."""


def wall_ms() -> int:
    """Return POSIX time in milliseconds."""
    return time.time_ns() // 1_000_000


@attrs.define(eq=False)
class PermitGate:
    """Checks permits, takes each once, and reports what comes without a good one."""

    trusted: Trusted
    report: Path
    now_ms: Callable[[], int] = wall_ms
    _taken: dict[str, int] = attrs.field(factory=dict, init=False)
    """Decision ids, and until when each could come again."""
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def check(self, token: str, operation: str, arguments: JSONValue) -> None:
        """Return for a call that came through HELM, once. Raises Refused for any other, which is reported by then."""
        args_hash = ""
        try:
            args_hash = sha256(canonical(arguments))
            self._take(token, Called(operation, args_hash))
        except Malformed as problem:
            await self.tell(operation, args_hash, str(problem))
            raise bypass(f"arguments that cannot be hashed: {problem}") from problem
        except Refused as refusal:
            await self.tell(operation, args_hash, refusal.reason)
            raise

    def _take(self, token: str, called: Called) -> None:
        now_ms = self.now_ms()
        permit = check_shown(token, called, self.trusted, now_ms)
        if len(self._taken) >= MAX_TAKEN:
            self._taken = {name: until for name, until in self._taken.items() if until >= now_ms}
        if permit.decision_id in self._taken or len(self._taken) >= MAX_TAKEN:
            raise bypass("a permit that was taken before")
        self._taken[permit.decision_id] = permit.expires_at_ms + LEEWAY_MS

    async def __call__(self, ctx: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        """Be a middleware of a server on the MCP SDK."""
        if ctx.method in GATED:
            params = ctx.params if isinstance(ctx.params, Mapping) else {}
            await self.check_message(ctx.method, params, token_in(params))
        return await call_next(ctx)

    async def check_message(self, method: str, params: Mapping[str, Any], token: str) -> None:
        """Return for a message of MCP that may pass. Raises MCPError."""
        try:
            operation, arguments = called_in(method, params)
            await self.check(token, operation, arguments)
        except Refused as refusal:
            data = {"direct_dispatch_seen": True, "reason_code": refusal.code.value}
            raise MCPError(REFUSED, refusal.reason, data) from refusal

    async def tell(self, operation: str, args_hash: str, reason: str) -> None:
        """Append one line to the report, durable before the caller hears of its refusal."""
        body: dict[str, JSONValue] = {
            "args_hash": args_hash,
            "at_ms": self.now_ms(),
            "direct_dispatch_seen": True,
            "log_id": self.trusted.log_id,
            "operation": operation[:256],
            "reason": reason[:500],
            "reason_code": ReasonCode.PROVENANCE_FAILURE.value,
            "server": self.trusted.connector,
            "verdict": "DENY",
        }
        async with self._writing:
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(append, self.report, body)


def called_in(method: str, params: Mapping[str, Any]) -> tuple[str, JSONValue]:
    """Return the operation and the arguments of a message of MCP."""
    if method != TOOLS:
        return method, {name: value for name, value in params.items() if name != "_meta"}
    name, arguments = params.get("name"), params.get("arguments", {})
    others = {one: value for one, value in params.items() if one not in ("_meta", "arguments", "name")}
    # What continues an earlier call is none that a permit was given for: it hashes otherwise, and is refused.
    return (name if type(name) is str else ""), ({"arguments": arguments, **others} if others else arguments)


def token_in(params: Mapping[str, Any]) -> str:
    """Return the permit in a message's _meta, "" where there is none."""
    meta = params.get("_meta")
    token = meta.get(MEMBER) if isinstance(meta, Mapping) else None
    return token if type(token) is str else ""


@attrs.define(eq=False)
class GatedApp:
    """An ASGI application behind a gate. By default it speaks MCP; `reading` says what else a request asks for.

    Requests without a body (GET, HEAD, OPTIONS, DELETE) pass where nothing else is said: MCP does nothing by them.
    """

    app: Callable[..., Awaitable[None]]
    gate: PermitGate
    reading: Reading | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass on what came through HELM, and refuse with 403 what did not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._refuse(scope, send, "a WebSocket carries no permit")
            return
        body = await body_of(receive)
        try:
            if body is None:
                raise bypass("a body that is too long to be looked at, or did not come whole")
            await self._check(scope, body)
        except (Malformed, Refused) as problem:
            if isinstance(problem, Malformed) or body is None:
                await self.gate.tell(scope["path"], "", str(problem))
            await self._refuse(scope, send, str(problem))
            return
        await self.app(scope, once(body, receive), send)

    async def _check(self, scope: Any, body: bytes) -> None:
        header = decoded(b"".join(value for name, value in scope["headers"] if name.lower() == HEADER))
        if self.reading is not None:
            found = self.reading(scope, body)
            if found is not None:
                await self.gate.check(header, *found)
            return
        if scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE") and not body:
            return
        message = parse(body, max_bytes=MAX_BODY)
        if type(message) is not dict:
            raise Malformed("not one message", "/")
        params = message.get("params", {})
        method = message.get("method")
        if type(method) is str and method in GATED:
            params = params if type(params) is dict else {}
            await self.gate.check(header or token_in(params), *called_in(method, params))

    async def _refuse(self, scope: Any, send: Any, reason: str) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        problem = {"reason_code": ReasonCode.PROVENANCE_FAILURE.value, "status": 403, "detail": reason}
        body = json.dumps({"title": "did not come through HELM", **problem}).encode()
        headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def decoded(header: bytes) -> str:
    """Return the permit of a header, where it stands in base64; what is none stays what it is, and is refused."""
    try:
        return b64decode(header, altchars=b"-_", validate=True).decode("latin-1")
    except ValueError:
        return header.decode("latin-1")


async def body_of(receive: Any) -> bytes | None:
    """Return the whole body of a request, None for one that is too long, or did not come whole."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def once(body: bytes, receive: Any) -> Callable[[], Awaitable[Any]]:
    """Return what hands the application the body that was read for it."""
    told = False

    async def again() -> Any:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
