"""What a call costs once much was called before it: a grown store against a small one, and the memory held."""

from __future__ import annotations

import time
from os import sysconf
from pathlib import Path
from statistics import mean, median

import trio

from actors.kernel import Kernel
from actors.stream_client import StreamClient, open_stream
from bench.figure import Figure
from bench.governed import calls_per_second
from bench.ground import ALLOWED, kernel_to_measure
from bench.stream import gateway

GROW_S = 75.0
"""How long the store grows: what fits into a run of two minutes. The figure says how far it came."""

STEP = 6_400
CALLERS = 32
SLICES = 4
SLICE_CALLS = CALLERS * 10
PAGE_BYTES = sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int:
    """Return what of this process lies in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


async def call_us(client: StreamClient) -> float:
    """Return what one call costs on a stream, through the client of the package."""

    async def caller(session_id: str) -> None:
        for _ in range(SLICE_CALLS // CALLERS):
            answer = await client.call("notes.read", ALLOWED, session_id=session_id)
            if not answer.allowed:
                raise SystemExit(f"a call that is allowed was not: {answer.members}")

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for number in range(CALLERS):
            nursery.start_soon(caller, f"s{number}")
    return (time.perf_counter() - start) / SLICE_CALLS * 1e6


async def grow(kernel: Kernel, seconds: float) -> tuple[int, list[int]]:
    """Call for so long; return how many receipts were written, and the memory held after each step of the last half."""
    start, held, receipts = time.perf_counter(), list[int](), 0
    while (spent := time.perf_counter() - start) < seconds:
        await calls_per_second(kernel, ALLOWED, STEP)
        receipts += STEP
        if spent > seconds / 2:
            held.append(resident_bytes())
    return receipts, held


async def growth(runs: int) -> list[Figure]:
    """Measure two kernels in turns, of which one has a store that grew."""
    ratios = []
    async with kernel_to_measure() as small, kernel_to_measure() as large:
        receipts, held = await grow(large, GROW_S)
        async with (
            gateway(small) as one,
            gateway(large) as other,
            open_stream(f"http://127.0.0.1:{one.port}", one.key) as to_small,
            open_stream(f"http://127.0.0.1:{other.port}", other.key) as to_large,
        ):
            await call_us(to_small)
            for _ in range(runs):
                costs = [(await call_us(to_small), await call_us(to_large)) for _ in range(SLICES)]
                ratios.append(mean(cost for cost, _ in costs) / mean(cost for _, cost in costs))
    third = max(1, len(held) // 3)
    before, after = median(held[:third]), median(held[-third:])
    return [
        Figure(
            name=f"calls/s with {receipts:,} receipts in the store over as many with some thousand",
            target=0.9,
            at_least=True,
            samples=ratios,
            detail="through the stream client, in one process with both kernels",
        ),
        Figure(
            name="resident memory at the end of that growth over the middle of it",
            target=1.1,
            at_least=False,
            samples=[after / before],
            detail=f"{after / 2**20:,.0f} MiB, before {before / 2**20:,.0f} MiB",
        ),
    ]
