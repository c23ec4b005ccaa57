"""helm serve, as a process of its own: it decides, takes a new policy, and ends when it is told to."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import attrs
import pytest

from actors.cli.server import Reply, Server
from actors.doors.hatch import address
from actors.doors.sockets import bind
from actors.stores import lock
from helm.config import Config
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.doors.issuing import Pair, certified
from tests.actors.manager import listening, told
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
def served(made: Made, *words: str, **environment: str) -> Iterator[Served]:
    """Serve a data directory on a free port while the body runs."""
    line = [*python(), "-m", "actors.cli.main", "serve", "--port", "0", "--json", *words, *made.option]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        try:
            assert process.stdout is not None
            gateway = Served(process, process.stdout)
            found = re.search(r"https?://\S+", gateway.wait_for("deciding at"))
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


def test_whoever_asks_for_a_reload_learns_what_came_of_it(made: Made) -> None:
    path = made.place().policy_path
    with served(made) as gateway:
        edit(path, "epoch = 1", "epoch = 2")
        refused = helm("reload", "--json", *made.option)
        assert (refused.code, refused.json()["refused"], refused.json()["epoch"]) == (1, True, 1)
        assert helm("policy", "sign", str(path), *made.option).code == 0
        edit(made.path / "helm.toml", "#grace_s = 5.0", "grace_s = 6.0")
        taken = helm("reload", "--json", *made.option)
        assert (taken.code, taken.json()["epoch"]) == (0, 2)
        assert taken.json()["said"] == (
            "policy epoch 2 is in force; changed since the start, and waiting for a restart: grace_s"
        )
        assert helm("ready", "--server", gateway.url).code == 0
    absent = helm("reload", *made.option)
    assert (absent.code, "is `helm serve` running" in absent.err) == (1, True)
    nobody = helm("ready", "--server", gateway.url)
    assert (nobody.code, "is `helm serve` running there?" in nobody.err) == (1, True)


def test_a_policy_is_put_in_force_in_the_running_gateway_or_nothing_changes(made: Made, tmp_path: Path) -> None:
    path, draft = made.place().policy_path, tmp_path / "next.toml"
    text = path.read_text(encoding="utf-8")
    with served(made) as gateway:
        draft.write_text(text.replace("epoch = 1", "epoch = 2", 1), encoding="utf-8")
        assert helm("policy", "sign", str(draft), *made.option).code == 0
        ended = helm("policy", "activate", str(draft), "--json", *made.option)
        assert (ended.code, ended.json()["epoch"]) == (0, 2)
        assert gateway.wait_for("epoch") == "policy epoch 2 is in force"
        before = path.read_bytes()
        # A connector of a kind that only a program that embeds the kernel can serve: the gateway refuses it.
        local = '[connectors.local]\nkind = "local"\n\n[connectors.files]'
        third = text.replace("epoch = 1", "epoch = 3", 1).replace("[connectors.files]", local, 1)
        draft.write_text(third.replace('connector = "files"', 'connector = "local"', 1), encoding="utf-8")
        assert helm("policy", "sign", str(draft), *made.option).code == 0
        refused = helm("policy", "activate", str(draft), "--json", *made.option)
        assert (refused.code, refused.failure()["code"]) == (1, "REFUSED")
        assert path.read_bytes() == before == text.replace("epoch = 1", "epoch = 2", 1).encode()
        assert gateway.call(made, "files.read", "public/readme.txt").status == 200


def test_a_new_certificate_is_shown_from_the_reload_on_and_a_bad_one_keeps_the_policy_too(
    made: Made, tmp_path: Path
) -> None:
    place, policy = tmp_path / "tls", made.place().policy_path
    place.mkdir()
    first, second = certified(), certified()
    cert, key = put(first, place)
    with served(made, HELM_TLS_CERT=cert, HELM_TLS_KEY=key) as gateway:
        assert shown(gateway.url) == first.der
        put(second, place)
        assert helm("reload", *made.option).code == 0
        assert shown(gateway.url) == second.der
        Path(key).write_text("no key")
        edit(policy, "epoch = 1", "epoch = 2")
        assert helm("policy", "sign", str(policy), *made.option).code == 0
        refused = helm("reload", "--json", *made.option)
        assert (refused.code, refused.json()["epoch"]) == (1, 1)
        assert "tls_cert" in refused.json()["said"]
        assert shown(gateway.url) == second.der


def put(pair: Pair, place: Path) -> tuple[str, str]:
    """Put a certificate and its key where the settings name them."""
    cert, key = pair.files(place)
    return str(Path(cert).replace(place / "tls.crt")), str(Path(key).replace(place / "tls.key"))


def shown(url: str) -> bytes:
    """Return the certificate that a gateway shows."""
    host, _, port = url.removeprefix("https://").partition(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)), timeout=SOON_S))


SOON_S: Final = 20.0


def test_what_a_gateway_left_that_died_is_in_nobodys_way(made: Made) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left, address(made.path) as path:
        left.bind(path)
    assert helm("reload", *made.option).code == 1
    with served(made):
        assert helm("reload", *made.option).code == 0
        assert helm("backup", str(made.path.parent / "copy"), *made.option).code == 0
        assert stat.S_IMODE((made.path / "serve.sock").lstat().st_mode) == 0o600
        for word in (b"relaod\n", b"reload\nanew\n", b"reload anew!"):
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, address(made.path) as path:
                line.settimeout(SOON_S)
                line.connect(path)
                line.sendall(word)
                assert line.recv(1) == b""
    assert not (made.path / "serve.sock").exists()


def test_a_service_manager_hears_of_everything(made: Made) -> None:
    with listening() as (line, address):
        with served(made, NOTIFY_SOCKET=address, WATCHDOG_USEC="600000000") as gateway:
            assert helm("reload", *made.option).code == 0
            gateway.process.send_signal(signal.SIGTERM)
            gateway.wait_for("then stopping")
            assert gateway.process.wait(timeout=20) == 0
        words = [said.partition("\n")[0] for said in told(line)]
    assert words == ["WATCHDOG=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


def test_an_admin_key_comes_as_a_credential_of_the_service(made: Made, tmp_path: Path) -> None:
    (tmp_path / "HELM_ADMIN_API_KEY").write_text(f"{ADMIN_KEY}\n")
    with served(made, CREDENTIALS_DIRECTORY=str(tmp_path)) as gateway:
        assert Server(gateway.url, ADMIN_KEY).ask("GET", "/metrics").status == 200
        assert Server(gateway.url, ADMIN_KEY[1:]).ask("GET", "/metrics").status == 401


ADMIN_KEY = "an-admin-key-that-nobody-guesses-0123456789"


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


def test_a_variable_that_looks_like_a_setting_is_told_of_at_the_start(made: Made) -> None:
    words = ("serve", "--policy", "nowhere.toml", "--port", "0", *made.option)
    ended = helm(*words, HELM_PROT="8421", HELM_CACHE_HOME="/of/another/program")
    assert "HELM_PROT is no setting, and changes nothing: did you mean HELM_PORT?" in ended.err
    assert "HELM_CACHE_HOME" not in ended.err


def test_an_unsigned_policy_is_not_served(made: Made) -> None:
    path = made.place().policy_path
    edit(path, "epoch = 1", "epoch = 2")
    ended = helm("serve", "--port", "0", "--json", *made.option)
    assert ended.code == 1
    assert ended.failure()["code"] == "POLICY_HASH_MISMATCH"
    assert f"{path}: the signature is over" in ended.failure()["message"]
    assert f"helm policy sign {path}" in ended.failure()["message"]


def test_a_second_gateway_on_one_log_blames_the_first_and_not_the_port(used: Made) -> None:
    first = bind(Config(port=0), admin_key_issued=False)
    port = str(first.address.port)
    try:
        held = lock.take(lock.beside(used.place().journal_path))  # as the first one's kernel does
        try:
            second = helm("serve", "--port", port, "--json", *used.option).failure()
        finally:
            os.close(held)
        assert "another kernel writes this journal" in second["message"]
        assert f"process {os.getpid()} holds it" in second["hint"]
        stranger = helm("serve", "--port", port, "--json", *used.option).failure()
        assert stranger["message"] == f"127.0.0.1 port {port}: cannot listen: Address already in use"
    finally:
        first.close()
