"""How fast the belt is, against bare signing, and one call alone against a bare commit."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.kernel import Kernel
from bench.ground import ALLOWED, DENIED, kernel_to_measure

CALLERS = 64
RECEIPT_BYTES = 1_000
"""About what a receipt's signing input weighs."""


def signs_per_second(seconds: float = 0.4) -> float:
    """Return the bare Ed25519 signing rate of `cryptography` in this process, now."""
    key, message = Ed25519PrivateKey.generate(), bytes(RECEIPT_BYTES)
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        for _ in range(200):
            key.sign(message)
        count += 200
    return count / elapsed


async def calls_per_second(kernel: Kernel, arguments: dict[str, Any], calls: int) -> float:
    """Return the rate at which 64 callers, each in a session of its own, get their durable answers."""
    each = calls // CALLERS

    async def caller(session: str) -> None:
        for _ in range(each):
            await kernel.call("notes.read", arguments, session=session, principal="bench")

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(CALLERS):
            nursery.start_soon(caller, f"s{number}")
    return each * CALLERS / (time.perf_counter() - start)


async def alone_us(kernel: Kernel, calls: int = 300) -> float:
    """Return the median latency in us of one caller with nobody else about."""
    took = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        await kernel.call("notes.read", ALLOWED, session="alone", principal="bench")
        took.append((time.perf_counter_ns() - start) / 1000)
    return median(took)


async def measure(calls: int = 12_800) -> tuple[float, float, float, float]:
    """Return one run: (signs/s, governed calls/s, refusals/s, one call alone in us)."""
    async with kernel_to_measure() as kernel:
        await calls_per_second(kernel, ALLOWED, CALLERS * 20)
        before = signs_per_second()
        allowed = await calls_per_second(kernel, ALLOWED, calls)
        denied = await calls_per_second(kernel, DENIED, calls)
        after = signs_per_second()
        return (before + after) / 2, allowed, denied, await alone_us(kernel)
