"""`helm integrate scaffold` writes a folder at once or not at all; its way to the kernel cannot be led astray."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any, Final

import attrs
import pytest

from actors.cli.integrate.scaffold import FRAMEWORKS
from helm.config import Config
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT

LISTED: Final = [{"name": "files.read", "description": "Read.", "inputSchema": {"type": "object"}}]
ALLOWED: Final = {"verdict": "ALLOW", "outcome": "SUCCESS", "output": {"n": 1}, "receipt": {"receipt_id": "rcpt_1"}}
ESCALATED: Final = {
    "verdict": "ESCALATE",
    "outcome": "ESCALATED",
    "reason_code": "APPROVAL_REQUIRED",
    "approval_id": "apr_1",
}
REFUSED: Final = {
    "verdict": "DENY",
    "outcome": "DENIED",
    "reason_code": "PDP_DENY",
    "reason": "no",
    "receipt_id": "rcpt_2",
}


@attrs.define
class Kernel:
    """Stands in for one over HTTP: answers as it is told to, and keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, bytes] | None] = attrs.field(factory=list)
    """What comes next, None for a connection that is closed without an answer."""
    asked: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)
    keys: list[str | None] = attrs.field(factory=list)

    def say(self, *told: Any, status: int = 200) -> None:
        """Answer with these values, one for each request."""
        self.answers += [(status, json.dumps(one).encode()) for one in told]


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    """Yield a stand-in on a loopback port."""
    said = Kernel()

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            said.asked.append((self.path, json.loads(body or b"{}")))
            said.keys.append(self.headers.get("authorization"))
            answer = said.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            status, content = answer
            self.send_response(status)
            if status == 302:
                self.send_header("location", f"{said.url}/elsewhere")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    said.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield said
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the written `helm_gateway`, imported."""
    helm("integrate", "scaffold", "--framework", "langgraph", "--out", str(tmp_path / "agent"))
    monkeypatch.syspath_prepend(tmp_path / "agent")
    for name in ("helm_environment", "helm_gateway"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("helm_gateway")


@pytest.fixture
def gateway(kernel: Kernel, module: ModuleType) -> Any:
    """Return a gateway of the stand-in that knows one tool."""
    made = module.Gateway(kernel.url, "helm_key")
    kernel.say({"tools": LISTED})
    assert [(tool.name, tool.tool) for tool in made.tools()] == [("files_read", "files.read")]
    kernel.asked.clear()
    return made


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_what_is_written_is_whole_and_as_well_kept_as_the_rest(framework: str, tmp_path: Path) -> None:
    ended = helm("integrate", "scaffold", "--framework", framework, "--out", str(tmp_path / "agent"), "--json")
    files = sorted(path.name for path in (tmp_path / "agent").iterdir())
    assert ended.json() == {"files": files, "folder": str(tmp_path / "agent"), "framework": framework}
    assert {"README.md", "requirements.txt", "try_it.py", f"{FRAMEWORKS[framework].module}.py"} <= set(files)
    readme = (tmp_path / "agent" / "README.md").read_text()
    assert [
        name for name in files if name.startswith("helm_") and name != "helm_script.py" and f"`{name}`" not in readme
    ] == []
    assert f"http://127.0.0.1:{Config().port}" in readme
    assert ("files_read" if FRAMEWORKS[framework].over_http else "files.read") in readme
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(tmp_path / "agent")]
    for words in (["check", "--ignore", "I001"], ["format", "--check"]):
        ruff = subprocess.run(["ruff", *words, *settings], capture_output=True, text=True, check=False)
        assert ruff.returncode == 0, ruff.stdout + ruff.stderr


def test_the_way_to_the_kernel_needs_nothing_but_python(module: ModuleType) -> None:
    gateway = Path(str(module.__file__))
    for path, beside in ((gateway, {"helm_environment"}), (gateway.with_name("helm_environment.py"), set[str]())):
        tree = ast.parse(path.read_text())
        names = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        names |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | beside


@pytest.mark.parametrize("framework", sorted(FRAMEWORKS))
def test_what_is_not_set_is_said_in_one_line_before_a_library_is_needed(framework: str, tmp_path: Path) -> None:
    helm("integrate", "scaffold", "--framework", framework, "--out", str(tmp_path / "agent"))
    key = {"HELM_API_KEY": "helm_secret"}
    for environment, names in (
        ({}, "HELM_URL and HELM_API_KEY"),
        (key, "HELM_URL"),
        ({**key, "HELM_URL": ""}, "HELM_URL"),
    ):
        ended = bare(tmp_path / "agent", environment)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1), ended.stderr
        assert ended.stderr.startswith(f"{names} not set: export HELM_URL=http://127.0.0.1:{Config().port}")
        assert "secret" not in ended.stderr
    ended = bare(tmp_path / "agent", {**key, "HELM_URL": "http://127.0.0.1:9"})
    assert "ModuleNotFoundError" in ended.stderr  # where all is set it goes on, to a library that is not there


def bare(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a folder's program in this environment and no other, with no library but Python's."""
    line = [sys.executable, "-S", "-B", "try_it.py"]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_an_agent_that_is_not_told_where_helm_is_says_so_too(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HELM_URL", raising=False)
    monkeypatch.setenv("HELM_API_KEY", "helm_secret")
    with pytest.raises(sys.modules["helm_environment"].NotSet, match=r"^HELM_URL not set: export HELM_URL=http:\S+ \("):
        module.Gateway.from_environment()
    monkeypatch.setenv("HELM_URL", "http://127.0.0.1:9/")
    assert module.Gateway.from_environment().url == "http://127.0.0.1:9"


def test_mcp_is_the_version_that_is_tested_here() -> None:
    asked = (ROOT / "actors/cli/integrate/scaffolds/mcp/requirements.txt").read_text().strip()
    assert asked in (ROOT / "constraints.txt").read_text().splitlines()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "mine.py").write_text("mine")
    ended = helm("integrate", "scaffold", "--framework", "mcp", "--out", str(tmp_path / "agent"), "--json")
    assert ended.code == 1
    assert "not an empty folder" in ended.failure()["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["agent"]
    assert [path.name for path in (tmp_path / "agent").iterdir()] == ["mine.py"]


def test_a_folder_in_no_folder_and_a_framework_that_is_none_are_refused(tmp_path: Path) -> None:
    assert helm("integrate", "scaffold", "--framework", "mcp", "--out", str(tmp_path / "a" / "b")).code == 1
    assert helm("integrate", "scaffold", "--framework", "other", "--out", str(tmp_path / "c")).code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_answer_says_what_the_model_reads(gateway: Any, kernel: Kernel) -> None:
    kernel.say(ALLOWED)
    answer = gateway.call("files_read", {"path": "a"})
    assert (answer.succeeded, answer.text(), answer.receipt_id) == (True, '{"n": 1}', "rcpt_1")
    assert kernel.asked[0][1]["tool"] == "files.read"
    kernel.say(REFUSED, status=403)
    answer = gateway.call("files_read", {"path": "a"})
    assert answer.text() == "Not done: DENIED PDP_DENY: no (receipt rcpt_2)"
    assert not answer.succeeded


@pytest.mark.parametrize(
    "told", [{}, {"verdict": "ALLOW"}, {"outcome": "SUCCESS"}, {"verdict": "ALLOW", "outcome": "FAILED"}]
)
def test_only_an_allowed_call_that_succeeded_is_one(gateway: Any, kernel: Kernel, told: dict[str, str]) -> None:
    kernel.say({**told, "output": "done"})
    assert not gateway.call("files_read", {}).succeeded


def test_the_same_call_names_its_approval_and_another_does_not(gateway: Any, kernel: Kernel) -> None:
    kernel.say(ESCALATED, ALLOWED, ALLOWED, ALLOWED, status=202)
    assert "apr_1" in gateway.call("files_read", {"path": "a"}).text()
    gateway.call("files_read", {"path": "b"})
    gateway.call("files_read", {"path": "a"})
    gateway.call("files_read", {"path": "a"})
    assert [body.get("approval_id") for _, body in kernel.asked] == [None, None, "apr_1", None]


def test_a_lost_answer_is_asked_for_once_more_under_the_same_key(gateway: Any, kernel: Kernel) -> None:
    kernel.answers.append(None)
    kernel.say(ALLOWED)
    assert gateway.call("files_read", {}).succeeded
    first, second = (body for _, body in kernel.asked)
    assert first == second
    kernel.say(ALLOWED)
    gateway.call("files_read", {})
    assert kernel.asked[2][1]["idempotency_key"] != first["idempotency_key"]


@pytest.mark.parametrize("answer", [None, (200, b"no json"), (200, b"[]"), (302, b"")])
def test_what_is_no_answer_is_none(
    gateway: Any, kernel: Kernel, module: ModuleType, answer: tuple[int, bytes] | None
) -> None:
    kernel.answers += [answer, answer]
    with pytest.raises(module.NoAnswer):
        gateway.call("files_read", {})
    assert [path for path, _ in kernel.asked] == ["/v1/tools/execute"] * 2


def test_an_answer_without_end_is_not_read_to_it(
    gateway: Any, kernel: Kernel, module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 64)
    kernel.say({**ALLOWED, "output": "x" * 99}, {**ALLOWED, "output": "x" * 99})
    with pytest.raises(module.NoAnswer, match="more than 64 bytes"):
        gateway.call("files_read", {})


def test_the_key_is_sent_to_no_proxy_of_the_environment(
    gateway: Any, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    kernel.say(ALLOWED)
    assert gateway.call("files_read", {}).succeeded


def test_two_tools_that_are_one_name_to_a_model_are_refused(kernel: Kernel, module: ModuleType) -> None:
    kernel.say({"tools": [*LISTED, {**LISTED[0], "name": "files_read"}]})
    with pytest.raises(ValueError, match=r"files_read and files\.read"):
        module.Gateway(kernel.url, "helm_key").tools()


def test_a_kernel_that_does_not_know_the_key_lists_nothing(kernel: Kernel, module: ModuleType) -> None:
    kernel.say({"detail": "no such key"}, status=401)
    with pytest.raises(module.NoAnswer, match="401 no such key"):
        module.Gateway(kernel.url, "helm_key").tools()


@pytest.mark.parametrize("key", ["", "helm_secret\n", "helm_secret\r", "helm secret", "helm_sécret"])
def test_a_key_that_no_header_takes_is_refused_before_a_complaint_about_it_reaches_the_model(
    kernel: Kernel, module: ModuleType, key: str
) -> None:
    with pytest.raises(ValueError, match="one word") as refused:
        module.Gateway(kernel.url, key)
    assert "cret" not in str(refused.value)
