"""What somebody makes of a pack who also holds the execution key: nodes that hash and follow, receipts that are signed.

Nobody is protected from him by signatures. What he writes must still be seen alike by every verifier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from helm.crypto import domains
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import content_id, hash_in
from helm.evidence.layout import EVENTS, FRONTIER, HEAD, REFUSAL
from helm.evidence.shards import SHARD_LINES
from helm.receipts.chain import RECEIPT_ID
from tests.helm.evidence.forger import NODE_LINES, RECEIPT_LINES, RECORD_LINES, Members, resealed
from tests.helm.evidence.material import key_of

Body = dict[str, Any]

PEN: Final = key_of(KeyPurpose.EXECUTION)


@attrs.define
class Story:
    """The nodes of a small pack with their payloads, and the receipts that they bind."""

    members: Members
    nodes: list[Body]
    receipts: list[Body]


def story_of(members: Members) -> Story:
    """Return what the lines of a pack come to, none of them condensed."""
    nodes = [reread(line) for line in members[NODE_LINES].splitlines()]
    records, events = (iter(members[path].splitlines()) for path in (RECORD_LINES, EVENTS))
    for node in nodes:
        if "payload" not in node:
            node["payload"] = reread(next(events if node["kind"] == "TRUST_EVENT" else records))
    return Story(dict(members), nodes, [reread(line) for line in members[RECEIPT_LINES].splitlines()])


def binds(node: Body) -> bool:
    """Tell whether a node binds a receipt."""
    return bool(node["kind"] == "EFFECT" or (node["kind"] == "ATTESTATION" and kind_of(node) == REFUSAL))


def kind_of(node: Body) -> object:
    return node["payload"].get("type") if type(node["payload"]) is dict else None


def signed_anew(receipt: Body, renamed: dict[str, str], before: dict[object, tuple[int, str]]) -> bytes:
    """Return a receipt in its place behind the one before it, under its own name, and signed."""
    said = {name: value for name, value in receipt.items() if name not in ("receipt_id", "signature")}
    intent, session = said.get("intent_node"), record_bytes([said.get("tenant"), said.get("session_id")])  # type: ignore[arg-type]
    said["intent_node"] = renamed.get(intent, intent) if type(intent) is str else intent
    clock, said["prev_hash"] = before.get(session, (0, "GENESIS"))
    said = dict(sorted(said.items()))
    said["receipt_id"] = content_id(RECEIPT_ID, hash_in(domains.RECEIPT_NAME, record_bytes(said)))
    said["signature"] = PEN.sign(domains.RECEIPT, record_bytes(dict(sorted(said.items()))))
    before[session] = clock + 1, said["signature"]
    return record_bytes(dict(sorted(said.items())))


def told_anew(story: Story) -> bytes:
    """Return the pack in which every node hashes to its name again, and every receipt is signed again."""
    renamed: dict[str, str] = {}
    before: dict[object, tuple[int, str]] = {}
    receipts = iter(story.receipts)
    lines: list[bytes] = []
    records: list[bytes] = []
    events: list[bytes] = []
    signed: list[bytes] = []
    for node in story.nodes:
        payload = node["payload"]
        intent = payload.get("intent_node") if type(payload) is dict else None
        if type(intent) is str:
            payload["intent_node"] = renamed.get(intent, intent)
        if binds(node):
            receipt = next(receipts, None)
            if receipt is not None:
                signed.append(signed_anew(receipt, renamed, before))
                payload["receipt_hash"] = hash_in(domains.RECEIPT_HASH, signed[-1])
        if type(node.get("parents")) is list and all(type(one) is str for one in node["parents"]):
            node["parents"] = sorted({renamed.get(one, one) for one in node["parents"]})
        old = node.pop("node_hash", "")
        name = hash_in(domains.NODE, record_bytes(dict(sorted(node.items()))))
        renamed[old] = node["node_hash"] = name
        apart = node["kind"] in ("INTENT", "TRUST_EVENT") or (binds(node) and node["kind"] != "EFFECT")
        if apart:
            (events if node["kind"] == "TRUST_EVENT" else records).append(record_bytes(payload))
        lines.append(record_bytes(dict(sorted((k, v) for k, v in node.items() if not (apart and k == "payload")))))
    assert max(map(len, (lines, records, signed))) <= SHARD_LINES
    for path, found in ((NODE_LINES, lines), (RECORD_LINES, records), (RECEIPT_LINES, signed), (EVENTS, events)):
        story.members[path] = b"".join(line + b"\n" for line in found)
    frontier = reread(story.members[FRONTIER])
    frontier["nodes"] = {renamed.get(one, one): clock for one, clock in frontier["nodes"].items()}
    story.members[FRONTIER] = record_bytes(frontier)
    return resealed(
        {path: content for path, content in story.members.items() if content or path == HEAD},
        lambda cover: attrs.evolve(cover, open_intents=tuple(sorted(renamed.get(o, o) for o in cover.open_intents))),
    )


def changed_story(members: Members, change: Callable[[Story], object]) -> bytes:
    """Return the pack after a change to what it tells."""
    story = story_of(members)
    change(story)
    return told_anew(story)
