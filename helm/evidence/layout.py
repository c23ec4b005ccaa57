"""Where everything stands in a pack: one path per thing, so that nothing has two places."""

from __future__ import annotations

import re
from types import MappingProxyType

from helm.contracts.errors import Invalid
from helm.crypto.hashing import PREFIX

VERSION = "helm.pack/2"

MANIFEST = "manifest.json"
FRONTIER = "proofgraph/frontier.json"
EVENTS = "trust/events.jsonl"
"""The payloads of the trust events' nodes, a line each."""
SNAPSHOT = "trust/snapshot.json"
HEAD = "inclusion/head.json"
SCRIPT = "replay/verify.py"

HOST = "host_evidence/"
NATIVE = "host_evidence/native.json"
"""The manifest of the pack as it was exported, before anything of a host was put beside it."""
SOURCES = "host_evidence/sources.json"
HOST_DRIFT = "host_evidence/drift.jsonl"
CHAINS = "host_evidence/chains/"

FACTS = "facts/"
NODES = "proofgraph/nodes/"
POLICIES = "policy/"
RECEIPTS = "receipts/"
RECORDS = "records/"
SCHEMAS = "schemas/"
SHARDED = (FACTS, NODES, RECEIPTS, RECORDS)
"""Folders of lines, cut into files as `shards` says."""

REFUSAL = "REFUSAL"
"""The payload type of a call that was not let through. Like an INTENT's, such a payload stands in `records/`."""

CONTENT_TYPES = MappingProxyType(
    {
        "json": "application/json",
        "jsonl": "application/jsonl",
        "py": "text/x-python",
    }
)


def shard_path(folder: str, number: int) -> str:
    """Return where the shard of a number stands, from 0 on: shards sort as they follow each other."""
    return f"{folder}{number:06d}.jsonl"


def policy_path(policy_hash: str) -> str:
    """Return where the bundle of that hash stands."""
    return f"{POLICIES}{policy_hash.removeprefix(PREFIX)}.json"


def schema_path(name: str) -> str:
    """Return where the published schema of a contract stands."""
    return f"{SCHEMAS}{name}.json"


SOURCE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}", re.ASCII)


def is_source(name: str) -> bool:
    """Tell whether a source of host receipts may bear this name: it is part of a path."""
    return SOURCE.fullmatch(name) is not None


def chain_path(source: str) -> str:
    """Return where the host receipts of a source stand."""
    return f"{CHAINS}{source}.jsonl"


def content_type(path: str) -> str:
    """Return the media type of a path. Raises Invalid for a kind of file that no pack holds."""
    ending = path.rpartition(".")[2]
    if ending not in CONTENT_TYPES:
        raise Invalid("a kind of file that no pack holds", path, "export the pack anew")
    return CONTENT_TYPES[ending]
