"""Servers of our own to be tested: real gateways on loopback ports, each with a data directory that goes away."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final

import attrs
import trio

from actors.cli.failure import Failed, innermost
from actors.conforming.target import Target
from actors.doors.openai.proxy import proxy_of
from actors.doors.serve import serve
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed

OPEN_WITHIN_S: Final = 120.0
"""How long the servers may take to open, all together."""

Opened = SimpleQueue[Mapping[str, str] | BaseException]


@contextmanager
def gateways(target: Target) -> Iterator[Target]:
    """Serve every data directory of a target that has no URL, in a thread; yield the target with its URLs.

    Raises Failed where one does not open.
    """
    places = {name: Path(one.data_dir) for name, one in target.servers.items() if not one.url}
    opened: Opened = SimpleQueue()
    ended = trio.Event()
    tokens: SimpleQueue[trio.lowlevel.TrioToken] = SimpleQueue()
    thread = Thread(target=in_thread, args=(places, opened, tokens, ended), name="gateways")
    thread.start()
    token = tokens.get(timeout=OPEN_WITHIN_S)
    try:
        urls = opened.get(timeout=OPEN_WITHIN_S)
        if isinstance(urls, BaseException):
            raise Failed(f"a server of our own did not open: {innermost(urls)}") from urls
        servers = {name: attrs.evolve(one, url=urls.get(name, one.url)) for name, one in target.servers.items()}
        yield attrs.evolve(target, servers=servers)
    finally:
        try:
            trio.from_thread.run_sync(ended.set, trio_token=token)
        except trio.RunFinishedError:
            pass  # they have ended already
        thread.join()


def in_thread(
    places: Mapping[str, Path], opened: Opened, tokens: SimpleQueue[trio.lowlevel.TrioToken], ended: trio.Event
) -> None:
    """Be the thread: whatever keeps the servers from opening is told to whoever waits for them."""

    async def run() -> None:
        tokens.put(trio.lowlevel.current_trio_token())
        await serve_all(places, opened, ended)

    try:
        trio.run(run)
    except BaseException as problem:
        opened.put(problem)


async def serve_all(places: Mapping[str, Path], opened: Opened, ended: trio.Event) -> None:
    """Serve until they are to end, and say where they are once all of them are open."""
    urls: dict[str, str] = {}

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
        opened.put(urls)
