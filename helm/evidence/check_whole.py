"""Check that nothing is missing from a pack and nothing is spare, and that its tree is over its receipts."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.evidence.check_receipts import links_of
from helm.evidence.checkpoint_proofs import OF_CHECKPOINTS
from helm.evidence.condensed import OF_CONDENSED, hash_of
from helm.evidence.inclusion import inclusion_of
from helm.evidence.layout import (
    CHAINS,
    FRONTIER,
    HEAD,
    HOST_DRIFT,
    MANIFEST,
    NATIVE,
    NODES,
    PROOFS,
    RECEIPTS,
    SCHEMAS,
    SCRIPT,
    SNAPSHOT,
    SOURCES,
    facts_path,
    policy_path,
    record_path,
    trust_path,
)
from helm.evidence.leaf import receipt_leaf
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.scope import RANGE, Scope
from helm.evidence.sets import is_set, read_set
from helm.proofgraph.node import NodeKind


def check_complete(reading: Reading) -> None:
    """Every call has its receipt or is listed as open, every fact is there or listed, and nothing else is."""
    cover = reading.manifest.cover
    for told in reading.calls:
        if told.outcome is not None and told.receipt is None and not is_condensed(told, reading):
            raise Invalid("its receipt is not in the pack", record_path(told.node.lamport), CHANGED)
    open_intents = sorted(told.node.node_hash for told in reading.calls if told.outcome is None)
    if [*cover.open_intents] != open_intents:
        raise Invalid("the open intents are not those that the manifest lists", MANIFEST, CHANGED)
    check_range(reading)
    facts = {facts_path(told.node.lamport) for told in reading.calls}
    if [*cover.redacted] != sorted(facts - reading.members.keys()):
        raise Invalid("facts are missing that the manifest does not list as redacted", MANIFEST, CHANGED)
    spare = reading.members.keys() - expected_paths(reading) - facts
    if spare:
        raise Invalid("has no place in this pack", min(spare), CHANGED)


def is_condensed(told: Told, reading: Reading) -> bool:
    """Tell whether a leaf stands for the receipt of a call."""
    return told.outcome is not None and told.outcome.payload["receipt_hash"] in reading.condensed


def check_range(reading: Reading) -> None:
    """Raise Invalid unless every session of a range had a call in it."""
    cover = reading.manifest.cover
    if cover.scope != RANGE:
        return
    scope = Scope(cover.scope, cover.from_ms, cover.until_ms)
    had = {told.node.session for told in reading.calls if scope.covers(told.decision.content.decided_at_ms)}
    if had != reading.sessions:
        raise Invalid("a session had no call in the range of time that it is there for", MANIFEST, CHANGED)


def expected_paths(reading: Reading) -> set[str]:
    """Return every path that the content of this pack gives a reason for, facts aside."""
    expected = {MANIFEST, NODES, FRONTIER, SNAPSHOT, HEAD, PROOFS, SCRIPT, *OF_CHECKPOINTS, *OF_CONDENSED}
    expected |= {NATIVE, SOURCES, HOST_DRIFT}
    expected |= {path for path in reading.members if path.startswith((SCHEMAS, RECEIPTS, CHAINS))}
    expected |= {record_path(told.node.lamport) for told in reading.calls}
    expected |= {trust_path(node.lamport) for node in reading.nodes if node.kind == NodeKind.TRUST_EVENT}
    used = policy_paths(reading)
    missing = used - reading.members.keys()
    if missing:
        raise Invalid("the policy that a decision was made under is not there", min(missing), CHANGED)
    return expected | used


def policy_paths(reading: Reading) -> set[str]:
    """Return where everything stands that the decisions were made under: bundles, sets, and the parts of sets."""
    paths: set[str] = set()
    for policy_hash in {told.decision.content.policy_hash for told in reading.calls} - {""}:
        path = policy_path(policy_hash)
        paths.add(path)
        raw = reading.members.get(path, b"")
        if is_set(raw):
            paths |= read_set(raw, policy_hash, path).paths
    return paths


def check_inclusion(reading: Reading) -> None:
    """The tree over the receipts has the root that the pack states, and every proof leads to it."""
    leaves, names = [], []
    for receipt_hash, _ in links_of(reading):
        sealed = reading.receipts.get(receipt_hash)
        leaves.append(hash_of(reading.condensed[receipt_hash]) if sealed is None else receipt_leaf(sealed))
        names.append("" if sealed is None else sealed.receipt_id)
    head, proofs = inclusion_of(leaves, names)
    if reading.members.get(HEAD) != head:
        raise Invalid("is not the root over the receipts of the pack", HEAD, CHANGED)
    if reading.members.get(PROOFS) != proofs:
        raise Invalid("are not the proofs of the receipts of the pack", PROOFS, CHANGED)
