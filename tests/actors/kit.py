"""A kernel to attack: a real installation, a signed policy, and a disk that is real or simulated."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import apsw
import attrs
import trio

from actors.connectors.port import Connector
from actors.founding import found_installation
from actors.installation import Installation
from actors.kernel import Kernel, Limits
from actors.mailbox import Answer, KernelStopped, Overloaded
from actors.observing import UNOBSERVED, Observing
from actors.opening import Ground, break_ground, open_journal, run_kernel
from actors.policy_file import sign_text
from actors.recovery import refold
from actors.signed_policy import SignedPolicy
from actors.stores.index import IdIndex, IndexFailed
from actors.stores.index_file import open_index
from actors.stores.journal import StoredJournal
from actors.stores.port import Journal
from helm.crypto.canonical import reread
from helm.evidence.refold import Refold
from helm.guardian.memory import Memory
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.actors.stores.journals import STORES, Store
from tests.actors.stores.kept import KeptJournal
from tests.actors.stores.simulated import SimulatedJournal
from tests.counterparts.postgres import database_of

T = TypeVar("T")

NOON_MS = 1_760_000_400_000
"""Thursday 2025-10-09, 09:00 UTC."""

LIMITS = Limits(places=16, places_per_principal=16, grace_s=2.0)


@attrs.define(eq=False)
class HouseClock:
    """The time of day, running with Trio's clock from a moment that a test sets."""

    start_ms: int = NOON_MS
    _zero_s: float | None = None

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""
        try:
            now_s = trio.current_time()
        except RuntimeError:
            return self.start_ms
        if self._zero_s is None:
            self._zero_s = now_s
        return self.start_ms + int((now_s - self._zero_s) * 1000)

    def advance(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.start_ms += int(seconds * 1000)


class InlineIndex(IdIndex):
    """The id index without threads, so that it runs under a MockClock."""

    async def _in_thread(self, work: Callable[[], T], turn: trio.CapacityLimiter) -> T:
        await trio.lowlevel.checkpoint()
        try:
            return work()
        except apsw.Error as error:
            raise IndexFailed(str(error)) from error


SIGNED: dict[tuple[str, str], SignedPolicy] = {}
"""Policies that a house compiled and signed: most of them need the same one, and it is never changed."""


@cache
def model() -> TemporaryDirectory[str]:
    """Return the installation that the others are copies of; it is removed with the process."""
    directory = TemporaryDirectory(prefix="helm-model-")
    found_installation(Path(directory.name), clock=HouseClock())
    return directory


@attrs.define(eq=False)
class House:
    """One installation, on which a test opens one kernel after another."""

    path: Path
    place: Installation
    clock: HouseClock
    disk: SimulatedJournal
    store: Store | None = None
    """What is behind the simulated disk, None for memory alone."""

    @classmethod
    def build(cls, path: Path) -> House:
        """Put an installation below `path`. They are copies of one, keys included: making keys is tested elsewhere."""
        shutil.copytree(model().name, path / "data")
        return cls(path / "data", Installation.open(path / "data"), HouseClock(), SimulatedJournal())

    @classmethod
    def build_another(cls, path: Path) -> House:
        """Make an installation of its own below `path`."""
        found_installation(path / "data", clock=HouseClock())
        return cls(path / "data", Installation.open(path / "data"), HouseClock(), SimulatedJournal())

    def keep_journal_in(self, store: str) -> None:
        """Set the store that keeps the journal, before there is one."""
        settings = self.path / "helm.toml"
        if store == "postgresql":
            settings.write_text(f'{settings.read_text()}\ndatabase_url = "{database_of(self.path).url}"\n')
            self.place = Installation.open(self.path)
            return
        settings.write_text(f'{settings.read_text()}\njournal = "{store}"\n')
        self.place = Installation.open(self.path)

    def keep_rows_in(self, store: str) -> None:
        """Put a store behind the simulated disk, and behind the real one."""
        self.store = STORES[store]
        self.keep_journal_in(store)

    def sign(self, text: str = POLICY) -> SignedPolicy:
        """Compile a policy and sign it with the installation's policy key."""
        key = self.place.policy_key()
        known = SIGNED.get((text, key.key_id))
        return known or SIGNED.setdefault((text, key.key_id), sign_text(text, "test policy", key))

    async def real_ground(self) -> Ground:
        """Open the stores on disk."""
        return await break_ground(self.place)

    async def simulated_ground(self) -> Ground:
        """Open the simulated disk; what the last kernel left on it is there."""
        self.disk = await self.next_disk()
        return await self.ground_on(self.disk)

    async def next_disk(self) -> SimulatedJournal:
        """Return what the next process finds: the rows of the last one, read from the store that keeps them."""
        if self.store is None:
            return SimulatedJournal(rows=list(self.disk.rows))
        return await KeptJournal.after(self.disk, self.store, self.path.parent)

    async def ground_on(self, journal: Journal) -> Ground:
        """Put a journal of the test's own into this installation."""
        index_path = self.place.path / "simulated-index.sqlite"
        file = open_index(index_path, self.place.log_id)
        return Ground(
            journal=journal,
            index=InlineIndex(file, file.watermark),
            pen=self.place.execution_key(),
            log_id=self.place.log_id,
            genesis=self.place.genesis,
            sensor=new_sensor(self.place),
        )

    @asynccontextmanager
    async def kernel(
        self,
        puppet: Connector | Mapping[str, Connector] | None = None,
        *,
        policy: str | None = POLICY,
        limits: Limits = LIMITS,
        ground: Ground | None = None,
        observing: Observing = UNOBSERVED,
    ) -> AsyncIterator[Kernel]:
        """Run a kernel, by default on the simulated disk, with one puppet behind every connector."""
        ground = await self.simulated_ground() if ground is None else ground
        connectors = puppet if isinstance(puppet, Mapping) else all_of(puppet or Puppet())
        signed = None if policy is None else self.sign(policy)
        async with run_kernel(
            ground, policy=signed, connectors=connectors, limits=limits, clock=self.clock, observing=observing
        ) as kernel:
            yield kernel

    async def read_real(self) -> tuple[Refold, Log]:
        """Return the verified state of the journal on disk, and what it says."""
        async with self.real_journal() as journal:
            return await self.fold(journal), await read(journal)

    async def glance_real(self) -> Log:
        """Return what the journal on disk says, believing it."""
        async with self.real_journal() as journal:
            return await read(journal)

    @asynccontextmanager
    async def real_journal(self) -> AsyncIterator[StoredJournal]:
        """Open the journal on disk as its only writer."""
        journal = await open_journal(self.place, free_space_reserve=0)
        try:
            yield journal
        finally:
            await journal.aclose()

    async def read_simulated(self) -> tuple[Refold, Log]:
        """Return the verified state of the simulated journal, and what it says."""
        if isinstance(self.disk, KeptJournal) and not self.disk.is_open:
            self.disk = await self.next_disk()
            await self.disk.aclose()
        journal = SimulatedJournal(rows=list(self.disk.rows))
        return await self.fold(journal), await read(journal)

    async def fold(self, journal: Journal) -> Refold:
        """Return the verified state of a journal that nobody writes."""
        file = open_index(self.path / "audit-index.sqlite", self.place.log_id)
        try:
            return await refold(journal, InlineIndex(file, 0), self.place.log_id)
        finally:
            file.close()


async def read(journal: Journal) -> Log:
    """Return what the rows of a journal say."""
    rows: list[bytes] = []
    while len(rows) < journal.head:
        rows += [row for _, row in await journal.read(len(rows) + 1, 512)]
    return Log.of(rows)


async def settle() -> None:
    """Let happen whatever happens within a tenth of a simulated second."""
    await trio.sleep(0.1)


def new_sensor(place: Installation) -> Any:
    from actors.fingerprint import Sensor

    return Sensor(place.path, place.config_hash)


def all_of(puppet: Connector) -> dict[str, Connector]:
    """Put one connector behind every name of the test policy."""
    return {"local": puppet, "other": puppet}


@attrs.define
class Told:
    """What callers were told: answers, and the ends that came instead of one."""

    answers: list[Answer] = attrs.field(factory=list)
    stopped: list[KernelStopped] = attrs.field(factory=list)
    overloaded: int = 0

    async def ask(self, call: Callable[[], Any]) -> None:
        """Make one call, and note what came of it."""
        try:
            self.answers.append(await call())
        except KernelStopped as problem:
            self.stopped.append(problem)
        except Overloaded:
            self.overloaded += 1

    def receipt_ids(self) -> set[str]:
        """Return the receipts that were shown."""
        return {answer.receipt.receipt_id for answer in self.answers}


@attrs.frozen
class Log:
    """What a journal says, counted independently of the fold."""

    intents: dict[str, str]
    """node hash of each INTENT to its decision_id"""
    outcomes: dict[str, list[str]]
    """node hash of each INTENT to the statuses of its EFFECT nodes"""
    receipts: dict[str, dict[str, Any]]
    events: list[str]
    """what kind of thing each row tells"""

    @classmethod
    def of(cls, rows: list[bytes]) -> Log:
        """Count nodes and receipts in the rows."""
        intents: dict[str, str] = {}
        outcomes: dict[str, list[str]] = {}
        receipts: dict[str, dict[str, Any]] = {}
        events = []
        for row in rows:
            entry = reread(row)
            node, receipt = entry["node"], entry["beside"].get("receipt")
            events.append(node["payload"]["type"])
            if node["kind"] == "INTENT":
                intents[node["node_hash"]] = node["payload"]["decision"]["decision_id"]
            if receipt is not None:
                receipts[receipt["receipt_id"]] = receipt
            if node["kind"] == "EFFECT":
                outcomes.setdefault(node["payload"]["intent_node"], []).append(receipt["status"])
        return cls(intents, outcomes, receipts, events)

    def check(self, *, shown: Set[str] = frozenset(), dispatched: Set[str] = frozenset()) -> None:
        """Assert what holds of every log: shown receipts and dispatched decisions are in it, outcomes are single."""
        assert shown <= self.receipts.keys()
        assert dispatched <= set(self.intents.values())
        assert self.outcomes.keys() <= self.intents.keys()
        assert all(len(statuses) == 1 for statuses in self.outcomes.values())

    def check_all_sealed(self, *, shown: Set[str] = frozenset(), dispatched: Set[str] = frozenset()) -> None:
        """Assert besides that every intent has its outcome."""
        self.check(shown=shown, dispatched=dispatched)
        assert self.outcomes.keys() == self.intents.keys()

    def statuses(self) -> Counter[str]:
        """Return how often each status was sealed."""
        return Counter(receipt["status"] for receipt in self.receipts.values())


def known_to(kernel: Kernel) -> dict[str, Any]:
    """Return what a live kernel knows: as a fold does, with everything that was entered in its trees."""
    kernel.notary.bring_up()
    return remembered(kernel.parts.state)


def remembered(state: Refold) -> dict[str, Any]:
    """Return what a fold knows, in a form that can be compared."""
    memory: Memory = state.memory
    return {
        "active": memory.active,
        "approvals": memory.approvals.ceremonies,
        "chains": state.chains.links,
        "checkpoint": state.checkpoints.latest,
        "control_head": state.graph.control_head,
        "exchanges": memory.exchanges,
        "freezes": memory.freezes,
        "halted": memory.halted,
        "heads": state.graph.heads,
        "lamport": state.graph.lamport,
        "ledger": memory.ledger.accounts,
        "sessions": memory.sessions.bindings,
        "trees": (state.trees.receipts, state.trees.records, state.trees.heads.bring_up(state.graph.heads)),
        "velocities": memory.velocities,
    }
