"""A log of a million receipts, from its journal to a pack that both verifiers believe, in bounded memory.

`python -m bench.million --receipts 1000000 --at DIR`: an hour and some forty gigabytes of disk; fewer receipts take
less of both. Each step is a process of its own, as an operator runs it, and the most memory that it held is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from actors.installation import Installation
from bench.governed import CALLERS, calls_per_second
from bench.ground import ALLOWED, kernel_at, place_at

MOST_MIB = 768
"""Of resident memory, in every step (T4): some hundred bytes for each of a million calls, a program around them, and
what the allocator keeps. An export, which verifies what it wrote, held 483."""

STEP = CALLERS * 250
HELM = [sys.executable, "-m", "actors.cli.main"]


async def grow(place: Installation, receipts: int) -> None:
    """Call until the journal holds so many receipts."""
    async with kernel_at(place) as kernel:
        for done in range(0, receipts, STEP):
            rate = await calls_per_second(kernel, ALLOWED, min(STEP, receipts - done))
            print(f"\r{done:,} receipts, {rate:,.0f}/s ", end="", file=sys.stderr, flush=True)


def step(name: str, line: list[str]) -> None:
    """Run one command; tell its time and the most memory that it held. Raises SystemExit for failure, or for more."""
    start = time.monotonic()
    process = subprocess.Popen(line, stdout=subprocess.PIPE)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = used.ru_maxrss / 1024
    taken = f"{time.monotonic() - start:,.0f} s, {used.ru_utime + used.ru_stime:,.0f} s of processor"
    print(f"{name}: {taken}, {peak:,.0f} MiB", flush=True)
    if process.returncode != 0:
        raise SystemExit(f"{name} ended with {process.returncode}: {said[-2000:].decode(errors='replace')}")
    if peak > MOST_MIB:
        raise SystemExit(f"{name} held {peak:,.0f} MiB, more than {MOST_MIB}")


def walk(at: Path, receipts: int, *, by_script: bool) -> None:
    """Do every step in a directory, in which a journal that is there already is used."""
    data, pack, script = at / "data", at / "million.tar", at / "verify.py"
    if not data.exists():
        trio.run(grow, place_at(data), receipts)
    log_id = Installation.open(data).log_id
    trust = ["--log-id", log_id]
    step("export", [*HELM, "evidence", "export", "--whole", "--force", "-o", str(pack), "--data-dir", str(data)])
    print(f"pack: {pack.stat().st_size:,} bytes, {pack.stat().st_size / receipts:,.0f} a receipt", flush=True)
    step("helm verify", [*HELM, "verify", str(pack), *trust])
    step("helm replay", [*HELM, "replay", "--verify", str(pack), *trust])
    if by_script:
        script.write_bytes(
            subprocess.run(["tar", "-xOf", pack, "replay/verify.py"], capture_output=True, check=True).stdout
        )
        step("the script in the pack", [sys.executable, "-I", "-S", str(script), str(pack), *trust])


def main() -> None:
    """Read the command line."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=1_000_000)
    parser.add_argument("--at", type=Path, help="a directory that stays; otherwise one that goes")
    parser.add_argument("--no-script", action="store_true", help="leave out the script, which is slow")
    asked = parser.parse_args()
    if asked.at is not None:
        asked.at.mkdir(exist_ok=True)
        walk(asked.at, asked.receipts, by_script=not asked.no_script)
        return
    with TemporaryDirectory(prefix="helm-million-") as directory:
        walk(Path(directory), asked.receipts, by_script=not asked.no_script)


if __name__ == "__main__":
    main()
