"""A chain of host receipts: one recorder's receipts in order, in any of four forms of file, each link checked.

Whoever verifies a chain brings the recorder's public key. Without it there are hashes and links, and no word on who
wrote them.

1. file        the file is one chain, array, receipt or JSONL within bounds, with nothing written twice
2. structure   every receipt has the members of a host receipt, and no other
3. hashes      every receipt hashes to its receipt_hash
4. links       one recorder wrote them, no two have one name, and each names the one before it by hash
5. signatures  the key that the caller brought signed every receipt
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.crypto.hashing import sha256
from helm.evidence.host_key import HostKey
from helm.evidence.host_receipt import MAX_RECEIPT_BYTES, UNREADABLE, HostReceipt, read_receipt
from helm.evidence.lines import write_lines
from helm.evidence.report import Outcome

VERSION: Final = "external_receipt_chain.v1"

MAX_FILE_BYTES: Final = 64 * 1024**2
"""Largest chain that is looked at: it is held in memory while it is verified (T4)."""

MAX_RECEIPTS: Final = 100_000
"""Most receipts of one chain (T4)."""

MAX_DEPTH: Final = 8
"""Deepest nesting of a file: a chain of receipts with a hardware root needs four levels (T4)."""

NOT_VERIFIED: Final = "not verified"
"""What is said of every hardware root: HELM has no verifier for any, whatever it claims of itself."""


@attrs.frozen
class HostChain:
    """Receipts of one recorder, each of which names the one before it."""

    receipts: tuple[HostReceipt, ...]

    @property
    def begins(self) -> str:
        """What the first receipt names as the one before it: GENESIS, or a receipt that is not here."""
        return self.receipts[0].prev_receipt_hash

    @property
    def hardware_roots(self) -> int:
        """How many receipts say something of hardware."""
        return sum(receipt.has_hardware_root for receipt in self.receipts)

    def lines(self) -> bytes:
        """Return the chain as a pack keeps it: one receipt per line, in canonical bytes."""
        return write_lines([receipt.line for receipt in self.receipts])

    def body(self) -> dict[str, JSONValue]:
        """Return what there is to say of the chain."""
        first, last = self.receipts[0], self.receipts[-1]
        return {
            "begins": self.begins,
            "chain_hash": sha256(self.lines()),
            "first": first.receipt_hash,
            "hardware_root": NOT_VERIFIED,
            "hardware_roots": self.hardware_roots,
            "host_id": first.host_id,
            "last": last.receipt_hash,
            "receipts": len(self.receipts),
            "signature_algorithm": first.signature_algorithm,
            "signing_key_id": first.signing_key_id,
        }


@attrs.define
class ChainReading:
    """The state of one verification. Each field is set by the check of its name."""

    raw: bytes = attrs.field(repr=False)
    key: HostKey | None
    bodies: list[tuple[JSONValue, str]] = attrs.field(factory=list, repr=False)
    receipts: list[HostReceipt] = attrs.field(factory=list, repr=False)
    chain: HostChain | None = attrs.field(default=None, init=False)


def check_file(reading: ChainReading) -> None:
    """The file is one chain, array, receipt or JSONL within bounds, with nothing written twice."""
    reading.bodies = bodies_in(reading.raw)


def check_structure(reading: ChainReading) -> None:
    """Every receipt has the members of a host receipt, and no other."""
    reading.receipts = [read_receipt(body, where) for body, where in reading.bodies]


def check_hashes(reading: ChainReading) -> None:
    """Every receipt hashes to its receipt_hash."""
    for receipt in reading.receipts:
        receipt.check_hash()


def check_links(reading: ChainReading) -> None:
    """One recorder wrote them, no two have one name, and each names the one before it by hash."""
    first, seen = reading.receipts[0], set[str]()
    before = first.prev_receipt_hash
    for receipt in reading.receipts:
        if who(receipt) != who(first):
            raise Invalid(
                f"{receipt.receipt_id} is of another recorder or key", receipt.where, "one chain, one recorder"
            )
        if receipt.receipt_id in seen:
            raise Invalid(f"{receipt.receipt_id} is there twice", receipt.where, FORGED)
        if receipt.prev_receipt_hash != before:
            raise Invalid(f"{receipt.receipt_id} does not name the one before it", receipt.where, FORGED)
        seen.add(receipt.receipt_id)
        before = receipt.receipt_hash
    reading.chain = HostChain(tuple(reading.receipts))


FORGED: Final = "a receipt was left out, added, moved or doubled"


def who(receipt: HostReceipt) -> tuple[str, str, str]:
    """Return who a receipt says that it is of."""
    return (receipt.host_id, receipt.signing_key_id, receipt.signature_algorithm)


def check_signatures(reading: ChainReading) -> None:
    """The key that the caller brought signed every receipt."""
    if reading.key is None:
        raise Invalid("no key was brought", "public key", "a chain cannot vouch for itself")
    reading.key.check(reading.receipts)


CHECKS: Final[tuple[tuple[str, Callable[[ChainReading], None]], ...]] = (
    ("file", check_file),
    ("structure", check_structure),
    ("hashes", check_hashes),
    ("links", check_links),
    ("signatures", check_signatures),
)


@attrs.frozen
class ChainReport:
    """Every check of one chain, in order."""

    outcomes: tuple[Outcome, ...]
    chain: HostChain | None

    @property
    def verified(self) -> bool:
        """Whether every check was made and held."""
        return all(outcome.ok for outcome in self.outcomes)

    def body(self) -> dict[str, JSONValue]:
        """Return the report as a JSON object."""
        said = self.chain.body() if self.chain is not None and self.verified else {}
        return {"chain": said, "checks": [outcome.body() for outcome in self.outcomes], "verified": self.verified}


def verify_chain(raw: bytes, key: HostKey) -> ChainReport:
    """Verify a file of host receipts under the key that the caller trusts. Never raises for what is in the file."""
    reading, outcomes, failed = ChainReading(raw, key), list[Outcome](), ""
    for number, (name, check) in enumerate(CHECKS, 1):
        detail = f"not made: check {failed} did not hold" if failed else ""
        ok = not failed
        if ok:
            try:
                check(reading)
            except Invalid as problem:
                ok, failed, detail = False, name, str(problem)
        promise = (check.__doc__ or "").removesuffix(".")
        outcomes.append(Outcome(number=number, name=name, promise=promise, ok=ok, detail=detail))
    return ChainReport(tuple(outcomes), reading.chain)


def read_chain(raw: bytes) -> HostChain:
    """Return the chain in a file: every check but that of signatures. Raises Invalid."""
    reading = ChainReading(raw, None)
    for check in (check_file, check_structure, check_hashes, check_links):
        check(reading)
    return HostChain(tuple(reading.receipts))


def bodies_in(raw: bytes) -> list[tuple[JSONValue, str]]:
    """Return the receipts of a file as they are written, and the place of each. Raises Invalid."""
    if len(raw) > MAX_FILE_BYTES:
        raise Invalid(f"more than {MAX_FILE_BYTES} bytes", "chain", "verify it in parts")
    found = [*numbered(in_lines(raw) if is_jsonl(raw) else in_document(raw))]
    if not found:
        raise Invalid("holds no receipt", "chain", UNREADABLE)
    return found


def numbered(bodies: Iterable[JSONValue]) -> Iterable[tuple[JSONValue, str]]:
    """Yield each body with its place. Raises Invalid for more than anyone looks at."""
    for number, body in enumerate(bodies, 1):
        if number > MAX_RECEIPTS:
            raise Invalid(f"more than {MAX_RECEIPTS} receipts", "chain", "verify it in parts")
        yield body, f"receipt {number}"


def is_jsonl(raw: bytes) -> bool:
    """Tell JSONL from one document: it has several lines, and the first of them is an object by itself."""
    lines = raw.strip().split(b"\n", 1)
    if len(lines) == 1 or len(lines[0]) > MAX_RECEIPT_BYTES:
        return False
    try:
        return type(parse(lines[0], max_bytes=MAX_RECEIPT_BYTES, max_depth=MAX_DEPTH)) is dict
    except Malformed:
        return False


def in_lines(raw: bytes) -> Iterable[JSONValue]:
    """Yield the object of each line. Raises Invalid for a line that is none, also an empty one."""
    for number, line in enumerate(raw.strip().split(b"\n"), 1):
        yield parsed(line, f"line {number}", MAX_RECEIPT_BYTES)


def in_document(raw: bytes) -> list[Any]:
    """Return the receipts of a chain object, an array, or a file that is one receipt. Raises Invalid."""
    value = parsed(raw, "chain", MAX_FILE_BYTES)
    if type(value) is list:
        return value
    if type(value) is not dict or "receipts" not in value:
        return [value]
    if value.keys() != {"receipts", "version"} or value["version"] != VERSION or type(value["receipts"]) is not list:
        raise Invalid(f"a chain has a version, {VERSION}, and receipts, and nothing else", "chain", UNREADABLE)
    return value["receipts"]


def parsed(raw: bytes, where: str, max_bytes: int) -> JSONValue:
    """Return the value of one JSON text. Raises Invalid."""
    try:
        return parse(raw, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise Invalid(str(problem), where, UNREADABLE) from problem
