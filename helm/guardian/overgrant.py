"""Overgrants: what a sandbox grant says beyond its profile and the P0 ceilings, named one by one (T4, T10)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from helm.contracts.form import JSONValue, Noun
from helm.contracts.profile import PROFILES, WASMTIME, Profile
from helm.contracts.sandbox import ListMode, PreopenMode, SandboxGrant


class Finding(Noun, frozen=True, kw_only=True):
    """One reason why a grant is not dispatched under."""

    code: str
    detail: str


@attrs.frozen(kw_only=True)
class SandboxCeilings:
    """What no grant may go beyond. Folders, variables and destinations that stand in no list are not reviewed."""

    max_fuel: int
    max_memory_bytes: int
    max_wall_ms: int
    readable: frozenset[str]
    """Folders of the host, with all below them."""
    writable: frozenset[str]
    variables: frozenset[str]
    networks: frozenset[str]
    """Destinations and networks, as a grant spells them."""

    def document(self) -> dict[str, JSONValue]:
        """Return them as JSON, in the form in which a bundle states them."""
        return {
            "max_fuel": self.max_fuel,
            "max_memory_bytes": self.max_memory_bytes,
            "max_wall_ms": self.max_wall_ms,
            "networks": sorted(self.networks),
            "readable": sorted(self.readable),
            "variables": sorted(self.variables),
            "writable": sorted(self.writable),
        }

    def joined(self, other: SandboxCeilings) -> SandboxCeilings:
        """Return the ceilings that hold where both do: of each, the lower."""
        return SandboxCeilings(
            max_fuel=min(self.max_fuel, other.max_fuel),
            max_memory_bytes=min(self.max_memory_bytes, other.max_memory_bytes),
            max_wall_ms=min(self.max_wall_ms, other.max_wall_ms),
            readable=in_both(self.readable, other.readable),
            writable=in_both(self.writable, other.writable),
            variables=self.variables & other.variables,
            networks=self.networks & other.networks,
        )


def in_both(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the folders that lie below a folder of either list."""
    return within(one, other) | within(other, one)


def within(paths: frozenset[str], roots: frozenset[str]) -> frozenset[str]:
    return frozenset(path for path in paths if any(is_below(path, root) for root in roots))


NO_SANDBOX = SandboxCeilings(
    max_fuel=0,
    max_memory_bytes=0,
    max_wall_ms=0,
    readable=frozenset(),
    writable=frozenset(),
    variables=frozenset(),
    networks=frozenset(),
)
"""The ceilings of a policy that nobody has activated."""


def overgrants(grant: SandboxGrant, ceilings: SandboxCeilings) -> tuple[Finding, ...]:
    """Return every reason, in this order, why no guest is dispatched under this grant; none: it may be."""
    profile = PROFILES[grant.profile]
    return (
        *of_runtime(grant, profile),
        *of_files(grant, profile, ceilings),
        *of_env(grant, profile, ceilings),
        *of_sources(grant, profile),
        *of_network(grant, profile, ceilings),
        *of_limits(grant, ceilings),
    )


def of_runtime(grant: SandboxGrant, profile: Profile) -> Iterator[Finding]:
    """A profile that is only known by name runs nothing: no claim is stronger than what is there (T10)."""
    if profile.runtime != WASMTIME:
        yield Finding(code="PROFILE_UNAVAILABLE", detail=f"{grant.profile}: {profile.claim}")


def of_files(grant: SandboxGrant, profile: Profile, ceilings: SandboxCeilings) -> Iterator[Finding]:
    for preopen in grant.filesystem_preopens:
        what = f"{preopen.path} ({preopen.mode})"
        if preopen.mode not in profile.preopen_modes:
            yield Finding(code="FILESYSTEM_BEYOND_PROFILE", detail=f"{what} under {grant.profile}")
        reviewed = ceilings.writable
        if preopen.mode == PreopenMode.READ:
            reviewed |= ceilings.readable
        if not any(is_below(preopen.path, root) for root in reviewed):
            yield Finding(code="FILESYSTEM_NOT_REVIEWED", detail=f"{what} is in no list of p0.sandbox")


def is_below(path: str, root: str) -> bool:
    """Tell whether a path in its plain spelling is a folder or something below it."""
    return path == root or path.startswith(f"{root.rstrip('/')}/")


def of_env(grant: SandboxGrant, profile: Profile, ceilings: SandboxCeilings) -> Iterator[Finding]:
    if grant.env.mode not in profile.env_modes:
        yield Finding(code="ENV_BEYOND_PROFILE", detail=f"{grant.env.mode} under {grant.profile}")
    if grant.env.mode == ListMode.ALLOWLIST:
        for name in grant.env.names:
            if name not in ceilings.variables:
                yield Finding(code="ENV_NOT_REVIEWED", detail=f"{name} is not in p0.sandbox.variables")


def of_sources(grant: SandboxGrant, profile: Profile) -> Iterator[Finding]:
    if grant.clock not in profile.sources:
        yield Finding(code="CLOCK_BEYOND_PROFILE", detail=f"{grant.clock} under {grant.profile}")
    if grant.randomness not in profile.sources:
        yield Finding(code="RANDOMNESS_BEYOND_PROFILE", detail=f"{grant.randomness} under {grant.profile}")


def of_network(grant: SandboxGrant, profile: Profile, ceilings: SandboxCeilings) -> Iterator[Finding]:
    """An allowlist is no review: what stands in it must stand in the policy's hard limits as well."""
    if grant.network.mode not in profile.network_modes:
        yield Finding(code="NETWORK_BEYOND_PROFILE", detail=f"{grant.network.mode} under {grant.profile}")
    for text in (*grant.network.destinations, *grant.network.cidrs):
        if text not in ceilings.networks:
            yield Finding(code="NETWORK_NOT_REVIEWED", detail=f"{text} is not in p0.sandbox.networks")


def of_limits(grant: SandboxGrant, ceilings: SandboxCeilings) -> Iterator[Finding]:
    limits = grant.limits
    for code, asked, most in (
        ("FUEL_BEYOND_CEILING", limits.fuel, ceilings.max_fuel),
        ("MEMORY_BEYOND_CEILING", limits.memory_bytes, ceilings.max_memory_bytes),
        ("WALL_BEYOND_CEILING", limits.wall_ms, ceilings.max_wall_ms),
    ):
        if asked > most:
            yield Finding(code=code, detail=f"{asked}, {most} may be")


def in_words(findings: tuple[Finding, ...]) -> str:
    """Return findings as a reason."""
    return "; ".join(f"{one.code}: {one.detail}" for one in findings)
