"""helm serve: the gateway, until it is told to stop."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from actors.cli import show
from actors.cli.bar import bar
from actors.cli.place import data_dir_option, open_place
from actors.cli.startable import check_room
from actors.connectors.port import Attended
from actors.doors.hatch import attend
from actors.doors.openai.proxy import proxy_of
from actors.doors.supervise import NOBODY, Supervisor, serve_until_signalled
from actors.installation import CONFIG_FILE, Installation, read_text
from actors.kernel import Kernel
from actors.mailbox import KernelStopped, Overloaded
from actors.opening import open_kernel
from actors.plugging import plug
from actors.policy_file import read_signed
from actors.process.environs import environs
from actors.process.events import POLICY_ACTIVATED, POLICY_REFUSED, event
from actors.process.service_manager import ServiceManager
from actors.signed_policy import SignedPolicy
from actors.telemetry.observers import Observers, observers_of
from helm.config import KINDS, from_environment, from_file, misspelt
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue

LOG = logging.getLogger("helm.policy")


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

    SIGHUP, or `helm reload`, reads policy, overlays and certificate again; what is refused changes nothing. A second
    SIGTERM waits for nobody. With --json, what happens is told on stdout, one object per line.
    """
    chosen = None if policy is None else str(policy.resolve())
    place = open_place(data_dir, policy=chosen, bind=bind, port=port, insecure_bind=insecure_bind)
    for variable, meant in misspelt(environs(os.environ)):
        show.note(f"{show.plain(variable)} is no setting, and changes nothing: did you mean {meant}?")
    tell = tell_program if as_json else show.note
    gateway = Gateway(place, read_signed(place.policy_path, place.overlays_path), tell)
    run_gateway(gateway)


def run_gateway(gateway: Gateway) -> None:
    """Serve until told to stop, before the observers that the settings ask for. Raises Invalid."""
    with gateway.observers.running():
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
    supervisor: Supervisor | None = None
    manager: ServiceManager = NOBODY
    _reading: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _written: Mapping[str, Any] = attrs.field(init=False, repr=False)
    """What stood in helm.toml and the environment at the start."""

    @_written.default
    def _read_first(self) -> Mapping[str, Any]:
        return written(self.place)

    observers: Observers = attrs.field(init=False)

    @observers.default
    def _asked_for(self) -> Observers:
        return observers_of(self.place, environs(os.environ))

    @asynccontextmanager
    async def open_one(self) -> AsyncIterator[Kernel]:
        """Run one kernel. The one after it has the policy that was in force, whatever the file says by then."""
        self.check(self.signed)
        with bar("reading the journal") as shown:
            async with open_kernel(
                self.place, policy=self.signed, progress=shown.move, observing=self.observers.observing
            ) as kernel:
                shown.clear()
                self.kernel = kernel
                await kernel.nursery.start(attend, self.place.path, self.reload)
                try:
                    with self.observers.reading.of(kernel):
                        yield kernel
                finally:
                    self.kernel = None

    def check(self, signed: SignedPolicy) -> None:
        """Raise Invalid for a policy that the settings leave no room for."""
        check_room(self.place.config, signed.policy)

    async def reload(self, anew: bool = False) -> dict[str, JSONValue]:
        """Put policy, overlays and certificate in force as they are now, or nothing where one of them is refused.

        With `anew` every MCP server is started anew, also where nothing about it has changed.
        Return what came of it, for whoever asked; it is told to the terminal, and to the service manager, as well.
        """
        async with self._reading:
            self.manager.reloading()
            refused, told = False, ""
            try:
                remarks = await self._read_again(anew)
            except (Invalid, Refused, Overloaded, KernelStopped) as problem:
                refused, told = True, f"the policy stays as it is, epoch {self.signed.policy.epoch}: {problem}"
                LOG.error("%s", told, extra=event(POLICY_REFUSED, policy_epoch=self.signed.policy.epoch))
            else:
                policy = self.signed.policy
                told = f"policy epoch {policy.epoch} is in force{self.waits()}{remarks}"
                known = event(POLICY_ACTIVATED, policy_epoch=policy.epoch, policy_hash=policy.policy_hash)
                LOG.info("%s", told, extra=known)
            self.tell(told)
            self.manager.ready(told)
            return {"epoch": self.signed.policy.epoch, "refused": refused, "said": told}

    async def _read_again(self, anew: bool) -> str:
        """Read everything, and only then change anything; return which servers were started, and what still waits."""
        now = written(self.place)
        signed = read_signed(self.place.policy_path, self.place.overlays_path)
        tls = self.supervisor.read_certificate() if self.supervisor is not None else None
        began = await self._activate(signed, anew)
        if self.supervisor is not None:
            self.supervisor.show_certificate(tls)
        return started(began) + unread(sorted(name for name in KINDS if self._written.get(name) != now.get(name)))

    def waits(self) -> str:
        """Say that a raise of P0 ceilings waits, "" where none does."""
        waits = self.kernel is not None and self.kernel.memory.precedence.due_at_ms
        return ", a raise of its P0 ceilings waits: helm policy show" if waits else ""

    async def _activate(self, signed: SignedPolicy, anew: bool) -> list[str]:
        """Put a policy in force; return the servers that it started, by connector."""
        kernel = self.kernel  # by the time that it has obeyed there may be another, or none
        if kernel is None or kernel.stopping:
            raise KernelStopped("no kernel is running now")
        self.check(signed)
        before = kernel.executor.connectors
        await kernel.activate(signed, plug(signed.policy, {}, self.place.path), anew=anew)
        self.signed = signed
        now = kernel.executor.connectors
        return sorted(name for name, one in now.items() if isinstance(one, Attended) and before.get(name) is not one)


def written(place: Installation) -> dict[str, Any]:
    """Return the settings of an installation as they stand in file and environment. Raises Invalid."""
    toml_path = place.path / CONFIG_FILE
    in_file = from_file(read_text(toml_path), str(toml_path))
    return {**dict(in_file), **dict(from_environment(environs(os.environ)))}


def started(servers: list[str]) -> str:
    """Say which servers a reload started, "" where none was."""
    return f"; started: {', '.join(servers)}" if servers else ""


def unread(changed: list[str]) -> str:
    """Say which settings a restart would change, "" where none would be; no value is told: some are secret."""
    return f"; changed since the start, and waiting for a restart: {', '.join(changed)}" if changed else ""


async def run(gateway: Gateway) -> None:
    """Serve, and listen to the signals that are meant for the gateway."""
    config, keys = gateway.place.config, gateway.place.bearer_keys()
    proxy = proxy_of(config, gateway.place.path, environs(os.environ))
    gateway.manager = manager = ServiceManager.of(os.environ, os.getpid())
    supervisor = gateway.supervisor = Supervisor(
        open_one=gateway.open_one,
        config=config,
        keys=keys,
        proxy=proxy,
        tell=gateway.tell,
        check_alone=gateway.place.check_alone,
        manager=manager,
    )
    if proxy is not None:
        gateway.tell(f"OpenAI clients find {proxy.place.origin} below /v1 of this address")
    gateway.tell(f"process {os.getpid()}, log {gateway.place.log_id}, policy epoch {gateway.signed.policy.epoch}")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(manager.beat)
        await nursery.start(listen, gateway)
        await serve_until_signalled(supervisor)
        nursery.cancel_scope.cancel()


async def listen(gateway: Gateway, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """Read everything again at every SIGHUP."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            await gateway.reload()
