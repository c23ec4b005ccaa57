"""How fast the belt is, against bare signing, and one call alone against a bare commit."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Any

import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.kernel import Kernel
from bench.figure import Figure
from bench.ground import ALLOWED, DENIED, kernel_to_measure
from bench.stores import bare_commit_us
from helm.crypto.domains import RECEIPT

CALLERS = 64
SLICES = 4
"""Slices of a run: signing and calls take turns, so that a busy neighbour slows all of them alike."""
SLICE_CALLS = CALLERS * 50
"""A quarter of a second: until 64 callers are under way and after the first is done, the belt is not full. In a slice
of ten calls each that takes a tenth of the time."""
SLICE_SIGNS = 400
UNSIGNED_BYTES = len(b',"signature":""') + 128
"""What a receipt holds that was not under its signature: the signature itself."""


def signing_us(key: Ed25519PrivateKey, message: bytes) -> float:
    """Return what one bare Ed25519 signature of `cryptography` costs now."""
    start = time.perf_counter()
    for _ in range(SLICE_SIGNS):
        key.sign(message)
    return (time.perf_counter() - start) / SLICE_SIGNS * 1e6


async def signing_input(kernel: Kernel) -> bytes:
    """Return as many bytes as the pen signs for a receipt of this kernel."""
    answer = await kernel.call("notes.read", ALLOWED, session="length", principal="bench")
    return bytes(len(RECEIPT) + len(answer.receipt.json) - UNSIGNED_BYTES)


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


async def ratio(kernel: Kernel, arguments: dict[str, Any], message: bytes) -> tuple[float, float]:
    """Return one run: governed calls/s over signs/s, and what a call cost in us."""
    key = Ed25519PrivateKey.generate()
    signs, calls = [], []
    for _ in range(SLICES):
        signs.append(signing_us(key, message))
        calls.append(1e6 / await calls_per_second(kernel, arguments, SLICE_CALLS))
    return mean(signs) / mean(calls), mean(calls)


async def belt(runs: int) -> list[Figure]:
    """Measure the belt under load, both ways a call can go."""
    allowed, denied = [], []
    async with kernel_to_measure() as kernel:
        message = await signing_input(kernel)
        await calls_per_second(kernel, ALLOWED, SLICE_CALLS * 2)
        for _ in range(runs):
            allowed.append(await ratio(kernel, ALLOWED, message))
            denied.append(await ratio(kernel, DENIED, message))
    signed = f"Ed25519 signs/s of `cryptography`, {len(message)} bytes as in a receipt"
    return [
        rate(f"governed calls/s, 64 callers, durable, over {signed}", 0.25, allowed),
        rate(f"refused calls/s, 64 callers, durable, over {signed}", 0.33, denied),
    ]


def rate(name: str, target: float, measured: Sequence[tuple[float, float]]) -> Figure:
    """Return the figure of the runs of one kind."""
    each = median(us for _, us in measured)
    return Figure(
        name=name,
        target=target,
        at_least=True,
        samples=[over for over, _ in measured],
        detail=f"{1e6 / each:,.0f} calls/s",
    )


async def alone_us(kernel: Kernel, calls: int = 150) -> float:
    """Return the median latency in us of one caller with nobody else about."""
    took = []
    for _ in range(calls):
        start = time.perf_counter_ns()
        await kernel.call("notes.read", ALLOWED, session="alone", principal="bench")
        took.append((time.perf_counter_ns() - start) / 1000)
    return median(took)


async def row_lengths(kernel: Kernel) -> list[int]:
    """Return how many bytes the two rows of the last call have: its intent's, and its effect's."""
    journal = kernel.parts.journal
    return [len(row) for _, row in await journal.read(journal.head - 1, 2)]


async def alone(runs: int) -> list[Figure]:
    """Measure one caller alone, who waits for two commits, against two bare one-row commits of as many bytes."""
    calls, commits = [], []
    async with kernel_to_measure() as kernel:
        await alone_us(kernel)
        lengths = await row_lengths(kernel)
        for _ in range(runs):
            with TemporaryDirectory(prefix="helm-bench-") as directory:
                commits.append(bare_commit_us(Path(directory), lengths))
            calls.append(await alone_us(kernel))
    return [
        Figure(
            name="p50 of one call alone over two bare one-row durable commits of SQLite",
            target=2.0,
            at_least=False,
            samples=[call / (2 * commit) for call, commit in zip(calls, commits, strict=True)],
            detail=f"{median(calls):,.0f} us, a commit {median(commits):,.0f} us",
        )
    ]
