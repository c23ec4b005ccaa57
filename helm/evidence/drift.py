"""The receipt of boundary drift: a host and the boundary tell two stories about one connection (HELM/Drift/v1).

It is signed by whoever compared them, under an evidence key, and holds no time of its own: the same pack and the same
chains make the same receipts. It says that the two disagree, not which of them is right.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Noun, members
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid, Signer
from helm.evidence.lines import read_lines, write_lines
from helm.trust.registry import Registry
from helm.wire import structure

VERSION: Final = "helm.drift/1"
TYPE: Final = "BOUNDARY_DRIFT"

OF_HOSTS: Final = frozenset(
    {
        ReasonCode.ERR_HOST_DESTINATION_MISMATCH,
        ReasonCode.ERR_HOST_EGRESS_AFTER_DENY,
        ReasonCode.ERR_HOST_EGRESS_WITHOUT_INTENT,
        ReasonCode.ERR_HOST_RECEIPT_MISSING,
        ReasonCode.ERR_HOST_VOLUME_EXCEEDED,
    }
)
"""The kinds of drift."""

EDITED: Final = "it was edited, or signed by somebody else"


class Drift(Noun, frozen=True, kw_only=True):
    """One disagreement. What it is not about is ""."""

    at_ms: int
    """When, by the clock of whoever saw it."""
    decision_id: str
    destination: str
    host_receipt_hash: str
    key_id: str
    log_id: str
    manifest_hash: str
    """Of the pack as it was exported."""
    number: int
    """From 1 up, of `total` in one comparison: none can be left out."""
    reason: str
    reason_code: str
    receipt_id: str
    source: str
    total: int
    type: str
    version: str

    def __post_init__(self) -> None:
        if self.reason_code not in OF_HOSTS or self.type != TYPE or self.version != VERSION:
            raise ValueError(f"no drift of a host: {self.type!r} {self.reason_code!r} {self.version!r}")
        if not 1 <= self.number <= self.total:
            raise ValueError(f"number {self.number} of {self.total}")


def sign(drifts: Iterable[Drift], signer: Signer) -> bytes:
    """Return drifts as lines, each with its signature by an evidence key. Raises PurposeMismatch."""
    return write_lines(
        [
            ordered_bytes({"drift": members(one), "signature": signer.sign(domains.DRIFT, ordered_bytes(one))})
            for one in drifts
        ]
    )


def read(raw: bytes, where: str) -> list[tuple[Drift, str]]:
    """Return the drifts in lines with their signatures, none of which is checked. Raises Invalid."""
    found = []
    for line, place in read_lines(raw, where):
        if {name: type(value) for name, value in line.items()} != {"drift": dict, "signature": str}:
            raise Invalid("is no signed drift", place, EDITED)
        found.append((structure(line["drift"], Drift, place), line["signature"]))
    numbers = [(one.number, one.total) for one, _ in found]
    if not found or numbers != [(number, len(found)) for number in range(1, len(found) + 1)]:
        raise Invalid("drifts were left out, added or moved", where, EDITED)
    return found


def check_signed(one: Drift, signature: str, registry: Registry, lamport: int, where: str) -> None:
    """Raise Invalid unless an evidence key that counted at `lamport` signed the drift, for this log."""
    if one.log_id != registry.log_id:
        raise Invalid("the drift belongs to another log", where, EDITED)
    try:
        key = registry.require(one.key_id, KeyPurpose.EVIDENCE, lamport)
        key.verify(domains.DRIFT, ordered_bytes(one), signature)
    except SignatureInvalid as problem:
        raise Invalid(f"drift {one.number}: {problem}", where, EDITED) from problem


def body_of(one: Drift) -> dict[str, JSONValue]:
    """Return a drift as a JSON object."""
    return members(one)
