"""Verifying an envelope, with a key that the caller brings, against evidence that the caller brings.

Each check stands on the ones before it; the first that does not hold ends the verification.

1. form       the file is one envelope of a kind that HELM makes, in that kind's one form
2. header     its header is the one of its kind: Ed25519, this type of payload, nothing else to be read or believed
3. key        the key that it names is one that the caller trusts with evidence
4. signature  that key signed this payload under this header
5. statement  the payload is a statement in its one form, by this key, and claims no authority
6. manifest   the manifest hashes to its own hash, and is of this envelope
7. evidence   the native evidence is the one that the statement names
8. native     the native evidence verifies by itself

6 to 8 are made of what is handed in. What was proved is said in one word: without the evidence, the signature alone.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.envelopes.envelope_manifest import check_of, facts_of, unseal
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.native import NativeEvidence, check_native, is_enough, read_native
from helm.evidence.envelopes.parted import WHERE, Parted
from helm.evidence.envelopes.statement import STATEMENT, EvidenceStatement
from helm.evidence.envelopes.unwrap import statement_of, unwrap
from helm.evidence.envelopes.wrap import check_wanted
from helm.evidence.proven import Helpers
from helm.evidence.trust_root import TrustRoot
from helm.trust.known_key import KeyStatus
from helm.trust.registry import Registry


class State(StrEnum):
    """How a check came out."""

    HELD = "held"
    FAILED = "failed"
    NOT_MADE = "not made"


class Proved(StrEnum):
    """What a verification shows. Each contains the ones before it."""

    NOTHING = "nothing"
    SIGNATURE = "signature"
    """That the key signed the statement. Nothing about any evidence."""
    EVIDENCE = "evidence"
    """That it is about the evidence that was handed in. Not that this evidence holds."""
    NATIVE = "native"
    """That this evidence holds."""


class NothingHandedIn(Exception):
    """A check for which the caller brought nothing. It says what to bring."""


@attrs.frozen(kw_only=True)
class EnvelopeTrust:
    """What the caller trusts, never taken from the envelope: one evidence key, or the registry of a log."""

    key: PublicKey | None = None
    registry: Registry | None = None
    root: TrustRoot | None = None
    """For the native evidence."""

    def __attrs_post_init__(self) -> None:
        if (self.key is None) == (self.registry is None):
            hint = "ask whoever runs the log for its evidence key, by another way than the envelope came"
            raise Invalid("an envelope cannot vouch for itself: bring one key, or one log", "trust", hint)

    def key_of(self, key_id: str) -> PublicKey:
        """Return the key to verify with. Raises Invalid."""
        if self.registry is not None:
            return registered(self.registry, key_id)
        assert self.key is not None  # noqa: S101 - one of the two is there, by the rule above
        if key_id != self.key.key_id:
            raise Invalid(f"it names {key_id[:80] or 'no key'}, not the key given", WHERE, "is it another log's?")
        return self.key


def registered(registry: Registry, key_id: str) -> PublicKey:
    """Return an evidence key of a log. Raises Invalid for one that was revoked, whenever: an envelope has no time."""
    known = registry.keys.get(key_id)
    if known is None:
        raise Invalid(f"the log never knew {key_id[:80]}", WHERE, "is it another log's envelope?")
    if known.purpose is not KeyPurpose.EVIDENCE:
        raise Invalid(f"the key is for {known.purpose}, not for evidence", WHERE)
    if known.status is KeyStatus.REVOKED:
        hint = "make it anew: helm evidence envelope create"
        raise Invalid("the key was revoked, and nobody can tell whether it signed before or after", WHERE, hint)
    return known.public_key


@attrs.define(kw_only=True)
class Examination:
    """One envelope on the table, and what the caller brought with it."""

    raw: bytes = attrs.field(repr=False)
    trust: EnvelopeTrust
    experimental: bool = False
    manifest: JSONValue = None
    evidence: bytes | None = attrs.field(default=None, repr=False)
    helpers: Helpers | None = None
    parted: Parted = attrs.field(init=False)
    key: PublicKey = attrs.field(init=False)
    statement: EvidenceStatement = attrs.field(init=False)
    native: NativeEvidence = attrs.field(init=False)


def check_form(on: Examination) -> None:
    """The file is one envelope of a kind that HELM makes, in that kind's one form."""
    on.parted = unwrap(on.raw)
    check_wanted(on.parted.kind, experimental=on.experimental)


def check_header(on: Examination) -> None:
    """Its header is the one of its kind: Ed25519, this type of payload, nothing else to be read or believed."""
    if on.parted.header_fault:
        raise Invalid(on.parted.header_fault, WHERE)


def check_key(on: Examination) -> None:
    """The key that it names is one that the caller trusts with evidence."""
    on.key = on.trust.key_of(on.parted.key_id)


def check_signature(on: Examination) -> None:
    """That key signed this payload under this header."""
    try:
        on.key.verify(on.parted.domain, on.parted.said, on.parted.signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), WHERE, "it was edited or forged") from problem


