"""A container engine by its command, and what it says of itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from typing import Final

import attrs
import trio

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.launch.tiers import Host, host_of

PLACES: Final = ("/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/bin")
"""Where engines are looked for: a search path would let whoever sets it choose what isolates."""

ASK_S: Final = 20.0
"""For one answer about the host."""

MAX_SAID: Final = 1024 * 1024
"""The longest answer that is read (T4)."""

INHERITED: Final = (
    *("HOME", "XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONFIG"),
    *("CONTAINER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF"),
)
"""What an engine's command finds its daemon by; nothing else of ours is passed on."""

VIRT: Final = "/usr/bin/systemd-detect-virt"


class EngineFailed(Exception):
    """A command of the engine's ended badly."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen
class Engine:
    """An engine that is installed."""

    name: str
    path: str
    environment: Mapping[str, str] = attrs.field(repr=False)

    async def do(self, *words: str) -> bytes:
        """Run one command and return what it says. Raises EngineFailed, with nothing of the engine's own words."""
        done = await trio.run_process(
            [self.path, *words],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            env=dict(self.environment),
            stdin=b"",
        )
        if done.returncode != 0 or len(done.stdout) > MAX_SAID:
            raise EngineFailed(f"{self.name} {words[0]} ended with exit status {done.returncode}")
        return done.stdout

    async def ask(self, *words: str) -> JSONValue:
        """Run one command and return the JSON that it says. Raises EngineFailed."""
        try:
            return parse(await self.do(*words))
        except Malformed as problem:
            raise EngineFailed(f"{self.name} {words[0]} answers with no JSON") from problem

    async def host(self) -> Host | None:
        """Return what the engine says of itself, None for one that does not answer: then nothing is known."""
        words = ("info", "--format", "{{json .}}" if self.name == "docker" else "json")
        with trio.move_on_after(ASK_S):
            try:
                return host_of(self.name, await self.ask(*words), await hypervisor())
            except EngineFailed:
                return None
        return None


def find(name: str) -> Engine | None:
    """Return the engine where it is installed, None where it is not."""
    for place in PLACES:
        path = f"{place}/{name}"
        if os.access(path, os.X_OK):
            given = {variable: os.environ[variable] for variable in INHERITED if variable in os.environ}
            return Engine(name, path, {"PATH": ":".join(PLACES), **given})
    return None


async def hypervisor() -> str:
    """Return the hypervisor that this host runs on, "" for none that shows."""
    if not os.access(VIRT, os.X_OK):
        return ""
    done = await trio.run_process([VIRT, "--vm"], capture_stdout=True, stderr=subprocess.DEVNULL, check=False)
    said = done.stdout.decode("ascii", "replace").strip()
    return said if done.returncode == 0 and said != "none" else ""
