"""A service manager for tests: a socket that remembers what it was told."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from actors.process.service_manager import ServiceManager

MAX_BYTES = 64 * 1024


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """Yield a manager's socket and its address, which must be short (unix(7))."""
    with TemporaryDirectory(prefix="helm-sd-") as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        path = str(Path(place) / "notify")
        line.bind(path)
        yield line, path


def told(line: socket.socket) -> list[str]:
    """Return what was said until now."""
    said = []
    line.setblocking(False)
    while True:
        try:
            said.append(line.recv(MAX_BYTES).decode())
        except BlockingIOError:
            return said


@contextmanager
def manager_at(*, watch_s: float = 0.0) -> Iterator[tuple[ServiceManager, Callable[[], list[str]]]]:
    """Yield a manager to talk to, and what it was told since it was asked last."""
    with listening() as (line, path):
        yield ServiceManager(address=path, watch_s=watch_s), lambda: told(line)
