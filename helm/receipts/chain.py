"""The chain rule: each receipt takes its session's next tick and signs over the signature before it (T6)."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Noun
from helm.contracts.receipt import GENESIS, Receipt
from helm.crypto import domains
from helm.crypto.canonical import insert_member, ordered_bytes, record_bytes
from helm.crypto.ed25519 import Signer
from helm.crypto.hashing import content_id, hash_in

SessionKey = tuple[str, str]
RECEIPT_ID = "rcpt_"


class Link(Noun, frozen=True):
    """The place of a session's latest receipt: its tick and its signature."""

    lamport_clock: int
    signature: str


START = Link(0, GENESIS)


@attrs.define
class SessionChains:
    """The latest link of every session: chain = (tenant, session), clock dense from 1, first prev_hash GENESIS."""

    links: dict[SessionKey, Link] = attrs.field(factory=dict, repr=False)

    def latest(self, session: SessionKey) -> Link:
        """Return the latest link, or START for a session without receipts."""
        return self.links.get(session, START)

    def extend(self, receipt: Receipt, signature: str, where: str = "") -> None:
        """Take a sealed receipt as its session's latest; raise Invalid where it does not follow the one before."""
        session = (receipt.tenant, receipt.session_id)
        self.link(session, receipt.lamport_clock, receipt.prev_hash, signature, where)

    def link(self, session: SessionKey, clock: int, prev_hash: str, signature: str, where: str) -> None:
        """Take what is known of a receipt as its session's latest; raise Invalid where it does not follow."""
        latest = self.latest(session)
        if clock != latest.lamport_clock + 1 or prev_hash != latest.signature:
            before = f"receipt {latest.lamport_clock}, the last one before it" if latest != START else "its beginning"
            raise Invalid(
                what=f"receipt {clock} of session {session[1]!r} does not follow {before}",
                where=where,
                hint="a receipt of this session is missing, doubled, moved or taken from another session",
            )
        self.links[session] = Link(clock, signature)


class SealedReceipt(Noun, frozen=True):
    """A signed receipt. `json` is the signed object, `receipt_hash` its hash, as the graph binds it."""

    content: Receipt
    receipt_id: str
    signature: str
    receipt_hash: str
    json: bytes


class NamedReceipt(Noun, frozen=True):
    """A receipt that has its name, and is to be signed. `json` is all that the signature will cover."""

    content: Receipt
    receipt_id: str
    json: bytes


def named(receipt: Receipt) -> NamedReceipt:
    """Name `receipt`: the id is its content's hash."""
    said = ordered_bytes(receipt)
    receipt_id = content_id(RECEIPT_ID, hash_in(domains.RECEIPT_NAME, said))
    member = f',"receipt_id":"{receipt_id}"'.encode()
    return NamedReceipt(receipt, receipt_id, insert_member(said, member, b',"record_hash":'))


def sealed(receipt: NamedReceipt, signature: str) -> SealedReceipt:
    """Put the signature into a receipt: it covers every member but itself (T5)."""
    signed = insert_member(receipt.json, f',"signature":"{signature}"'.encode(), b',"status":')
    return SealedReceipt(receipt.content, receipt.receipt_id, signature, hash_in(domains.RECEIPT_HASH, signed), signed)


def seal(receipt: Receipt, signer: Signer) -> SealedReceipt:
    """Name and sign `receipt`."""
    one = named(receipt)
    return sealed(one, signer.sign(domains.RECEIPT, one.json))


def name(body: dict[str, JSONValue]) -> str:
    """Return the receipt_id that `body`, a receipt without receipt_id and signature, earns."""
    return content_id(RECEIPT_ID, hash_in(domains.RECEIPT_NAME, record_bytes(body)))
