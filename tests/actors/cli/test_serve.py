"""helm serve, as a process of its own: it decides, takes a new policy, and ends when it is told to."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import attrs
import pytest

from actors.cli.server import Reply, Server
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.warm.python import python


@attrs.define
class Served:
    """A running gateway."""

    process: subprocess.Popen[str]
    out: IO[str]
    url: str = ""

    def wait_for(self, words: str) -> str:
        """Return the next event that says these words."""
        for line in self.out:
            event: str = json.loads(line)["event"]
            if words in event:
                return event
        raise AssertionError(f"it ended without saying {words!r}")

    def call(self, made: Made, tool: str, path: str) -> Reply:
        """Call a tool of the starter policy."""
        body = json.dumps({"tool": tool, "arguments": {"path": path}}).encode()
        server = Server(self.url, made.tenant_key)
        return server.ask("POST", "/v1/tools/execute", body, **{"content-type": "application/json"})


@contextmanager
def served(made: Made, *words: str) -> Iterator[Served]:
    """Serve a data directory on a free port while the body runs."""
    line = [*python(), "-m", "actors.cli.main", "serve", "--port", "0", "--json", *words, *made.option]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            gateway = Served(process, process.stdout)
            found = re.search(r"http://\S+", gateway.wait_for("deciding at"))
            assert found is not None
            gateway.url = found[0]
            yield gateway
        finally:
            process.terminate()
            process.wait(timeout=20)


def test_a_fresh_installation_serves_its_starter_policy(made: Made) -> None:
    with served(made) as gateway:
        assert gateway.call(made, "files.read", "public/readme.txt").status == 200
        assert gateway.call(made, "files.read", "private/salaries.txt").status == 403
        assert gateway.call(made, "files.read_private", "private/salaries.txt").status == 202
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for("then stopping")
        assert gateway.process.wait(timeout=20) == 0
    assert helm("receipts", "verify", "--json", *made.option).json()["receipts"] == 3


def test_a_new_policy_comes_with_a_hangup_and_a_refused_one_changes_nothing(made: Made) -> None:
    path = made.place().policy_path
    with served(made) as gateway:
        edit(path, "args.path.startsWith('public/')", "args.path.startsWith('p')")
        gateway.process.send_signal(signal.SIGHUP)
        assert "the policy stays as it is, epoch 1" in gateway.wait_for("epoch")
        assert gateway.call(made, "files.read", "private/salaries.txt").status == 403
        edit(path, "epoch = 1", "epoch = 2")
        assert helm("policy", "sign", str(path), *made.option).code == 0
        gateway.process.send_signal(signal.SIGHUP)
        assert gateway.wait_for("epoch") == "policy epoch 2 is in force"
        assert gateway.call(made, "files.read", "private/salaries.txt").status == 200


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--bind", "0.0.0.0"), "in the clear"),
        (("--policy", "nowhere.toml"), "nowhere.toml"),
        (("--data-dir", "nowhere"), "helm init"),
    ],
    ids=["an open address", "no such policy", "no installation"],
)
def test_what_must_not_be_served_is_refused_at_the_start(made: Made, words: tuple[str, ...], said: str) -> None:
    ended = helm("serve", "--port", "0", *made.option, *words)
    assert ended.code == 1
    assert said in ended.err


def test_an_unsigned_policy_is_not_served(made: Made) -> None:
    edit(made.place().policy_path, "epoch = 1", "epoch = 2")
    ended = helm("serve", "--port", "0", "--json", *made.option)
    assert ended.code == 1
    assert ended.failure()["code"] == "POLICY_HASH_MISMATCH"
