"""The counterpart: every service that the conformance policy names, in one process that counts what reaches it.

Whether something was dispatched is seen here, at the tool, and never believed from the answer of whoever is tested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, Final

MAX_BODY: Final = 1024 * 1024
"""Longest request that is read: the one under test may be anything (T4)."""

HELD_S: Final = 60.0
"""How long a request that is to be held stays unanswered, unless it is let go before (T4)."""

LOOKS_S: Final = 0.2
"""How often a stream looks whether it is to end."""

DEEDS: Final = "/deeds/"
MCP: Final = "/mcp"
POINT: Final = "/v1/data/conform/allow"
MODEL: Final = "/v1/chat/completions"

LISTED: Final = {"name": "echo", "description": "Answers.", "inputSchema": {"type": "object"}}
"""What the MCP server lists. The policy pins another tool of this name."""


class Counterpart(ThreadingHTTPServer):
    """The services. `deeds` lists what reached a tool, in the order of arrival."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        super().__init__((host, port), Handler)
        self.deeds: list[str] = []
        self.asked: list[str] = []
        """What a model or a decision point was asked: no tool, but seen."""
        self.is_out = False
        """Whether the decision point gives no answer."""
        self.calling = ""
        """The function that the model asks for."""
        self.release = Event()
        self.holding = Event()
        """Set while a request is held."""
        self.relisted = Event()
        """Set when MCP clients are to be told that the listing changed."""
        self.closing = Event()

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://{self.server_address[0]!s}:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: whoever is tested may hang up as it likes."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Counterpart

    def do_GET(self) -> None:
        """Be the stream on which the MCP server speaks first; nothing else is asked by GET."""
        if self.path == MCP:
            told_of_changes(self)
        else:
            self.answer(405, {"error": "POST"})

    def do_DELETE(self) -> None:
        """Let an MCP session end."""
        self.answer(200, {})

    def do_POST(self) -> None:
        """Note the request, and answer as the service at its path does."""
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
        path = self.path.partition("?")[0]
        if path.startswith(DEEDS):
            self.server.deeds.append(path)
            BEHAVIOURS.get(path.removeprefix(DEEDS), did)(self)
        elif path in SERVICES:
            SERVICES[path](self, json.loads(body))
        else:
            self.answer(404, {"error": "nothing is here"})

    def answer(self, status: int, body: Any, **headers: str) -> None:
        """Send a JSON answer."""
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Say nothing: what was seen is asked for."""


def did(request: Handler) -> None:
    """Do what was asked."""
    request.answer(200, {"done": request.path})


def drifted(request: Handler) -> None:
    """Answer otherwise than the schema says."""
    request.answer(200, {"done": 7})


def failed(request: Handler) -> None:
    """Fail."""
    request.answer(500, {"error": "the service failed"})


def hung_up(request: Handler) -> None:
    """Take the request, and answer nothing."""
    request.close_connection = True


def held(request: Handler) -> None:
    """Answer once it is let go, or after a while."""
    request.server.holding.set()
    request.server.release.wait(HELD_S)
    did(request)


BEHAVIOURS: Final[Mapping[str, Callable[[Handler], None]]] = {
    "drift": drifted,
    "fail": failed,
    "hang-up": hung_up,
    "hold": held,
}


def decided(request: Handler, _: Any) -> None:
    """Be the decision point: it allows everything, where it answers."""
    request.server.asked.append(POINT)
    if request.server.is_out:
        request.answer(503, {"error": "out"})
        return
    request.answer(200, {"result": True, "provenance": {"version": "1", "bundles": {"main": {"revision": "1"}}}})


def completed(request: Handler, _: Any) -> None:
    """Be the model: ask for the one function."""
    request.server.asked.append(MODEL)
    function = {"name": request.server.calling, "arguments": "{}"}
    call = {"id": f"call_{len(request.server.asked)}", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    about = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "conformance"}
    request.answer(200, {**about, "choices": [choice], "usage": usage})


def spoken(request: Handler, message: Any) -> None:
    """Be the MCP server: list one tool, and count its calls."""
    if "id" not in message:
        request.send_response(202)
        request.send_header("content-length", "0")
        request.end_headers()
        return
    if message["method"] == "tools/call":
        request.server.deeds.append(MCP)
    result = said_of(message)
    error = {"error": {"code": -32601, "message": "Method not found"}}
    outcome = error if result is None else {"result": result}
    session = {"mcp_session_id": "conformance"} if message["method"] == "initialize" else {}
    request.answer(200, {"jsonrpc": "2.0", "id": message["id"], **outcome}, **session)


def told_of_changes(request: Handler) -> None:
    """Tell an MCP client that the listing changed, once and when it is to be told."""
    request.close_connection = True
    request.send_response(200)
    request.send_header("content-type", "text/event-stream")
    request.end_headers()
    while not request.server.closing.is_set():
        if request.server.relisted.wait(LOOKS_S):
            notice = json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
            request.wfile.write(f"event: message\ndata: {notice}\n\n".encode())
            request.wfile.flush()
            return


def said_of(message: Any) -> dict[str, Any] | None:
    """Return the result of a request, None for what this server does not have."""
    match message["method"]:
        case "initialize":
            about = {"name": "counterpart", "version": "1"}
            version = message["params"]["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {"listChanged": True}}, "serverInfo": about}
        case "ping":
            return {}
        case "tools/list":
            return {"tools": [LISTED]}
        case "tools/call":
            return {"content": [{"type": "text", "text": "done"}]}
        case _:
            return None


SERVICES: Final[Mapping[str, Callable[[Handler, Any], None]]] = {POINT: decided, MODEL: completed, MCP: spoken}


@contextmanager
def counterpart(host: str = "127.0.0.1", port: int = 0) -> Iterator[Counterpart]:
    """Serve the counterpart while the body runs. Raises OSError where the address is taken."""
    with Counterpart(host, port) as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, name="counterpart")
        thread.start()
        try:
            yield service
        finally:
            service.release.set()
            service.closing.set()
            service.shutdown()
            thread.join()
