"""Sealed objects read back: each must hash to the name it bears, and every hash is made anew."""

from __future__ import annotations

from typing import Any

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect, Intent
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Sealed
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.hashing import content_id, hash_in
from helm.crypto.seals import decision_name
from helm.receipts.chain import SealedReceipt, name
from helm.wire import structure

EDITED = "it was edited"


def unseal_decision(body: object, where: str) -> Sealed[Decision]:
    """Return the decision of a sealed object; raise Invalid unless it hashes to its name."""
    fields = unsealed(body, ("decision_id",), where)
    decision = structure(fields, Decision, where)
    said = record_bytes(fields)
    full_hash = hash_in(domains.DECISION, said)
    decision_id = decision_name(full_hash)
    if decision_id != body["decision_id"]:  # type: ignore[index]
        raise Invalid("the decision does not hash to its decision_id", where, EDITED)
    return Sealed(decision, decision_id, full_hash, record_bytes(body), said)  # type: ignore[arg-type]


def unseal_record(body: object, where: str) -> Sealed[BoundaryRecord]:
    """Return the boundary record of a sealed object; raise Invalid unless it hashes to its record_hash."""
    fields = unsealed(body, ("record_id", "record_hash"), where)
    record = structure(fields, BoundaryRecord, where)
    record_id = "rec_" + record.decision_id.removeprefix("dec_")
    said = record_bytes(fields | {"record_id": record_id})
    record_hash = hash_in(domains.RECORD, said)
    if (record_hash, record_id) != (body["record_hash"], body["record_id"]):  # type: ignore[index]
        raise Invalid("the record does not hash to its record_hash", where, EDITED)
    return Sealed(record, record_id, record_hash, record_bytes(body), said)  # type: ignore[arg-type]


def unseal_effect(body: object, decision: Decision, where: str) -> Effect:
    """Return the effect that an intent names; raise Invalid unless it hashes to the decision's effect_id."""
    effect = structure(body, Effect, where)
    if content_id("eff_", hash_in(domains.EFFECT, record_bytes(body))) != decision.effect_id:  # type: ignore[arg-type]
        raise Invalid("the effect does not hash to the decision's effect_id", where, EDITED)
    return effect


def intent_hash(decision: Decision) -> str:
    """Return the hash of what an approver of this call would approve, "" where it came to no effect."""
    if decision.effect_id == "":
        return ""
    intent = Intent(
        args_hash=decision.args_hash,
        delegation_id=decision.delegation_id,
        effect_id=decision.effect_id,
        principal=decision.principal,
        session_id=decision.session_id,
        tenant=decision.tenant,
        tool=decision.tool,
    )
    return hash_in(domains.INTENT, ordered_bytes(intent))


def unseal_receipt(body: object, where: str) -> SealedReceipt:
    """Return the receipt of a signed object; raise Invalid unless it earns its receipt_id.

    No signature is checked here.
    """
    fields = unsealed(body, ("receipt_id", "signature"), where)
    receipt = structure(fields, Receipt, where)
    signed = record_bytes(body)  # type: ignore[arg-type]
    receipt_id, signature = body["receipt_id"], body["signature"]  # type: ignore[index]
    if receipt_id != name(fields) or type(signature) is not str:
        raise Invalid("the receipt does not hash to its receipt_id", where, EDITED)
    return SealedReceipt(receipt, receipt_id, signature, hash_in(domains.RECEIPT_HASH, signed), signed)


def unsealed(body: object, seals: tuple[str, ...], where: str) -> dict[str, JSONValue]:
    """Return the members of a sealed object that are not its seals, in their order. Raises Invalid."""
    if type(body) is not dict or not all(seal in body for seal in seals):
        raise Invalid(f"is not an object sealed with {', '.join(seals)}", where)
    fields: dict[str, Any] = body.copy()
    for seal in seals:
        del fields[seal]
    return fields
