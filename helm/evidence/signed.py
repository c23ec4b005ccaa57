"""Who signed a receipt: an execution key that counted, for this log, when its node was written."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid
from helm.receipts.chain import SealedReceipt
from helm.trust.registry import Registry


def check_signed(sealed: SealedReceipt, registry: Registry | None, lamport: int, where: str) -> None:
    """Raise Invalid unless an execution key that counted at `lamport` signed the receipt, for this log."""
    if registry is None or sealed.content.log_id != registry.log_id:
        raise Invalid("the receipt belongs to another log, or to none", where)
    try:
        key = registry.require(sealed.content.key_id, KeyPurpose.EXECUTION, lamport)
        key.verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
    except SignatureInvalid as problem:
        hint = "it was edited or forged"
        raise Invalid(f"receipt {sealed.receipt_id}: {problem}", where, hint) from problem


def signed_bytes(sealed: SealedReceipt) -> bytes:
    """Return what the signature covers: every member but the signature itself."""
    body = RECEIPT.body(sealed.content)
    body["receipt_id"] = sealed.receipt_id
    return record_bytes(body)
