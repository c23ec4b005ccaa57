"""A small order service on a loopback port: the world behind the gateway, which remembers every request it saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

MISBEHAVES = "o-666"
"""The order whose answer is not what the service promises."""

MAX_BODY = 64 * 1024


class Orders(ThreadingHTTPServer):
    """The service. `seen` lists "METHOD /path" in the order of arrival."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[str] = []

    @property
    def origin(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: Orders

    def do_GET(self) -> None:
        """Answer with an order, one of them badly."""
        order_id = self.path.rpartition("/")[2]
        cents: Any = "a lot" if order_id == MISBEHAVES else 1999
        self.answer({"order_id": order_id, "state": "paid", "cents": cents})

    def do_POST(self) -> None:
        """Take a note, or a refund that nobody should have asked for."""
        self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_BODY))
        kind = self.path.rpartition("/")[2].removesuffix("s")
        self.answer({f"{kind}_id": f"{kind}-{len(self.server.seen)}"})

    def answer(self, body: dict[str, Any]) -> None:
        """Note the request and send the answer."""
        self.server.seen.append(f"{self.command} {self.path}")
        raw = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Say nothing: what was seen is asked for at the end."""


@contextmanager
def order_service() -> Iterator[Orders]:
    """Serve orders while the body runs."""
    with Orders() as service:
        thread = Thread(target=service.serve_forever, kwargs={"poll_interval": 0.05}, name="orders")
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
