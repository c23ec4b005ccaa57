"""Opening a kernel: lock the journal, read it back, start the belt, seal what a crash left open, then let calls in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from actors.claims import Claims
from actors.connectors.port import Connector
from actors.fingerprint import Sensor
from actors.installation import Installation
from actors.kernel import Kernel, Limits, Parts
from actors.mailbox import KernelStopped
from actors.observing import UNOBSERVED, Observing
from actors.plugging import Given, plug
from actors.process import durable
from actors.process.clock import Clock, SystemClock
from actors.process.collector import SPARING
from actors.recovery import Progress, refold
from actors.registry_file import RegistryFile
from actors.signed_policy import SignedPolicy
from actors.stores.index import IdIndex
from actors.stores.journal import StoredJournal
from actors.stores.port import Journal
from actors.stores.postgres.glance import has_journal
from actors.stores.postgres.journal import open_postgres
from actors.stores.segments.journal import open_segments
from actors.stores.sqlite import open_sqlite
from actors.surfaces import keep, watch_of
from actors.trust_log import key_of
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer as Pen
from helm.database import Database
from helm.guardian.memory import Boot
from helm.trust.event import TrustEvent

NONE_GIVEN: Mapping[str, Given] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Ground:
    """Where a kernel stands: its stores, its key, and the genesis it pins."""

    journal: Journal
    index: IdIndex
    pen: Pen = attrs.field(repr=False)
    log_id: str
    genesis: tuple[TrustEvent, ...]
    sensor: Sensor
    registry: RegistryFile | None = None
    """The file that snapshots of the surfaces are kept in."""
    succession: TrustEvent | None = None
    """The event by which the pen counts from this start on, None where it counts already."""

    async def aclose(self) -> None:
        """Close the stores, and give the lock back. Idempotent."""
        with trio.CancelScope(shield=True):
            await self.journal.aclose()
            await self.index.aclose()


async def break_ground(place: Installation, succession: TrustEvent | None = None) -> Ground:
    """Lock and open the stores of a data directory. Raises Invalid where another kernel holds it.

    With a `succession` the pen is the key that waits to replace the one before it, which may be lost.
    """
    place.check_accepted()
    pen = key_of(place, KeyPurpose.EXECUTION) if succession is None else place.next_key(KeyPurpose.EXECUTION)
    journal = await open_journal(place, free_space_reserve=place.config.free_space_reserve_bytes)
    try:
        index = await IdIndex.open(place.index_path, place.log_id)
    except BaseException:
        with trio.CancelScope(shield=True):
            await journal.aclose()
        raise
    return Ground(
        journal=journal,
        index=index,
        pen=pen,
        log_id=place.log_id,
        genesis=place.genesis,
        sensor=Sensor(place.path, place.config_hash),
        registry=place.surfaces_file,
        succession=succession,
    )


async def open_journal(place: Installation, *, free_space_reserve: int, max_bytes: int | None = None) -> StoredJournal:
    """Open the journal of a data directory with the store that its settings name. Raises Invalid."""
    path = place.journal_path
    if place.config.database is not None:
        return await open_database(place, place.config.database, path, free_space_reserve=free_space_reserve)
    if place.config.journal == "sqlite":
        return await open_sqlite(path, free_space_reserve=free_space_reserve, max_bytes=max_bytes)
    return await open_segments(path, free_space_reserve=free_space_reserve, max_bytes=max_bytes)


async def open_database(
    place: Installation, database: Database, note: Path, *, free_space_reserve: int
) -> StoredJournal:
    """Open the journal in a database, and note in the data directory that it is there. Raises Invalid.

    A database that holds no journal is begun once: what lies elsewhere is not begun a second time.
    """
    if place.has_journal and not await trio.to_thread.run_sync(has_journal, database, abandon_on_cancel=True):
        what = "the database holds no journal, and this installation's was begun"
        raise Invalid(what, str(database), f"name the database that {note} names, or restore it from a backup")
    journal = await open_postgres(database, beside=place.path, free_space_reserve=free_space_reserve)
    if not place.has_journal:
        durable.replace(note, f"{database}\n".encode())
    return journal


@asynccontextmanager
async def open_kernel(  # noqa: PLR0913 - all that whoever opens one may bring, by name
    place: Installation | Path | str,
    *,
    policy: SignedPolicy | None,
    connectors: Mapping[str, Given] = NONE_GIVEN,
    limits: Limits | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    observing: Observing = UNOBSERVED,
) -> AsyncIterator[Kernel]:
    """Run a kernel on a data directory for as long as the body runs.

    `place` is a data directory that `helm init` made. `connectors` are the functions of each local connector of the
    policy, by tool name. Without a policy every call is refused (NO_POLICY_DEFINED). `observing` says who is told of
    its answers; nobody, unless it says so. Raises Invalid for a directory,
    journal or policy that must not be used, and KernelStopped when the kernel failed or left an intent open.
    """
    installation = place if isinstance(place, Installation) else Installation.open(Path(place))
    plugged = plug(policy.policy if policy is not None else None, connectors, installation.path)
    config = installation.config
    limits = limits or Limits(
        places=config.places,
        places_per_principal=config.places_per_principal,
        grace_s=config.grace_s,
        checkpoint_every=config.checkpoint_every,
        checkpoint_interval_s=config.checkpoint_interval_s,
    )
    ground = await break_ground(installation)
    async with run_kernel(
        ground, policy=policy, connectors=plugged, limits=limits, clock=clock, progress=progress, observing=observing
    ) as kernel:
        yield kernel


@asynccontextmanager
async def run_kernel(  # noqa: PLR0913 - likewise
    ground: Ground,
    *,
    policy: SignedPolicy | None,
    connectors: Mapping[str, Connector],
    limits: Limits | None = None,
    clock: Clock | None = None,
    progress: Progress | None = None,
    observing: Observing = UNOBSERVED,
) -> AsyncIterator[Kernel]:
    """Run a kernel on open stores, and close them with it."""
    try:
        parts = await _parts(ground, connectors, limits or Limits(), clock or SystemClock(), progress)
        kernel = Kernel(attrs.evolve(parts, observing=observing))
    except BaseException:
        await ground.aclose()
        raise
    async with _running(kernel):
        await _start(kernel, ground, policy)
        with SPARING.kernel():
            yield kernel


async def _parts(
    ground: Ground, connectors: Mapping[str, Connector], limits: Limits, clock: Clock, progress: Progress | None
) -> Parts:
    watch = await watch_of(ground.journal, ground.registry)
    claims = Claims()
    state = await refold(ground.journal, ground.index, ground.log_id, progress, watch, claims)
    await keep(ground.journal, state, ground.registry)
    boot = Boot(
        fingerprint=ground.sensor.fingerprint(clock.now_ms()),
        kernel_epoch=state.kernel_epoch + 1,
        log_id=ground.log_id,
    )
    return Parts(
        journal=ground.journal,
        index=ground.index,
        pen=ground.pen,
        state=state,
        claims=claims,
        connectors=connectors,
        boot=boot,
        sensor=ground.sensor,
        clock=clock,
        limits=limits,
    )


@asynccontextmanager
@enable_ki_protection
async def _running(kernel: Kernel) -> AsyncIterator[None]:
    """The supervision tree: evidence outside and last, work inside and first. Whatever ends, nobody is left waiting."""
    body: BaseException | None = None
    group: BaseExceptionGroup[BaseException] | None = None
    try:
        async with trio.open_nursery() as tree:
            await tree.start(kernel.evidence)
            async with trio.open_nursery() as effects:
                await kernel.work(effects)
                try:
                    yield
                except BaseException as failure:
                    body = failure
                    raise
                finally:
                    effects.cancel_scope.cancel()
    except BaseExceptionGroup as failure:
        group = failure
    finally:
        kernel.abandon()
        with trio.move_on_after(kernel.parts.limits.grace_s, shield=True):
            await kernel.executor.aclose()
            await kernel.points.aclose()
    if kernel.owed or (kernel.broken is not None and not isinstance(kernel.broken, KeyboardInterrupt)):
        raise KernelStopped(f"the kernel ended, {kernel.owed} intents unsealed", unknown=kernel.owed > 0) from (
            kernel.broken or group
        )
    if kernel.broken is not None:  # Ctrl-C that came while a connector's code ran
        raise kernel.broken
    if isinstance(body, BaseExceptionGroup):  # its cancellations were meant for what has ended by now
        body = body.split(trio.Cancelled)[1]
    if body is not None and not isinstance(body, trio.Cancelled):
        raise body
    if group is not None:
        raise bare(group)


def bare(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what ended the nursery beside the body: Ctrl-C, a door that failed, or a cancellation as it came."""
    if group.subgroup(KeyboardInterrupt) is not None:
        return KeyboardInterrupt()
    failures = group.split(trio.Cancelled)[1]
    if failures is None:
        return group
    stopped = KernelStopped("a door failed, and the kernel with it")
    stopped.__cause__ = failures
    return stopped


async def _start(kernel: Kernel, ground: Ground, policy: SignedPolicy | None) -> None:
    """Write what a start writes: genesis or succession, the kernel's epoch, the last words owed, the policy."""
    await kernel.write_start(ground.genesis, ground.succession)
    await kernel.recover()
    if policy is not None:
        await kernel.activate(policy, kernel.executor.connectors)
    kernel.open_intake()
