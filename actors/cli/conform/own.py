"""Servers of our own to be tested: real gateways on loopback ports, each with a data directory that goes away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self

import attrs
import trio

from actors.cli.failure import Failed, innermost
from actors.conforming.driver import Restart
from actors.conforming.target import ServerUnderTest, Target
from actors.doors.openai.proxy import proxy_of
from actors.doors.serve import serve
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed

CRASH: Final = "crash"
"""The server that is killed, and therefore has a process of its own."""

SOURCE: Final = Path(__file__).resolve().parents[3]
"""What a server in a process of its own imports: the very program that tests it."""

OPEN_WITHIN_S: Final = 120.0
"""How long the servers may take to open, all together."""


@attrs.frozen
class Opened:
    """Servers that are open in another thread."""

    urls: Mapping[str, str]
    ended: trio.Event
    """Set, from within that thread, to end them."""
    token: trio.lowlevel.TrioToken


Restarts = Mapping[str, Restart]


@contextmanager
def gateways(target: Target) -> Iterator[tuple[Target, Restarts]]:
    """Serve every data directory of a target; yield the target with its URLs, and how what may be killed starts again.

    Raises Failed where one does not open.
    """
    places = {name: Path(one.data_dir) for name, one in target.servers.items() if name != CRASH}
    with ExitStack() as stack:
        urls = stack.enter_context(threads(places)) if places else {}
        servers = {name: attrs.evolve(one, url=urls.get(name, "")) for name, one in target.servers.items()}
        restarts: dict[str, Restart] = {}
        if CRASH in servers:
            process = stack.enter_context(Process(servers[CRASH]))
            restarts[CRASH] = process.start
            servers[CRASH] = process.start()
        yield attrs.evolve(target, servers=servers), restarts


@attrs.define(eq=False)
class Process:
    """A server in a process of its own, which may be killed."""

    server: ServerUnderTest
    _running: subprocess.Popen[str] | None = attrs.field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self) -> ServerUnderTest:
        """Start it, after whatever ran before has ended, and return where it is. Raises Failed."""
        self.end()
        words = ("-m", "actors.cli.main", "serve", "--json", "--port", "0", "--data-dir", self.server.data_dir)
        self._running = subprocess.Popen(  # noqa: S603 - this program, and a directory of ours
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=own_environment(),
        )
        for line in self._running.stdout or ():
            _, found, url = json.loads(line)["event"].partition("deciding at ")
            if found:
                return attrs.evolve(self.server, url=url, process=self._running.pid)
        raise Failed("a server of our own ended before it opened", "helm doctor", "NOT_OPEN")

    def end(self) -> None:
        """End what runs, if anything does."""
        if self._running is not None:
            self._running.kill()
            with self._running:  # waits for it, and closes the pipe
                self._running = None


def own_environment() -> dict[str, str]:
    """Return the environment of a server of ours: nothing of the caller's settings reaches it."""
    others = {name: value for name, value in os.environ.items() if name != "DATABASE_URL" and name[:5] != "HELM_"}
    return {**others, "PYTHONPATH": str(SOURCE)}


@contextmanager
def threads(places: Mapping[str, Path]) -> Iterator[Mapping[str, str]]:
    """Serve data directories in a thread of this process; yield their URLs. Raises Failed."""
    opened: Future[Opened] = Future()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="gateways") as pool:
        served = pool.submit(trio.run, serve_all, places, opened)
        both: set[Future[Any]] = {opened, served}
        wait(both, OPEN_WITHIN_S, FIRST_COMPLETED)
        if not opened.done():
            problem = served.exception(timeout=0) if served.done() else None
            why = f"a server of our own did not open: {innermost(problem) if problem else 'it takes too long'}"
            raise Failed(why, "helm doctor", "NOT_OPEN") from problem
        try:
            yield opened.result().urls
        finally:
            with suppress(trio.RunFinishedError):  # they have ended already
                trio.from_thread.run_sync(opened.result().ended.set, trio_token=opened.result().token)


async def serve_all(places: Mapping[str, Path], opened: Future[Opened]) -> None:
    """Serve until they are to end, and say where they are once all of them are open."""
    urls: dict[str, str] = {}
    ended = trio.Event()

    async def one(name: str, path: Path, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        place = Installation.open(path, environment={}, flags={"port": 0})
        proxy = proxy_of(place.config, path, os.environ)
        async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
            door = await kernel.nursery.start(partial(serve, proxy=proxy), kernel, place.config, place.bearer_keys())
            urls[name] = door.address.url
            task_status.started()
            await ended.wait()
            door.close()
            await door.ended.wait()

    async with trio.open_nursery() as nursery:
        for name, path in places.items():
            await nursery.start(one, name, path)
        opened.set_result(Opened(urls, ended, trio.lowlevel.current_trio_token()))
