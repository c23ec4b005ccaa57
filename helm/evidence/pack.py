"""Making a pack: from the entries of a log to one signed archive that says everything about its sessions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import sha256
from helm.evidence.archive import Member, write
from helm.evidence.beside import written
from helm.evidence.check_graph import stands_apart
from helm.evidence.inclusion import inclusion
from helm.evidence.layout import (
    FRONTIER,
    HEAD,
    MANIFEST,
    NODES,
    PROOFS,
    REFUSAL,
    SCRIPT,
    SNAPSHOT,
    facts_path,
    receipt_path,
    record_path,
    schema_path,
    trust_path,
)
from helm.evidence.lines import write_lines
from helm.evidence.manifest import Cover, write_manifest
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scope import SESSION, WHOLE
from helm.evidence.scripts import KNOWN_SCRIPTS
from helm.evidence.selection import Entry, NotThere, Selection, session_of
from helm.evidence.sets import packed
from helm.evidence.unseal import unseal_receipt
from helm.proofgraph.graph import NO_SESSION, SessionKey
from helm.proofgraph.node import NodeKind
from helm.receipts.chain import SealedReceipt
from helm.trust.event import from_payload, log_id_of
from helm.trust.registry import Registry, fold


@attrs.frozen(kw_only=True)
class PackMaterial:
    """What a pack is made of, verified by nobody yet: whoever makes one verifies it before handing it out.

    `script` is the replay script of this edition.
    """

    selection: Selection
    script: bytes = attrs.field(repr=False)
    redact_facts: bool = False


def build(material: PackMaterial, signer: Signer) -> bytes:
    """Return the pack, signed by an evidence key. Same material, same bytes. Raises Invalid, PurposeMismatch."""
    if sha256(material.script) not in KNOWN_SCRIPTS:
        raise Invalid("is not a replay script that verifiers know", SCRIPT, "add its hash to helm.evidence.scripts")
    try:
        return built(material, signer)
    except (AttributeError, KeyError, TypeError) as problem:
        what = f"an entry is not what a kernel writes: {type(problem).__name__} {problem}"
        raise Invalid(what, "journal", "`helm receipts verify` names the entry") from problem


def built(material: PackMaterial, signer: Signer) -> bytes:
    """Return the pack of entries that are whatever they are. Raises AttributeError, KeyError and TypeError besides."""
    entries = needed(material.selection)
    registry = keys_of(entries)
    receipts = sorted(receipts_of(entries), key=path_of)
    members = dict(members_of(entries, material))
    members[SNAPSHOT] = record_bytes(registry.snapshot())
    members[HEAD], members[PROOFS] = inclusion(receipts)
    members.update(material.selection.proving.members(entries[-1]["node"]["lamport"]))
    members.update({path_of(one): one.json for one in receipts})
    cover = cover_of(entries, material, registry, signer)
    members[MANIFEST] = write_manifest(cover, members, signer)
    return write(Member(path, content) for path, content in members.items())


def path_of(sealed: SealedReceipt) -> str:
    """Return where a receipt stands."""
    return receipt_path(sealed.content.lamport_clock, sealed.receipt_id)


def needed(selection: Selection) -> list[Entry]:
    """Return the entries up to the last of the sessions', the checkpoint that covers it, and the last trust event.

    What the kernel did for others afterwards says nothing about these sessions; that a key was revoked does, and so
    does a checkpoint. The whole log is all of it. Raises NotThere for a session of which nothing is there.
    """
    if selection.scope.kind == WHOLE:
        return selection.entries
    last, seen, covered = 0, set[SessionKey](), True
    for number, entry in enumerate(selection.entries, 1):
        session, kind = session_of(entry), entry["node"]["kind"]
        covers = kind == NodeKind.CHECKPOINT and (not covered or is_asked_for(entry, selection.through))
        if session != NO_SESSION or covers or kind == NodeKind.TRUST_EVENT:
            last = number
            seen.add(session)
            covered = covers or (covered and session == NO_SESSION)
    if not seen - {NO_SESSION}:
        of_session = selection.scope.kind == SESSION
        where = f"session {selection.session_id} of {selection.tenant}" if of_session else "this range of time"
        raise NotThere("nothing is known of it", where, "`helm receipts list` shows the sessions and their times")
    return selection.entries[:last]


def is_asked_for(entry: Entry, through: int) -> bool:
    """Tell whether a checkpoint is one up to which the pack is to reach."""
    return bool(entry["node"]["payload"]["checkpoint"]["sequence"] <= through)


def log_of(material: PackMaterial) -> str:
    """Return the name of the log that the material is of. Raises Invalid."""
    return keys_of(material.selection.entries).log_id


def keys_of(entries: Iterable[Entry]) -> Registry:
    """Return the keys of the log. Raises Invalid."""
    nodes = [entry["node"] for entry in entries if entry["node"]["kind"] == NodeKind.TRUST_EVENT]
    events = [(from_payload(node["payload"]), node["lamport"]) for node in nodes]
    if not events:
        raise Invalid("there is no trust event among them", "entries", "hand over the control entries as well")
    return fold(events, log_id_of(events[0][0]))


def receipts_of(entries: Iterable[Entry]) -> list[SealedReceipt]:
    """Return the receipts in the order of their nodes. Raises Invalid."""
    return [
        unseal_receipt(entry["beside"]["receipt"], f"node {entry['node']['node_hash']}")
        for entry in entries
        if "receipt" in entry["beside"]
    ]


def members_of(entries: list[Entry], material: PackMaterial) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of everything but receipts, keys, tree and manifest."""
    yield NODES, write_lines([record_bytes(line_of(entry["node"])) for entry in entries])
    yield FRONTIER, record_bytes({"nodes": frontier_of(entries, material.selection.outside)})
    yield SCRIPT, material.script
    yield from ((schema_path(name), raw) for name, raw in PUBLISHED.items())
    used = {policy_hash_of(entry) for entry in entries}
    for entry in entries:
        node, beside = entry["node"], entry["beside"]
        if stands_apart(node["kind"], node["payload"]):
            yield payload_path(node), record_bytes(node["payload"])
        if "facts" in beside and not material.redact_facts:
            yield facts_path(node["lamport"]), written(beside["facts"], node["node_hash"])
    yield from packed(entries, used)


