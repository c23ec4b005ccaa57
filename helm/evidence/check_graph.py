"""Checks of what a pack stands on: its part of the graph, the log's keys, its own signature, the policies."""

from __future__ import annotations

from collections.abc import Mapping

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.evidence import manifest
from helm.evidence.at_once import Line, read_call
from helm.evidence.control import SIGNED, check_event, said_of_overlays, said_of_raise, take_overlays
from helm.evidence.layout import FRONTIER, MANIFEST, NODES, REFUSAL, SNAPSHOT, record_path, trust_path
from helm.evidence.lines import read_json, split_lines
from helm.evidence.part import Part, Payload, read_node
from helm.evidence.policies import activation, stated_by
from helm.evidence.reading import CHANGED, Reading
from helm.evidence.scope import WHOLE
from helm.guardian.bundle_signature import PolicySignature, check_signature, check_succession
from helm.guardian.overlays import Overlays
from helm.proofgraph.graph import NO_SESSION, Graph
from helm.proofgraph.node import NodeKind
from helm.trust.event import from_payload, log_id_of
from helm.trust.registry import fold

KINDS = frozenset({NodeKind.ATTESTATION, NodeKind.CHECKPOINT, NodeKind.EFFECT, NodeKind.INTENT, NodeKind.TRUST_EVENT})
"""The kinds that this verifier can check."""


def check_nodes(reading: Reading) -> None:
    """Every node hashes to its name, and stands on what came before it."""
    cover = reading.manifest.cover
    part = Part(reading.sessions, Graph(cover.shard), read_frontier(reading.members))
    reading.nodes = []
    for raw, where in split_lines(reading.members.get(NODES, b""), NODES):
        line = read_node(raw, where)
        payload = payload_of(line, reading.members, where)
        reading.nodes.append(part.take(line, payload, where))
    if part.sessions != part.graph.heads.keys() or part.graph.lamport != cover.lamport:
        raise Invalid("the last node, or every node of a session, is missing", NODES, CHANGED)
    if cover.scope == WHOLE and len(reading.nodes) != cover.lamport:
        raise Invalid("is not the whole log: a node is missing", NODES, CHANGED)
    if part.frontier.keys() != part.relied_on:
        raise Invalid("names nodes that no node of the pack stands on", FRONTIER, CHANGED)


def read_frontier(members: Mapping[str, bytes]) -> dict[str, int]:
    """Return the nodes outside the pack that it may stand on, and their clocks. Raises Invalid."""
    body = read_json(members.get(FRONTIER, b""), FRONTIER)
    nodes = body.get("nodes")
    if [*body] != ["nodes"] or type(nodes) is not dict:
        raise Invalid("is not the list of the nodes outside", FRONTIER, CHANGED)
    if not all(type(lamport) is int for lamport in nodes.values()):
        raise Invalid("a clock is not a whole number", FRONTIER, CHANGED)
    return nodes


def payload_of(line: Line, members: Mapping[str, bytes], where: str) -> Payload:
    """Return the payload of a line's node, from the file that it must stand in. Raises Invalid."""
    if line.payload:
        payload, stands_here = Payload(read_json(line.payload, where), line.payload), True
    else:
        is_event = line.node.kind == NodeKind.TRUST_EVENT
        path = trust_path(line.node.lamport) if is_event else record_path(line.node.lamport)
        payload, stands_here = read_payload(members.get(path, b""), path), False
    if stands_here == stands_apart(line.node.kind, payload.body):
        raise Invalid("its payload does not stand where a payload of its kind stands", where, CHANGED)
    return payload


def read_payload(raw: bytes, path: str) -> Payload:
    """Return the payload of a file of its own. Raises Invalid."""
    call = read_call(raw)
    if call is None:
        return Payload(read_json(raw, path), raw)
    record = {"record_hash": call.record.hash}
    if call.effect is not None:
        return Payload({"record": record, "type": "INTENT"}, raw, call)
    return Payload({"receipt_hash": call.receipt_hash, "record": record, "type": REFUSAL}, raw, call)


