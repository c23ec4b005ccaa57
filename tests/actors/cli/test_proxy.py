"""helm proxy, as a process of its own, with OpenAI's own client before it and an upstream behind it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.doors.openai.lane import call, completion
from tests.warm.python import python

CLIENT = """
[connectors.client]
kind = "client"

[tools.get_weather]
connector = "client"
effect_type = "read"
risk_tier = "T0"
principals = ["*"]
input = '{"type": "object"}'
output = '{}'
"""
HTTP_CLIENT = """
[connectors.orders]
kind = "http"
origin = "https://orders.example.com"
[connectors.orders.operations.get]
method = "GET"
path = "/"
"""
PRICES = '[models."gpt-test"]\ninput_cents = 100\noutput_cents = 400\n'


class Model(BaseHTTPRequestHandler):
    """Answers every request with one tool call, each with an id of its own."""

    asked = 0

    def do_POST(self) -> None:
        """Answer."""
        Model.asked += 1
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps(completion(call("get_weather", call_id=f"call_{Model.asked}"))).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""


@pytest.fixture
def upstream() -> Iterator[str]:
    """The base URL of a model."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture
def place(made: Made) -> Made:
    """A data directory whose policy lets clients execute a tool."""
    append_to_policy(made, CLIENT)
    return made


def append_to_policy(made: Made, text: str) -> None:
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0


@contextmanager
def proxied(made: Made, upstream: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the proxy on a free port while the body runs."""
    line = [*python(), "-m", "actors.cli.main", "proxy", "--port", "0", "--json", "--upstream", upstream]
    with subprocess.Popen([*line, "--key-env", "", *words, *made.option], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for told in process.stdout:
                found = re.search(r"deciding at (http://\S+)", json.loads(told)["event"])
                if found is not None:
                    break
            else:
                raise AssertionError("it ended before it decided anything")
            yield process, found[1] + "/v1"
        finally:
            process.terminate()
            process.wait(timeout=20)


def ask(made: Made, base_url: str) -> Any:
    with openai.OpenAI(base_url=base_url, api_key=made.tenant_key, max_retries=0, timeout=20) as client:
        return client.chat.completions.create(model="gpt-test", messages=[{"role": "user", "content": "hi"}])


def test_one_line_adopts_the_proxy_and_its_receipts_survive_a_kill(place: Made, upstream: str) -> None:
    with proxied(place, upstream) as (process, base_url):
        said = ask(place, base_url).choices[0].message
        assert said.tool_calls[0].function.name == "get_weather"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
    file = place.path / "openai-receipts.jsonl"
    file.write_bytes(file.read_bytes()[:-20])
    with proxied(place, upstream) as (_, base_url):
        ask(place, base_url)
        receipts = [json.loads(line) for line in file.read_text().splitlines()]
        assert receipts[0]["reason_code"] == "RELEASED_TO_CLIENT"
    assert helm("receipts", "verify", "--json", *place.option).json()["receipts"] == 2


def test_a_changed_file_of_receipts_stops_the_start(place: Made, upstream: str) -> None:
    with proxied(place, upstream) as (_, base_url):
        ask(place, base_url)
    file = place.path / "openai-receipts.jsonl"
    with proxied(place, upstream):
        pass  # copies what the last one left
    file.write_bytes(file.read_bytes().replace(b'"verdict":"ALLOW"', b'"verdict":"DENY"'))
    ended = helm("proxy", "--port", "0", "--upstream", upstream, "--key-env", "", *place.option)
    assert ended.code == 1
    assert "the line is not the receipt that the journal has there" in ended.err


ISLAND = ("--island-mode", "--max-iterations", "5", "--max-wall-s", "60", "--spend-limit-cents", "100")


def test_an_island_has_its_ceilings_or_does_not_start(place: Made, upstream: str) -> None:
    (place.path / "prices.toml").write_text(PRICES)
    prices = ("--prices", str(place.path / "prices.toml"))
    for words in ((), ISLAND, (*ISLAND[:-2], *prices)):
        ended = helm("proxy", "--island-mode", "--port", "0", "--upstream", upstream, *words, *place.option)
        assert ended.code == 1
        assert "island_mode needs hard ceilings" in ended.err or "nobody knows what anything costs" in ended.err
    with proxied(place, upstream, *ISLAND, *prices) as (_, base_url), pytest.raises(openai.PermissionDeniedError) as no:
        ask(place, base_url)
    assert no.value.code == "ERR_ISLAND_MODE_RESTRICTED"


def test_an_islands_policy_reaches_no_other_host(place: Made, upstream: str) -> None:
    (place.path / "prices.toml").write_text(PRICES)
    append_to_policy(place, HTTP_CLIENT)
    words = (*ISLAND, "--prices", str(place.path / "prices.toml"), "--key-env", "")
    ended = helm("proxy", "--port", "0", "--upstream", upstream, *words, *place.option)
    assert ended.code == 1
    assert "island mode: it reaches another host than the upstream" in ended.err


@pytest.mark.slow
def test_no_reload_brings_an_island_a_policy_that_reaches_another_host(place: Made, upstream: str) -> None:
    (place.path / "prices.toml").write_text(PRICES)
    path = place.place().policy_path
    with proxied(place, upstream, *ISLAND, "--prices", str(place.path / "prices.toml")):
        path.write_text(path.read_text().replace("epoch = 1", "epoch = 2"))
        append_to_policy(place, HTTP_CLIENT)
        refused = helm("reload", "--json", *place.option)
    assert (refused.code, refused.json()["refused"], refused.json()["epoch"]) == (1, True, 1)
    assert "island mode: it reaches another host than the upstream" in refused.json()["said"]


def test_a_proxy_without_an_upstream_is_a_usage_error(made: Made) -> None:
    ended = helm("proxy", *made.option)
    assert ended.code == 2
    assert "--upstream" in ended.err


def test_a_key_that_is_not_there_is_missed_at_the_start(made: Made) -> None:
    ended = helm("proxy", "--port", "0", "--upstream", "https://api.example.com", *made.option, OPENAI_API_KEY="")
    assert ended.code == 1
    assert "OPENAI_API_KEY" in ended.err
