"""Decision points from the command line: what a bundle says of them, and whether they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.pointed import CEDAR, NUMBER, opa

TOOL = """
[tools.asked]
connector = "local"
effect_type = "write"
risk_tier = "T1"
principals = ["agent"]
decision_point = { name = "remote", arguments = ["n"] }
"""


def signed(made: Made, text: str) -> str:
    """Add to the starter policy, sign it, and return where it is."""
    path = made.place().policy_path
    starter = path.read_text(encoding="utf-8").replace("epoch = 1\n", "epoch = 2\n")
    path.write_text(f'{starter}\n[connectors.local]\nkind = "local"\n{text}', encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    return str(path)


@contextmanager
def answering(revision: str) -> Iterator[int]:
    """Serve one truth value, from a bundle of this revision, and yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"result": False, "provenance": {"bundles": {"main": {"revision": revision}}}}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is http.server's
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def findings(made: Made) -> dict[str, Any]:
    return {one["check"]: one for one in helm("doctor", "--json", *made.option).json()}


def test_the_doctor_asks_a_point_and_says_what_it_answers_by(made: Made) -> None:
    with answering("r1") as port:
        signed(made, opa(port) + TOOL + NUMBER)
        found = findings(made)["decision point remote"]
    assert found["state"] == "ok"
    assert "answers false by main r1" in found["detail"]


def test_the_doctor_finds_a_point_that_answers_by_another_policy(made: Made) -> None:
    with answering("r2") as port:
        signed(made, opa(port) + TOOL + NUMBER)
        found = findings(made)["decision point remote"]
    assert (found["state"], "by main r2" in found["detail"]) == ("fail", True)


def test_the_doctor_finds_a_point_that_nobody_answers_at(made: Made) -> None:
    signed(made, opa(1) + TOOL + NUMBER + CEDAR)
    found = findings(made)
    assert found["decision point remote"]["state"] == "fail"
    assert "ConnectError" in found["decision point remote"]["detail"]
    assert found["decision point house"]["state"] == "ok"
    assert helm("doctor", *made.option).code == 1


def test_check_shows_each_point_with_the_hash_that_decisions_carry(made: Made) -> None:
    path = signed(made, opa(8181) + TOOL + NUMBER + CEDAR)
    told = helm("policy", "check", path, "--json", *made.option).json()
    points = {point["name"]: point for point in told["decision_points"]}
    assert points["house"]["kind"] == "cedar"
    assert points["remote"]["decides_by"] == "http://127.0.0.1:8181 helm/allow, main r1"
    assert all(point["content_hash"].startswith("sha256:") for point in points.values())
    assert {tool["tool"]: tool["decision_point"] for tool in told["tools"]}["asked"] == "remote"
    assert "decision point" in helm("policy", "check", path, *made.option).out


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ("asked", "remote: http://127.0.0.1:8181 allows it at helm/allow by main r1, within 10000 ms"),
        ("asked", "remote is shown who calls what, and n"),
        ("weighed", "house is shown who calls what, and n, note"),
    ],
)
def test_explain_says_who_else_must_allow_a_call_and_what_it_sees(made: Made, tool: str, said: str) -> None:
    path = signed(made, opa(8181) + TOOL + NUMBER + CEDAR)
    rows = helm("policy", "explain", tool, "--policy", path, "--json", *made.option).json()
    assert said in [row["what"] for row in rows]


def test_a_mistake_in_cedar_is_named_with_file_and_line(made: Made) -> None:
    path = signed(made, CEDAR)
    place = made.place().policy_path
    place.write_text(
        place.read_text(encoding="utf-8").replace("context.arguments.n < 100", "context.arguments.m < 100")
    )
    ended = helm("policy", "check", path, "--json", *made.option)
    assert ended.code == 1
    message = ended.failure()["message"]
    assert "decision_points.house.policies" in message
    assert "attribute `arguments.m`" in message
