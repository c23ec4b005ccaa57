"""Verifying a TUF repository offline, from a root that the caller pins (TUF specification, section 5).

1. pinned     the pinned root is signed by its own threshold of keys
2. chain      each newer root is signed by the one before it and by itself, and none is missing
3. current    the last root has not expired
4. timestamp  the timestamp is signed by its keys and has not expired
5. snapshot   the snapshot is the one that the timestamp names, signed, and has not expired
6. targets    the targets are the ones that the snapshot names, signed, and have not expired
7. delegated  so is every role that a target is delegated to, or every role there is
8. memory     nothing is older than what was seen before
9. files      each target file has the length and the hashes that are signed for it

Nothing here can tell that newer metadata is held back, before the timestamp expires: see `memory` and the time given.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.supply.findings import Checks, Findings, examine
from helm.supply.metadata_set import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, MetadataSet, TargetInfo
from helm.supply.tuf_memory import Memory, check_not_older, read_memory, remembered

MAX_ROOTS: Final = 256
"""Most roots of one chain, as python-tuf's own client has it (T4)."""

MAX_VISITED: Final = 32
"""Most roles that the search for one target looks at, likewise (T4)."""

MAX_DEPTH: Final = 8
"""Longest chain of delegations: repositories have two or three (T4)."""

MAX_ROLES: Final = 1024
"""Most roles that are verified where all are (T4)."""

MAX_NAME: Final = 1024
"""Longest name of a target (T4)."""

HASHES: Final = frozenset({"sha256", "sha512"})
"""The hashes that target files are compared by. Every one that is signed must be among them, and hold."""


@attrs.frozen(kw_only=True)
class StoredFile:
    """A file as it is: where it was found, its length and its hashes."""

    place: str
    length: int
    hashes: Mapping[str, str]


@attrs.define(kw_only=True)
class TufReading:
    """What is looked at, and what the checks have trusted of it so far."""

    root: bytes = attrs.field(repr=False)
    """The pinned one."""
    metadata: Mapping[str, bytes] = attrs.field(repr=False)
    """Every file of metadata, by its name."""
    at: datetime
    """The time that decides what has expired."""
    files: Mapping[str, tuple[StoredFile, ...]] = attrs.field(factory=dict)
    """For each target that is asked for, the files that may be it. None where the metadata alone is asked about."""
    memory: bytes | None = attrs.field(default=None, repr=False)
    """What an earlier verification remembered, None for the first."""
    trusted: MetadataSet = attrs.field(init=False)
    found: dict[str, TargetInfo] = attrs.field(factory=dict, init=False)
    roles: list[str] = attrs.field(factory=list, init=False)
    now: Memory = attrs.field(init=False)


def verify_repository(reading: TufReading) -> Findings:
    """Make every check, in order. Never raises for what is in the repository."""
    return examine(CHECKS, reading, established)


def check_target_name(name: str) -> None:
    """Raise Invalid for a name that no file in a directory of targets can have."""
    parts = name.split("/")
    odd = "\\" in name or not name.isprintable() or len(name) > MAX_NAME
    if odd or any(part in ("", ".", "..") for part in parts):
        raise Invalid(f"{name[:40]!r} is not the name of a target", "target", "a relative path, as the metadata has it")


def check_pinned(reading: TufReading) -> None:
    """The pinned root is signed by its own threshold of keys."""
    reading.trusted = MetadataSet(reading.root, reading.at)


def check_chain(reading: TufReading) -> None:
    """Each newer root is signed by the one before it and by itself, and none is missing."""
    for _ in range(MAX_ROOTS):
        file = f"{reading.trusted.root_version + 1}.root.json"
        if file not in reading.metadata:
            break
        reading.trusted.add_root(reading.metadata[file], file)
    last = reading.trusted.root_version
    newer = sorted(number for number in map(root_number, reading.metadata) if number > last)
    if newer:
        raise Invalid("it is missing, and newer ones are there", f"{last + 1}.root.json", "get every root in between")


def root_number(file: str) -> int:
    """Return the version in a root's name, 0 for any other file."""
    number, _, rest = file.partition(".")
    return int(number) if rest == "root.json" and number.isascii() and number.isdigit() and len(number) < 16 else 0


def check_current(reading: TufReading) -> None:
    """The last root has not expired."""
    reading.trusted.check_current()


def check_timestamp(reading: TufReading) -> None:
    """The timestamp is signed by its keys and has not expired."""
    reading.trusted.add_timestamp(file_in(reading, "timestamp.json"), "timestamp.json")


def check_snapshot(reading: TufReading) -> None:
    """The snapshot is the one that the timestamp names, signed, and has not expired."""
    file = named(reading, SNAPSHOT, reading.trusted.snapshot_version())
    reading.trusted.add_snapshot(file_in(reading, file), file)


def check_targets(reading: TufReading) -> None:
    """The targets are the ones that the snapshot names, signed, and have not expired."""
    add(reading, TARGETS, ROOT)


