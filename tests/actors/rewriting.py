"""What somebody with the journal's file can make of it: rows changed, and every node hash made true again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helm.crypto.canonical import canonical, record_bytes, reread
from helm.proofgraph.node import Draft, place

Entry = dict[str, Any]


def edited(rows: list[bytes], number: int, change: Callable[[Entry], object]) -> list[bytes]:
    """Return the rows with one entry changed, and nothing else."""
    entry = reread(rows[number - 1])
    change(entry)
    return [*rows[: number - 1], record_bytes(entry), *rows[number:]]


def rewritten(rows: list[bytes], change: Callable[[int, Entry], object]) -> list[bytes]:
    """Return the rows with entries changed by number, every node placed and named anew, and every reference with it.

    All that is left for a reader to see is what the execution key signed.
    """
    renamed: dict[str, str] = {}
    written: list[bytes] = []
    for number, row in enumerate(rows, 1):
        entry = reread(row)
        change(number, entry)
        node = entry["node"]
        payload = {**node["payload"]}
        if "intent_node" in payload:
            payload["intent_node"] = renamed.get(payload["intent_node"], payload["intent_node"])
        parents = tuple(sorted(renamed.get(parent, parent) for parent in node["parents"]))
        draft = Draft(
            kind=node["kind"],
            payload=canonical(payload),
            tenant=node["tenant"],
            session_id=node["session_id"],
            principal=node["principal"],
        )
        placed = place(draft, node["lamport"], parents, node["shard"])
        renamed[node["node_hash"]] = placed.node_hash
        written.append(record_bytes({"beside": entry["beside"], "node": reread(placed.json)}))
    return written
