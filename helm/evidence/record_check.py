"""Check one boundary record against what stands beside it: its decision, its receipt, its checkpoint.

1. the record hashes to its record_hash and record_id
2. the decision hashes to its decision_id, is the one that the record names, and says what the record says
3. the receipt hashes to its receipt_id, seals this record_hash, and says what the record says
4. the receipt is signed by an execution key that counted at its node
5. the record lies under a signed checkpoint; one that no checkpoint covers yet stands without this proof
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import attrs

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Noun, kinds_of
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.crypto.domains import KeyPurpose
from helm.evidence.checkpoint_document import check_inclusion
from helm.evidence.signed import check_signed
from helm.evidence.unseal import unseal_decision, unseal_receipt, unseal_record
from helm.proofgraph.checkpoint import Checkpoint, hash_of
from helm.trust.registry import Registry
from helm.wire import structure

SAID_TWICE: Final = frozenset(kinds_of(BoundaryRecord)) & frozenset(kinds_of(Decision))
SEALED_TWICE: Final = frozenset(kinds_of(BoundaryRecord)) & frozenset(kinds_of(Receipt))

OTHER: Final = "another one stands beside it"

CHECKS: Final = ("record", "decision", "receipt", "signature", "checkpoint")


@attrs.frozen(kw_only=True)
class Held:
    """A record with all that is known of it, as the log holds it. None is what there is not."""

    record: dict[str, Any] = attrs.field(repr=False)
    decision: dict[str, Any] | None = attrs.field(repr=False)
    receipt: dict[str, Any] | None = attrs.field(repr=False)
    lamport: int
    """The tick of the node that binds the receipt."""
    inclusion: dict[str, Any] | None = attrs.field(default=None, repr=False)
    """The proof that the record lies under a checkpoint (helm.inclusion/1)."""


def verify_record(held: Held, registry: Registry | None) -> dict[str, JSONValue]:
    """Return what checking a record comes to: each check by name, and what is wrong. It never raises."""
    errors = dict(wrong(held, registry))
    sealed = held.receipt or {}
    told: dict[str, JSONValue] = {
        "checks": [
            {"detail": errors.get(name, ""), "name": name, "ok": name not in errors}
            for name in CHECKS
            if name != "checkpoint" or held.inclusion is not None
        ],
        "errors": [f"{name}: {what}" for name, what in errors.items()],
        "offline": True,
        "receipt_id": sealed.get("receipt_id", ""),
        "record_hash": held.record.get("record_hash", ""),
        "record_id": held.record.get("record_id", ""),
        "verdict": held.record.get("verdict", ""),
        "verified": not errors,
    }
    if held.inclusion is not None:
        under = structure(held.inclusion["under"]["checkpoint"], Checkpoint, "checkpoint")
        told |= {"checkpoint_hash": hash_of(under), "inclusion_proof": held.inclusion}
    return told


def wrong(held: Held, registry: Registry | None) -> Iterator[tuple[str, str]]:
    """Yield each check that fails, and why."""
    steps: tuple[Callable[[Held, Registry | None], None], ...] = (
        check_own,
        check_decision,
        check_receipt,
        check_signature,
        check_covered,
    )
    for name, step in zip(CHECKS, steps, strict=True):
        try:
            step(held, registry)
        except Invalid as problem:
            yield name, problem.what


def check_own(held: Held, _: Registry | None) -> None:
    """(1) Raise Invalid unless the record earns its names."""
    unseal_record(held.record, "record")


def check_decision(held: Held, _: Registry | None) -> None:
    """(2) Raise Invalid unless the decision is the record's."""
    if held.decision is None:
        raise Invalid("no decision stands beside it", "decision")
    sealed = unseal_decision(held.decision, "decision")
    if sealed.id != held.record.get("decision_id"):
        raise Invalid(OTHER, "decision")
    check_agreed(held.record, sealed.content, SAID_TWICE)


def check_receipt(held: Held, _: Registry | None) -> None:
    """(3) Raise Invalid unless the receipt seals this record."""
    if held.receipt is None:
        raise Invalid("there is no receipt yet: its effect is under way, or it awaits recovery", "receipt")
    sealed = unseal_receipt(held.receipt, "receipt")
    if sealed.content.record_hash != held.record.get("record_hash"):
        raise Invalid(OTHER, "receipt")
    check_agreed(held.record, sealed.content, SEALED_TWICE - {"reason_code", "verdict"})


def check_signature(held: Held, registry: Registry | None) -> None:
    """(4) Raise Invalid unless a key that counted has signed the receipt."""
    if held.receipt is None or registry is None:
        raise Invalid("nothing is signed yet, or no key is known", "signature")
    check_signed(unseal_receipt(held.receipt, "receipt"), registry, held.lamport, "signature")


def check_covered(held: Held, registry: Registry | None) -> None:
    """(5) Raise Invalid where the record has a proof that does not hold."""
    if held.inclusion is None:
        return
    under = held.inclusion["under"]["checkpoint"]
    if registry is None or held.inclusion["record"] != held.record:
        raise Invalid("the proof is of another record", "checkpoint")
    key = registry.require(under["key_id"], KeyPurpose.EXECUTION, under["lamport"])
    check_inclusion(held.inclusion, key, "checkpoint")


def check_agreed(record: dict[str, Any], other: Noun, names: frozenset[str]) -> None:
    """Raise Invalid where a record and what stands beside it say different things."""
    for name in sorted(names):
        said, again = record.get(name), getattr(other, name)
        if said != (list(again) if isinstance(again, tuple) else again):
            raise Invalid(f"says another {name}", name)