def line_of(node: JSONValue) -> dict[str, JSONValue]:
    """Return the node as its line has it: without a payload that has a file of its own."""
    line = dict(node)
    if stands_apart(node["kind"], node["payload"]):
        del line["payload"]
    return line


def payload_path(node: JSONValue) -> str:
    """Return the file of a payload that stands apart."""
    is_event = node["kind"] == NodeKind.TRUST_EVENT
    return trust_path(node["lamport"]) if is_event else record_path(node["lamport"])


def frontier_of(entries: list[Entry], outside: dict[str, int]) -> dict[str, int]:
    """Return the clocks of the nodes that the entries stand on and that are not among them. Raises Invalid."""
    inside = {entry["node"]["node_hash"] for entry in entries}
    relied_on = {parent for entry in entries for parent in entry["node"]["parents"]} - inside
    unknown = relied_on - outside.keys()
    if unknown:
        raise Invalid(f"stand on {min(unknown)}, which is nowhere", "entries", "hand over its clock as well")
    return {node_hash: outside[node_hash] for node_hash in sorted(relied_on)}


def policy_hash_of(entry: Entry) -> str:
    """Return the policy that a call of this entry was decided under, "" for any other entry."""
    decision = entry["node"]["payload"].get("decision")
    return str(decision["policy_hash"]) if decision is not None else ""


def cover_of(entries: list[Entry], material: PackMaterial, registry: Registry, signer: Signer) -> Cover:
    """Return what the pack says of itself."""
    calls = [entry["node"] for entry in entries if is_call(entry["node"])]
    ended = {entry["node"]["payload"].get("intent_node") for entry in entries}
    intents = {node["node_hash"] for node in calls if node["kind"] == NodeKind.INTENT}
    scope = material.selection.scope
    return Cover(
        from_ms=scope.from_ms,
        key_id=signer.key_id,
        lamport=entries[-1]["node"]["lamport"],
        log_id=registry.log_id,
        open_intents=tuple(sorted(intents - ended)),
        redacted=tuple(facts_path(node["lamport"]) for node in calls) if material.redact_facts else (),
        scope=scope.kind,
        sessions=tuple(sorted(material.selection.sessions)),
        shard=entries[-1]["node"]["shard"],
        until_ms=scope.until_ms,
    )


def is_call(node: JSONValue) -> bool:
    """Tell whether a node is the decision about a call."""
    return bool(node["kind"] == NodeKind.INTENT or node["payload"].get("type") == REFUSAL)
