"""Condensing a verified pack, and making it whole again.

Receipts of low risk that lie under a checkpoint are replaced by their leaves. They go to a cold file together with the
manifest of the whole pack, so that whoever has both has the whole pack back, byte for byte, and needs no key for it.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import sha256
from helm.evidence import archive
from helm.evidence.archive import Member
from helm.evidence.attach import check_without
from helm.evidence.condensed import COLD, LEAVES, OF_COLD, OF_CONDENSED, is_plain, leaf_of, why_not
from helm.evidence.layout import MANIFEST, RECEIPTS
from helm.evidence.lines import read_json, split_lines, write_lines
from helm.evidence.manifest import write_manifest
from helm.evidence.reading import Reading
from helm.evidence.shards import lines_of, shards_of
from helm.proofgraph.checkpoint import Checkpoint
from helm.receipts.chain import SealedReceipt

IN_COLD: Final = "receipts.jsonl"
"""Where the condensed receipts stand in a cold file, a line each."""


@attrs.frozen(kw_only=True)
class Condensed:
    """What a pack was made into: a smaller one, and the file that holds the rest."""

    pack: bytes = attrs.field(repr=False)
    cold: bytes = attrs.field(repr=False)
    receipts: int
    """How many receipts were condensed."""


def condense(reading: Reading, signer: Signer) -> Condensed:
    """Return a pack in which every check has held, condensed and signed by an evidence key.

    Raises Invalid where nothing can be condensed, or where it was condensed before; PurposeMismatch.
    """
    check_without(reading, "condensed")
    session = reading.session[1]  # a leaf has its place by its clock alone, so there must be one session only
    if reading.condensed:
        raise Invalid(f"{session} is condensed already", LEAVES, "make it whole first: helm evidence rehydrate")
    chosen = chosen_of(reading)
    if not chosen:
        hint = "only T0 and T1 calls that succeeded, without an approval and under a checkpoint, may be condensed"
        raise Invalid("nothing in this pack can be condensed", "pack", hint)
    taken = {sealed.receipt_hash for sealed in chosen}
    left, gone = list[bytes](), list[bytes]()
    for sealed, line in zip(reading.receipts.values(), lines_of(reading.members, RECEIPTS), strict=True):
        is_gone = sealed.receipt_hash in taken
        left.append(b"" if is_gone else line)
        gone.extend([line] if is_gone else [])
    cold = archive.write([Member(MANIFEST, reading.members[MANIFEST]), Member(IN_COLD, write_lines(gone))])
    members = {path: raw for path, raw in reading.members.items() if path != MANIFEST and not of_receipts(path)}
    members |= shards_of(RECEIPTS, left)
    members[LEAVES] = write_lines([ordered_bytes(leaf_of(sealed)) for sealed in chosen])
    body = {"cold_hash": sha256(cold), "manifest_hash": reading.manifest.manifest_hash, "receipts": len(chosen)}
    members[COLD] = record_bytes(body)
    cover = attrs.evolve(reading.manifest.cover, key_id=signer.key_id)
    members[MANIFEST] = write_manifest(cover, members, signer)
    pack = archive.write(Member(path, content) for path, content in members.items())
    return Condensed(pack=pack, cold=cold, receipts=len(chosen))


def chosen_of(reading: Reading) -> list[SealedReceipt]:
    """Return the receipts that may be condensed, in the order of their clock."""
    latest: Checkpoint | None = reading.checkpoint
    if latest is None:
        return []
    chosen = []
    for told in reading.calls:
        receipt, outcome = told.receipt, told.outcome
        if receipt is None or outcome is None or outcome.lamport > latest.lamport or not is_plain(receipt.content):
            continue
        if not why_not(told.decision.content, receipt.content.risk_tier, latest.issued_at_ms):
            chosen.append(receipt)
    return sorted(chosen, key=lambda sealed: sealed.content.lamport_clock)


def of_receipts(path: str) -> bool:
    """Tell whether a file holds receipts."""
    return path.startswith(RECEIPTS)


def rehydrate(reading: Reading, cold: bytes) -> bytes:
    """Return the whole pack that a condensed one was made from. Raises Invalid for another cold file.

    Every check of `reading` has held; the whole pack is for the caller to verify, as any other.
    """
    check_without(reading, "made whole")
    if not reading.condensed:
        raise Invalid("the pack is whole", "pack", "there is nothing to bring back")
    said = read_json(reading.members[COLD], COLD)
    OF_COLD.check(said, COLD)
    if sha256(cold) != said["cold_hash"]:
        raise Invalid("is not the file that this pack was condensed into", "cold file", "look for the right one")
    members = {path: raw for path, raw in reading.members.items() if not (path in OF_CONDENSED or of_receipts(path))}
    brought = archive.read(cold)
    if brought.keys() != {MANIFEST, IN_COLD}:
        raise Invalid("holds other files than a cold file does", "cold file", "look for the right one")
    members[MANIFEST] = brought[MANIFEST]
    if read_json(members[MANIFEST], MANIFEST).get("manifest_hash") != said["manifest_hash"]:
        raise Invalid("holds the manifest of another pack", "cold file", "look for the right one")
    gone = [line for line, _ in split_lines(brought[IN_COLD], IN_COLD)]
    left = [*lines_of(reading.members, RECEIPTS)]
    if left.count(b"") != len(gone):
        raise Invalid("holds other receipts than those that were condensed", "cold file", "look for the right one")
    back = iter(gone)
    members |= shards_of(RECEIPTS, [line or next(back) for line in left])
    return archive.write(Member(path, content) for path, content in members.items())
