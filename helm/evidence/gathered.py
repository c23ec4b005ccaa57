"""What a pack is made of, taken out of the log's entries as they come: lines to shards, a few words kept.

Nothing is verified here, and nothing of an entry is kept but what the whole pack says: a log is longer than memory.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.evidence.archive import MAX_BYTES
from helm.evidence.at_once import read_receipt
from helm.evidence.beside import written
from helm.evidence.check_graph import stands_apart
from helm.evidence.edge import Edge
from helm.evidence.inclusion import Inclusion
from helm.evidence.layout import FACTS, NODES, RECEIPTS, RECORDS, REFUSAL
from helm.evidence.leaf import receipt_leaf
from helm.evidence.sets import Layered
from helm.evidence.shards import Cutting
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
    shards: dict[str, Cutting] = attrs.field(init=False, repr=False)
    """The lines of each folder."""
    trust_events: Growing = attrs.field(init=False, repr=False)
    """The payloads of trust events, as lines."""
    inclusion: Inclusion = attrs.field(factory=Inclusion, init=False, repr=False)
    calls: int = attrs.field(default=0, init=False)
    """How many calls there are."""
    open_intents: set[str] = attrs.field(factory=set, init=False, repr=False)
    used: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The policies that the calls were decided under, "" for none."""
    layers: Layered = attrs.field(factory=Layered, init=False, repr=False)
    events: list[tuple[TrustEvent, int]] = attrs.field(factory=list, init=False, repr=False)
    relied_on: set[str] = attrs.field(factory=set, init=False, repr=False)
    """The nodes that these stand on and that are not at the edge."""
    lamport: int = attrs.field(default=0, init=False)
    shard: str = attrs.field(default="", init=False)
    size: int = attrs.field(default=0, init=False)
    """The bytes of all lines."""
    _edge: Edge = attrs.field(factory=Edge, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.contents, self.trust_events = self.new_spool(), Growing(self.new_spool())
        self.shards = {folder: Cutting(folder, self._put) for folder in (FACTS, NODES, RECEIPTS, RECORDS)}

    def take(self, entry: Entry) -> None:
        """Take the next entry apart."""
        node, beside = entry["node"], entry["beside"]
        payload = node["payload"]
        self._take_node(node)
        if is_call(node):
            self.calls += 1
            self.shards[FACTS].add(written(beside["facts"], f"node {node['node_hash']}"))
            self.used.add(payload["decision"]["policy_hash"])
        if "receipt" in beside:
            body = beside["receipt"]
            sealed = read_receipt(record_bytes(body)) or unseal_receipt(body, f"node {node['node_hash']}")
            self.shards[RECEIPTS].add(sealed.json)
            self.inclusion.add(receipt_leaf(sealed))
        if node["kind"] == NodeKind.TRUST_EVENT:
            self.events.append((from_payload(payload), node["lamport"]))
        if node["kind"] == NodeKind.INTENT:
            self.open_intents.add(node["node_hash"])
        self.open_intents.discard(payload.get("intent_node", ""))
        self.layers.take(entry)
        if self.size > MAX_BYTES:
            raise Invalid(f"it would be longer than {MAX_BYTES} bytes", "pack", "export a smaller part of the log")

    def _take_node(self, node: JSONValue) -> None:
        line = dict(node)
        if stands_apart(node["kind"], node["payload"]):
            payload = record_bytes(line.pop("payload"))
            if node["kind"] == NodeKind.TRUST_EVENT:
                self.trust_events.add(payload + b"\n")
            else:
                self.shards[RECORDS].add(payload)
        self.shards[NODES].add(record_bytes(line))
        self.relied_on.update(parent for parent in node["parents"] if parent not in self._edge)
        session = (node["tenant"], node["session_id"])
        self._edge.advance(node["kind"], session, node["node_hash"], node["payload"])
        self.lamport, self.shard = node["lamport"], node["shard"]

    def _put(self, content: bytes) -> Part:
        self.size += len(content)
        return put(self.contents, content)

    def without_facts(self) -> dict[str, Part]:
        """Return the shards of facts that were left out: an empty line for each call."""
        cutting = Cutting(FACTS, self._put)
        for _ in range(self.calls):
            cutting.add(b"")
        return cutting.done()

    def registry(self) -> Registry:
        """Return the keys of the log. Raises Invalid."""
        if not self.events:
            raise Invalid("there is no trust event among them", "entries", "hand over the control entries as well")
        return fold(self.events, log_id_of(self.events[0][0]))

    def frontier(self, outside: dict[str, int]) -> dict[str, int]:
        """Return the clocks of the nodes that these stand on and that are not at the edge. Raises Invalid."""
        unknown = self.relied_on - outside.keys()
        if unknown:
            raise Invalid(f"stand on {min(unknown)}, which is nowhere", "entries", "hand over its clock as well")
        return {node_hash: outside[node_hash] for node_hash in sorted(self.relied_on)}


def is_call(node: JSONValue) -> bool:
    """Tell whether a node is the decision about a call."""
    return bool(node["kind"] == NodeKind.INTENT or node["payload"].get("type") == REFUSAL)
