"""What a sandbox grant needs of this machine and does not find, for a preflight: nothing is run and nothing is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from actors.connectors.compiling import module_file, read_module
from actors.connectors.guest_grant import RUNTIME_VERSION, check_version, folder_of
from helm.contracts.form import JSONValue
from helm.contracts.profile import PROFILES, WASMTIME, Profile
from helm.contracts.sandbox import PreopenMode, SandboxGrant, SandboxPreopen
from helm.guardian.overgrant import Finding
from helm.runtime.sandbox.guest import check_module
from helm.runtime.sandbox.port import GuestEnded
from helm.runtime.sandbox.tree import tree_hash


def host_findings(grant: SandboxGrant, modules: Path) -> tuple[Finding, ...]:
    """Return what is not here of a grant: its runtime, its module, its folders."""
    profile = PROFILES[grant.profile]
    if profile.runtime != WASMTIME:
        return tuple(of_program(profile))
    return (*of_module(grant, modules), *of_folders(grant, modules.parent))


def of_program(profile: Profile) -> Iterator[Finding]:
    if profile.program and not is_there(profile):
        yield Finding(code="RUNTIME_ABSENT", detail=f"{profile.program} is not on this machine's path")


def of_module(grant: SandboxGrant, modules: Path) -> Iterator[Finding]:
    try:
        check_version(grant)
    except GuestEnded as ended:
        yield Finding(code="RUNTIME_VERSION_MISMATCH", detail=ended.reason)
    try:
        check_module(read_module(module_file(modules, grant.module_hash)), grant.module_hash)
    except GuestEnded as ended:
        yield Finding(code="MODULE_UNUSABLE", detail=ended.reason)


def of_folders(grant: SandboxGrant, data_dir: Path) -> Iterator[Finding]:
    for preopen in grant.filesystem_preopens:
        try:
            folder_of(preopen.but(content_hash=""), data_dir, shows_times=False).close()
        except GuestEnded as ended:
            yield Finding(code="PREOPEN_UNUSABLE", detail=ended.reason)
            continue
        try:
            folder_of(preopen, data_dir, shows_times=False).close()
        except GuestEnded as ended:
            yield Finding(code="PREOPEN_CHANGED", detail=ended.reason)


def content_hash_of(path: str, data_dir: Path) -> str:
    """Return the hash of what a folder holds. Raises GuestEnded where no guest could be given it, Denied, TooLarge."""
    preopen = SandboxPreopen(content_hash="", guest_path="/", mode=PreopenMode.READ, path=path)
    folder = folder_of(preopen, data_dir, shows_times=False)
    try:
        return tree_hash(folder)
    finally:
        folder.close()


def is_there(profile: Profile) -> bool:
    """Tell whether a profile's runtime is on this machine."""
    return profile.runtime == WASMTIME or (bool(profile.program) and shutil.which(profile.program) is not None)


def profiles() -> list[JSONValue]:
    """Return every profile: what it may grant, what stands behind it, and whether this kernel dispatches under it."""
    return [
        {
            "claim": one.claim,
            "clock_and_randomness": list(one.sources),
            "dispatchable": one.runtime == WASMTIME,
            "env": list(one.env_modes),
            "filesystem": list(one.preopen_modes),
            "name": one.name,
            "network": list(one.network_modes),
            "present": is_there(one),
            "runtime": one.runtime,
            "runtime_version": RUNTIME_VERSION if one.runtime == WASMTIME else "",
        }
        for one in PROFILES.values()
    ]
