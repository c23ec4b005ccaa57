"""Making a pack: from the parts of a log to one signed archive that says everything about its sessions."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import sha256
from helm.evidence.archive import blocks
from helm.evidence.inclusion import proofs_of
from helm.evidence.layout import (
    FRONTIER,
    HEAD,
    MANIFEST,
    NODES,
    PROOFS,
    SCRIPT,
    SNAPSHOT,
    facts_path,
    receipt_id_in,
    schema_path,
)
from helm.evidence.manifest import Cover, write_list, written_entries
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scripts import KNOWN_SCRIPTS
from helm.evidence.selection import Selection
from helm.evidence.sets import packed
from helm.evidence.spool import Growing, Part, put
from helm.trust.registry import Registry


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
    return b"".join(written(material, signer))


def written(material: PackMaterial, signer: Signer) -> Iterator[bytes]:
    """Yield the pack from its first byte to its last, a piece at a time. Raises Invalid, PurposeMismatch."""
    if sha256(material.script) not in KNOWN_SCRIPTS:
        raise Invalid("is not a replay script that verifiers know", SCRIPT, "add its hash to helm.evidence.scripts")
    material.selection.check_known()
    yield from blocks(files_of(material, signer))


def files_of(material: PackMaterial, signer: Signer) -> dict[str, Part]:
    """Return every file of the pack, by path."""
    selection, gathered = material.selection, material.selection.gathered
    registry = gathered.registry()
    files = gathered.parts | ({} if material.redact_facts else gathered.facts)
    files[NODES] = gathered.nodes.part()
    small = dict(small_files(material, registry))
    small[HEAD], files[PROOFS] = inclusion(selection)
    files |= {path: put(gathered.contents, content) for path, content in small.items()}
    listed = written_entries((path, part.hash, part.size) for path, part in sorted(files.items()))
    manifest = write_list(cover_of(material, registry, signer), listed, signer)
    return files | {MANIFEST: put(gathered.contents, manifest)}


def small_files(material: PackMaterial, registry: Registry) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of everything that does not grow with each call. Raises Invalid."""
    selection, gathered = material.selection, material.selection.gathered
    yield FRONTIER, record_bytes({"nodes": gathered.frontier(selection.outside)})
    yield SCRIPT, material.script
    yield SNAPSHOT, record_bytes(registry.snapshot())
    yield from ((schema_path(name), raw) for name, raw in PUBLISHED.items())
    yield from packed(gathered.layers, gathered.used)
    yield from selection.proving.members(gathered.lamport)


def inclusion(selection: Selection) -> tuple[bytes, Part]:
    """Return the head of the tree over the receipts, and the proof of each, in their order."""
    leaves = sorted(selection.gathered.leaves.items())
    head, lines = proofs_of([leaf for _, leaf in leaves], [receipt_id_in(path) for path, _ in leaves])
    proofs = Growing(selection.spool())
    for line in lines:
        proofs.add(line)
    return head, proofs.part()


def log_of(material: PackMaterial) -> str:
    """Return the name of the log that the material is of. Raises Invalid."""
    return material.selection.gathered.registry().log_id


def cover_of(material: PackMaterial, registry: Registry, signer: Signer) -> Cover:
    """Return what the pack says of itself."""
    scope, gathered = material.selection.scope, material.selection.gathered
    return Cover(
        from_ms=scope.from_ms,
        key_id=signer.key_id,
        lamport=gathered.lamport,
        log_id=registry.log_id,
        open_intents=tuple(sorted(gathered.open_intents)),
        redacted=tuple(facts_path(lamport) for lamport in gathered.calls) if material.redact_facts else (),
        scope=scope.kind,
        sessions=tuple(sorted(material.selection.sessions)),
        shard=gathered.shard,
        until_ms=scope.until_ms,
    )
