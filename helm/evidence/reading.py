"""A pack under verification: what the checks so far have established, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import attrs

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect
from helm.contracts.errors import Invalid
from helm.contracts.form import Sealed
from helm.contracts.record import BoundaryRecord
from helm.evidence.archive import Raw
from helm.evidence.condensed import Leaf
from helm.evidence.control import Control
from helm.evidence.host_chain import HostChain
from helm.evidence.layout import MANIFEST
from helm.evidence.manifest import Manifest, OtherVersion
from helm.evidence.part import PartNode
from helm.evidence.proven import Helpers, Proven, nothing
from helm.evidence.shards import Lines
from helm.evidence.trust_root import TrustRoot
from helm.guardian.bundle_signature import PolicySignature
from helm.guardian.overlays import Overlays
from helm.proofgraph.checkpoint import Checkpoint
from helm.receipts.chain import SealedReceipt, SessionKey
from helm.trust.event import TrustEvent
from helm.trust.registry import Registry

NO_KEYS: Final[Mapping[str, str]] = MappingProxyType({})

CHANGED = "the pack was changed, or made from a log that was"


@attrs.define(kw_only=True)
class Told:
    """One call of the pack: its node, what was decided, and its outcome where there is one.

    `kernel_epoch` is the last one that had started before the node.
    """

    node: PartNode
    decision: Sealed[Decision]
    record: Sealed[BoundaryRecord]
    effect: Effect | None
    kernel_epoch: int
    has_facts: bool
    outcome: PartNode | None = None
    """The node that binds the receipt: the call's own for a refusal."""
    receipt: SealedReceipt | None = None

    @property
    def intent_node(self) -> str:
        """The node that the receipt must name."""
        return "" if self.outcome is self.node else self.node.node_hash


def unseen(path: str, lines: list[bytes]) -> None:
    """Read nothing of a shard at once."""


@attrs.define
class Counts:
    """How much there is of what may be very much."""

    calls: int = 0
    redacted: int = 0
    """Calls whose facts were left out."""
    receipts: int = 0
    condensed: int = 0


@attrs.define
class Kept:
    """What is kept of a pack for whoever looks at its calls afterwards: some kilobytes each."""

    nodes: list[PartNode] = attrs.field(factory=list, init=False, repr=False)
    calls: list[Told] = attrs.field(factory=list, init=False, repr=False)
    receipts: dict[str, SealedReceipt] = attrs.field(factory=dict, init=False, repr=False)
    """By receipt_hash, in the order of their nodes."""
    condensed: dict[str, Leaf] = attrs.field(factory=dict, init=False, repr=False)
    """What stands for receipts that were condensed, by receipt_hash, likewise."""


