"""A gateway that is told to end: who has asked is answered, who asks is told, and the log is whole. Real processes."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from actors.cli.server import Reply, Server
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.actors.cli.test_serve import Served, served

__all__ = ["made"]

SOON_S = 60.0

POLICY = """
version = "helm.policy/1"
scope = "starter"
epoch = 2

[connectors.world]
kind = "http"
origin = "@ORIGIN@"
allow_private = true
[connectors.world.operations.wait]
method = "GET"
path = "/wait"

[tools."world.wait"]
connector = "world"
operation = "wait"
effect_type = "read"
risk_tier = "T1"
principals = ["agent"]
input = '''{"type": "object", "additionalProperties": false}'''
output = '''{"type": "object"}'''
"""


class World(ThreadingHTTPServer):
    """A service that answers when it is let."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Waiting)
        self.asked, self.may_answer = Event(), Event()


class Waiting(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    server: World

    def do_GET(self) -> None:
        """Answer once that is allowed."""
        self.server.asked.set()
        self.server.may_answer.wait(SOON_S)
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *said: object) -> None:
        """Say nothing."""


@contextmanager
def world() -> Iterator[World]:
    with World() as service:
        thread = Thread(target=service.serve_forever, daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.may_answer.set()
            service.shutdown()
            thread.join()


def settle(made: Made, service: World) -> None:
    """Let the policy reach the world, and give answers under way half a minute."""
    path = made.place().policy_path
    path.write_text(POLICY.replace("@ORIGIN@", f"http://127.0.0.1:{service.server_port}"), encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    with Path(made.path, "helm.toml").open("a", encoding="utf-8") as settings:
        settings.write("\ngrace_s = 30.0\n")


def under_way(made: Made, gateway: Served, service: World, callers: ThreadPoolExecutor) -> Future[Reply]:
    """Return the answer to come of a call that waits for the world."""
    body = json.dumps({"tool": "world.wait", "arguments": {}}).encode()
    server = Server(gateway.url, made.tenant_key)
    json_type = {"content-type": "application/json"}
    reply = callers.submit(lambda: server.ask("POST", "/v1/tools/execute", body, **json_type))
    assert service.asked.wait(SOON_S)
    return reply


def receipts_of(made: Made) -> list[str]:
    """Return how every receipt says that its call ended, the log verified first."""
    assert helm("receipts", "verify", *made.option).code == 0
    return [one["status"] for one in helm("receipts", "list", "--json", *made.option).json()]


@pytest.mark.slow
def test_told_to_end_it_answers_what_is_under_way_and_nothing_else(made: Made) -> None:
    with world() as service, ThreadPoolExecutor() as callers:
        settle(made, service)
        with served(made) as gateway:
            reply = under_way(made, gateway, service, callers)
            gateway.process.send_signal(signal.SIGTERM)
            gateway.wait_for("then stopping")
            assert [Server(gateway.url, "").ask("GET", path).status for path in ("/readyz", "/healthz")] == [503, 200]
            late = gateway.call(made, "world.wait", "")
            assert (late.status, late.json()["reason_code"]) == (503, "KERNEL_STOPPED")
            assert helm("reload", *made.option).code == 1
            service.may_answer.set()
            assert (reply.result(SOON_S).status, gateway.process.wait(SOON_S)) == (200, 0)
    assert receipts_of(made) == ["SUCCESS"]
    latest = helm("checkpoint", "show", "latest", "--json", *made.option).json()
    assert latest["checkpoint"]["receipts_size"] == 1


@pytest.mark.slow
def test_told_twice_it_ends_at_once_and_seals_what_it_knows(made: Made) -> None:
    with world() as service, ThreadPoolExecutor() as callers:
        settle(made, service)
        with served(made) as gateway:
            reply = under_way(made, gateway, service, callers)
            gateway.process.send_signal(signal.SIGTERM)
            gateway.wait_for("then stopping")
            gateway.process.send_signal(signal.SIGTERM)
            assert gateway.process.wait(SOON_S) == 0
            assert (reply.result(SOON_S).status, service.may_answer.is_set()) == (504, False)
    assert receipts_of(made) == ["INDETERMINATE"]
