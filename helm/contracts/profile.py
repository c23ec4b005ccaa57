"""Profiles: which runtime a grant is for, and the most that a grant under its name may say (T4, T10)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from helm.contracts.form import Noun
from helm.contracts.sandbox import ListMode, PreopenMode, Source

WASMTIME = "wasmtime"


class Profile(Noun, frozen=True, kw_only=True):
    """One profile. A grant that says more than its profile is an overgrant, whatever else the policy allows."""

    claim: str
    """What stands behind the name, and no more than that (T10)."""
    env_modes: tuple[str, ...]
    name: str
    network_modes: tuple[str, ...]
    preopen_modes: tuple[str, ...]
    program: str
    """The program that must be on this machine, "" for what comes with HELM or is not on it at all."""
    runtime: str
    sources: tuple[str, ...]
    """Of clock and randomness."""


NOTHING = (ListMode.DENY_ALL,)
LISTED = (ListMode.DENY_ALL, ListMode.ALLOWLIST, ListMode.REDACTED)
REVIEWED = (ListMode.DENY_ALL, ListMode.ALLOWLIST)
ANY_SOURCE = (Source.DENIED, Source.FIXED, Source.REAL)


def of_wasmtime(name: str, modes: tuple[str, ...], claim: str) -> Profile:
    """Return a profile under which guests get files."""
    return Profile(
        claim=claim,
        env_modes=LISTED,
        name=name,
        network_modes=REVIEWED,
        preopen_modes=modes,
        program="",
        runtime=WASMTIME,
        sources=ANY_SOURCE,
    )


def elsewhere(name: str, runtime: str, program: str, claim: str) -> Profile:
    """Return a profile that is known by name. This kernel runs nothing under it."""
    return Profile(
        claim=claim,
        env_modes=LISTED,
        name=name,
        network_modes=REVIEWED,
        preopen_modes=(PreopenMode.READ, PreopenMode.WRITE),
        program=program,
        runtime=runtime,
        sources=ANY_SOURCE,
    )


DENY_DEFAULT, READONLY, WRITABLE = "wasmtime-deny-default", "wasmtime-readonly", "wasmtime-writable"

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        one.name: one
        for one in (
            Profile(
                claim="a WebAssembly guest: no file, no socket, no variable, no clock, no randomness",
                env_modes=NOTHING,
                name=DENY_DEFAULT,
                network_modes=NOTHING,
                preopen_modes=(),
                program="",
                runtime=WASMTIME,
                sources=(Source.DENIED,),
            ),
            of_wasmtime(READONLY, (PreopenMode.READ,), "the same, with what its grant names; folders only to be read"),
            of_wasmtime(
                WRITABLE, (PreopenMode.READ, PreopenMode.WRITE), "the same, with folders that it may write into"
            ),
            elsewhere("gvisor-native", "gvisor", "runsc", "a process under gVisor's kernel; not run by this kernel"),
            elsewhere("nsjail-native", "nsjail", "nsjail", "a process in namespaces; not run by this kernel"),
            elsewhere("firecracker-native", "firecracker", "firecracker", "a microVM; not run by this kernel"),
            elsewhere("hosted-adapter", "hosted", "", "another machine's sandbox, as it says; not run by this kernel"),
        )
    }
)
