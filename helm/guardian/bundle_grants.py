"""Reads what a bundle grants to a guest of the sandbox. What is not written there is not granted (T4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from helm.contracts.errors import Invalid, Refused
from helm.contracts.profile import DENY_DEFAULT, PROFILES
from helm.contracts.sandbox import (
    NO_ENV,
    NO_NETWORK,
    ListMode,
    PreopenMode,
    SandboxEnv,
    SandboxGrant,
    SandboxLimits,
    SandboxNetwork,
    SandboxPreopen,
    Source,
)
from helm.crypto import domains
from helm.crypto.canonical import canonical, ordered_bytes
from helm.crypto.hashing import hash_in, sha256
from helm.guardian.bundle_table import Table
from helm.guardian.destination import Pattern

HASH = re.compile(r"sha256:[0-9a-f]{64}")
GUEST_PATH = re.compile(r"(?:/[A-Za-z0-9._-]{1,64}){1,8}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
VERSION = re.compile(r"[0-9][0-9A-Za-z.+-]{0,31}")

DEFAULT_FUEL, MAX_FUEL = 1_000_000, 10**12
DEFAULT_MEMORY_BYTES, MAX_MEMORY_BYTES = 64 * 1024 * 1024, 1024 * 1024 * 1024
DEFAULT_OUTPUT_BYTES, MAX_OUTPUT_BYTES = 1024 * 1024, 1024 * 1024
DEFAULT_STACK_BYTES, MAX_STACK_BYTES = 512 * 1024, 1024 * 1024
DEFAULT_WALL_MS, MAX_WALL_MS = 5_000, 600_000
DEFAULT_OPEN_FILES, MAX_OPEN_FILES = 16, 256

MAX_PREOPENS = 8
MAX_VARIABLES = 64
"""What a grant may list, so that a person can read it (T4)."""

PAGE = 65_536
"""Bytes of one page of linear memory: less than one, and no module could begin."""


def read_grant(table: Table) -> SandboxGrant:
    """Return what the module of this connector is granted. Raises Invalid."""
    return SandboxGrant(
        clock=table.choice("clock", Source, Source.DENIED),
        env=read_env(table.table("env")),
        filesystem_preopens=tuple(read_preopens(table)),
        limits=read_limits(table),
        module_hash=read_module_hash(table),
        network=read_network(table.table("network")),
        profile=(profile := read_profile(table)),
        randomness=table.choice("randomness", Source, Source.DENIED),
        runtime=PROFILES[profile].runtime,
        runtime_version=read_version(table),
    )


def grant_hash(grant: SandboxGrant) -> str:
    """Return the hash that names a grant."""
    return hash_in(domains.GRANT, ordered_bytes(grant))


def read_limits(table: Table) -> SandboxLimits:
    """Return what one run may spend. Raises Invalid."""
    return SandboxLimits(
        fuel=table.whole("fuel", (1, MAX_FUEL), DEFAULT_FUEL),
        memory_bytes=table.whole("memory_bytes", (PAGE, MAX_MEMORY_BYTES), DEFAULT_MEMORY_BYTES),
        open_files=table.whole("open_files", (1, MAX_OPEN_FILES), DEFAULT_OPEN_FILES),
        output_bytes=table.whole("output_bytes", (1, MAX_OUTPUT_BYTES), DEFAULT_OUTPUT_BYTES),
        stack_bytes=table.whole("stack_bytes", (PAGE, MAX_STACK_BYTES), DEFAULT_STACK_BYTES),
        wall_ms=table.whole("wall_ms", (1, MAX_WALL_MS), DEFAULT_WALL_MS),
    )


def read_module_hash(table: Table) -> str:
    """Return the pin of a module, as the house writes hashes. Raises Invalid."""
    module_hash = table.text("module_hash")
    if HASH.fullmatch(module_hash) is None:
        raise Invalid("not a hash", table.at("module_hash"), "write sha256: and 64 lower-case hex digits")
    return module_hash


def read_profile(table: Table) -> str:
    """Return the name of a profile. Raises Invalid."""
    profile = table.text("profile", DENY_DEFAULT)
    if profile not in PROFILES:
        raise Invalid("no such profile", table.at("profile"), f"write {', '.join(PROFILES)}")
    return profile


def read_version(table: Table) -> str:
    """Return the version that a runtime must have, "" for any. Raises Invalid."""
    version = table.text("runtime_version", "")
    if version and VERSION.fullmatch(version) is None:
        raise Invalid("not a version", table.at("runtime_version"), "write it as the runtime tells it: 50.0.0")
    return version


def read_preopens(table: Table) -> Iterator[SandboxPreopen]:
    """Yield the folders that a guest is given. Raises Invalid."""
    taken: set[str] = set()
    for index, below in enumerate(table.tables("preopens")):
        path, guest_path = below.text("path"), below.text("guest_path")
        if index == MAX_PREOPENS:
            raise Invalid(f"more than {MAX_PREOPENS} folders", below.place)
        if not path.startswith("/") or any(name in ("", ".", "..") for name in path[1:].split("/")):
            raise Invalid("not an absolute path in its plain spelling", below.at("path"), "write /srv/data")
        if GUEST_PATH.fullmatch(guest_path) is None or {".", ".."} & {*guest_path.split("/")}:
            raise Invalid("not a guest's path", below.at("guest_path"), "write /data")
        if guest_path in taken:
            raise Invalid("two folders of the same name", below.at("guest_path"), "rename one")
        taken.add(guest_path)
        mode = below.choice("mode", PreopenMode, PreopenMode.READ)
        content_hash = read_content_hash(below, mode)
        below.finish()
        yield SandboxPreopen(content_hash=content_hash, guest_path=guest_path, mode=mode, path=path)


def read_content_hash(table: Table, mode: str) -> str:
    """Return what a folder must hold, "" for anything. Raises Invalid."""
    content_hash = table.text("content_hash", "")
    if content_hash and HASH.fullmatch(content_hash) is None:
        raise Invalid("not a hash", table.at("content_hash"), "write what `helm sandbox grant --hash-preopens` says")
    if content_hash and mode == PreopenMode.WRITE:
        what = "what guests write into does not stay what it is"
        raise Invalid(what, table.at("content_hash"), "leave one of the two out")
    return content_hash


def read_env(table: Table) -> SandboxEnv:
    """Return which variables a guest finds. Raises Invalid."""
    mode, names = table.choice("mode", ListMode, ListMode.DENY_ALL), table.texts("names", ())
    table.finish()
    check_listed(mode, names, table.at("names"))
    if not names:
        return NO_ENV
    for index, name in enumerate(names):
        if VARIABLE.fullmatch(name) is None or index == MAX_VARIABLES:
            raise Invalid("not the name of a variable, or too many", f"{table.at('names')}[{index}]")
    names = tuple(sorted(names))
    return SandboxEnv(mode=mode, names=names, names_hash=sha256(canonical(list(names))))


def read_network(table: Table) -> SandboxNetwork:
    """Return where a guest may connect to. Raises Invalid."""
    mode = table.choice("mode", ListMode, ListMode.DENY_ALL)
    destinations, cidrs = table.texts("destinations", ()), table.texts("cidrs", ())
    table.finish()
    if mode == ListMode.REDACTED:
        raise Invalid("a network cannot be redacted", table.at("mode"), "write deny-all or allowlist")
    check_listed(mode, (*destinations, *cidrs), table.place)
    for text in (*destinations, *cidrs):
        try:
            Pattern.parse(text)
        except Refused as refused:
            raise Invalid(refused.reason, table.place, "host, host:port, *.suffix, or a network") from refused
    if mode == ListMode.DENY_ALL:
        return NO_NETWORK
    return SandboxNetwork(cidrs=tuple(sorted(cidrs)), destinations=tuple(sorted(destinations)), mode=mode)


def check_listed(mode: str, names: tuple[str, ...], place: str) -> None:
    """Raise Invalid for a list that is not meant, or is meant and is not there."""
    if bool(names) == (mode == ListMode.DENY_ALL):
        raise Invalid(f"{mode} with {len(names)} names", place, 'write mode = "allowlist" with names, or neither')
