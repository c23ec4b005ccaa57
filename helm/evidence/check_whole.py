"""Check that nothing is missing from a pack and nothing is spare, and that its tree is over its receipts."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.evidence.checkpoint_proofs import OF_CHECKPOINTS
from helm.evidence.condensed import OF_CONDENSED, hash_of
from helm.evidence.inclusion import Inclusion
from helm.evidence.layout import (
    CHAINS,
    EVENTS,
    FRONTIER,
    HEAD,
    HOST_DRIFT,
    MANIFEST,
    NATIVE,
    SCHEMAS,
    SCRIPT,
    SNAPSHOT,
    SOURCES,
    policy_path,
)
from helm.evidence.leaf import receipt_leaf
from helm.evidence.part import PartNode
from helm.evidence.reading import CHANGED, Reading
from helm.evidence.scope import RANGE, Scope
from helm.evidence.sets import is_set, read_set
from helm.proofgraph.graph import SessionKey

FIXED = frozenset(
    {
        *(MANIFEST, EVENTS, FRONTIER, SNAPSHOT, HEAD, SCRIPT, NATIVE, SOURCES, HOST_DRIFT),
        *OF_CHECKPOINTS,
        *OF_CONDENSED,
    }
)


class Complete:
    """Every call has its receipt or is listed as open, every fact is there or listed, and nothing else is."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        cover = reading.manifest.cover
        self.range = Scope(cover.scope, cover.from_ms, cover.until_ms) if cover.scope == RANGE else None
        self.had: set[SessionKey] = set()
        """The sessions that had a call in the range."""

    def take(self, node: PartNode) -> None:
        """Note when the call of the next node was decided."""
        told = self.reading.told
        if self.range is not None and told is not None and self.range.covers(told.decision.content.decided_at_ms):
            self.had.add(node.session)

    def end(self) -> None:
        """Hold what was read against what the manifest says, and against what is there."""
        reading, cover = self.reading, self.reading.manifest.cover
        if [*cover.open_intents] != sorted(reading.open):
            raise Invalid("the open intents are not those that the manifest lists", MANIFEST, CHANGED)
        if self.range is not None and self.had != reading.sessions:
            raise Invalid("a session had no call in the range of time that it is there for", MANIFEST, CHANGED)
        if cover.redacted != reading.counts.redacted:
            raise Invalid("other facts are missing than the manifest says were left out", MANIFEST, CHANGED)
        used = policy_paths(reading)
        missing = used - reading.members.keys()
        if missing:
            raise Invalid("the policy that a decision was made under is not there", min(missing), CHANGED)
        spare = reading.members.keys() - FIXED - used - reading.shards
        spare = {path for path in spare if not path.startswith((SCHEMAS, CHAINS))}
        if spare:
            raise Invalid("has no place in this pack", min(spare), CHANGED)


def policy_paths(reading: Reading) -> set[str]:
    """Return where everything stands that the decisions were made under: bundles, sets, and the parts of sets."""
    paths: set[str] = set()
    for policy_hash in reading.used - {""}:
        path = policy_path(policy_hash)
        paths.add(path)
        raw = reading.members.get(path, b"")
        if is_set(raw):
            paths |= read_set(raw, policy_hash, path).paths
    return paths


class Tree:
    """The tree over the receipts has the root, and the subtrees, that the pack states."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.inclusion = Inclusion()

    def take(self, node: PartNode) -> None:
        """Take the leaf of the receipt that the next node binds."""
        reading = self.reading
        if reading.sealed is not None:
            reading.leaf_hash = receipt_leaf(reading.sealed)
        elif reading.leaf is not None:
            reading.leaf_hash = hash_of(reading.leaf)
        else:
            return
        self.inclusion.add(reading.leaf_hash)

    def end(self) -> None:
        """Compare the tree."""
        if self.reading.members.get(HEAD) != self.inclusion.head():
            raise Invalid("is not the tree over the receipts of the pack", HEAD, CHANGED)
