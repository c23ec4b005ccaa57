"""Hold what was seen of a server against a vector. Nothing is believed that can be computed or seen otherwise.

1. the answer has the HTTP status, verdict, outcome and reason code that the vector names
2. a receipt came with it, and the same one is there when it is fetched; what nobody judged has none
3. the receipt hashes to its receipt_id, and the key that the caller trusts signed it, for the log the caller trusts
4. the record hashes to its record_hash, which the receipt seals; the decision to its decision_id, which both name
5. receipt, record and decision say the tool, the caller, the verdict and the code; the arguments hash to args_hash
6. what must be bound is there, and is what the policy comes to, where the caller has the policy
7. the session's receipts are one chain up to this one, each signed over the signature before it
8. the counterpart was reached as often as the vector says, and not once more
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from helm.conformance.vector import Vector
from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, kinds_of
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.signed import signed_bytes
from helm.evidence.trust_root import TrustRoot
from helm.evidence.unseal import unseal_decision, unseal_receipt, unseal_record
from helm.receipts.chain import SealedReceipt, SessionChains

SEALED: Final = frozenset(
    {*kinds_of(Receipt), *kinds_of(BoundaryRecord), *kinds_of(Decision), "receipt_id", "record_hash"}
)
"""The members that may have to be bound."""

MAX_WORDS: Final = 500
"""Characters of what is said about one check."""

OTHER: Final = "another one than the answer names"

DISTRUSTED: Final = "no execution key of the server is known: nothing that it signs can be believed"


@attrs.frozen(kw_only=True)
class Asked:
    """What the judged request said. `tool` and `args_hash` are "" where the server is to name them."""

    principal: str
    session_id: str
    tool: str
    args_hash: str
    bindings: Mapping[str, JSONValue] = attrs.field(factory=dict, repr=False)
    """What follows from the policy that the server was served with, where the caller has it."""


@attrs.frozen(kw_only=True)
class Seen:
    """Everything that was seen of one answer, by whoever asked and at the counterpart."""

    asked: Asked
    http: int
    verdict: str
    status: str
    reason_code: str
    receipt_id: str
    answered: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    """The receipt in the answer itself, None where such an answer holds none."""
    story: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    """Receipt, record and decision, as they were fetched afterwards."""
    session: tuple[Mapping[str, Any], ...] = attrs.field(default=(), repr=False)
    """Every receipt of the session, oldest first."""
    deeds: int = 0


@attrs.frozen(kw_only=True)
class Check:
    """One check, and what is wrong; `detail` is "" where it holds."""

    name: str
    detail: str

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.detail

    def body(self) -> dict[str, JSONValue]:
        """Return it as a JSON object."""
        return {"detail": self.detail, "name": self.name, "ok": self.ok}


def judge(vector: Vector, seen: Seen, root: TrustRoot) -> tuple[Check, ...]:
    """Return every check, whether or not one before it held. It never raises for anything that a server said."""
    return tuple(Check(name=name, detail=outcome(step, vector, seen, root)) for name, step in STEPS.items())


def outcome(step: Step, vector: Vector, seen: Seen, root: TrustRoot) -> str:
    """Return what is wrong by one check, "" for nothing."""
    try:
        step(vector, seen, root)
    except Invalid as problem:
        return plain(f"{problem.where}: {problem.what}")
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        return plain(f"what it should be read from is not there: {problem}")
    return ""


def plain(text: str) -> str:
    """Return what may be a server's own words so that they fit into a report: ASCII, and not too much of it (T4)."""
    return text[:MAX_WORDS].encode("ascii", "backslashreplace").decode()


