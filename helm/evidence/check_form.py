"""Checks of the pack as a file: its one form, its list of contents, and the versions it speaks."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.evidence import archive, proven
from helm.evidence.layout import MANIFEST, SCHEMAS, SCRIPT, VERSION, schema_path
from helm.evidence.manifest import read_manifest
from helm.evidence.reading import Reading
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scripts import KNOWN_SCRIPTS

NEWER = "a newer HELM wrote this pack, or it was changed: verify it with a HELM of its own age"


def check_archive(reading: Reading) -> None:
    """The file is an archive in the one form that HELM writes."""
    reading.members = archive.files_in(reading.raw)
    reading.proven = proven.start(reading.helpers, reading.members)


def check_manifest(reading: Reading) -> None:
    """The manifest lists exactly the files that are there, and hashes to its own hash."""
    reading.manifest = read_manifest(reading.members)


def check_versions(reading: Reading) -> None:
    """Pack format, schemas and replay script are ones that this verifier knows."""
    version = reading.manifest.cover.version
    if version != VERSION:
        raise Invalid(f"the pack is of version {version!r}, not {VERSION}", MANIFEST, NEWER)
    found = {path: reading.members[path] for path in reading.members if path.startswith(SCHEMAS)}
    known = {schema_path(name): raw for name, raw in PUBLISHED.items()}
    for path in sorted(found.keys() | known.keys()):
        if found.get(path) != known.get(path):
            raise Invalid("is not the schema that this verifier knows under that name", path, NEWER)
    if sha256(reading.members.get(SCRIPT, b"")) not in KNOWN_SCRIPTS:
        raise Invalid("is no replay script that this verifier knows: do not run it", SCRIPT, NEWER)
