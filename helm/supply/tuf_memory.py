"""What a client remembers of a TUF repository, so that it is never shown an older one (TUF specification, section 5).

Versions only go up, and one version is one statement. Who could once sign anything may have made versions so high that
no honest one follows; when the root gives timestamps or snapshots other keys, what these said is forgotten (5.3.11).
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical, parse
from helm.supply.members import a_count, a_text, an_object
from helm.supply.metadata_set import ROOT, SNAPSHOT, TIMESTAMP, MetadataSet

VERSION: Final = "helm.tuf-memory/1"
MAX_MEMORY_BYTES: Final = 4 * 1024 * 1024
"""Longest memory that is looked at (T4)."""

NOTES: Final = frozenset({ROOT, TIMESTAMP, SNAPSHOT})
HINT: Final = "somebody shows you an older state of the repository, or two states under one version"


@attrs.frozen(kw_only=True)
class Note:
    """One version of a role's metadata, and the hash of what was signed."""

    version: int
    signed: str


@attrs.frozen(kw_only=True)
class Memory:
    """What was seen last."""

    online_keys: str
    """A hash over who could sign timestamps and snapshots then."""
    notes: dict[str, Note]
    """Of root, timestamp and snapshot."""
    roles: dict[str, int]
    """The versions of all roles of targets, as the snapshot had them."""


def remembered(trusted: MetadataSet) -> Memory:
    """Return what is to be remembered of metadata that was verified."""
    notes = {name: Note(version=trusted.version_of(name), signed=trusted.signed_hashes[name]) for name in sorted(NOTES)}
    return Memory(online_keys=trusted.online_keys(), notes=notes, roles=trusted.role_versions())


def read_memory(raw: bytes) -> Memory:
    """Return the memory of a file. Raises Malformed, Invalid."""
    body = an_object(
        parse(raw, max_bytes=MAX_MEMORY_BYTES),
        "memory",
        must=frozenset({"version", "online_keys", "notes", "roles"}),
        may=frozenset(),
    )
    if body["version"] != VERSION:
        raise Invalid(f"not {VERSION}", "memory", "is this the file that an earlier verification wrote?")
    notes = an_object(body["notes"], "memory.notes", must=NOTES, may=frozenset())
    roles = an_object(body["roles"], "memory.roles")
    return Memory(
        online_keys=a_text(body["online_keys"], "memory.online_keys"),
        notes={name: note_of(value, f"memory.notes.{name}") for name, value in notes.items()},
        roles={name: a_count(value, "memory.roles") for name, value in roles.items()},
    )


def note_of(value: Any, where: str) -> Note:
    body = an_object(value, where, must=frozenset({"version", "signed"}), may=frozenset())
    return Note(version=a_count(body["version"], where), signed=a_text(body["signed"], where))


def written_memory(memory: Memory) -> bytes:
    """Return the canonical bytes of a memory; reading them gives the same one."""
    body = attrs.asdict(memory) | {"version": VERSION}
    return canonical(body, max_bytes=MAX_MEMORY_BYTES)


def check_not_older(before: Memory, now: Memory) -> None:
    """Raise Invalid where anything is older than what was seen, or is another statement of the same version."""
    check_note(ROOT, before, now)
    if before.online_keys != now.online_keys:
        return  # who may sign these has changed: the last ones may have been anybody's
    check_note(TIMESTAMP, before, now)
    check_note(SNAPSHOT, before, now)
    for role, version in before.roles.items():
        if role not in now.roles:
            raise Invalid("was there, and the snapshot does not name it any more", role, HINT)
        if now.roles[role] < version:
            raise Invalid(f"version {now.roles[role]}, and {version} was seen", role, HINT)


def check_note(name: str, before: Memory, now: Memory) -> None:
    old, new = before.notes[name], now.notes[name]
    if new.version < old.version:
        raise Invalid(f"version {new.version}, and {old.version} was seen", name, HINT)
    if new.version == old.version and new.signed != old.signed:
        raise Invalid(f"version {new.version} says something else than when it was seen", name, HINT)