def check_statement(on: Examination) -> None:
    """The payload is a statement in its one form, by this key, and claims no authority."""
    on.statement = statement_of(on.parted)
    if on.statement.key_id != on.key.key_id:
        raise Invalid("the statement names another key than the one that signed it", WHERE)
    log_id = "" if on.trust.registry is None else on.trust.registry.log_id
    if log_id not in ("", on.statement.log_id):
        raise Invalid("the statement is about another log", WHERE)


def check_manifest(on: Examination) -> None:
    """The manifest hashes to its own hash, and is of this envelope."""
    if on.manifest is None:
        raise NothingHandedIn("no manifest was handed in")
    parted = on.parted
    check_of(unseal(on.manifest), facts_of(on.raw, parted.kind, parted.payload_type, parted.payload, on.statement))


def check_evidence(on: Examination) -> None:
    """The native evidence is the one that the statement names."""
    if on.evidence is None:
        raise NothingHandedIn("no evidence was handed in: it shows that the key signed the statement, and no more")
    on.native = read_native(on.evidence)
    found = STATEMENT.body(on.native.statement(on.key.key_id))
    for name, said in STATEMENT.body(on.statement).items():
        if found[name] != said:
            hint = "it is about other evidence; the native evidence is the authority"
            raise Invalid(f"its {name} is not what the statement says", "evidence", hint)


def check_natively(on: Examination) -> None:
    """The native evidence verifies by itself."""
    root = on.trust.root
    if on.evidence is None:
        raise NothingHandedIn("no evidence was handed in")
    if root is None or not is_enough(on.native, root):
        what = "a pack's needs --log-id or another pin" if on.native.kind == "pack" else "needs --execution-key"
        raise NothingHandedIn(f"the envelope does not say whether the evidence holds; to find out {what}")
    check_native(on.native, root, on.helpers)


Check = Callable[[Examination], None]

CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("form", check_form),
    ("header", check_header),
    ("key", check_key),
    ("signature", check_signature),
    ("statement", check_statement),
    ("manifest", check_manifest),
    ("evidence", check_evidence),
    ("native", check_natively),
)


@attrs.frozen(kw_only=True)
class Finding:
    """How one check came out, and what is to be said of it."""

    number: int
    name: str
    promise: str
    state: State
    detail: str = ""

    def body(self) -> dict[str, JSONValue]:
        """Return the finding as a JSON object."""
        return attrs.asdict(self) | {"state": self.state.value}


@attrs.frozen(kw_only=True)
class EnvelopeReport:
    """Every check of one envelope, in order."""

    findings: tuple[Finding, ...]
    kind: EnvelopeKind | None
    statement: EvidenceStatement | None

    @property
    def failed(self) -> Finding | None:
        """The check that did not hold, None where every one did that was made."""
        return next((finding for finding in self.findings if finding.state is State.FAILED), None)

    @property
    def proved(self) -> Proved:
        """What this verification shows."""
        held = {finding.name for finding in self.findings if finding.state is State.HELD}
        if self.failed is not None or "statement" not in held:
            return Proved.NOTHING
        if "native" in held:
            return Proved.NATIVE
        return Proved.EVIDENCE if "evidence" in held else Proved.SIGNATURE

    def body(self) -> dict[str, JSONValue]:
        """Return the report as a JSON object. A statement that does not hold is not repeated."""
        holds = self.statement is not None and self.proved is not Proved.NOTHING
        return {
            "authoritative": False,
            "checks": [finding.body() for finding in self.findings],
            "envelope": "" if self.kind is None else self.kind.value,
            "proved": self.proved.value,
            "statement": STATEMENT.body(self.statement) if holds and self.statement is not None else None,
            "verified": self.proved is not Proved.NOTHING,
        }


def examine(on: Examination) -> EnvelopeReport:
    """Make every check, up to the first that does not hold. Never raises for what is in the envelope or evidence."""
    findings, failed = list[Finding](), 0
    for number, (name, check) in enumerate(CHECKS, 1):
        promise = (check.__doc__ or "").removesuffix(".")
        if failed:
            state, detail = State.NOT_MADE, f"check {failed} did not hold"
        else:
            state, detail = outcome(on, check)
        failed = failed or (number if state is State.FAILED else 0)
        findings.append(Finding(number=number, name=name, promise=promise, state=state, detail=detail))
    return EnvelopeReport(
        findings=tuple(findings),
        kind=on.parted.kind if findings[0].state is State.HELD else None,
        statement=on.statement if findings[4].state is State.HELD else None,
    )


def outcome(on: Examination, check: Check) -> tuple[State, str]:
    """Return how a check comes out, and why it does not hold or was not made."""
    try:
        check(on)
    except NothingHandedIn as nothing:
        return State.NOT_MADE, str(nothing)
    except Invalid as problem:
        return State.FAILED, str(problem)
    return State.HELD, ""
