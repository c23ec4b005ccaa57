"""Checks of what a pack stands on: its part of the graph, the log's keys, its own signature, the policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import MAX_DEPTH, record_bytes
from helm.crypto.domains import KeyPurpose
from helm.evidence import manifest
from helm.evidence.at_once import Call, Line, read_call, read_line
from helm.evidence.control import SIGNED, check_event, said_of_overlays, said_of_raise, take_overlays
from helm.evidence.layout import EVENTS, FRONTIER, MANIFEST, NODES, RECORDS, REFUSAL, SNAPSHOT
from helm.evidence.lines import read_json, split_lines
from helm.evidence.part import Part, PartNode, Payload, read_node
from helm.evidence.policies import activation, stated_by
from helm.evidence.reading import CHANGED, Reading
from helm.evidence.scope import WHOLE
from helm.guardian.bundle_signature import PolicySignature, check_signature, check_succession
from helm.guardian.overlays import Overlays
from helm.proofgraph.graph import NO_SESSION, Graph
from helm.proofgraph.node import NodeKind
from helm.trust.event import from_payload, log_id_of
from helm.trust.registry import Registry

KINDS = frozenset({NodeKind.ATTESTATION, NodeKind.CHECKPOINT, NodeKind.EFFECT, NodeKind.INTENT, NodeKind.TRUST_EVENT})
"""The kinds that this verifier can check."""

IN_A_LINE = MAX_DEPTH - 1
"""Deepest nesting of a payload that stands in the line of its node: the line is one level of it."""


class Nodes:
    """Every node hashes to its name, and stands on what came before it."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.lines, self.records = reading.lines(NODES, self._read_lines), reading.lines(RECORDS, self._read_calls)
        self.read: list[Line | None] = []
        """The nodes of the shard at hand that are in their one form."""
        self.calls: list[Call | None] = []
        """The calls of the shard at hand, likewise."""
        self.events = split_lines(reading.members.get(EVENTS, b""), EVENTS)
        self.part = Part(reading.sessions, Graph(reading.manifest.cover.shard), read_frontier(reading.members))
        self.count = 0

    def walk(self) -> Iterator[PartNode]:
        """Yield the nodes, in order. Raises Invalid."""
        reading = self.reading
        kept = reading.kept.nodes if reading.keep else None
        for raw in self.lines.rest():
            where = self.lines.where
            line = self.read[self.lines.at - 1] or read_node(raw, where)
            node = self.part.take(line, self._payload(line, where), where)
            self.count += 1
            reading.told = reading.sealed = reading.leaf = None
            if kept is not None:
                kept.append(node)
            yield node
        self._end()

    def _read_lines(self, _: str, lines: list[bytes]) -> None:
        self.read = [*map(read_line, lines)]

    def _read_calls(self, _: str, lines: list[bytes]) -> None:
        self.calls = [*map(read_call, lines)]

    def _payload(self, line: Line, where: str) -> Payload:
        """Return the payload of a line's node, from the place where it must stand. Raises Invalid."""
        if line.payload:
            payload, stands_here = (
                Payload(read_json(line.payload, where, max_depth=IN_A_LINE), line.payload, where),
                True,
            )
        elif line.node.kind == NodeKind.TRUST_EVENT:
            raw, at = next(self.events, (b"", EVENTS))
            payload, stands_here = Payload(read_json(raw, at), raw, at), False
        else:
            raw, at = self.records.take(), self.records.where
            payload, stands_here = payload_in(self.calls[self.records.at - 1], raw, at), False
        if stands_here == stands_apart(line.node.kind, payload.body):
            raise Invalid("its payload does not stand where a payload of its kind stands", where, CHANGED)
        return payload

    def _end(self) -> None:
        self.records.check_end()
        spare = next(self.events, None)
        if spare is not None:
            raise Invalid("is the event of no node", spare[1], CHANGED)
        part, cover = self.part, self.reading.manifest.cover
        if not self.count or part.sessions != part.graph.heads.keys() or part.graph.lamport != cover.lamport:
            raise Invalid("the last node, or every node of a session, is missing", NODES, CHANGED)
        if cover.scope == WHOLE and self.count != cover.lamport:
            raise Invalid("is not the whole log: a node is missing", NODES, CHANGED)
        if part.frontier.keys() != part.relied_on:
            raise Invalid("names nodes that no node of the pack stands on", FRONTIER, CHANGED)


def read_frontier(members: Mapping[str, bytes]) -> dict[str, int]:
    """Return the nodes beyond the edge that the pack stands on, and their clocks. Raises Invalid."""
    body = read_json(members.get(FRONTIER, b""), FRONTIER)
    nodes = body.get("nodes")
    if [*body] != ["nodes"] or type(nodes) is not dict:
        raise Invalid("is not the list of the nodes outside", FRONTIER, CHANGED)
    if not all(type(lamport) is int for lamport in nodes.values()):
        raise Invalid("a clock is not a whole number", FRONTIER, CHANGED)
    return nodes


def read_payload(raw: bytes, where: str) -> Payload:
    """Return the payload of a line of its own. Raises Invalid."""
    return payload_in(read_call(raw), raw, where)


