"""The floor under a governed call: what it writes, hashes, checks, signs and makes durable, in a bare loop.

No belt, no roster, no memory, no record made: every object is there before the clock starts. What the belt takes beyond
this is its own; what this takes, no belt can save, with these libraries, formats and promises.

`python -m bench.floor [runs]` measures both in turns and prints one JSON object, in microseconds a call.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.kernel import Kernel
from actors.stores.journal import StoredJournal
from actors.stores.segments.journal import open_segments
from bench.governed import SLICE_CALLS, calls_per_second, signing_input, signing_us
from bench.ground import ALLOWED, DENIED, kernel_to_measure, read_note
from helm.contracts.effect import Effect
from helm.contracts.form import Noun
from helm.crypto.canonical import ordered_bytes, reread
from helm.crypto.domains import RECEIPT, KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.crypto.hashing import sha256
from helm.evidence.leaf import leaf_bytes
from helm.guardian.chain import CHAIN
from helm.guardian.inquiry import Inquiry
from helm.guardian.intake import Caller, admit
from helm.guardian.judgement import facts_bytes
from helm.guardian.offices.prg import answers

BATCH_ROWS = 64
"""Rows of one durable step, as the belt brings them under load."""
RUNS = 10
HALVES = 2
"""While the disk has the rows of one half, the other half is worked on."""
TREE = (b"." * 96, *(b"." * 65 for _ in range(4)))
"""What two trees hash for a receipt and its record beside the receipt's leaf: a leaf, and two nodes for each."""


@attrs.frozen(kw_only=True)
class Work:
    """All that one call of a kind cannot be without, made ready."""

    written: tuple[Noun, ...]
    """Objects that are written as JSON."""
    hashed: tuple[bytes, ...]
    """What is hashed."""
    checks: tuple[Callable[[], object], ...]
    """Schemas, the requirement, and the facts, which are written as they are made."""
    signed: bytes
    rows: tuple[bytes, ...]

    def do(self, key: SigningKey) -> None:
        """Do all of it once, but for the disk."""
        for check in self.checks:
            check()
        for noun in self.written:
            ordered_bytes(noun)
        for message in self.hashed:
            sha256(message)
        key.sign(RECEIPT, self.signed)


async def work_of(kernel: Kernel, arguments: dict[str, Any]) -> Work:
    """Return what a call with these arguments needs, taken from one that was made."""
    answer = await kernel.call("notes.read", arguments, session="floor", principal="bench")
    head, count = kernel.parts.journal.head, 2 if answer.allowed else 1
    rows = tuple([row for _, row in await kernel.parts.journal.read(head - count + 1, count)])
    call = admit(Caller(tenant="local", principal="bench", session_id="floor"), "notes.read", arguments)
    boot, now_ms = kernel.guardian.boot, kernel.guardian.clock.now_ms()
    world = kernel.memory.world(call, boot, now_ms=now_ms, call_seq=1, fingerprint=boot.fingerprint, conflict=False)
    judgement, rule, receipt = CHAIN.evaluate(call, world), world.policy.rule(call.tool), answer.receipt
    decision, record, effect = judgement.decision, judgement.record, judgement.effect
    if not isinstance(effect, Effect):
        raise TypeError("the bench policy declares its tool")
    inquiry = Inquiry(call, world, rule)
    hashed = [
        *(call.arguments, ordered_bytes(effect), ordered_bytes(effect)),  # as long as the intent's
        *(judgement.facts, decision.hashed, record.json, receipt.json, receipt.json, leaf_bytes(receipt), *TREE),
        *(ordered_bytes(reread(row)["node"]) for row in rows),
    ]
    checks: list[Callable[[], object]] = [
        lambda: facts_bytes(call, world),
        lambda: rule.input_schema.check(call.parsed),
        lambda: [*answers(inquiry)],
    ]
    if answer.allowed:
        output = await read_note(call.parsed)
        hashed += [decision.hashed, call.arguments, answer.output_json]  # the last lock, and the answer
        checks.append(lambda: rule.output_schema.check(output))
    return Work(
        written=(effect, effect, decision.content, record.content, receipt.content),
        hashed=tuple(hashed),
        checks=tuple(checks),
        signed=await signing_input(kernel),
        rows=rows,
    )


def nothing() -> None:
    """Leave the time that a disk takes to the other half."""


async def bare_us(work: Work, key: SigningKey, journal: StoredJournal) -> float:
    """Return what a call costs in a bare loop."""

    async def half() -> None:
        rows: list[bytes] = []
        for _ in range(SLICE_CALLS // HALVES):
            work.do(key)
            rows += work.rows
            if len(rows) >= BATCH_ROWS:
                await journal.append(rows, nothing)
                rows = []

    start = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(HALVES):
            nursery.start_soon(half)
    return (time.perf_counter() - start) / SLICE_CALLS * 1e6


async def measured(runs: int) -> dict[str, dict[str, float]]:
    """Return what the floor and the belt cost of either kind of call, in turns, and a bare signature."""
    pen, bare = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION), Ed25519PrivateKey.generate()
    found = {}
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        journal = await open_segments(Path(directory) / "journal", free_space_reserve=0)
        async with kernel_to_measure() as kernel:
            for kind, arguments in (("allowed", ALLOWED), ("refused", DENIED)):
                work, signs, floors, belts = await work_of(kernel, arguments), [], [], []
                for _ in range(runs):
                    signs.append(signing_us(bare, work.signed))
                    floors.append(await bare_us(work, pen, journal))
                    belts.append(1e6 / await calls_per_second(kernel, arguments, SLICE_CALLS))
                found[kind] = told(median(signs), median(floors), median(belts))
        await journal.aclose()
    return found


def told(sign_us: float, floor_us: float, belt_us: float) -> dict[str, float]:
    """Return the times, and the ratios that hold on any machine."""
    return {
        "sign_us": round(sign_us, 1),
        "floor_us": round(floor_us, 1),
        "belt_us": round(belt_us, 1),
        "floor_over_signs": round(sign_us / floor_us, 3),
        "belt_over_signs": round(sign_us / belt_us, 3),
        "belt_over_floor": round(belt_us / floor_us, 2),
    }


if __name__ == "__main__":
    print(json.dumps(trio.run(measured, int(sys.argv[1]) if len(sys.argv) > 1 else RUNS), indent=2))
