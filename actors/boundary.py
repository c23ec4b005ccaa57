"""How the boundary stands: read off a running kernel, or off a data directory that is only read."""

from __future__ import annotations

from actors.kernel import Kernel
from helm.contracts.form import JSONValue
from helm.surfaces.boundary import CAPABILITIES, Capability, Standing, capability_body
from helm.surfaces.table import TABLE


def standing_of(kernel: Kernel, store: str) -> Standing:
    """Return what a running kernel knows of itself, and of the store that keeps its journal."""
    parts, latest = kernel.parts, kernel.notary.durable
    return Standing(
        memory=kernel.memory,
        policy=kernel.memory.policy,
        log_id=parts.boot.log_id,
        mode="kernel",
        refusing=kernel.refusing,
        signer=parts.pen.key_id,
        store=store,
        last_checkpoint_hash=latest.checkpoint_hash if latest is not None else "",
        now_ms=parts.clock.now_ms(),
    )


def capabilities(level: str) -> list[JSONValue]:
    """Return every capability with the methods and paths of its routes, and the level of the last report that holds."""
    return [capability_body(one, paths_of(one), level) for one in CAPABILITIES]


def paths_of(one: Capability) -> tuple[str, ...]:
    """Return the methods and paths of a capability's routes."""
    return tuple(f"{TABLE[name].method} {TABLE[name].path}" for name in one.routes)