def check_answer(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(1) Raise Invalid unless the answer is the expected one."""
    expected = vector.expected
    for name in ("http", "verdict", "status", "reason_code"):
        found, wanted = getattr(seen, name), getattr(expected, name)
        if found != wanted:
            raise Invalid(f"{found or 'none'}, expected {wanted or 'none'}", name)


def check_receipt(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(2) Raise Invalid unless there is the one receipt that there must be, or none."""
    if not is_judged(vector):
        if seen.receipt_id:
            raise Invalid("a receipt came of what nobody judged", "receipt")
        return
    if not seen.receipt_id:
        raise Invalid("none came with the answer", "receipt")
    fetched = seen.story["receipt"]
    if fetched["receipt_id"] != seen.receipt_id or seen.answered not in (None, fetched):
        raise Invalid("another one is there than the answer says", "receipt")


def check_signature(vector: Vector, seen: Seen, root: TrustRoot) -> None:
    """(3) Raise Invalid unless the trusted key signed the receipt, for the trusted log."""
    if is_judged(vector):
        check_signed(unseal_receipt(seen.story["receipt"], "receipt"), root)


def check_signed(sealed: SealedReceipt, root: TrustRoot) -> None:
    """Raise Invalid unless a receipt is signed as the caller's trust root demands."""
    if not root.execution_key:
        raise Invalid(DISTRUSTED, "signature")
    if root.log_id and sealed.content.log_id != root.log_id:
        raise Invalid(f"it is of another log, {sealed.content.log_id}", "receipt")
    try:
        PublicKey.from_hex(root.execution_key).verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
    except (SignatureInvalid, ValueError) as problem:
        raise Invalid(str(problem), f"signature of {sealed.receipt_id}") from problem


def check_sealed(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(4) Raise Invalid unless record and decision earn their names, and belong to the receipt."""
    if not is_judged(vector):
        return
    receipt = unseal_receipt(seen.story["receipt"], "receipt").content
    record = unseal_record(seen.story["record"], "record")
    decision = unseal_decision(seen.story["decision"], "decision")
    if record.hash != receipt.record_hash:
        raise Invalid(OTHER, "record")
    if decision.id != receipt.decision_id or decision.hash != receipt.decision_hash:
        raise Invalid(OTHER, "decision")
    if record.content.decision_id != decision.id:
        raise Invalid("it names another decision", "record")


def check_said(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(5) Raise Invalid unless all three say what was asked and what was answered."""
    if not is_judged(vector):
        return
    receipt, asked = seen.story["receipt"], seen.asked
    said = {
        "tool": asked.tool,
        "principal": asked.principal,
        "session_id": asked.session_id,
        "args_hash": asked.args_hash,
        "verdict": vector.expected.verdict,
    }
    for name, wanted in said.items():
        for where in ("receipt", "record", "decision"):
            body = seen.story[where]
            found = body["tool_name" if (where, name) == ("record", "tool") else name]
            if wanted and found != wanted:
                raise Invalid(f"it says {found!r} where {wanted!r} was asked", f"{name} of the {where}")
    if (receipt["status"], receipt["reason_code"]) != (vector.expected.status, vector.expected.reason_code):
        raise Invalid(f"it says {receipt['status']} {receipt['reason_code']}", "receipt")
    if receipt["verdict"] != Verdict.ALLOW and seen.story["record"]["reason_code"] != vector.expected.reason_code:
        raise Invalid(f"it says {seen.story['record']['reason_code']}", "reason_code of the record")


def check_bound(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(6) Raise Invalid where something that must be bound is not."""
    for name in vector.must_bind:
        held = [seen.story[where][name] for where in ("receipt", "record", "decision") if name in seen.story[where]]
        if not any(held):
            raise Invalid("no receipt, record or decision holds it", name)
        due = seen.asked.bindings.get(name, held[0])
        if any(one != due for one in held):
            raise Invalid(f"it is {held}, and the policy comes to {due!r}", name)


def check_chain(vector: Vector, seen: Seen, root: TrustRoot) -> None:
    """(7) Raise Invalid unless the session is one chain of signed receipts that reaches this one."""
    if not is_judged(vector):
        return
    chains = SessionChains()
    for body in seen.session:
        sealed = unseal_receipt(body, "session")
        check_signed(sealed, root)
        chains.extend(sealed.content, sealed.signature, "session")
    if seen.receipt_id not in {body["receipt_id"] for body in seen.session}:
        raise Invalid("the receipt is not among those of its session", "session")


def check_deeds(vector: Vector, seen: Seen, _: TrustRoot) -> None:
    """(8) Raise Invalid where the counterpart saw more or less than it must have."""
    if seen.deeds != vector.deeds:
        raise Invalid(f"the counterpart was reached {seen.deeds} times, expected {vector.deeds}", "dispatch")


def is_judged(vector: Vector) -> bool:
    """Tell whether the expected answer is one that leaves a receipt."""
    return vector.expected.verdict != ""


def rests_on_silence(vector: Vector) -> bool:
    """Tell whether what is expected is that the counterpart hears nothing."""
    return is_judged(vector) and vector.must_not_dispatch


Step = Callable[[Vector, Seen, TrustRoot], None]

STEPS: Final[Mapping[str, Step]] = {
    "answer": check_answer,
    "receipt": check_receipt,
    "signature": check_signature,
    "sealed": check_sealed,
    "said": check_said,
    "bound": check_bound,
    "chain": check_chain,
    "dispatch": check_deeds,
}
"""In the order above."""


def failures(checks: tuple[Check, ...]) -> Iterator[str]:
    """Yield what is wrong, one line for each check that does not hold."""
    return (f"{check.name}: {check.detail}" for check in checks if not check.ok)
