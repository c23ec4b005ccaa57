"""One host receipt: what a recorder outside HELM saw leave a host, read strictly.

It proves nothing by itself. What it says of hardware is kept as it is said, and believed by nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Malformed, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, ordered_bytes, reread
from helm.crypto.hashing import sha256
from helm.evidence.trust_root import is_hash
from helm.guardian.address import IPAddress, reached_address
from helm.guardian.destination import normalise

VERSION: Final = "external_host_receipt.v1"

CONTEXT: Final = VERSION.encode() + b"\n"
"""What stands before the bytes that a recorder signs: a key that signs other things too signs none of them here."""

ED25519: Final = "Ed25519"
ES256: Final = "ES256"

GENESIS: Final = "GENESIS"
"""What the first receipt of a recorder names as the one before it."""

MAX_RECEIPT_BYTES: Final = 64 * 1024
"""Largest receipt in canonical bytes: an attestation of hardware fits in (T4)."""

MAX_TEXT: Final = 1_024
"""Longest text of a receipt but for what hardware said, in characters (T4)."""

MAX_ANCESTRY: Final = 64
"""Most processes above the one that spoke (T4)."""

MAX_ROOT_MEMBERS: Final = 16
MAX_ROOT_TEXT: Final = 32 * 1024
"""The bounds of what a receipt says of hardware (T4)."""

MUST: Final[Mapping[str, type]] = MappingProxyType(
    {
        "event": dict,
        "host_id": str,
        "prev_receipt_hash": str,
        "receipt_hash": str,
        "receipt_id": str,
        "recorded_at": str,
        "signature": str,
        "signature_algorithm": str,
        "signing_key_id": str,
    }
)
MAY: Final[Mapping[str, type]] = MappingProxyType(
    {
        "agent_id": str,
        "hardware_root": dict,
        "process_ancestry": list,
        "process_identity": str,
        "sandbox_lease_id": str,
        "version": str,
        "workload_id": str,
    }
)
EVENT_MUST: Final[Mapping[str, type]] = MappingProxyType(
    {"destination_ip": str, "destination_port": int, "protocol": str, "timestamp": str}
)
EVENT_MAY: Final[Mapping[str, type]] = MappingProxyType(
    {"bytes_received": int, "bytes_sent": int, "destination_host": str, "verdict": str}
)

SAFE: Final = 2**53
MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
ROOT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

UNREADABLE: Final = "hand over the file as the recorder wrote it"


@attrs.frozen(kw_only=True)
class HostReceipt:
    """A receipt whose members are what they must be. Neither hash nor signature is checked yet."""

    where: str
    body: dict[str, JSONValue] = attrs.field(repr=False)
    """As it was read, members in canonical order."""

    receipt_id: str
    host_id: str
    agent_id: str
    workload_id: str
    sandbox_lease_id: str
    processes: tuple[str, ...]
    """The process that spoke, then those above it."""
    host: str
    """The name that it spoke to, "" where the recorder knew none."""
    address: IPAddress
    """Where its packets ended: the IPv4 address inside a mapped IPv6 one."""
    port: int
    at_ms: int
    bytes_sent: int
    receipt_hash: str
    prev_receipt_hash: str
    signing_key_id: str
    signature_algorithm: str
    signature: str
    has_hardware_root: bool

    @property
    def line(self) -> bytes:
        """The receipt in canonical bytes."""
        return ordered_bytes(self.body)

    @property
    def signed(self) -> bytes:
        """What is signed behind CONTEXT: the receipt with an empty signature."""
        return ordered_bytes(self.body | {"signature": ""})

    def check_hash(self) -> None:
        """Raise Invalid unless the receipt hashes to its own hash: canonical, with neither hash nor signature."""
        if sha256(ordered_bytes(self.body | {"receipt_hash": "", "signature": ""})) != self.receipt_hash:
            raise Invalid(f"{self.receipt_id} does not hash to its receipt_hash", self.where, "it was edited")


def read_receipt(body: JSONValue, where: str) -> HostReceipt:
    """Return the receipt that a parsed value is. Raises Invalid, naming the first member that is wrong."""
    check_members(body, MUST, MAY, where)
    event = body["event"]
    check_members(event, EVENT_MUST, EVENT_MAY, f"{where} event")
    ordered = in_order(body, where)
    check_words(ordered, where)
    check_root(ordered.get("hardware_root"), where)
    moment_ms(body["recorded_at"], f"{where} recorded_at")
    for name in ("bytes_received", "bytes_sent"):
        if not 0 <= event.get(name, 0) < SAFE:
            raise Invalid(f"{name} is {event[name]}", f"{where} event", UNREADABLE)
    if not 0 < event["destination_port"] < 65_536:
        raise Invalid(f"there is no port {event['destination_port']}", f"{where} event", UNREADABLE)
    return HostReceipt(
        where=where,
        body=ordered,
        receipt_id=body["receipt_id"],
        host_id=body["host_id"],
        agent_id=body.get("agent_id", ""),
        workload_id=body.get("workload_id", ""),
        sandbox_lease_id=body.get("sandbox_lease_id", ""),
        processes=tuple(filter(None, (body.get("process_identity", ""), *body.get("process_ancestry", ())))),
        host=host_of(event, where),
        address=address_of(event["destination_ip"], where),
        port=event["destination_port"],
        at_ms=moment_ms(event["timestamp"], f"{where} event timestamp"),
        bytes_sent=event.get("bytes_sent", 0),
        receipt_hash=body["receipt_hash"],
        prev_receipt_hash=body["prev_receipt_hash"],
        signing_key_id=body["signing_key_id"],
        signature_algorithm=body["signature_algorithm"],
        signature=body["signature"],
        has_hardware_root="hardware_root" in body,
    )


def check_members(body: JSONValue, must: Mapping[str, type], may: Mapping[str, type], where: str) -> None:
    """Raise Invalid unless `body` is an object of these members and no other, each of its type."""
    if type(body) is not dict:
        raise Invalid("is no object", where, UNREADABLE)
    missing, spare = must.keys() - body.keys(), body.keys() - must.keys() - may.keys()
    if missing or spare:
        what = f"misses {min(missing)}" if missing else f"has a member that no receipt has: {min(spare)[:80]!r}"
        raise Invalid(what, where, UNREADABLE)
    for name, value in body.items():
        kind = must.get(name) or may[name]
        if type(value) is not kind:
            raise Invalid(f"{name} is of another type than {kind.__name__}", where, UNREADABLE)


def in_order(body: dict[str, JSONValue], where: str) -> dict[str, Any]:
    """Return the receipt with all members in canonical order. Raises Invalid for one that is too large or deep."""
    try:
        written = canonical(body, max_bytes=MAX_RECEIPT_BYTES, max_depth=4)
    except Malformed as problem:
        raise Invalid(str(problem), where, UNREADABLE) from problem
    ordered: dict[str, Any] = reread(written)
    return ordered


def check_words(body: dict[str, JSONValue], where: str) -> None:
    """Raise Invalid unless every text is one line of a bounded length, and hashes and names are such."""
    ancestry = body.get("process_ancestry", [])
    if len(ancestry) > MAX_ANCESTRY or not all(type(one) is str for one in ancestry):
        raise Invalid(f"process_ancestry is not a list of at most {MAX_ANCESTRY} texts", where, UNREADABLE)
    texts = [value for part in (body, body["event"]) for value in part.values() if type(value) is str]
    for text in (*texts, *ancestry):
        if not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise Invalid(f"{text[:40]!r} is empty, longer than {MAX_TEXT}, or not one line", where, UNREADABLE)
    before = body["prev_receipt_hash"]
    if not is_hash(body["receipt_hash"]) or not (before == GENESIS or is_hash(before)):
        raise Invalid("a hash is sha256: and 64 lower-case hex digits; the first names GENESIS", where, UNREADABLE)
    if body["signature_algorithm"] not in (ED25519, ES256):
        raise Invalid(f"neither {ED25519} nor {ES256}: {body['signature_algorithm']!r}", where, UNREADABLE)
    if body.get("version", VERSION) != VERSION:
        raise Invalid(f"is of version {body['version']!r}, not {VERSION}", where, UNREADABLE)


def check_root(root: dict[str, JSONValue] | None, where: str) -> None:
    """Raise Invalid unless what is said of hardware names its type and has plain members. None of it is believed."""
    if root is None:
        return
    plain = all(ROOT_NAME.fullmatch(name) and is_plain(value) for name, value in root.items())
    if type(root.get("type")) is not str or len(root) > MAX_ROOT_MEMBERS or not plain:
        what = f"hardware_root is not its type and at most {MAX_ROOT_MEMBERS} plain members"
        raise Invalid(what, where, UNREADABLE)


def is_plain(value: JSONValue) -> bool:
    """Tell whether a member of a hardware root is a text within bounds, a whole number or a truth value."""
    if type(value) is str:
        return len(value) <= MAX_ROOT_TEXT and value.isprintable()
    return type(value) is bool or (type(value) is int and abs(value) < SAFE)


def address_of(text: str, where: str) -> IPAddress:
    """Return where packets to an address end. Raises Invalid for what is none, or one with a zone."""
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or "%" in text:
        raise Invalid(f"{text[:80]!r} is no IP address", f"{where} event", UNREADABLE)
    return reached_address(address)


def host_of(event: dict[str, JSONValue], where: str) -> str:
    """Return the name that was spoken to, in one spelling, "" where there is none. Raises Invalid."""
    text = event.get("destination_host", "")
    if not text:
        return ""
    try:
        said = normalise(f"[{text}]" if ":" in text else text)  # so that a scheme or a port is refused there
    except Refused as problem:
        raise Invalid(problem.reason, f"{where} event", UNREADABLE) from problem
    if not said.is_ip:
        return said.host
    if address_of(said.host, where) != address_of(event["destination_ip"], where):
        raise Invalid(f"{text[:80]!r} is another address than the one it names", f"{where} event", UNREADABLE)
    return ""


def moment_ms(text: str, where: str) -> int:
    """Return the milliseconds since 1970 of a moment that RFC 3339 writes. Raises Invalid."""
    try:
        if MOMENT.fullmatch(text) is None:
            raise ValueError("not of that form")
        at_ms = (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as problem:
        what = f"{text[:80]!r} is not a moment like 2026-11-21T09:30:00Z"
        raise Invalid(what, where, UNREADABLE) from problem
    if at_ms < 0:
        raise Invalid(f"{text[:80]!r} is before 1970", where, UNREADABLE)
    return at_ms
