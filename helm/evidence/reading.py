"""A pack under verification: what the checks so far have established, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import Sealed
from helm.contracts.record import BoundaryRecord
from helm.evidence.archive import Raw
from helm.evidence.condensed import Leaf
from helm.evidence.control import Control
from helm.evidence.host_chain import HostChain
from helm.evidence.layout import MANIFEST
from helm.evidence.manifest import Manifest
from helm.evidence.part import PartNode
from helm.evidence.proven import Helpers, Proven, nothing
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
    kernel_epoch: int
    outcome: PartNode | None = None
    """The node that binds the receipt: the call's own for a refusal."""
    receipt: SealedReceipt | None = None

    @property
    def intent_node(self) -> str:
        """The node that the receipt must name."""
        return "" if self.outcome is self.node else self.node.node_hash


@attrs.define
class Reading:
    """The state of one verification. Each field is set by the check that its group names."""

    raw: Raw = attrs.field(repr=False)
    root: TrustRoot
    helpers: Helpers | None = attrs.field(default=None, repr=False)
    host_keys: Mapping[str, str] = attrs.field(default=NO_KEYS, repr=False)
    """Public keys of recorders on hosts that the caller brought, by the name of the source that each is of."""

    # archive, manifest
    proven: Proven = attrs.field(default=nothing, init=False, repr=False)
    members: Mapping[str, bytes] = attrs.field(init=False, repr=False)
    manifest: Manifest = attrs.field(init=False)
    # nodes
    nodes: list[PartNode] = attrs.field(init=False, repr=False)
    # genesis
    events: list[tuple[TrustEvent, int]] = attrs.field(init=False, repr=False)
    log_id: str = attrs.field(init=False)
    # trust
    registry: Registry = attrs.field(init=False, repr=False)
    # control
    control: Control = attrs.field(factory=Control, init=False)
    epochs: list[tuple[int, int]] = attrs.field(factory=list, init=False)
    """(lamport, kernel epoch) of every start."""
    overlaid: list[tuple[int, Overlays]] = attrs.field(factory=list, init=False, repr=False)
    """The overlays in force from each lamport on at which they changed."""
    activations: list[tuple[PartNode, PolicySignature]] = attrs.field(factory=list, init=False, repr=False)
    # seals
    calls: list[Told] = attrs.field(factory=list, init=False, repr=False)
    outcomes: list[PartNode] = attrs.field(factory=list, init=False, repr=False)
    """EFFECT nodes, in order."""
    # receipts
    receipts: dict[str, SealedReceipt] = attrs.field(factory=dict, init=False, repr=False)
    """By receipt_hash, in the order of the session's clock."""
    condensed: dict[str, Leaf] = attrs.field(factory=dict, init=False, repr=False)
    """What stands for receipts that were condensed, by receipt_hash, in the order of the session's clock."""
    lamports: dict[str, int] = attrs.field(init=False, repr=False)
    """The clock of the one node that binds each receipt, by receipt_hash."""

    # checkpoints
    checkpoint: Checkpoint | None = attrs.field(default=None, init=False)
    """The last one of the pack."""

    # host
    native: Manifest | None = attrs.field(default=None, init=False)
    """The manifest of the pack as it was exported, where something of a host stands beside it."""
    chains: dict[str, HostChain] = attrs.field(factory=dict, init=False, repr=False)
    """What recorders on hosts wrote, by source."""
    drifts: int = attrs.field(default=0, init=False)
    """How many receipts of boundary drift are in the pack."""

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
    def activated(self) -> dict[tuple[str, int], int]:
        """The lamport at which each (policy_hash, epoch) was first put in force."""
        first: dict[tuple[str, int], int] = {}
        for node, signature in self.activations:
            first.setdefault((signature.policy_hash, signature.epoch), node.lamport)
        return first