@attrs.define
class Reading:
    """The state of one verification. Each field is set by the check that its group names.

    The checks behind `versions` walk through the nodes together, each call as a whole, and forget it: a pack is longer
    than memory. Only with `keep` is every call there at the end.
    """

    raw: Raw = attrs.field(repr=False)
    root: TrustRoot
    helpers: Helpers | None = attrs.field(default=None, repr=False)
    host_keys: Mapping[str, str] = attrs.field(default=NO_KEYS, repr=False)
    """Public keys of recorders on hosts that the caller brought, by the name of the source that each is of."""
    keep: bool = True

    # archive, manifest
    proven: Proven = attrs.field(default=nothing, init=False, repr=False)
    members: Mapping[str, bytes] = attrs.field(init=False, repr=False)
    sizes: Mapping[str, int] = attrs.field(init=False, repr=False)
    """The size of each file, by path."""
    manifest: Manifest = attrs.field(init=False)
    other_version: OtherVersion | None = attrs.field(default=None, init=False)
    counts: Counts = attrs.field(factory=Counts, init=False)
    kept: Kept = attrs.field(factory=Kept, init=False, repr=False)
    shards: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The paths of the shards that were read."""
    # genesis
    event: TrustEvent | None = attrs.field(default=None, init=False, repr=False)
    """The trust event of the node at hand."""
    log_id: str = attrs.field(init=False)
    # trust
    registry: Registry = attrs.field(init=False, repr=False)
    # control
    control: Control = attrs.field(factory=Control, init=False)
    overlaid: list[tuple[int, Overlays]] = attrs.field(factory=list, init=False, repr=False)
    """The overlays in force from each lamport on at which they changed."""
    # policies
    activations: list[PolicySignature] = attrs.field(factory=list, init=False, repr=False)
    activated: dict[tuple[str, int], int] = attrs.field(factory=dict, init=False, repr=False)
    """The lamport at which each (policy_hash, epoch) was first put in force."""
    # seals, stories
    told: Told | None = attrs.field(default=None, init=False, repr=False)
    """The call of the node at hand."""
    open: dict[str, Told] = attrs.field(factory=dict, init=False, repr=False)
    """The intents whose outcome is still to come, by their nodes."""
    used: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The policies that calls were decided under."""
    # receipts
    sealed: SealedReceipt | None = attrs.field(default=None, init=False, repr=False)
    """The receipt that the node at hand binds."""
    leaf: Leaf | None = attrs.field(default=None, init=False, repr=False)
    """What stands for it where it was condensed."""
    receipt_at: str = attrs.field(default="", init=False)
    # inclusion
    leaf_hash: bytes = attrs.field(default=b"", init=False, repr=False)
    """Of the receipt that the node at hand binds, where it binds one."""
    # checkpoints
    checkpoint: Checkpoint | None = attrs.field(default=None, init=False)
    """The last one so far; at the end, of the pack."""

    # host
    native: Manifest | None = attrs.field(default=None, init=False)
    """The manifest of the pack as it was exported, where something of a host stands beside it."""
    chains: dict[str, HostChain] = attrs.field(factory=dict, init=False, repr=False)
    """What recorders on hosts wrote, by source."""
    drifts: int = attrs.field(default=0, init=False)
    """How many receipts of boundary drift are in the pack."""

    def lines(self, folder: str, begun: Callable[[str, list[bytes]], None] = unseen) -> Lines:
        """Return the lines of a folder of shards, each shard noted when it is begun; `begun` is told as well.

        Whoever reads a shard's lines all at once then reads them faster: one thing is done a thousand times.
        """

        def opened(path: str, lines: list[bytes]) -> None:
            self.shards.add(path)
            begun(path, lines)

        return Lines(self.members, folder, opened=opened)

    @property
    def session(self) -> SessionKey:
        """The one session that the pack is about. Raises Invalid where it is about more, or about none."""
        sessions = self.manifest.cover.sessions
        if len(sessions) != 1:
            raise Invalid(f"is about {len(sessions)} sessions", MANIFEST, "export one session by itself")
        return sessions[0]

    @property
    def sessions(self) -> frozenset[SessionKey]:
        """The sessions that the pack is about."""
        return frozenset(self.manifest.cover.sessions)

    @property
    def nodes(self) -> list[PartNode]:
        """Every node, in order, where they were kept."""
        return self.kept.nodes

    @property
    def calls(self) -> list[Told]:
        """Every call, in order, where they were kept."""
        return self.kept.calls

    @property
    def receipts(self) -> dict[str, SealedReceipt]:
        """Every receipt by receipt_hash, in the order of their nodes, where they were kept."""
        return self.kept.receipts

    @property
    def condensed(self) -> dict[str, Leaf]:
        """What stands for receipts that were condensed, by receipt_hash, likewise."""
        return self.kept.condensed


class Check(Protocol):
    """One check that walks through the nodes of a pack. Its docstring is what it makes sure of."""

    def __init__(self, reading: Reading) -> None: ...

    def take(self, node: PartNode) -> None:
        """Check the next node, which holds by every check before this one. Raises Invalid."""

    def end(self) -> None:
        """Check what only the whole pack shows. Raises Invalid."""
