"""helm launch egress, as a process of its own, with the policy that its page shows."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT
from tests.warm.python import python

TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page_policy() -> str:
    """Return the policy of the page, for places on this machine."""
    (shown,) = TOML.findall((ROOT / "docs" / "egress-proxy.md").read_text(encoding="utf-8"))
    home = shown.replace("# allow_private", "allow_private").replace('principals = ["agent"]', 'principals = ["*"]')
    return re.sub(r"allow_destinations = .*", 'allow_destinations = ["127.0.0.1"]', home)


@pytest.fixture
def place(made: Made) -> Made:
    """A data directory with the policy of the page."""
    path = made.place().policy_path
    path.write_text(path.read_text(encoding="utf-8") + page_policy(), encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    return made


@contextmanager
def launched(made: Made) -> Iterator[tuple[str, int]]:
    """Run the proxy on a free port while the body runs."""
    line = [*python(), "-m", "actors.cli.main", "launch", "egress", "--port", "0", "--egress-port", "0", "--json"]
    with subprocess.Popen([*line, *made.option], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for told in process.stdout:
                found = re.search(r"tunnels are opened at http://([^:]+):([0-9]+)", json.loads(told)["event"])
                if found is not None:
                    break
            else:
                raise AssertionError("it ended before it opened")
            yield found[1], int(found[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    assert process.returncode == 0


@contextmanager
def service() -> Iterator[int]:
    """Run a place that says what it hears, for one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def serve() -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(taken.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def test_the_policy_of_the_page_opens_a_tunnel_and_its_receipt_verifies(place: Made) -> None:
    with launched(place) as address, service() as port, socket.create_connection(address, timeout=30) as client:
        key = f"proxy-authorization: Bearer {place.tenant_key}"
        client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nhost: proxy\r\n{key}\r\n\r\n".encode())
        stream = client.makefile("rb")
        assert stream.readline() == b"HTTP/1.1 200 Connection established\r\n"
        while stream.readline() != b"\r\n":
            pass
        client.sendall(b"through")
        client.shutdown(socket.SHUT_WR)
        assert stream.read() == b"through"
        stream.close()
    assert helm("receipts", "verify", "--json", *place.option).json()["receipts"] == 1


def test_a_policy_without_tunnels_is_refused_at_once(made: Made) -> None:
    ended = helm("launch", "egress", "--port", "0", "--egress-port", "0", *made.option)
    assert ended.code == 1
    assert "declares no such tool for tunnels" in ended.err
