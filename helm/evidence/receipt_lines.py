"""Receipts without the rest of their log, held against the keys that their reader trusts.

What a receipt says by itself can be verified by itself: that it earns its id, that a trusted key signed it, that its
outcome is one that its verdict permits, and that it follows the receipt before it in its session (T5, T6). Whether
the key still counted when it signed, what was decided and why, and whether a session went on behind its last receipt
here, is known to the log alone, and to an evidence pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.receipt import RECEIPT_VERSION, Receipt
from helm.crypto import domains
from helm.crypto.canonical import parse
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.at_once import read_receipt
from helm.evidence.signed import signed_bytes
from helm.evidence.unseal import unseal_receipt
from helm.receipts.chain import Link, SealedReceipt, SessionChains
from helm.receipts.policy import ReceiptRefused, check_receipt

MAX_RECEIPT_BYTES = 64 * 1024
"""The longest line that is looked at (T4): a receipt has some 1,300 bytes, names of full length included 4,000."""

AROUND = "give that member alone: what stands around it would not be verified"
HOLDERS = frozenset({"receipt", "receipts"})
"""Members under which HELM tells of receipts beside other things."""

EDITED = "it was edited, or written by something else"
GAP = "ask for what is missing; where these are meant to be a part of their sessions, say so: --part"


def keys_by_name(public_keys: Iterable[str]) -> dict[str, PublicKey]:
    """Return checked keys of 64 lower-case hex digits, by their key_id. Raises SignatureInvalid."""
    return {key.key_id: key for key in map(PublicKey.from_hex, public_keys)}


@attrs.define
class ReceiptLines:
    """The receipts that were held so far. The first that does not hold ends it: nothing is known of the rest."""

    keys: Mapping[str, PublicKey]
    """The execution keys that the reader trusts, by key_id."""
    log_id: str = ""
    """The log that the reader trusts; "" takes that of the first receipt, and no second one beside it."""
    in_part: bool = False
    """Whether receipts may be missing within a session: then they are counted, and the rest proves less."""
    receipts: int = attrs.field(default=0, init=False)
    missing: int = attrs.field(default=0, init=False)
    """How many the sessions lack before their last receipt here."""
    _chains: SessionChains = attrs.field(factory=SessionChains, init=False, repr=False)

    @property
    def sessions(self) -> int:
        """How many sessions the receipts are of."""
        return len(self._chains.links)

    def take(self, raw: bytes, where: str) -> None:
        """Hold the receipt of one line, without its end, against everything before it. Raises Invalid."""
        sealed = read_receipt(raw) or unsealed(raw, where)
        receipt = sealed.content
        if receipt.version != RECEIPT_VERSION:
            raise Invalid(f"is of version {receipt.version!r}, not {RECEIPT_VERSION}", where, EDITED)
        if receipt.log_id != self.log_id:
            self._take_log(receipt, where)
        self._check_signed(sealed, where)
        try:
            check_receipt(receipt)
        except ReceiptRefused as problem:
            raise Invalid(f"tells no coherent outcome: {problem}", where, EDITED) from problem
        self._link(receipt, sealed.signature, where)
        self.receipts += 1

    def _take_log(self, receipt: Receipt, where: str) -> None:
        if self.log_id:
            raise Invalid(f"is of the log {receipt.log_id}, not {self.log_id}", where, "verify each log by itself")
        self.log_id = receipt.log_id

    def _check_signed(self, sealed: SealedReceipt, where: str) -> None:
        try:
            key = self.keys[sealed.content.key_id]
            key.verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
        except KeyError:
            named = f"names the key {sealed.content.key_id}, which is none of those that you trust"
            raise Invalid(named, where, "a key that was rotated signed until then: bring both") from None
        except (SignatureInvalid, ValueError) as problem:
            raise Invalid(f"receipt {sealed.receipt_id}: {problem}", where, "it was edited or forged") from problem

    def _link(self, receipt: Receipt, signature: str, where: str) -> None:
        session = (receipt.tenant, receipt.session_id)
        missing = receipt.lamport_clock - self._chains.latest(session).lamport_clock - 1
        if missing <= 0:
            self._chains.extend(receipt, signature, where)
            return
        if not self.in_part:
            named = f"is receipt {receipt.lamport_clock} of session {session[1]!r}, with {missing} missing before it"
            raise Invalid(named, where, GAP)
        self._chains.links[session] = Link(receipt.lamport_clock, signature)
        self.missing += missing


def unsealed(raw: bytes, where: str) -> SealedReceipt:
    """Return a receipt that stands in other than canonical bytes, as tools write it again. Raises Invalid.

    Its hashes and its signature are those of its canonical bytes: blanks and the order of members say nothing.
    """
    try:
        body = parse(raw, max_bytes=MAX_RECEIPT_BYTES)
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", where, EDITED) from problem
    check_bare(body, where)
    try:
        return unseal_receipt(body, where)
    except Invalid as problem:
        raise Invalid(problem.what, where, problem.hint or EDITED) from problem


def check_bare(body: JSONValue, where: str) -> None:
    """Raise Invalid for what holds receipts and is none, as a gateway answers and `helm receipts show` tells.

    Nothing is taken out of it: whoever then reads that it verifies would believe what stands around them, too (T5).
    """
    if type(body) is dict and "signature" not in body:
        for member in sorted(HOLDERS & body.keys()):
            raise Invalid(f"is not a receipt: that is its member `{member}`", where, AROUND)
