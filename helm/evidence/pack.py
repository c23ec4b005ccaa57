"""Making a pack: from the parts of a log to one signed archive that says everything about its sessions."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import sha256
from helm.evidence.archive import blocks
from helm.evidence.layout import EVENTS, FACTS, FRONTIER, HEAD, MANIFEST, SCRIPT, SNAPSHOT, schema_path
from helm.evidence.manifest import Cover, write_list, written_entries
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scripts import KNOWN_SCRIPTS
from helm.evidence.selection import Selection
from helm.evidence.sets import packed
from helm.evidence.spool import Part, put
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
    gathered = material.selection.gathered
    registry = gathered.registry()
    files: dict[str, Part] = {EVENTS: gathered.trust_events.part()}
    for folder, cutting in gathered.shards.items():
        files |= gathered.without_facts() if folder == FACTS and material.redact_facts else cutting.done()
    files |= {path: put(gathered.contents, content) for path, content in small_files(material, registry)}
    listed = written_entries((path, part.hash, part.size) for path, part in sorted(files.items()))
    manifest = write_list(cover_of(material, registry, signer), listed, signer)
    return files | {MANIFEST: put(gathered.contents, manifest)}


def small_files(material: PackMaterial, registry: Registry) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of everything that is no line of its own for each call. Raises Invalid."""
    selection, gathered = material.selection, material.selection.gathered
    yield HEAD, gathered.inclusion.head()
    yield FRONTIER, record_bytes({"nodes": gathered.frontier(selection.outside)})
    yield SCRIPT, material.script
    yield SNAPSHOT, record_bytes(registry.snapshot())
    yield from ((schema_path(name), raw) for name, raw in PUBLISHED.items())
    yield from packed(gathered.layers, gathered.used)
    yield from selection.proving.members(gathered.lamport)


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
        redacted=gathered.calls if material.redact_facts else 0,
        scope=scope.kind,
        sessions=tuple(sorted(material.selection.sessions)),
        shard=gathered.shard,
        until_ms=scope.until_ms,
    )
