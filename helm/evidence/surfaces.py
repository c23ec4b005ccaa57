"""What each surface of the boundary comes to at one row of the log, as plain JSON.

It is made from the fold and from nothing else: whoever folds the same rows gets the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, cast

import attrs

from helm.contracts.errors import Broken
from helm.contracts.form import JSONValue, Noun, members
from helm.crypto.canonical import canonical
from helm.evidence.refold import Refold
from helm.trust.registry import Registry

FORMAT: Final = 1
"""Another one is of another HELM, and says nothing to this one."""

MAX_SURFACE_BYTES: Final = 64 * 1024 * 1024
"""A longer surface is not told. Whoever makes calls decides how many approvals there are, and none is forgotten: what
is only compared with the rows must not keep a kernel from starting (T4)."""

ANY_LENGTH: Final = 2**40
MAX_DEPTH: Final = 96


def surfaces_of(state: Refold) -> dict[str, bytes]:
    """Return each surface's state in canonical bytes, but for those that are longer than any may be."""
    memory, latest = state.memory, state.checkpoints.latest
    told: dict[str, object] = {
        "approvals": memory.approvals.ceremonies,
        "boundary": {
            "kernel_epoch": state.kernel_epoch,
            "lamport": state.graph.lamport,
            "log_id": state.log_id,
            "open_intents": sorted(state.open_intents),
            "sessions": len(state.chains.links),
        },
        "budgets": memory.ledger.accounts,
        "checkpoints": None if latest is None else {"hash": latest.checkpoint_hash, "content": latest.content},
        "connectors": memory.halted,
        "freezes": memory.freezes,
        "keys": keys_in(state.registry),
        "policy": memory.active,
    }
    written = {name: canonical(plain(value), max_bytes=ANY_LENGTH, max_depth=MAX_DEPTH) for name, value in told.items()}
    return {name: content for name, content in written.items() if len(content) <= MAX_SURFACE_BYTES}


def keys_in(registry: Registry | None) -> dict[str, dict[str, str]]:
    """Return what became of every key."""
    known = {} if registry is None else registry.keys
    return {key_id: {"purpose": key.purpose.value, "status": key.status.value} for key_id, key in known.items()}


def plain(value: object) -> JSONValue:
    """Return a value of the house's records as JSON. Raises Broken for what has no such form."""
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | str():
            return value
        case bytes():
            return value.hex()
        case tuple() | list():
            return [plain(item) for item in value]
        case set() | frozenset():
            return sorted(str(item) for item in value)
        case Mapping():
            return {named(key): plain(item) for key, item in value.items()}
        case Noun():
            return {name: plain(item) for name, item in members(value).items()}
        case _ if attrs.has(type(value)):
            body = attrs.asdict(cast(attrs.AttrsInstance, value), recurse=False)
            return {name.lstrip("_"): plain(item) for name, item in body.items()}
        case _:
            raise Broken(f"a surface holds {type(value).__name__}, which is no JSON")


def named(key: object) -> str:
    """Return a key of a mapping as the name of a member."""
    return "/".join(map(str, key)) if isinstance(key, tuple) else str(key)
