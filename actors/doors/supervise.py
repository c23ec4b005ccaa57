"""`helm serve`: one kernel after another behind the same socket, until it is told to stop.

A kernel is never restarted from within; it ends, and a fresh one reads the journal. Only a kernel that stopped is
followed by another: a journal, policy or setting that must not be used ends the process, for a person to look at.
"""

from __future__ import annotations

import logging
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import attrs
import trio

from actors.doors.connect.door import ConnectDoor, bind_tunnels, serve_tunnels
from actors.doors.openai.proxy import Proxy
from actors.doors.serve import Door, serve
from actors.doors.sockets import Address, Bound, bind
from actors.doors.stand_in import StandIn
from actors.doors.tls import Tls, tls_of
from actors.kernel import Kernel
from actors.keys.bearer import BearerKeys
from actors.mailbox import KernelStopped
from actors.process.events import KERNEL_STOPPED, SERVING, STOPPING, event
from actors.process.service_manager import ServiceManager
from helm.config import Config
from helm.contracts.errors import Invalid

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
"""Between two kernels: what broke one breaks the next, most often, and each start reads the journal."""

STEADY_S = 60.0
"""A kernel that ran so long did not break of what broke the one before it."""


NOBODY = ServiceManager()
"""No manager started us."""

LOG = logging.getLogger("helm.doors")


def silent(_: str) -> None:
    """Tell nobody."""


def alone() -> None:
    """Know of no other kernel."""


