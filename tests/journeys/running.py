"""One gateway for all tests of a module, in a thread of its own: blocking clients ask it over a loopback port."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import attrs
import trio

from actors.connectors.port import Connector
from actors.signed_policy import SignedPolicy
from tests.journeys.gateway import Gateway, House, build, gateway

STARTS_WITHIN_S = 60.0


@attrs.frozen(eq=False)
class Running:
    """A gateway that is open in another thread."""

    gateway: Gateway
    _token: trio.lowlevel.TrioToken

    @property
    def url(self) -> str:
        return self.gateway.url

    def key(self, name: str) -> str:
        """Return the bearer key of a principal, "" for nobody's."""
        return self.gateway.house.keys[name]

    def do(self, function: Callable[..., Any], *args: Any) -> Any:
        """Run something in the gateway's own thread, and return what it returns."""
        return trio.from_thread.run(function, *args, trio_token=self._token)


@contextmanager
def running(
    path: Path, policy_of: Callable[[House], SignedPolicy], connectors: Mapping[str, Connector], *principals: str
) -> Iterator[Running]:
    """Serve a fresh house until the body ends."""
    opened: SimpleQueue[Running | BaseException] = SimpleQueue()
    ended = trio.Event()

    async def serve() -> None:
        house = build(path, *principals)
        async with gateway(house, policy_of(house), connectors) as there:
            opened.put(Running(there, trio.lowlevel.current_trio_token()))
            await ended.wait()

    def run() -> None:
        try:
            trio.run(serve)
        except BaseException as problem:
            opened.put(problem)

    thread = Thread(target=run, name="gateway")
    thread.start()
    found = opened.get(timeout=STARTS_WITHIN_S)
    if not isinstance(found, Running):
        thread.join()
        raise found
    try:
        yield found
    finally:
        trio.from_thread.run_sync(ended.set, trio_token=found._token)
        thread.join()
