"""What an auditor waits for: verifying packs, and the command line that does it."""

from __future__ import annotations

import subprocess
import sys
import time
from os import cpu_count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import trio

from actors.crew import crew
from actors.evidence_export import export_session
from actors.installation import Installation
from actors.kernel import Kernel
from bench.figure import Figure
from bench.ground import ALLOWED, kernel_at, place_at
from helm.crypto.domains import RECEIPT, KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import verify_pack

LARGE, SMALL = 6_000, 100
"""Receipts of the packs."""
VERIFIES = 400
SIGNED_BYTES = 1_300
HELM = Path(sys.executable).with_name("helm")


async def pack_of(place: Installation, receipts: int, path: Path) -> None:
    """Write a pack of one session with as many receipts."""
    async with kernel_at(place) as kernel:
        session = f"of-{receipts}"
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(calls, kernel, session, receipts // 20)
        await export_session(kernel.library, Selection(tenant="local", session_id=session), place.evidence_key(), path)


async def calls(kernel: Kernel, session: str, count: int) -> None:
    """Make so many calls of one session."""
    for _ in range(count):
        await kernel.call("notes.read", ALLOWED, session=session, principal="bench")


def bare_verifies_per_second() -> float:
    """Return the rate at which one key's signatures are verified by the library that HELM uses."""
    signer = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION)
    key, message = PublicKey.from_hex(signer.public_key), bytes(SIGNED_BYTES)
    signature = signer.sign(RECEIPT, message)
    start = time.perf_counter()
    for _ in range(VERIFIES):
        key.verify(RECEIPT, message, signature)
    return VERIFIES / (time.perf_counter() - start)


def verification(raw: bytes, log_id: str, runs: int, *, every_core: bool) -> Figure:
    """Measure the verification of a large pack, every check of it: in this process alone, or as `helm verify` does."""
    samples, rates = [], []
    for _ in range(runs):
        before = bare_verifies_per_second()
        start = time.perf_counter()
        with crew(None if every_core else 0) as helpers:
            report = verify_pack(raw, TrustRoot(log_id=log_id), helpers)
        rate = LARGE / (time.perf_counter() - start)
        if not report.authenticated:
            raise SystemExit(f"the pack that was just written does not verify: {report.failed}")
        samples.append(rate / ((before + bare_verifies_per_second()) / 2))
        rates.append(rate)
    cores = f"all {cpu_count()} cores, helpers started" if every_core else "one core"
    return Figure(
        name=f"offline verification, receipts/s of a pack of {LARGE:,} on {cores}, over bare Ed25519 verifies/s of one",
        target=0.75,
        at_least=True,
        samples=samples,
        detail=f"{median(rates):,.0f} receipts/s, every check of `helm verify`",
    )


def command(name: str, target: float, arguments: list[str], runs: int) -> Figure:
    """Measure a whole process of the command line, in seconds."""
    samples = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([HELM, *arguments], check=True, capture_output=True)
        samples.append(time.perf_counter() - start)
    return Figure(name=name, target=target, at_least=False, samples=samples[1:], detail="seconds, after one to warm up")


async def offline(runs: int) -> list[Figure]:
    """Measure what needs no kernel, on packs that a kernel wrote."""
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        place, small, large = place_at(Path(directory) / "data"), Path(directory) / "s.tar", Path(directory) / "l.tar"
        await pack_of(place, SMALL, small)
        await pack_of(place, LARGE, large)
        verify = ["verify", str(small), "--log-id", place.log_id]
        return [
            verification(large.read_bytes(), place.log_id, runs, every_core=False),
            verification(large.read_bytes(), place.log_id, runs, every_core=True),
            command("helm --help", 0.25, ["--help"], runs),
            command(f"helm verify of a pack of {SMALL} receipts", 0.6, verify, runs),
        ]