@attrs.define(eq=False, kw_only=True)
class Supervisor:
    """Keeps a kernel behind the door."""

    open_one: Callable[[], AbstractAsyncContextManager[Kernel]]
    config: Config
    keys: BearerKeys
    proxy: Proxy | None = None
    tell: Callable[[str], None] = silent
    """Told, in a sentence, of whatever a person at the terminal would want to know."""
    check_alone: Callable[[], None] = alone
    """Raises Invalid where another kernel serves the same log: it has the port then, and is what there is to say."""
    manager: ServiceManager = NOBODY
    """Who started us, and is told when we decide and when we end."""
    tunnels: Bound | None = attrs.field(default=None, init=False)
    """Where CONNECT is asked for, None where nowhere."""
    _stopping: trio.Event = attrs.field(factory=trio.Event, init=False)
    _is_open: bool = attrs.field(default=False, init=False)
    _stand_in: StandIn | None = attrs.field(default=None, init=False)
    _sides: tuple[Tls, ...] = attrs.field(default=(), init=False)
    """How the open doors speak TLS."""
    _all: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _waiting: trio.TaskStatus[Address] | None = attrs.field(default=None, init=False)

    def stop(self) -> None:
        """End: requests under way are answered first. Told twice, or before anything is served, end at once."""
        if self._stopping.is_set() or not self._is_open:
            self._all.cancel()
        self._stopping.set()

    def read_certificate(self) -> ssl.SSLContext | None:
        """Return the TLS side with the certificate as its file has it now, None where there is none. Raises Invalid."""
        return tls_of(self.config)

    def show_certificate(self, tls: ssl.SSLContext | None) -> None:
        """Show every connection from now on the certificate that was read."""
        for side in self._sides:
            side.renew()
        if self._stand_in is not None:
            self._stand_in.tls = tls

    async def run(self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until told to stop; report the address once the first kernel decides. Raises Invalid."""
        tls = tls_of(self.config)
        bound = self._bind()
        self._waiting = task_status
        try:
            self.tunnels = bind_tunnels(self.config, self.keys) if self.config.egress_tool else None
        except BaseException:
            bound.close()
            raise
        refusal: Invalid | None = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    with self._all:
                        others = () if self.tunnels is None else (self.tunnels,)
                        self._stand_in = StandIn(bound, tls, others)
                        await self._lives(self._stand_in, nursery)
                except Invalid as problem:
                    refusal = problem
                nursery.cancel_scope.cancel()
        finally:
            bound.close()
            if self.tunnels is not None:
                self.tunnels.close()
        if refusal is not None:
            raise refusal

    def _bind(self) -> Bound:
        """Listen where the settings say. Raises Invalid."""
        try:
            return bind(self.config, admin_key_issued=self.keys.has_admin)
        except Invalid:
            self.check_alone()
            raise

    async def _lives(self, stand_in: StandIn, nursery: trio.Nursery) -> None:
        """Run one kernel after another, with a longer pause each time, until one ends because it was told to."""
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            if not stand_in.is_there:
                await nursery.start(stand_in.run)
            began = trio.current_time()
            try:
                await self._life(stand_in, nursery)
            except KernelStopped as end:
                if trio.current_time() - began > STEADY_S:
                    pause_s = FIRST_PAUSE_S
                LOG.error("%s", end, exc_info=end.__cause__, extra=event(KERNEL_STOPPED, unknown=end.unknown))
                self.tell(f"{end}: {end.__cause__!r}. A fresh one reads the journal in {pause_s:g} s.")
                if not stand_in.is_there:
                    await nursery.start(stand_in.run)
                with trio.move_on_after(pause_s):
                    await self._stopping.wait()
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _life(self, stand_in: StandIn, nursery: trio.Nursery) -> None:
        """Run one kernel with its door until it breaks, or until we are told to stop."""
        async with self.open_one() as kernel:
            await stand_in.make_way()
            door = await kernel.nursery.start(
                partial(serve, kernel, self.config, self.keys, bound=stand_in.bound, proxy=self.proxy)
            )
            tunnels = await self._open_tunnels(kernel)
            self._sides = (door.service.tls,) if tunnels is None else (door.service.tls, tunnels.tls)
            self._announce(door)
            try:
                await self._stopping.wait()
            finally:
                self._is_open = False
            self.manager.stopping()
            LOG.info("answering the requests under way, then stopping", extra=event(STOPPING))
            self.tell("answering the requests under way, then stopping")
            kernel.drain()
            door.grace_s = 2 * self.config.grace_s  # whose call is cancelled after the first half still hears of it
            with trio.CancelScope(deadline=trio.current_time() + self.config.grace_s) as patience:
                door.close()
                if tunnels is not None:
                    tunnels.close()
                await nursery.start(stand_in.run)
                await door.ended.wait()
                await kernel.wait_drained()
            await self._last_word(kernel, in_time=not patience.cancelled_caught)

    async def _last_word(self, kernel: Kernel, *, in_time: bool) -> None:
        """Have the end of the log covered by a checkpoint, and say how it ends."""
        with trio.move_on_after(self.config.grace_s):
            await kernel.take_last_checkpoint()
        left = len(kernel.cases)
        self.tell(
            "nothing is in flight any more" if in_time else f"out of time: {left} calls end as what is known of them"
        )

    async def _open_tunnels(self, kernel: Kernel) -> ConnectDoor | None:
        if self.tunnels is None:
            return None
        open_tunnels = partial(serve_tunnels, kernel, self.config, self.keys, bound=self.tunnels)
        door: ConnectDoor = await kernel.nursery.start(open_tunnels)
        self.tell(f"tunnels are opened at {door.address.url}")
        return door

    def _announce(self, door: Door) -> None:
        self._is_open = True
        LOG.info("deciding at %s", door.address.url, extra=event(SERVING, url=door.address.url))
        self.tell(f"deciding at {door.address.url}")
        self.manager.ready(f"deciding at {door.address.url}")
        if self._waiting is not None:
            self._waiting.started(door.address)
            self._waiting = None


async def serve_until_signalled(supervisor: Supervisor) -> None:
    """Serve until SIGTERM or SIGINT; a second signal ends without waiting for anyone. Raises Invalid."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey, signals, supervisor)
            await supervisor.run()
            nursery.cancel_scope.cancel()


async def _obey(signals: AsyncIterator[int], supervisor: Supervisor) -> None:
    async for _ in signals:
        supervisor.stop()
