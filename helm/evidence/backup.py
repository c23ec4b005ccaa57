"""The manifest of a backup: what lies in it by hash, how far its log goes, and the signature over both.

A backup proves itself only as far as its log does: every row is verified again from the pinned genesis. What no log can
say is that nothing came after it. For that, give the restore a checkpoint that somebody else kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid, Signer
from helm.evidence.equivocation import Statement
from helm.evidence.refold import Refold
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.trust.registry import Registry
from helm.wire import structure

VERSION: Final = "helm.backup/1"
MANIFEST: Final = "manifest.json"
ROWS: Final = "journal.jsonl"
"""The rows of the journal, each canonical JSON on a line of its own."""

DATA: Final = "data/"
"""Before the path of what else lay in the data directory."""

KEYS: Final = f"{DATA}keys/"

PATH: Final = re.compile(r"journal\.jsonl|data(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){1,4}")
"""A backup comes from anywhere: none of its paths leads out of the directory that it is restored to (T8)."""

MAX_MANIFEST_BYTES: Final = 16 * 1024 * 1024
"""The hashes of a hundred thousand files (T4)."""

HINT: Final = "take another backup"


@attrs.frozen(kw_only=True)
class BackedFile:
    """One file of a backup."""

    hash: str
    path: str
    size: int

    def __attrs_post_init__(self) -> None:
        if not PATH.fullmatch(self.path) or self.size < 0:
            raise ValueError(f"{self.path!r} is no file of a backup")


@attrs.frozen(kw_only=True)
class Backup:
    """What a backup says of itself. `checkpoint_*` are empty where its log holds none."""

    checkpoint_hash: str
    checkpoint_sequence: int
    created_at_ms: int
    entries: int
    files: tuple[BackedFile, ...]
    holds_keys: bool
    kernel_epoch: int
    key_id: str
    lamport: int
    log_id: str
    store: str
    """Where the journal lay. It may be restored to another store."""
    version: str = VERSION

    def body(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return attrs.asdict(self, recurse=False) | {"files": [attrs.asdict(file) for file in self.files]}

    def statement(self) -> bytes:
        """Return what is signed."""
        return canonical(self.body(), max_bytes=MAX_MANIFEST_BYTES)


def told_of(state: Refold) -> dict[str, Any]:
    """Return what a manifest says of a log, by the state that its rows fold to."""
    latest: SealedCheckpoint | None = state.checkpoints.latest
    return {
        "checkpoint_hash": latest.checkpoint_hash if latest else "",
        "checkpoint_sequence": latest.content.sequence if latest else 0,
        "kernel_epoch": state.kernel_epoch,
        "lamport": state.graph.lamport,
        "log_id": state.log_id,
    }


def write_manifest(backup: Backup, signer: Signer) -> bytes:
    """Return the signed manifest, as its file holds it."""
    body = backup.body() | {"signature": signer.sign(domains.BACKUP, backup.statement())}
    return canonical(body, max_bytes=MAX_MANIFEST_BYTES)


def read_manifest(raw: bytes) -> tuple[Backup, str]:
    """Return what a manifest says, and its signature, which is not checked yet. Raises Invalid."""
    try:
        body = parse(raw, max_bytes=MAX_MANIFEST_BYTES)
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", MANIFEST, HINT) from problem
    signature = body.pop("signature", None) if type(body) is dict else None
    if type(signature) is not str:
        raise Invalid("is no manifest of a backup", MANIFEST, HINT)
    backup = structure(body, Backup, MANIFEST)
    if backup.version != VERSION:
        raise Invalid(f"a backup of version {backup.version}", MANIFEST, f"this HELM reads {VERSION}")
    paths = [file.path for file in backup.files]
    if paths != sorted(set(paths)) or ROWS not in paths:
        raise Invalid("its files are not listed once and in order", MANIFEST, HINT)
    return backup, signature


def check_log(backup: Backup, entries: int, state: Refold) -> None:
    """Raise Invalid unless the rows come to what the manifest says, which an evidence key of theirs signed."""
    said = {name: getattr(backup, name) for name in told_of(state)} | {"entries": backup.entries}
    for name, found in (told_of(state) | {"entries": entries}).items():
        if said[name] != found:
            raise Invalid(f"{name} is {found}, not {said[name]}", ROWS, f"the rows are not those of the backup: {HINT}")


def check_signature(backup: Backup, signature: str, registry: Registry | None) -> None:
    """Raise Invalid unless an evidence key that counted at its last row signed the manifest."""
    if registry is None:
        raise Invalid("its log has no genesis", ROWS, HINT)
    try:
        key = registry.require(backup.key_id, KeyPurpose.EVIDENCE, backup.lamport + 1)
        key.verify(domains.BACKUP, backup.statement(), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), MANIFEST, "it was changed since: take another backup") from problem


def check_witnessed(witnessed: Statement, held: Mapping[int, str], size: int, origin: str, where: str) -> None:
    """Raise Invalid unless the log holds what was stated of it elsewhere.

    `held` are the roots of the log's checkpoints by how many receipts each covers, `size` the receipts that it has.
    """
    if witnessed.origin != origin:
        raise Invalid(f"it is a checkpoint of {witnessed.origin}", where, "is it this log's?")
    if held.get(witnessed.size) == witnessed.root:
        return
    if witnessed.size > size:
        what = f"{witnessed.size} receipts were witnessed, the backup has {size}: it is older"
        raise Invalid(what, where, "restore a newer backup")
    what = f"the backup has no such checkpoint of {witnessed.size} receipts: it tells another history"
    raise Invalid(what, where, "one of the two was signed by a log that forked; keep both")
