"""An envelope wraps evidence and says so; what it proves depends on what its reader brings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.contracts.schema import Schema, SchemaViolation
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import sha256
from helm.evidence.envelopes.examine import CHECKS, EnvelopeTrust, Proved, State
from helm.evidence.envelopes.kinds import EXPERIMENTAL, MEDIA_TYPES, SUFFIXES, EnvelopeKind
from helm.evidence.envelopes.native import read_native
from helm.evidence.envelopes.schemas import OF_ENVELOPES
from helm.evidence.envelopes.statement import STATEMENT, read_statement
from helm.evidence.envelopes.wrap import wrap
from helm.evidence.trust_root import TrustRoot
from helm.trust.registry import Registry
from tests.helm.evidence.envelopes.wrapped import (
    EVIDENCE_KINDS,
    NOON,
    evidence,
    native,
    pen,
    refusing_check,
    root,
    sealed,
    seen,
    wrapped,
)
from tests.helm.evidence.forger import a_log, flipped
from tests.helm.evidence.material import Log, addition, key_of

KINDS = list(EnvelopeKind)


@pytest.mark.parametrize("of", EVIDENCE_KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_envelope_verifies_over_every_kind_of_evidence(kind: EnvelopeKind, of: str) -> None:
    envelope = wrapped(kind, of)
    report = seen(envelope.raw, manifest=sealed(envelope), evidence=evidence(of), root=root())
    assert [finding.state for finding in report.findings] == [State.HELD] * len(CHECKS), report.failed
    assert (report.kind, report.proved) == (kind, Proved.NATIVE)
    assert report.statement == native(of).statement(pen().key_id)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_evidence_under_the_same_key_makes_the_same_bytes(kind: EnvelopeKind) -> None:
    assert wrapped(kind).raw == wrapped(kind).raw


def test_without_the_evidence_the_signature_alone_is_proved() -> None:
    report = seen(wrapped().raw, root=root())
    assert (report.proved, report.failed) == (Proved.SIGNATURE, None)
    told = {finding.name: finding for finding in report.findings}
    assert told["evidence"].state is told["native"].state is State.NOT_MADE
    assert "no more" in told["evidence"].detail


def test_with_the_evidence_and_no_trust_in_it_nothing_is_said_of_whether_it_holds() -> None:
    report = seen(wrapped().raw, evidence=evidence())
    assert report.proved is Proved.EVIDENCE
    assert "--log-id" in report.findings[-1].detail
    alone = seen(wrapped(of="receipt").raw, evidence=evidence("receipt"), root=TrustRoot(log_id=a_log().log_id))
    assert alone.proved is Proved.EVIDENCE and "--execution-key" in alone.findings[-1].detail


def test_a_wrapped_lie_verifies_as_an_envelope_and_not_as_evidence() -> None:
    """The native roots are the authority: whoever holds the evidence key can wrap anything."""
    other = Log(number=2).begin()
    lie = wrap(native("receipt"), EnvelopeKind.DSSE, pen())
    report = seen(
        lie.raw,
        evidence=evidence("receipt"),
        root=TrustRoot(execution_key=other.key(KeyPurpose.EXECUTION).public_key),
    )
    assert (report.proved, report.failed and report.failed.name) == (Proved.NOTHING, "native")
    assert report.body()["statement"] is None


def test_other_evidence_is_refused() -> None:
    for of in EVIDENCE_KINDS[1:]:
        assert refusing_check(wrapped().raw, evidence=evidence(of)) == "evidence"
    assert refusing_check(wrapped().raw, evidence=flipped(evidence())) == "evidence"
    assert refusing_check(wrapped().raw, evidence=b"{}") == "evidence"
    assert refusing_check(wrapped().raw, evidence=b"") == "evidence"


def test_a_receipt_or_checkpoint_is_known_however_it_is_shown() -> None:
    receipt, checkpoint = json.loads(evidence("receipt")), json.loads(evidence("checkpoint"))
    story = json.dumps({"receipt": receipt, "reason": ""}, indent=2).encode()
    shown = json.dumps(checkpoint | {"note": "n", "checkpoint_id": "c", "checkpoint_hash": "h"}, indent=1).encode()
    assert read_native(story).raw == evidence("receipt")
    assert read_native(shown).raw == evidence("checkpoint")
    assert sha256(evidence("receipt")) == native("receipt").statement("k").evidence_hash


@pytest.mark.parametrize("kind", sorted(EXPERIMENTAL))
def test_an_experimental_kind_is_made_and_read_by_whoever_says_so(kind: EnvelopeKind) -> None:
    with pytest.raises(Invalid, match="--experimental"):
        wrap(native(), kind, pen())
    assert refusing_check(wrapped(kind).raw, experimental=False) == "form"


def test_a_key_for_another_purpose_makes_no_envelope() -> None:
    for purpose in KeyPurpose:
        if purpose is not KeyPurpose.EVIDENCE:
            for kind in KINDS:
                with pytest.raises(PurposeMismatch):
                    wrap(native(), kind, key_of(purpose), experimental=True)


def registry_after(*changes: Any) -> Registry:
    log = Log().begin()
    for change in changes:
        log.add_key(change)
    assert log.registry is not None
    return log.registry


def change(kind: str, signer: Any, **more: Any) -> Any:
    import attrs

    return attrs.evolve(addition(signer), kind=kind, **more)


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_says_which_evidence_keys_count(kind: EnvelopeKind) -> None:
    raw = wrapped(kind).raw
    assert refusing_check(raw, trust=EnvelopeTrust(registry=registry_after())) == ""
    rotated = registry_after(change("KEY_ROTATED", pen(9), replaces=pen().key_id))
    assert refusing_check(raw, trust=EnvelopeTrust(registry=rotated)) == ""
    revoked = registry_after(change("KEY_REVOKED", pen()))
    assert refusing_check(raw, trust=EnvelopeTrust(registry=revoked)) == "key"
    assert refusing_check(wrapped(kind, number=2).raw, trust=EnvelopeTrust(registry=registry_after())) == "key"


def test_a_key_of_the_log_that_is_not_for_evidence_counts_for_nothing() -> None:
    raw = wrapped().raw.replace(pen().key_id.encode(), key_of(KeyPurpose.POLICY).key_id.encode())
    assert refusing_check(raw, trust=EnvelopeTrust(registry=registry_after())) == "key"


def test_an_envelope_of_another_log_is_refused_by_a_log_that_knows_the_key() -> None:
    """One evidence key in two logs: what it signs for one says nothing in the other."""
    other = Log(number=2).begin()
    other.add_key(addition(pen()))
    assert refusing_check(wrapped().raw, trust=EnvelopeTrust(registry=other.registry)) == "statement"


def test_trust_comes_from_the_caller_or_there_is_none() -> None:
    with pytest.raises(Invalid, match="cannot vouch for itself"):
        EnvelopeTrust()
    with pytest.raises(Invalid, match="cannot vouch for itself"):
        EnvelopeTrust(key=PublicKey.from_hex(pen().public_key), registry=registry_after())


def test_another_evidence_key_is_named_before_its_signature_is_looked_at() -> None:
    assert refusing_check(wrapped(number=2).raw) == "key"


def test_a_manifest_says_what_surfaces_have_to_say_and_seals_it() -> None:
    envelope = wrapped(EnvelopeKind.IN_TOTO)
    body = sealed(envelope)
    assert body.keys() == {
        "manifest_id", "envelope", "native_evidence_hash", "native_authority", "subject", "statement_hash",
        "payload_type", "payload_hash", "created_at", "manifest_hash",
    }  # fmt: skip
    assert (body["native_authority"], body["created_at"], body["envelope"]) == (True, NOON, "in-toto")
    assert body["native_evidence_hash"] == sha256(evidence())
    assert body["payload_hash"] == sha256(envelope.payload)
    for name, value in body.items():
        wrong = (not value) if name == "native_authority" else value[:-1] + ("0" if value[-1] != "0" else "1")
        assert refusing_check(envelope.raw, manifest=body | {name: wrong}) == "manifest"
        assert refusing_check(envelope.raw, manifest={n: v for n, v in body.items() if n != name}) == "manifest"
    assert refusing_check(envelope.raw, manifest=body | {"more": 1}) == "manifest"
    assert refusing_check(envelope.raw, manifest=[]) == "manifest"
    for other in (wrapped(EnvelopeKind.SLSA), wrapped(EnvelopeKind.IN_TOTO, "receipt")):
        assert refusing_check(envelope.raw, manifest=sealed(other)) == "manifest"


@pytest.mark.parametrize("kind", KINDS)
def test_manifest_and_statement_keep_their_published_schemas_and_edited_ones_break_them(kind: EnvelopeKind) -> None:
    envelope = wrapped(kind)
    bodies = (sealed(envelope), STATEMENT.body(envelope.statement))
    for document, body in zip(OF_ENVELOPES, bodies, strict=True):
        schema = Schema.compile(document, document["$id"])
        schema.check(body)
        for name in body:
            with pytest.raises(SchemaViolation):
                schema.check(body | {name: 1})
            with pytest.raises(SchemaViolation):
                schema.check({other: said for other, said in body.items() if other != name})
        with pytest.raises(SchemaViolation):
            schema.check(body | {"evil": ""})


@pytest.mark.parametrize("change", [{"authoritative": True}, {"version": "2"}, {"evidence_kind": "log"}, {"more": ""}])
def test_a_statement_never_claims_authority(change: dict[str, Any]) -> None:
    body = STATEMENT.body(wrapped().statement)
    with pytest.raises(Invalid):
        read_statement(body | change, "here")


def test_every_kind_has_a_name_for_its_file_and_its_type() -> None:
    assert SUFFIXES.keys() == MEDIA_TYPES.keys() == set(EnvelopeKind)
    assert len(set(SUFFIXES.values())) == len(KINDS)