def payload_in(call: Call | None, raw: bytes, where: str) -> Payload:
    """Return the payload of a line of its own, of which the call was read where that could be. Raises Invalid."""
    if call is None:
        return Payload(read_json(raw, where), raw, where)
    record = {"record_hash": call.record.hash}
    if call.effect is not None:
        return Payload({"record": record, "type": "INTENT"}, raw, where, call)
    return Payload({"receipt_hash": call.receipt_hash, "record": record, "type": REFUSAL}, raw, where, call)


def stands_apart(kind: str, payload: dict[str, JSONValue]) -> bool:
    """Tell whether the payload of such a node stands in a line of its own: those of calls and of trust events."""
    is_refusal = kind == NodeKind.ATTESTATION and payload.get("type") == REFUSAL
    return kind in (NodeKind.INTENT, NodeKind.TRUST_EVENT) or is_refusal


class Genesis:
    """The log begins with the event that the caller pinned."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.begun = False

    def take(self, node: PartNode) -> None:
        """Read the next trust event."""
        self.reading.event = None
        if node.kind == NodeKind.TRUST_EVENT and node.session == NO_SESSION:
            self.reading.event = from_payload(node.payload, node.where)
        elif node.kind == NodeKind.TRUST_EVENT or not self.begun:
            raise Invalid("the log does not begin with a trust event, or one stands in a session", node.where, CHANGED)
        if not self.begun:
            self._begin()

    def _begin(self) -> None:
        first, root = self.reading.event, self.reading.root
        if first is None:
            raise Invalid("the log does not begin with a trust event", NODES, CHANGED)
        self.begun = True
        self.reading.log_id = log_id_of(first)
        hint = "this is another log's pack, or the pin is another log's"
        if root.log_id not in ("", self.reading.log_id):
            raise Invalid(f"the pack is of log {self.reading.log_id}, not of the pinned {root.log_id}", NODES, hint)
        if root.genesis_key not in ("", first.public_key):
            raise Invalid("the log begins with another key than the pinned one", NODES, hint)
        if self.reading.manifest.cover.log_id != self.reading.log_id:
            raise Invalid(f"the manifest speaks of log {self.reading.manifest.cover.log_id}", MANIFEST, hint)

    def end(self) -> None:
        """Nothing is left."""
        if not self.begun:
            raise Invalid("there is no node at all", NODES, CHANGED)


class Trust:
    """Trust events are signed by who may sign them, and the snapshot is what comes of them."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.height = 0

    def take(self, node: PartNode) -> None:
        """Fold the next trust event."""
        event = self.reading.event
        if event is None:
            return
        self.height += 1
        if self.height == 1:
            self.reading.registry = Registry.begin(event, self.reading.log_id, node.lamport)
        else:
            self.reading.registry.apply(event, node.lamport)

    def end(self) -> None:
        """Compare the snapshot."""
        if self.reading.members.get(SNAPSHOT) != record_bytes(self.reading.registry.snapshot()):
            raise Invalid("the snapshot of the keys is not what their events come to", SNAPSHOT, CHANGED)


class SignedManifest:
    """The manifest is signed by an evidence key that counted when the pack was made."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def take(self, node: PartNode) -> None:
        """See nothing in one node: which keys counted, only the last one shows."""

    def end(self) -> None:
        """Check the signature."""
        manifest.check_signature(self.reading.manifest, self.reading.registry)


class ControlEvents:
    """Every event says what its kind says, kernels started in order, stops and approvals are signed, in sequence."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def take(self, node: PartNode) -> None:
        """Follow the next event."""
        if node.kind not in KINDS:
            raise Invalid(f"a node of unknown kind {node.kind!r}", node.where, "a newer HELM wrote this log")
        if node.kind == NodeKind.ATTESTATION and not node.is_refusal:
            self._follow(node)

    def _follow(self, node: PartNode) -> None:
        reading = self.reading
        match check_event(node.payload, in_session=node.session != NO_SESSION, where=node.where):
            case "KERNEL_STARTED":
                reading.control.start(node.payload, node.where)
            case kind if kind in SIGNED:
                reading.control.obey(node.payload, reading.registry, node.lamport, node.where)
            case "OVERLAID":
                commands = said_of_overlays(node.payload, reading.registry, node.lamport, node.where)
                last = reading.overlaid[-1][1] if reading.overlaid else Overlays()
                reading.overlaid.append((node.lamport, take_overlays(last, commands, {})))
            case "P0_RAISE_CANCELLED":
                said_of_raise(node.payload, reading.registry, node.lamport, node.where)
            case _:
                pass  # what the others change is the guardian's memory: there is nothing in them to check

    def end(self) -> None:
        """Nothing is left."""


class Policies:
    """Every activation is signed, newer than the last one, and of the bundle that the pack holds."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.active: PolicySignature | None = None

    def take(self, node: PartNode) -> None:
        """Check the next activation."""
        if node.kind != NodeKind.ATTESTATION or node.payload.get("type") != "POLICY_ACTIVATED":
            return
        reading, signature = self.reading, activation(node.payload)
        key = reading.registry.require(signature.key_id, KeyPurpose.POLICY, node.lamport)
        stated = stated_by(signature, reading.members)
        try:
            check_signature(stated, signature, key.hex)
            check_succession(self.active, signature)
        except Refused as problem:
            raise Invalid(problem.reason, node.where, CHANGED) from problem
        self.active = signature
        reading.activations.append(signature)
        reading.activated.setdefault((signature.policy_hash, signature.epoch), node.lamport)

    def end(self) -> None:
        """Nothing is left."""
