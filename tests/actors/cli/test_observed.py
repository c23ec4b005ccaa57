"""helm serve before observers: a log in a file, and a collector of another make."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any, Final

import pytest

from actors.cli.server import Server
from helm.contracts.form import JSONValue
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.cli.test_serve import edit, served
from tests.actors.telemetry.collector import Heard, attributes, collecting
from tests.warm.python import python

SOON_S: Final = 30.0


def observe(made: Made, **settings: JSONValue) -> None:
    """Put settings into helm.toml."""
    with (made.path / "helm.toml").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())


def wait_for_figures(heard: Heard, name: str) -> Any:
    """Return a figure once the collector has heard of it."""
    while not (name in heard.figures and heard.figures[name].sum.data_points):
        assert heard.told.wait(SOON_S)
        heard.told.clear()
    return heard.figures[name]


def wait_for_spans(heard: Heard, count: int) -> None:
    """Return once the collector has heard of so many spans."""
    while len(heard.spans) < count:
        assert heard.told.wait(SOON_S)
        heard.told.clear()


@pytest.mark.slow
def test_what_the_gateway_does_is_in_its_log_and_at_its_collector(made: Made) -> None:
    with collecting() as heard:
        settings = {"otel_endpoint": heard.url, "otel_sampling": 1.0, "otel_interval_s": 1.0}
        observe(made, log="helm.log", **settings)
        with served(made) as gateway:
            allowed = gateway.call(made, "files.read", "public/readme.txt")
            assert gateway.call(made, "files.read", "private/salaries.txt").status == 403
            points = wait_for_figures(heard, "helm.decisions.total").sum.data_points
            assert {attributes(point)["verdict"] for point in points} <= {"ALLOW", "DENY"}
            edit(made.place().policy_path, "args.path.startsWith('public/')", "args.path.startsWith('p')")
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for("the policy stays as it is")
            wait_for_spans(heard, 3)
            metrics = Server(gateway.url, made.admin_key).ask("GET", "/metrics").body.decode()
            gateway.process.send_signal(signal.SIGTERM)
            gateway.wait_for("then stopping")
            assert gateway.process.wait(timeout=20) == 0
    assert "helm_telemetry_lost_spans_total 0.0" in metrics
    assert [span.name for span in heard.spans].count("helm.governance.decision") == 2
    assert [span.name for span in heard.spans].count("gen_ai.tool_call") == 1
    lines = [json.loads(line) for line in (made.path / "helm.log").read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] != "message"] == [
        "serving",
        "call",
        "call",
        "policy_refused",
        "stopping",
    ]
    calls = [line for line in lines if line["event"] == "call"]
    assert calls[0]["receipt_id"] == json.loads(allowed.body)["receipt"]["receipt_id"]
    assert {line["trace_id"] for line in calls} == {span.trace_id.hex() for span in heard.spans}
    text = (made.path / "helm.log").read_text()
    assert [key for key in (made.tenant_key, made.admin_key, "salaries") if key in text] == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"log": "no/such/directory/helm.log"}, "cannot be written"),
        ({"otel_endpoint": "http://user:password@collector:4318"}, "otel_endpoint"),
        ({"otel_endpoint": "collector:4318"}, "otel_endpoint"),
        ({"otel_sampling": 1.5}, "otel_sampling"),
    ],
    ids=["a log that cannot be written", "a secret in a setting", "no URL", "more than everything"],
)
def test_observers_that_cannot_be_told_are_refused_at_the_start(
    made: Made, settings: dict[str, JSONValue], said: str
) -> None:
    observe(made, **settings)
    ended = helm("serve", "--port", "0", *made.option)
    assert ended.code == 1
    assert said in ended.err


@pytest.mark.slow
def test_what_one_mcp_client_does_over_stdio_is_in_the_log_too(made: Made) -> None:
    observe(made, log="helm.log")
    called = {"name": "files.read", "arguments": {"path": "public/readme.txt"}}
    client = {"clientInfo": {"name": "test", "version": "1"}, "protocolVersion": "2025-11-25", "capabilities": {}}
    messages = [
        {"id": 1, "method": "initialize", "params": client},
        {"id": 2, "method": "tools/call", "params": called},
    ]
    said = "".join(json.dumps({"jsonrpc": "2.0", **message}) + "\n" for message in messages)
    line = [*python(), "-m", "actors.cli.main", "mcp", "serve", *made.option]
    ended = subprocess.run(line, input=said, capture_output=True, text=True, timeout=60, check=True)
    answers = [json.loads(answer) for answer in ended.stdout.splitlines()]
    assert "result" in next(answer for answer in answers if answer["id"] == 2)
    lines = [json.loads(line) for line in (made.path / "helm.log").read_text().splitlines()]
    assert [(line["event"], line["tool"], line["verdict"]) for line in lines] == [("call", "files.read", "ALLOW")]
