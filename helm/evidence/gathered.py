"""What a pack is made of, taken out of the log's entries as they come: bytes to a spool, a few words of each kept.

Nothing is verified here, and nothing of an entry is kept but where its parts lie: a log is longer than memory.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.evidence.archive import MAX_BYTES
from helm.evidence.beside import written
from helm.evidence.check_graph import stands_apart
from helm.evidence.layout import REFUSAL, facts_path, receipt_path, record_path, trust_path
from helm.evidence.leaf import receipt_leaf
from helm.evidence.sets import Layered
from helm.evidence.spool import Growing, Part, Spool, put
from helm.evidence.unseal import unseal_receipt
from helm.proofgraph.node import NodeKind
from helm.trust.event import TrustEvent, from_payload, log_id_of
from helm.trust.registry import Registry, fold

Entry = dict[str, JSONValue]
"""One entry of the journal: {"node": ..., "beside": ...}."""


@attrs.define
class Gathered:
    """The parts of a pack. `take` raises Invalid, and whatever an entry makes it raise that no kernel wrote."""

    new_spool: Callable[[], Spool]
    contents: Spool = attrs.field(init=False, repr=False)
    nodes: Growing = attrs.field(init=False, repr=False)
    """The lines of the graph."""
    parts: dict[str, Part] = attrs.field(factory=dict, init=False, repr=False)
    """Payloads that have a file of their own, and receipts, by path."""
    facts: dict[str, Part] = attrs.field(factory=dict, init=False, repr=False)
    leaves: dict[str, bytes] = attrs.field(factory=dict, init=False, repr=False)
    """The hash of each receipt's leaf, by the receipt's path."""
    calls: list[int] = attrs.field(factory=list, init=False, repr=False)
    """The clock of each call's node."""
    open_intents: set[str] = attrs.field(factory=set, init=False, repr=False)
    used: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The policies that the calls were decided under, "" for none."""
    layers: Layered = attrs.field(factory=Layered, init=False, repr=False)
    events: list[tuple[TrustEvent, int]] = attrs.field(factory=list, init=False, repr=False)
    inside: set[str] = attrs.field(factory=set, init=False, repr=False)
    relied_on: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The nodes that these stand on and that are not among them."""
    lamport: int = attrs.field(default=0, init=False)
    shard: str = attrs.field(default="", init=False)
    size: int = attrs.field(default=0, init=False)
    """The bytes of all that cannot be left out of the pack, but for the graph."""

    def __attrs_post_init__(self) -> None:
        self.contents, self.nodes = self.new_spool(), Growing(self.new_spool())

    def take(self, entry: Entry) -> None:
        """Take the next entry apart."""
        node, beside = entry["node"], entry["beside"]
        payload, lamport = node["payload"], node["lamport"]
        self._take_node(node)
        if "facts" in beside:
            self.facts[facts_path(lamport)] = put(self.contents, written(beside["facts"], node["node_hash"]))
        if "receipt" in beside:
            self._take_receipt(beside["receipt"], f"node {node['node_hash']}")
        if node["kind"] == NodeKind.TRUST_EVENT:
            self.events.append((from_payload(payload), lamport))
        if is_call(node):
            self.calls.append(lamport)
            self.used.add(payload["decision"]["policy_hash"])
        if node["kind"] == NodeKind.INTENT:
            self.open_intents.add(node["node_hash"])
        self.open_intents.discard(payload.get("intent_node", ""))
        self.layers.take(entry)
        if self.size + self.nodes.size > MAX_BYTES:
            raise Invalid(f"it would be longer than {MAX_BYTES} bytes", "pack", "export a smaller part of the log")

    def _take_node(self, node: JSONValue) -> None:
        line = dict(node)
        if stands_apart(node["kind"], node["payload"]):
            path = payload_path(node)
            self._put(path, record_bytes(line.pop("payload")))
        self.nodes.add(record_bytes(line) + b"\n")
        self.relied_on.update(parent for parent in node["parents"] if parent not in self.inside)
        self.inside.add(node["node_hash"])
        self.lamport, self.shard = node["lamport"], node["shard"]

    def _take_receipt(self, receipt: JSONValue, where: str) -> None:
        sealed = unseal_receipt(receipt, where)
        path = receipt_path(sealed.content.lamport_clock, sealed.receipt_id)
        self._put(path, sealed.json)
        self.leaves[path] = receipt_leaf(sealed)

    def _put(self, path: str, content: bytes) -> None:
        self.parts[path] = put(self.contents, content)
        self.size += len(content)

    def registry(self) -> Registry:
        """Return the keys of the log. Raises Invalid."""
        if not self.events:
            raise Invalid("there is no trust event among them", "entries", "hand over the control entries as well")
        return fold(self.events, log_id_of(self.events[0][0]))

    def frontier(self, outside: dict[str, int]) -> dict[str, int]:
        """Return the clocks of the nodes that these stand on and that are not among them. Raises Invalid."""
        unknown = self.relied_on - outside.keys()
        if unknown:
            raise Invalid(f"stand on {min(unknown)}, which is nowhere", "entries", "hand over its clock as well")
        return {node_hash: outside[node_hash] for node_hash in sorted(self.relied_on)}


def payload_path(node: JSONValue) -> str:
    """Return the file of a payload that stands apart."""
    is_event = node["kind"] == NodeKind.TRUST_EVENT
    return trust_path(node["lamport"]) if is_event else record_path(node["lamport"])


def is_call(node: JSONValue) -> bool:
    """Tell whether a node is the decision about a call."""
    return bool(node["kind"] == NodeKind.INTENT or node["payload"].get("type") == REFUSAL)
