"""Check the receipts: their names, who signed them, and the chain that they are."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT_VERSION
from helm.evidence.at_once import read_receipt
from helm.evidence.check_condensed import read_condensed
from helm.evidence.condensed import LEAVES
from helm.evidence.layout import RECEIPTS, receipt_path
from helm.evidence.lines import read_json
from helm.evidence.reading import CHANGED, Reading
from helm.evidence.signed import check_signed
from helm.evidence.unseal import unseal_receipt
from helm.proofgraph.node import NodeKind
from helm.receipts.chain import SealedReceipt, SessionChains


def check_receipts(reading: Reading) -> None:
    """Every receipt earns its id, is bound by one node, and signed by a key that counted at that node."""
    reading.lamports = bound_receipts(reading)
    for path in reading.members:
        if not path.startswith(RECEIPTS):
            continue
        raw = reading.members[path]
        sealed = read_receipt(raw) or unseal_receipt(read_json(raw, path), path)
        if path != receipt_path(sealed.content.lamport_clock, sealed.receipt_id):
            raise Invalid("does not stand where a receipt of its name and clock stands", path, CHANGED)
        if sealed.content.version != RECEIPT_VERSION:
            raise Invalid(f"is of version {sealed.content.version!r}, not {RECEIPT_VERSION}", path, CHANGED)
        if sealed.receipt_hash not in reading.lamports:
            raise Invalid("is bound by no node: it is not of this log", path, CHANGED)
        check_signed(sealed, reading.registry, reading.lamports[sealed.receipt_hash], path, reading.proven(path))
        reading.receipts[sealed.receipt_hash] = without_bytes(sealed)
    read_condensed(reading)
    check_pinned_key(reading)


def without_bytes(sealed: SealedReceipt) -> SealedReceipt:
    """Return a receipt that was checked, and its names: its bytes stand in the pack, which may hold very many."""
    return SealedReceipt(sealed.content, sealed.receipt_id, sealed.signature, sealed.receipt_hash, b"")


def bound_receipts(reading: Reading) -> dict[str, int]:
    """Return the lamport of the one node that binds each receipt, by receipt_hash. Raises Invalid."""
    refusals = [told.node for told in reading.calls if told.node.kind != NodeKind.INTENT]
    lamports: dict[str, int] = {}
    for node in (*refusals, *reading.outcomes):
        receipt_hash = node.payload["receipt_hash"]
        if receipt_hash in lamports:
            raise Invalid("binds a receipt that another node binds", node.where, CHANGED)
        lamports[receipt_hash] = node.lamport
    return lamports


def check_pinned_key(reading: Reading) -> None:
    """Raise Invalid where the caller pinned another execution key than signed, or one that signed nothing."""
    pinned = reading.root.execution_key
    if not pinned:
        return
    if not reading.receipts:
        raise Invalid("no receipt is there that the pinned key could vouch for", RECEIPTS, "pin the log_id")
    for sealed in reading.receipts.values():
        if reading.registry.keys[sealed.content.key_id].public_key.hex != pinned:
            hint = "ask whoever runs the log whether its key was rotated"
            raise Invalid(f"receipt {sealed.receipt_id} is not signed by the pinned key", RECEIPTS, hint)


def check_chain(reading: Reading) -> None:
    """The receipts of a session are one dense chain from GENESIS on, each over the signature of the one before it."""
    chains, before = SessionChains(), dict.fromkeys(reading.sessions, 0)
    for receipt_hash, where in links_of(reading):
        sealed = reading.receipts.get(receipt_hash)
        if sealed is None:
            leaf = reading.condensed[receipt_hash]
            session = (leaf.tenant, leaf.session)
            chains.link(session, leaf.lamport_clock, leaf.prev_hash, leaf.signature, where)
        elif (session := (sealed.content.tenant, sealed.content.session_id)) not in before:
            raise Invalid("is a receipt of another session", where, CHANGED)
        else:
            chains.extend(sealed.content, sealed.signature, where)
        if reading.lamports[receipt_hash] <= before[session]:
            raise Invalid("stands before the one it follows in the graph", where, CHANGED)
        before[session] = reading.lamports[receipt_hash]


def links_of(reading: Reading) -> list[tuple[str, str]]:
    """Return the hash of every receipt and of every condensed one, with its place, in the order of the clock."""
    placed = [
        (sealed.content.lamport_clock, receipt_hash, receipt_path(sealed.content.lamport_clock, sealed.receipt_id))
        for receipt_hash, sealed in reading.receipts.items()
    ]
    if not reading.condensed:
        return [(receipt_hash, where) for _, receipt_hash, where in placed]
    placed += [(leaf.lamport_clock, leaf.body_hash, LEAVES) for leaf in reading.condensed.values()]
    return [(receipt_hash, where) for _, receipt_hash, where in sorted(placed)]
