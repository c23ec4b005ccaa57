"""The hatch: a local socket in the data directory, by which its owner has a running gateway read everything again.

Whoever reaches it could read the keys beside it: the directory is its owner's alone, so is the socket, and one line is
all that it understands. There is no other way to learn whether a reload was refused; a signal has no answer.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

import trio

from actors.doors.sockets import Gate
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes

NAME: Final = "serve.sock"

RELOAD: Final = b"reload\n"
ANEW: Final = b"reload anew\n"
"""The same, and every MCP server is started anew."""

WORDS: Final = {RELOAD: False, ANEW: True}
LONGEST: Final = max(map(len, WORDS))
"""More than that is not read (T4)."""

PATIENCE_S: Final = 5.0
"""For a client to say its one word, and to take the answer."""

CLIENTS: Final = 4
"""One owner, who waits for an answer: more than that is a mistake (T4)."""

MODE: Final = 0o600

Reload = Callable[[bool], Awaitable[dict[str, JSONValue]]]
"""Reads everything again, and says what came of it; takes whether every MCP server is started anew."""


@contextmanager
def address(data_dir: Path) -> Iterator[str]:
    """Yield a short path to the socket: a data directory may have a longer name than an address may be (unix(7))."""
    directory = os.open(data_dir, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{NAME}"
    finally:
        os.close(directory)


def bind(data_dir: Path) -> trio.SocketListener:
    """Return a listener at the socket; what a gateway that died left is replaced. Raises Invalid.

    Only who holds the journal's lock may call this: another gateway's socket would be taken away.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with address(data_dir) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            made.bind(path)
            os.chmod(path, MODE)
        made.listen(CLIENTS)
    except OSError as problem:
        made.close()
        raise Invalid(f"the socket cannot be made: {problem.strerror}", str(data_dir / NAME)) from problem
    made.setblocking(False)
    return trio.SocketListener(trio.socket.from_stdlib_socket(made))


async def attend(
    data_dir: Path, reload: Reload, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> NoReturn:
    """Answer at the socket until cancelled. Raises Invalid where it cannot be made."""
    gate = Gate(bind(data_dir), trio.Semaphore(CLIENTS))

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await answer(stream, reload)
        finally:
            gate.places.release()

    try:
        task_status.started()
        await trio.serve_listeners(serve, [gate])
    finally:
        with suppress(OSError), address(data_dir) as path:
            os.unlink(path)


async def answer(stream: trio.SocketStream, reload: Reload) -> None:
    """Answer one client; one that says another word, or nothing, gets nothing."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        async with stream:
            asked = b""
            with trio.move_on_after(PATIENCE_S):
                while b"\n" not in asked and (piece := await stream.receive_some(LONGEST - len(asked))):
                    asked += piece
                    if len(asked) == LONGEST:
                        break
            if asked not in WORDS:
                return
            said = await reload(WORDS[asked])
            with trio.move_on_after(PATIENCE_S):
                await stream.send_all(record_bytes(said) + b"\n")
