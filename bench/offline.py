"""What an auditor waits for: verifying receipts and packs, and the command line that does it."""

from __future__ import annotations

import subprocess
import sys
import time
from os import cpu_count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import trio

from actors.evidence.crew import crew
from actors.evidence.export import export_session
from actors.installation import Installation
from actors.kernel import Kernel
from bench.figure import Figure
from bench.ground import ALLOWED, kernel_at, place_at
from helm.crypto.domains import RECEIPT, KeyPurpose
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.evidence.layout import RECEIPTS
from helm.evidence.receipt_lines import ReceiptLines, keys_by_name
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack, verify_pack

LARGE, SMALL = 6_000, 100
"""Receipts of the packs."""
VERIFIES = 400
RECEIPTS_ALONE = 0.75
"""Of receipts alone, little but the signature may be left to pay for."""
WHOLE_PACK = 0.3
"""Of a pack four more documents are read and hashed for each receipt: `python -m bench.pack_floor` says how much of it
no verifier can save, and how far this one is from there."""
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


def verification_of_receipts(raw: bytes, log_id: str, runs: int) -> Figure:
    """Measure the verification of receipts without the rest of their pack, as `helm receipts verify FILE` does."""
    pack = check_pack(raw, TrustRoot(log_id=log_id), keep=False)
    known = pack.registry.keys.values()
    trusted = keys_by_name(key.public_key.hex for key in known if key.purpose == KeyPurpose.EXECUTION)
    lines = [line for path, shard in pack.members.items() if path.startswith(RECEIPTS) for line in shard.splitlines()]
    samples, rates = [], []
    for _ in range(runs):
        before = bare_verifies_per_second()
        start = time.perf_counter()
        held = ReceiptLines(trusted)
        for number, line in enumerate(lines, 1):
            held.take(line, f"line {number}")
        rate = held.receipts / (time.perf_counter() - start)
        samples.append(rate / ((before + bare_verifies_per_second()) / 2))
        rates.append(rate)
    return Figure(
        name=f"offline verification, receipts/s of {len(lines):,} alone on one core, over bare Ed25519 verifies/s",
        target=RECEIPTS_ALONE,
        at_least=True,
        samples=samples,
        detail=f"{median(rates):,.0f} receipts/s, every check of `helm receipts verify FILE`",
    )


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
        target=WHOLE_PACK,
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
            verification_of_receipts(large.read_bytes(), place.log_id, runs),
            verification(large.read_bytes(), place.log_id, runs, every_core=False),
            verification(large.read_bytes(), place.log_id, runs, every_core=True),
            command("helm --help", 0.25, ["--help"], runs),
            command(f"helm verify of a pack of {SMALL} receipts", 0.6, verify, runs),
        ]
