"""helm serve: the gateway, until it is told to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import click
import trio

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place
from actors.doors.openai.proxy import proxy_of
from actors.doors.supervise import Supervisor, serve_until_signalled
from actors.installation import Installation
from actors.kernel import Kernel
from actors.mailbox import KernelStopped, Overloaded
from actors.opening import open_kernel
from actors.plugging import plug
from actors.policy_file import read_signed
from actors.signed_policy import SignedPolicy
from helm.contracts.errors import Invalid, Refused
from helm.openai.policy import check_island
from helm.openai.upstream import read_place


@click.command()
@data_dir_option
@click.option("--policy", type=click.Path(path_type=Path), help="A signed bundle other than the data directory's.")
@click.option("--bind", help="The address to listen at; 127.0.0.1 unless helm.toml says otherwise.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes a free one.")
@click.option("--insecure-bind", is_flag=True, default=None, help="Serve other machines without TLS.")
@show.json_option
def serve(
    data_dir: Path, policy: Path | None, bind: str | None, port: int | None, insecure_bind: bool | None, as_json: bool
) -> None:
    """Serve governed tool calls over HTTP until SIGTERM or Ctrl-C; requests under way are answered first.

    SIGHUP reads the policy again; one that is refused changes nothing. With --json, what happens is told on stdout,
    one object per line.
    """
    chosen = None if policy is None else str(policy.resolve())
    place = open_place(data_dir, policy=chosen, bind=bind, port=port, insecure_bind=insecure_bind)
    tell = tell_program if as_json else show.note
    gateway = Gateway(place, read_signed(place.policy_path, place.overlays_path), tell)
    trio.run(run, gateway)


def tell_program(line: str) -> None:
    """Say on stdout what a person would be told."""
    show.as_line({"event": line})


@attrs.define
class Gateway:
    """What is served: an installation under the last policy that was accepted."""

    place: Installation
    signed: SignedPolicy
    tell: Callable[[str], None]
    kernel: Kernel | None = None

    @asynccontextmanager
    async def open_one(self) -> AsyncIterator[Kernel]:
        """Run one kernel. The one after it has the policy that was in force, whatever the file says by then."""
        self.check(self.signed)
        with bar("reading the journal") as shown:
            async with open_kernel(self.place, policy=self.signed, progress=shown.move) as kernel:
                shown.clear()
                self.kernel = kernel
                try:
                    yield kernel
                finally:
                    self.kernel = None

    def check(self, signed: SignedPolicy) -> None:
        """Raise Invalid for a policy that the settings leave no room for."""
        config = self.place.config
        if config.island_mode:
            check_island(signed.policy, read_place(config.proxy_upstream, allow_private=True).origin)

    async def reload(self) -> None:
        """Put the policy file in force as it is now; keep the active policy where that is refused."""
        try:
            await self._activate(read_signed(self.place.policy_path, self.place.overlays_path))
        except (Invalid, Refused, Overloaded, KernelStopped) as problem:
            self.tell(f"the policy stays as it is, epoch {self.signed.policy.epoch}: {problem}")
        else:
            self.tell(f"policy epoch {self.signed.policy.epoch} is in force{self.waits()}")

    def waits(self) -> str:
        """Say that a raise of P0 ceilings waits, "" where none does."""
        waits = self.kernel is not None and self.kernel.memory.precedence.due_at_ms
        return ", a raise of its P0 ceilings waits: helm policy show" if waits else ""

    async def _activate(self, signed: SignedPolicy) -> None:
        if self.kernel is None:
            raise KernelStopped("no kernel is running now")
        self.check(signed)
        await self.kernel.activate(signed, plug(signed.policy, {}, self.place.path))
        self.signed = signed


async def run(gateway: Gateway) -> None:
    """Serve, and listen to the signals that are meant for the gateway."""
    config, keys = gateway.place.config, gateway.place.bearer_keys()
    proxy = proxy_of(config, gateway.place.path, os.environ)
    supervisor = Supervisor(open_one=gateway.open_one, config=config, keys=keys, proxy=proxy, tell=gateway.tell)
    if proxy is not None:
        gateway.tell(f"OpenAI clients find {proxy.place.origin} below /v1 of this address")
    gateway.tell(f"process {os.getpid()}, log {gateway.place.log_id}, policy epoch {gateway.signed.policy.epoch}")
    async with trio.open_nursery() as nursery:
        await nursery.start(listen, gateway)
        await serve_until_signalled(supervisor)
        nursery.cancel_scope.cancel()


async def listen(gateway: Gateway, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Read the policy again at every SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            await gateway.reload()
