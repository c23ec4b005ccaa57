"""Verifying offline that an artifact was built by whom, in which way and from what a policy allows.

1. policy     the policy can be read in one way only, and every allowlist in it allows something
2. envelope   the provenance is a DSSE envelope around an in-toto statement
3. signature  a key of an allowed builder signed it
4. statement  it states SLSA provenance, in a version that is read
5. builder    the builder that it names is one for which that very key may sign
6. build      the way of building is allowed, with no parameter that the policy does not know
7. source     repository and ref are allowed
8. subject    the artifact's SHA-256 is among the subjects

The order is that of slsa.dev/spec/v1.0/verifying-artifacts, the artifact last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.dsse import Envelope, read_envelope
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import PREFIX
from helm.crypto.statement import PAYLOAD_TYPE, StatedSubject, Statement, read_statement
from helm.supply.findings import Checks, Findings, examine
from helm.supply.outside_key import OutsideKey
from helm.supply.provenance import Provenance, parameter_at, read_provenance
from helm.supply.provenance_policy import BuildType, ProvenancePolicy, read_policy

SHA256: Final = "sha256"


@attrs.define(kw_only=True)
class ProvenanceReading:
    """What is looked at, and what the checks have read of it so far."""

    raw: bytes = attrs.field(repr=False)
    policy_raw: bytes = attrs.field(repr=False)
    artifact: bytes
    """Its SHA-256."""
    policy: ProvenancePolicy = attrs.field(init=False)
    envelope: Envelope = attrs.field(init=False)
    signers: frozenset[bytes] = attrs.field(init=False)
    """The keys whose signatures hold."""
    statement: Statement = attrs.field(init=False)
    provenance: Provenance = attrs.field(init=False)
    build_type: BuildType = attrs.field(init=False)
    subject: StatedSubject = attrs.field(init=False)


def verify_provenance(reading: ProvenanceReading) -> Findings:
    """Make every check, in order. Never raises for what is in the envelope or the policy."""
    return examine(CHECKS, reading, established)


def check_policy(reading: ProvenanceReading) -> None:
    """The policy can be read in one way only, and every allowlist in it allows something."""
    reading.policy = policy = read_policy(reading.policy_raw)
    for name, entries in (
        ("builders", policy.builders),
        ("build_types", policy.build_types),
        ("sources", policy.sources),
    ):
        if not entries:
            raise empty(name)
    for builder in policy.builders:
        if not builder.keys:
            raise empty(f"keys of the builder {builder.id}")
    for source in policy.sources.values():
        if not source.refs:
            raise empty(f"refs of the source {source.repository}")


def empty(what: str) -> Invalid:
    return Invalid(f"{what}: an empty allowlist allows nothing", "policy", "name what you trust, or nothing is taken")


def check_envelope(reading: ProvenanceReading) -> None:
    """The provenance is a DSSE envelope around an in-toto statement."""
    reading.envelope = read_envelope(reading.raw)
    if reading.envelope.payload_type != PAYLOAD_TYPE:
        raise Invalid(f"a payload of the type {reading.envelope.payload_type!r}, not {PAYLOAD_TYPE}", "envelope")


def check_signature(reading: ProvenanceReading) -> None:
    """A key of an allowed builder signed it."""
    keys = {key.der: key for builder in reading.policy.builders for key in builder.keys}
    reading.signers = frozenset(der for der, key in keys.items() if has_signed(reading.envelope, key))
    if not reading.signers:
        hint = "is the builder's key in the policy? signatures by certificate (keyless) are not verified here"
        raise Invalid("no signature is of a key that the policy names", "envelope", hint)


def has_signed(envelope: Envelope, key: OutsideKey) -> bool:
    """Tell whether one of the signatures is this key's. Names of keys are not looked at: they prove nothing."""
    return any(is_signature(key, envelope.signed_bytes, one.raw) for one in envelope.signatures)


def is_signature(key: OutsideKey, signed: bytes, raw: bytes) -> bool:
    try:
        key.verify(signed, raw)
    except SignatureInvalid:
        return False
    return True


def check_statement(reading: ProvenanceReading) -> None:
    """It states SLSA provenance, in a version that is read."""
    reading.statement = read_statement(reading.envelope.payload)
    reading.provenance = read_provenance(reading.statement)


def check_builder(reading: ProvenanceReading) -> None:
    """The builder that it names is one for which that very key may sign."""
    builder_id = reading.provenance.builder_id
    named = [one for one in reading.policy.builders if one.id == builder_id]
    if not named:
        raise Invalid(f"the builder {builder_id!r} is not allowed", "runDetails.builder.id", "ids are compared whole")
    if not any(key.der in reading.signers for builder in named for key in builder.keys):
        raise Invalid(f"signed by a key that is not one of {builder_id!r}", "runDetails.builder.id", "who claims this?")


def check_build(reading: ProvenanceReading) -> None:
    """The way of building is allowed, with no parameter that the policy does not know."""
    uri = reading.provenance.build_type
    build_type = reading.policy.build_types.get(uri)
    if build_type is None:
        raise Invalid(f"the build type {uri!r} is not allowed", "buildDefinition.buildType")
    spare = sorted(reading.provenance.parameters.keys() - build_type.parameters)
    if spare:
        hint = "a parameter that nobody understands may change what is built: add it to the build type if you do"
        raise Invalid(f"a parameter that is not allowed: {spare[0][:40]!r}", "buildDefinition.externalParameters", hint)
    reading.build_type = build_type


def check_source(reading: ProvenanceReading) -> None:
    """Repository and ref are allowed."""
    repository = parameter_at(reading.provenance, reading.build_type.repository)
    source = reading.policy.sources.get(repository)
    if source is None:
        raise Invalid(f"the source {repository!r} is not allowed", "buildDefinition.externalParameters")
    ref = parameter_at(reading.provenance, reading.build_type.ref)
    if ref not in source.refs:
        raise Invalid(f"the ref {ref!r} of {repository!r} is not allowed", "buildDefinition.externalParameters")


def check_subject(reading: ProvenanceReading) -> None:
    """The artifact's SHA-256 is among the subjects."""
    subjects = reading.statement.subjects
    for subject in subjects:
        if subject.digests.get(SHA256) == reading.artifact.hex():
            reading.subject = subject
            return
    if not any(SHA256 in subject.digests for subject in subjects):
        raise Invalid("no subject has a SHA-256", "subject", "ask the builder for one: no other digest is compared")
    raise Invalid("the artifact is none of the subjects", "subject", "this provenance is of something else")


def established(reading: ProvenanceReading) -> Mapping[str, JSONValue]:
    """Return what provenance that was verified proves."""
    return {
        "artifact": PREFIX + reading.artifact.hex(),
        "build_type": reading.provenance.build_type,
        "builder": reading.provenance.builder_id,
        "name": reading.subject.name,
        "ref": parameter_at(reading.provenance, reading.build_type.ref),
        "repository": parameter_at(reading.provenance, reading.build_type.repository),
    }


CHECKS: Final[Checks[ProvenanceReading]] = (
    ("policy", check_policy),
    ("envelope", check_envelope),
    ("signature", check_signature),
    ("statement", check_statement),
    ("builder", check_builder),
    ("build", check_build),
    ("source", check_source),
    ("subject", check_subject),
)
