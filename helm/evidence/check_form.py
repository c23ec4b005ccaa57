"""Checks of the pack as a file: its one form, its list of contents, and the versions it speaks."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.evidence import archive, proven
from helm.evidence.layout import MANIFEST, SCHEMAS, SCRIPT, SHARDED, schema_path
from helm.evidence.manifest import NEWER, Listed, OtherVersion, read_manifest
from helm.evidence.reading import Reading
from helm.evidence.schemas import PUBLISHED
from helm.evidence.scripts import KNOWN_SCRIPTS


def check_archive(reading: Reading) -> None:
    """The file is an archive in the one form that HELM writes."""
    files = archive.files_in(reading.raw)
    reading.members, reading.sizes = files, files.sizes()


def check_manifest(reading: Reading) -> None:
    """The manifest lists exactly the files that are there, and hashes to its own hash."""
    files = reading.members
    try:
        reading.manifest = read_manifest(files.get(MANIFEST), reading.sizes)
    except OtherVersion as problem:
        reading.other_version = problem
        return
    reading.members = Listed(files, reading.manifest.hashes)
    for path in reading.members:
        if not path.startswith(SHARDED):  # a shard is compared when it is read, once, and each is read or refused
            reading.members[path]
    reading.proven = proven.start(reading.helpers, reading.members)


def check_versions(reading: Reading) -> None:
    """Pack format, schemas and replay script are ones that this verifier knows."""
    if reading.other_version is not None:
        raise reading.other_version
    found = {path: reading.members[path] for path in reading.members if path.startswith(SCHEMAS)}
    known = {schema_path(name): raw for name, raw in PUBLISHED.items()}
    for path in sorted(found.keys() | known.keys()):
        if found.get(path) != known.get(path):
            raise Invalid("is not the schema that this verifier knows under that name", path, NEWER)
    if sha256(reading.members.get(SCRIPT, b"")) not in KNOWN_SCRIPTS:
        raise Invalid("is no replay script that this verifier knows: do not run it", SCRIPT, NEWER)
