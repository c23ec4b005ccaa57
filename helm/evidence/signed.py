"""Who signed a receipt: an execution key that counted, for this log, when its node was written."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import cut_member
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid
from helm.receipts.chain import SealedReceipt
from helm.trust.registry import Registry


def check_signed(sealed: SealedReceipt, registry: Registry | None, lamport: int, where: str, proven: str = "") -> None:
    """Raise Invalid unless an execution key that counted at `lamport` signed the receipt, for this log.

    `proven` is the public key that was found to have signed it already, "" where nobody looked.
    """
    if registry is None or sealed.content.log_id != registry.log_id:
        raise Invalid("the receipt belongs to another log, or to none", where)
    try:
        key = registry.require(sealed.content.key_id, KeyPurpose.EXECUTION, lamport)
        if key.hex != proven:
            key.verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
    except (SignatureInvalid, ValueError) as problem:
        hint = "it was edited or forged"
        raise Invalid(f"receipt {sealed.receipt_id}: {problem}", where, hint) from problem


def signed_bytes(sealed: SealedReceipt) -> bytes:
    """Return what the signature covers: every member but the signature itself. Raises ValueError for no receipt."""
    return cut_member(sealed.json, b',"signature":"%b"' % sealed.signature.encode())
