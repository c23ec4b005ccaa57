"""The floor under the verification of a pack: every line of it read, written again and hashed, in a bare loop.

No check, no record made, no node linked: what the verifier takes beyond this is its own; what this takes, no verifier
of whole packs can save, with these libraries, formats and promises.

`python -m bench.pack_floor [runs]` measures both in turns and prints one JSON object, in microseconds a receipt.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import attrs
import trio

from bench.ground import place_at
from bench.offline import LARGE, bare_verifies_per_second, pack_of
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, reread_whole
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import sha256
from helm.evidence.layout import RECEIPTS
from helm.evidence.lines import read_json
from helm.evidence.reading import Reading
from helm.evidence.signed import signed_bytes
from helm.evidence.trust_root import TrustRoot
from helm.evidence.unseal import unseal_receipt
from helm.evidence.verify import check_pack, verify_pack

RUNS = 10
NAMES = 2
"""How often a line is hashed: the shard that holds it, and what names it."""
TREE = (b"." * 96, *(b"." * 65 for _ in range(3)))
"""What the trees hash for a receipt and its record: two leaves, and a node for each."""


@attrs.frozen(kw_only=True)
class Work:
    """All that verifying a pack cannot be without, made ready."""

    lines: list[bytes]
    signed: list[tuple[PublicKey, bytes, str]]
    """Key, message and signature of each receipt."""

    @classmethod
    def of(cls, pack: Reading) -> Work:
        """Return what a pack asks for that was read."""
        keys = {name: key.public_key for name, key in pack.registry.keys.items() if key.purpose == KeyPurpose.EXECUTION}
        files = {path: content.splitlines() for path, content in pack.members.items() if path.endswith(".jsonl")}
        receipts = [raw for path, lines in files.items() if path.startswith(RECEIPTS) for raw in lines]
        sealed = [unseal_receipt(read_json(raw, RECEIPTS), RECEIPTS) for raw in receipts]
        return cls(
            lines=[line for lines in files.values() for line in lines],
            signed=[(keys[one.content.key_id], signed_bytes(one), one.signature) for one in sealed],
        )

    def do(self) -> None:
        """Do all of it once."""
        for line in self.lines:
            ordered_bytes(reread_whole(line))
            for _ in range(NAMES):
                sha256(line)
        for key, message, signature in self.signed:
            for node in TREE:
                sha256(node)
            key.verify(domains.RECEIPT, message, signature)


async def measured(runs: int) -> dict[str, float]:
    """Return what the floor and the verifier cost on one core, in turns, and a bare verification."""
    with TemporaryDirectory(prefix="helm-bench-") as directory:
        place, path = place_at(Path(directory) / "data"), Path(directory) / "pack.tar"
        await pack_of(place, LARGE, path)
        raw, root = path.read_bytes(), TrustRoot(log_id=place.log_id)
    work = Work.of(check_pack(raw, root, keep=False))
    bare, floors, whole = [], [], []
    for _ in range(runs):
        bare.append(1e6 / bare_verifies_per_second())
        start = time.perf_counter()
        work.do()
        middle = time.perf_counter()
        verify_pack(raw, root)
        floors.append((middle - start) / LARGE * 1e6)
        whole.append((time.perf_counter() - middle) / LARGE * 1e6)
    verify_us, floor_us, pack_us = median(bare), median(floors), median(whole)
    return {
        "verify_us": round(verify_us, 1),
        "floor_us": round(floor_us, 1),
        "pack_us": round(pack_us, 1),
        "floor_over_verifies": round(verify_us / floor_us, 3),
        "pack_over_verifies": round(verify_us / pack_us, 3),
    }


if __name__ == "__main__":
    print(json.dumps(trio.run(measured, int(sys.argv[1]) if len(sys.argv) > 1 else RUNS), indent=2))