def stands_apart(kind: str, payload: dict[str, JSONValue]) -> bool:
    """Tell whether the payload of such a node has a file of its own: those of calls and of trust events."""
    is_refusal = kind == NodeKind.ATTESTATION and payload.get("type") == REFUSAL
    return kind in (NodeKind.INTENT, NodeKind.TRUST_EVENT) or is_refusal


def check_genesis(reading: Reading) -> None:
    """The log begins with the event that the caller pinned."""
    reading.events = [
        (from_payload(node.payload, node.where), node.lamport)
        for node in reading.nodes
        if node.kind == NodeKind.TRUST_EVENT
    ]
    of_sessions = [node for node in reading.nodes if node.kind == NodeKind.TRUST_EVENT and node.session != NO_SESSION]
    if reading.nodes[0].kind != NodeKind.TRUST_EVENT or of_sessions:
        raise Invalid("the log does not begin with a trust event, or one stands in a session", NODES, CHANGED)
    first, root = reading.events[0][0], reading.root
    reading.log_id = log_id_of(first)
    hint = "this is another log's pack, or the pin is another log's"
    if root.log_id not in ("", reading.log_id):
        raise Invalid(f"the pack is of log {reading.log_id}, not of the pinned {root.log_id}", NODES, hint)
    if root.genesis_key not in ("", first.public_key):
        raise Invalid("the log begins with another key than the pinned one", NODES, hint)
    if reading.manifest.cover.log_id != reading.log_id:
        raise Invalid(f"the manifest speaks of log {reading.manifest.cover.log_id}", MANIFEST, hint)


def check_trust(reading: Reading) -> None:
    """Trust events are signed by who may sign them, and the snapshot is what comes of them."""
    reading.registry = fold(reading.events, reading.log_id)
    if reading.members.get(SNAPSHOT) != record_bytes(reading.registry.snapshot()):
        raise Invalid("the snapshot of the keys is not what their events come to", SNAPSHOT, CHANGED)


def check_signed_manifest(reading: Reading) -> None:
    """The manifest is signed by an evidence key that counted when the pack was made."""
    manifest.check_signature(reading.manifest, reading.registry)


def check_control(reading: Reading) -> None:
    """Every event says what its kind says, kernels started in order, stops and approvals are signed, in sequence."""
    for node in reading.nodes:
        if node.kind not in KINDS:
            raise Invalid(f"a node of unknown kind {node.kind!r}", node.where, "a newer HELM wrote this log")
        if node.kind != NodeKind.ATTESTATION or node.payload.get("type") == REFUSAL:
            continue
        match check_event(node.payload, in_session=node.session != NO_SESSION, where=node.where):
            case "KERNEL_STARTED":
                reading.control.start(node.payload, node.where)
                reading.epochs.append((node.lamport, reading.control.kernel_epoch))
            case kind if kind in SIGNED:
                reading.control.obey(node.payload, reading.registry, node.lamport, node.where)
            case "POLICY_ACTIVATED":
                reading.activations.append((node, activation(node.payload)))
            case "OVERLAID":
                commands = said_of_overlays(node.payload, reading.registry, node.lamport, node.where)
                last = reading.overlaid[-1][1] if reading.overlaid else Overlays()
                reading.overlaid.append((node.lamport, take_overlays(last, commands, {})))
            case "P0_RAISE_CANCELLED":
                said_of_raise(node.payload, reading.registry, node.lamport, node.where)
            case _:
                pass  # what the others change is the guardian's memory: there is nothing in them to check


def check_policies(reading: Reading) -> None:
    """Every activation is signed, newer than the last one, and of the bundle that the pack holds."""
    active: PolicySignature | None = None
    for node, signature in reading.activations:
        key = reading.registry.require(signature.key_id, KeyPurpose.POLICY, node.lamport)
        stated = stated_by(signature, reading.members)
        try:
            check_signature(stated, signature, key.hex)
            check_succession(active, signature)
        except Refused as problem:
            raise Invalid(problem.reason, node.where, CHANGED) from problem
        active = signature
