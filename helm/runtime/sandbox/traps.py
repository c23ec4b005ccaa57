"""Traps: what wasmtime says of a guest's end, as one stable code and words (seed: deterministic traps; T4)."""

from __future__ import annotations

from helm.contracts.reason import ReasonCode

OUT_OF_FUEL, INTERRUPT = "out of fuel", "interrupt"
OUTPUT_EXHAUSTED = "output exhausted"
"""A trap of ours: the guest wrote more than it may."""

MEMORY_SHARE = 2
"""A guest that traps with this share of its memory taken ran out of it.

A refused growth is no trap: the guest is told so, and gives up by itself. Allocators ask for twice what they have, so
whoever stands at half of the limit could not grow. The same module, input and limits give the same answer.
"""


def code_of(trap: str, memory: int, limit: int) -> tuple[ReasonCode, str]:
    """Return the code and the words for a trap, by its name and the bytes of memory that the guest had."""
    if trap == OUT_OF_FUEL:
        return ReasonCode.ERR_COMPUTE_GAS_EXHAUSTED, "the guest used up its fuel"
    if trap == INTERRUPT:
        return ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "the guest took longer than it may"
    if memory * MEMORY_SHARE >= limit:
        return ReasonCode.ERR_COMPUTE_MEMORY_EXHAUSTED, f"the guest trapped with {memory} of {limit} bytes: {trap}"
    return ReasonCode.ERR_COMPUTE_TRAP, f"the guest trapped: {trap}"
