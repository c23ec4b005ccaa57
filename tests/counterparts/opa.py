"""The Open Policy Agent itself, where its program is on the path."""

from __future__ import annotations

import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Final

import trio

PROGRAM: Final = "opa"
READY: Final = b"Server initialized."
HOW: Final = (
    "decision points: the real OPA was NOT RUN. Put its program `opa` on the PATH: "
    "go install github.com/open-policy-agent/opa@v1.9.0"
)

POLICY: Final = """package helm

default allow := false

allow if {
	input.version == "helm.pdp/1"
	input.principal == "agent"
	input.arguments.n < 10
}

allow if 1 / (input.arguments.n - 20) == 1

partial if input.arguments.n < 10

words := "yes" if input.arguments.n < 10
"""


def program() -> str | None:
    """Return where it is, None where it is not."""
    return shutil.which(PROGRAM)


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@asynccontextmanager
async def serving(folder: Path, revision: str) -> AsyncIterator[tuple[int, str]]:
    """Run OPA on one bundle of this revision; yield its port, and the name that it calls the bundle by."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / ".manifest").write_text(f'{{"revision":"{revision}","roots":["helm"]}}')
    (bundle / "policy.rego").write_text(POLICY)
    port = free_port()
    words = ("run", "--server", "--addr", f"127.0.0.1:{port}", "--disable-telemetry", "--log-level", "debug")
    command = [str(program()), *words, "--bundle", str(bundle)]
    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdout=DEVNULL, stderr=PIPE, check=False)
        process = await nursery.start(start)
        said = b""
        while READY not in said:
            chunk = await process.stderr.receive_some(65536)
            assert chunk, said.decode()
            said += chunk
        nursery.start_soon(drained, process.stderr)
        yield port, str(bundle)
        process.kill()


async def drained(stream: trio.abc.ReceiveStream) -> None:
    """Read what nobody reads, so that its writer never waits."""
    while await stream.receive_some(65536):
        pass
