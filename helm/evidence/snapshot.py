"""A relationship snapshot as the log has it: beside the decision that it was a fact of, and bound by its hash."""

from __future__ import annotations

import re
from typing import Any, Final

from helm.contracts.errors import Invalid
from helm.crypto.hashing import content_id
from helm.guardian.relations import AuthzSnapshot, snapshot_hash
from helm.wire import structure

CARRIES_SNAPSHOT: Final = b'"authz_snapshot_hash":"sha256:'
"""In every row of a call that was decided with one. Arguments may hold the same text: it only saves reading others."""

SNAPSHOT: Final = "snap_"
NAME: Final = re.compile(r"sha256:[0-9a-f]{64}|snap_[0-9a-f]{32}")


def snapshot_id_of(name: str) -> str:
    """Return the id that a snapshot's id or hash names. Raises Invalid for what is neither."""
    if NAME.fullmatch(name) is None:
        raise Invalid(
            "neither the id nor the hash of a snapshot", name[:80], "snap_ and 32 hex digits, or sha256: and 64"
        )
    return content_id(SNAPSHOT, name) if name.startswith("sha256:") else name


def snapshot_of(entry: dict[str, Any]) -> dict[str, Any] | None:
    """Return the snapshot that a call was decided with, None for an entry of another kind.

    Raises Invalid where it does not hash to what the decision says.
    """
    decision = entry["node"]["payload"].get("decision")
    if type(decision) is not dict or not decision.get("authz_snapshot_hash"):
        return None
    body = entry["beside"]["facts"]["world"]["authz"]
    found = snapshot_hash(structure(body, AuthzSnapshot, "authz"))
    if found != decision["authz_snapshot_hash"]:
        raise Invalid("the snapshot is not the one that was decided with", decision["decision_id"], "it was edited")
    named = {"decision_id": decision["decision_id"], "snapshot_hash": found, "snapshot_id": content_id(SNAPSHOT, found)}
    return {**body, **named}