def check_delegated(reading: TufReading) -> None:
    """So is every role that a target is delegated to, or every role there is."""
    if not reading.files:
        add_all(reading)
    for name in reading.files:
        reading.found[name] = search(reading, name)


def check_memory(reading: TufReading) -> None:
    """Nothing is older than what was seen before."""
    reading.now = remembered(reading.trusted)
    if reading.memory is not None:
        check_not_older(read_memory(reading.memory), reading.now)


def check_files(reading: TufReading) -> None:
    """Each target file has the length and the hashes that are signed for it."""
    for name, info in reading.found.items():
        check_stored(name, info, reading.files[name])


def check_stored(name: str, info: TargetInfo, files: tuple[StoredFile, ...]) -> None:
    """Raise Invalid unless there are files of this target, and each of them is what is signed for it."""
    if not files:
        raise Invalid("the file is not there", name, "get it, or name where it is")
    if not info.hashes or not info.hashes.keys() <= HASHES:
        raise Invalid(f"hashes that are not compared: {', '.join(sorted(info.hashes))[:80]}", name)
    for file in files:
        if file.length != info.length:
            raise Invalid(f"{file.length} bytes, and {info.length} are signed for {name}", file.place, REPLACE)
        for algorithm, digits in info.hashes.items():
            if file.hashes.get(algorithm) != digits:
                raise Invalid(f"its {algorithm} is not the one that is signed for {name}", file.place, REPLACE)


REPLACE: Final = "the file is not what the repository's keys signed: get it again"


def search(reading: TufReading, name: str) -> TargetInfo:
    """Return what the most trusted role says of a target (TUF specification, section 5.6.7). Raises Invalid."""
    to_visit, visited = [(TARGETS, ROOT, 0)], set[str]()
    while to_visit:
        role, delegator, depth = to_visit.pop()
        if role in visited:
            continue
        if len(visited) == MAX_VISITED or depth > MAX_DEPTH:
            raise Invalid(f"more than {MAX_VISITED} roles, or {MAX_DEPTH} levels of them, to look at", name)
        add(reading, role, delegator)
        info = reading.trusted.target(name, role)
        if info is not None:
            return info
        visited.add(role)
        children = reading.trusted.delegated_for(name, role)
        ends = next((number for number, (_, terminating) in enumerate(children, 1) if terminating), 0)
        if ends:
            to_visit, children = [], children[:ends]
        to_visit.extend((child, role, depth + 1) for child, _ in reversed(children))
    raise Invalid("no role that may speak for it names it", name, "is this the target's name in the metadata?")


def add_all(reading: TufReading) -> None:
    """Trust every role to which anything is delegated. Raises Invalid."""
    to_visit, visited = [(TARGETS, 0)], {TARGETS}
    while to_visit:
        delegator, depth = to_visit.pop()
        for role in reading.trusted.delegated(delegator, MAX_ROLES):
            add(reading, role, delegator)
            if role not in visited:
                visited.add(role)
                to_visit.append((role, depth + 1))
        if len(visited) > MAX_ROLES or depth > MAX_DEPTH:
            raise Invalid(f"more than {MAX_ROLES} roles, or {MAX_DEPTH} levels of them", delegator)


def add(reading: TufReading, role: str, delegator: str) -> None:
    """Trust the metadata of a role, by the word of its delegator. Raises Invalid."""
    if reading.trusted.has(role, delegator):
        return
    version = reading.trusted.role_versions().get(role)
    if version is None:
        raise Invalid("is delegated to, and the snapshot does not name it", role, "get the repository's whole state")
    file = named(reading, quote(role, ""), version)
    reading.trusted.add_targets(file_in(reading, file), file, role, delegator)
    if role not in reading.roles:
        reading.roles.append(role)


def named(reading: TufReading, name: str, version: int) -> str:
    return f"{version}.{name}.json" if reading.trusted.is_consistent else f"{name}.json"


def file_in(reading: TufReading, name: str) -> bytes:
    """Return a file of metadata. Raises Invalid where it is not there."""
    raw = reading.metadata.get(name)
    if raw is None:
        raise Invalid("the file is not there", name, "get the repository's whole state")
    return raw


def established(reading: TufReading) -> Mapping[str, JSONValue]:
    """Return what metadata and files that were verified prove."""
    trusted = reading.trusted
    return {
        "expires": trusted.first_expiry(),
        "roles": list(reading.roles),
        "root_version": trusted.root_version,
        "snapshot_version": trusted.version_of(SNAPSHOT),
        "targets": {name: dict(sorted(info.hashes.items())) for name, info in sorted(reading.found.items())},
        "timestamp_version": trusted.version_of(TIMESTAMP),
    }


CHECKS: Final[Checks[TufReading]] = (
    ("pinned", check_pinned),
    ("chain", check_chain),
    ("current", check_current),
    ("timestamp", check_timestamp),
    ("snapshot", check_snapshot),
    ("targets", check_targets),
    ("delegated", check_delegated),
    ("memory", check_memory),
    ("files", check_files),
)
