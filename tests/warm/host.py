"""A process that has imported what slow programs import, and becomes any of them by forking.

It is alone: one thread, no loop, nothing open but its connections. It imports when it is asked for the first time, and
ends, with all that it forked, when whoever started it closes its input.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = str(Path(__file__).parents[2])

SLOW: Final = (
    *("mcp.client.client", "mcp.server.lowlevel.server", "mcp.server.stdio"),
    *("actors.connectors.mcp", "actors.doors.mcp.stdio", "actors.doors.serve", "actors.opening", "actors.permit_gate"),
)
"""What programs import that takes its time, beside the commands of HELM."""


class Host:
    """Whoever asks, and what was forked for them."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.asked = selectors.DefaultSelector()
        self.running: set[int] = set()
        self.asked.register(listener, selectors.EVENT_READ, self.begin)
        self.asked.register(0, selectors.EVENT_READ, self.end)

    def serve(self) -> None:
        """Do what is asked, until the input is closed."""
        while True:
            for key, _ in self.asked.select():
                key.data()

    def end(self) -> None:
        """End everything."""
        for child in self.running:
            os.kill(child, signal.SIGKILL)
        sys.exit(0)

    def begin(self) -> None:
        """Fork a program for whoever connected."""
        link, _ = self.listener.accept()
        try:
            given, streams = received(link)
        except ValueError:  # the starter was killed before it had said what it is
            link.close()
            return
        warm_up()
        child = os.fork()
        if child == 0:
            become(given, streams)
        for stream in streams:
            os.close(stream)
        self.running.add(child)
        watched = os.pidfd_open(child)
        self.asked.register(link, selectors.EVENT_READ, lambda: self.tell(link, child))
        self.asked.register(watched, selectors.EVENT_READ, lambda: self.finish(watched, link, child))

    def tell(self, link: socket.socket, child: int) -> None:
        """Pass on a signal; end the program of a starter that is gone."""
        if child in self.running:
            for number in link.recv(16) or self.gone(link):
                os.kill(child, number)

    def gone(self, link: socket.socket) -> bytes:
        self.asked.unregister(link)
        return bytes([signal.SIGKILL])

    def finish(self, watched: int, link: socket.socket, child: int) -> None:
        """Tell the starter how its program ended."""
        _, status = os.waitpid(child, 0)
        self.running.remove(child)
        self.asked.unregister(watched)
        os.close(watched)
        if link in self.asked.get_map():
            self.asked.unregister(link)
        try:
            link.sendall(str(status).encode())
        except OSError:
            pass  # it was killed, and so was its program
        link.close()


def received(link: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Return what a starter was given: words, environment and folder, and its three streams. Raises ValueError."""
    length, streams, _, _ = socket.recv_fds(link, 4, 3)
    with link.makefile("rb") as source:
        said = source.read(int.from_bytes(length, "big"))
    try:
        given: dict[str, Any] = json.loads(said)
    except ValueError:
        for stream in streams:
            os.close(stream)
        raise
    return given, streams


def warm_up() -> None:
    """Import everything, once; what is there then is not walked by any collector again."""
    if SLOW[-1] not in sys.modules:
        from actors.cli.main import COMMANDS, MCP_COMMANDS

        for name in (*SLOW, *(module for module, _ in (*COMMANDS.values(), *MCP_COMMANDS.values()))):
            importlib.import_module(name)
        gc.collect()
        gc.freeze()


def become(given: dict[str, Any], streams: list[int]) -> None:
    """Run a program as Python would have been started with it, and end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(given["environment"])
    os.chdir(given["folder"])
    status = 1
    try:
        run(given["words"])
        status = 0
    except SystemExit as end:
        status = ended(end)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        for written in (sys.stdout, sys.stderr):
            try:
                written.flush()
            except (OSError, ValueError):
                pass  # nobody reads any more, or it was closed
        os._exit(status)


def ended(end: SystemExit) -> int:
    """Return the code of an end, as the interpreter does."""
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    print(end.code, file=sys.stderr)
    return 1


def run(words: list[str]) -> None:
    """Run a script, or -m with a module."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = os.getcwd()
        sys.modules.pop(words[1], None)
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path[0] = str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    """Listen, and be forked."""
    sys.path[0] = ROOT
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(64)
        print("listening", flush=True)
        Host(listener).serve()


if __name__ == "__main__":
    main()
