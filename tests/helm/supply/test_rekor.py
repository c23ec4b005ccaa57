"""Entries of a transparency log: what a log would have to do to be believed, and every way of pretending it."""

import json
from base64 import b64decode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.dsse import Envelope
from helm.proofgraph.merkle import leaf_hash
from helm.supply.findings import Findings
from helm.supply.log_checkpoint import Log as TrustedLog
from helm.supply.rekor import CHECKS, LogReading, verify_log_entry
from tests.helm.supply.keys import KINDS, Signing, ed25519, p256
from tests.helm.supply.logs import ARTIFACT, NAME, SIGNER, Log, b64, bundle, dsse, envelope, hashedrekord

DIGEST: Final = sha256(ARTIFACT).digest()
PAYLOAD: Final = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "tool", "digest": {"sha256": DIGEST.hex()}}],
        "predicateType": "https://example.com/p",
        "predicate": {},
    }
).encode()


def _verify(answer: Any, log: Log, **more: Any) -> Findings:
    trusted = TrustedLog(name=NAME, key=log.key.public)
    given = {"artifact": DIGEST} | more
    return verify_log_entry(LogReading(raw=json.dumps(answer).encode(), log=trusted, **given))


def _refused_by(findings: Findings) -> str:
    assert findings.failed is not None, "it was believed"
    assert not findings.about
    return findings.failed.name


def _proof(answer: dict[str, Any]) -> dict[str, Any]:
    [entry] = answer.values()
    proof: dict[str, Any] = entry["verification"]["inclusionProof"]
    return proof


def _entry(answer: dict[str, Any]) -> dict[str, Any]:
    [entry] = answer.values()
    assert isinstance(entry, dict)
    return entry


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def log(request: pytest.FixtureRequest) -> Log:
    kind: Callable[[int], Signing] = request.param
    return Log(kind(1))


def test_an_entry_that_the_log_holds_is_believed(log: Log) -> None:
    findings = _verify(log.answer(hashedrekord()), log)
    assert findings.verified
    assert findings.about["digest"] == f"sha256:{DIGEST.hex()}"
    assert findings.about["tree_size"] == 6
    assert findings.about["integrated_at_s"] == 1_700_000_000


def test_every_check_has_its_line(log: Log) -> None:
    findings = _verify(log.answer(hashedrekord()), log)
    assert [one.name for one in findings.outcomes] == [name for name, _ in CHECKS]
    assert all(one.promise and one.promise[0].isupper() for one in findings.outcomes)


def test_a_time_that_nobody_signed_is_not_told(log: Log) -> None:
    answer = log.answer(hashedrekord())
    del _entry(answer)["verification"]["signedEntryTimestamp"]
    findings = _verify(answer, log)
    assert findings.verified
    assert findings.about["integrated_at_s"] == 0


def test_an_entry_without_a_proof_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    del _entry(answer)["verification"]["inclusionProof"]
    assert _refused_by(_verify(answer, log)) == "entry"


def test_an_entry_under_another_id_is_refused(log: Log) -> None:
    [entry] = log.answer(hashedrekord()).values()
    assert _refused_by(_verify({"00" * 40: entry}, log)) == "entry"


def test_the_proof_of_another_leaf_is_refused(log: Log) -> None:
    first, second = log.answer(hashedrekord(b"another")), log.answer(hashedrekord())
    _entry(second)["verification"]["inclusionProof"] = log.proof(5)
    assert _refused_by(_verify(second, log)) == "inclusion"
    assert _verify(first, log, artifact=sha256(b"another").digest()).verified


@pytest.mark.parametrize("bit", range(3))
def test_a_proof_with_a_changed_hash_is_refused(log: Log, bit: int) -> None:
    answer = log.answer(hashedrekord())
    hashes = _proof(answer)["hashes"]
    at = bit % len(hashes)
    hashes[at] = f"{int(hashes[at], 16) ^ 1:064x}"
    assert _refused_by(_verify(answer, log)) == "inclusion"


def test_a_proof_that_goes_on_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _proof(answer)["hashes"].append("00" * 32)
    assert _refused_by(_verify(answer, log)) == "inclusion"


def test_a_proof_with_more_hashes_than_any_tree_has_is_not_looked_at(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _proof(answer)["hashes"] = ["00" * 32] * 65
    assert _refused_by(_verify(answer, log)) == "entry"


def test_a_root_beside_the_checkpoint_s_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _proof(answer)["rootHash"] = "00" * 32
    assert _refused_by(_verify(answer, log)) == "head"


def test_a_size_beside_the_checkpoint_s_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _proof(answer)["treeSize"] += 1
    assert _refused_by(_verify(answer, log)) == "head"


def test_a_checkpoint_of_another_origin_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    for origin in ("other.example - 42", f"{NAME}.evil - 42", f"{NAME} - x", f"{NAME} -42", f"x{NAME}"):
        _proof(answer)["checkpoint"] = log.checkpoint(origin=origin)
        assert _refused_by(_verify(answer, log)) == "checkpoint"


def test_a_checkpoint_signed_under_another_name_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _proof(answer)["checkpoint"] = log.checkpoint(name="other.example")
    assert _refused_by(_verify(answer, log)) == "checkpoint"


def test_a_checkpoint_signed_by_another_key_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    forged = Log(p256(9), tree=log.tree).checkpoint()
    _proof(answer)["checkpoint"] = forged
    assert _refused_by(_verify(answer, log)) == "checkpoint"
    name, raw = forged.rsplit(" ", 1)
    hinted = log.key.public.fingerprint[:4] + b64decode(raw)[4:]
    _proof(answer)["checkpoint"] = f"{name} {b64(hinted)}\n"
    assert _refused_by(_verify(answer, log)) == "checkpoint"


def test_a_checkpoint_that_was_changed_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    note = _proof(answer)["checkpoint"]
    _proof(answer)["checkpoint"] = note.replace("\n6\n", "\n7\n")
    _proof(answer)["treeSize"] = 7
    assert _refused_by(_verify(answer, log)) == "checkpoint"


def test_a_checkpoint_with_extensions_is_read(log: Log) -> None:
    assert _verify(attrs.evolve(log, extensions="Timestamp: 1\n").answer(hashedrekord()), log).verified


def test_an_entry_of_another_log_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    _entry(answer)["logID"] = "00" * 32
    assert _refused_by(_verify(answer, log)) == "log"


@pytest.mark.parametrize(
    ("member", "value"), [("integratedTime", 1_700_000_001), ("logIndex", 7), ("integratedTime", 0)]
)
def test_a_timestamp_over_something_else_is_refused(log: Log, member: str, value: int) -> None:
    answer = log.answer(hashedrekord())
    _entry(answer)[member] = value
    assert _refused_by(_verify(answer, log)) == "timestamp"


def test_a_timestamp_over_another_body_is_refused(log: Log) -> None:
    other, answer = log.answer(hashedrekord(b"another")), log.answer(hashedrekord())
    stamp = _entry(other)["verification"]["signedEntryTimestamp"]
    _entry(answer)["verification"]["signedEntryTimestamp"] = stamp
    assert _refused_by(_verify(answer, log)) == "timestamp"


def test_an_entry_about_another_artifact_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    assert _refused_by(_verify(answer, log, artifact=sha256(b"another").digest())) == "subject"


def test_an_entry_that_is_about_nothing_at_hand_is_refused(log: Log) -> None:
    assert _refused_by(_verify(log.answer(hashedrekord()), log, artifact=None)) == "subject"


def test_an_entry_under_another_signer_s_key_is_refused(log: Log) -> None:
    answer = log.answer(hashedrekord())
    assert _verify(answer, log, signer=SIGNER.public).verified
    assert _refused_by(_verify(answer, log, signer=ed25519(5).public)) == "subject"


def test_an_envelope_is_found_in_the_log(log: Log) -> None:
    signed = envelope(PAYLOAD)
    answer = log.answer(dsse(signed))
    assert _verify(answer, log, envelope=signed, artifact=None).verified
    assert _verify(answer, log, envelope=signed).verified
    assert _refused_by(_verify(answer, log)) == "subject"


@pytest.mark.parametrize(
    "other",
    [
        envelope(b"{}"),
        envelope(PAYLOAD, p256(3)),
        attrs.evolve(envelope(PAYLOAD), signatures=()),
        attrs.evolve(envelope(PAYLOAD), payload=b"{}"),
    ],
    ids=["another payload", "another signature", "no signature", "another payload under the same signature"],
)
def test_an_entry_about_another_envelope_is_refused(log: Log, other: Envelope) -> None:
    answer = log.answer(dsse(envelope(PAYLOAD)))
    assert _refused_by(_verify(answer, log, envelope=other, artifact=None)) == "subject"


def test_a_payload_is_not_taken_for_an_artifact(log: Log) -> None:
    """The record says that an envelope was logged; its bare payload was never what anybody signed."""
    answer = log.answer(dsse(envelope(PAYLOAD)))
    findings = _verify(answer, log, artifact=sha256(PAYLOAD).digest())
    assert _refused_by(findings) == "subject"


def test_an_artifact_that_the_statement_does_not_name_is_refused(log: Log) -> None:
    signed = envelope(PAYLOAD)
    findings = _verify(log.answer(dsse(signed)), log, envelope=signed, artifact=bytes(32))
    assert _refused_by(findings) == "subject"


def test_a_bundle_is_believed_for_the_envelope_it_brings(log: Log) -> None:
    signed = envelope(PAYLOAD)
    assert _verify(bundle(log.answer(dsse(signed)), signed), log, artifact=None).verified


def test_a_bundle_around_another_entry_is_refused(log: Log) -> None:
    signed = envelope(PAYLOAD)
    swapped = bundle(log.answer(dsse(envelope(PAYLOAD, p256(3)))), signed)
    assert _refused_by(_verify(swapped, log, artifact=None)) == "subject"


def test_a_bundle_beside_another_envelope_is_refused(log: Log) -> None:
    signed = envelope(PAYLOAD)
    whole = bundle(log.answer(dsse(signed)), signed)
    assert _refused_by(_verify(whole, log, artifact=None, envelope=envelope(b"{}"))) == "subject"


def test_a_bundle_that_says_another_kind_than_its_entry_is_refused(log: Log) -> None:
    signed = envelope(PAYLOAD)
    whole = bundle(log.answer(dsse(signed)), signed)
    whole["verificationMaterial"]["tlogEntries"][0]["kindVersion"]["kind"] = "hashedrekord"
    assert _refused_by(_verify(whole, log, artifact=None)) == "body"


@pytest.mark.parametrize(
    "change",
    [
        {"mediaType": "application/vnd.dev.sigstore.bundle.v0.4+json"},
        {"messageSignature": {"signature": "QQ=="}},
        {"more": 1},
        {"verificationMaterial": {"tlogEntries": []}},
        {"verificationMaterial": {"publicKey": {}, "tlogEntries": []}},
    ],
)
def test_a_bundle_in_another_form_is_refused(log: Log, change: dict[str, Any]) -> None:
    signed = envelope(PAYLOAD)
    assert _refused_by(_verify(bundle(log.answer(dsse(signed)), signed) | change, log)) == "entry"


@pytest.mark.parametrize(
    "record",
    [
        {"apiVersion": "0.0.1", "kind": "rpm", "spec": {}},
        {"apiVersion": "0.0.9", "kind": "hashedrekord", "spec": {}},
        hashedrekord() | {"more": 1},
        hashedrekord() | {"spec": {}},
        hashedrekord() | {"spec": {"data": {"hash": {"algorithm": "sha1", "value": "00" * 20}}, "signature": {}}},
        {"kind": "hashedrekord"},
        [],
    ],
)
def test_a_record_in_another_shape_is_refused(log: Log, record: Any) -> None:
    assert _refused_by(_verify(log.answer(record), log)) == "body"


def test_a_digest_of_another_algorithm_is_not_taken_for_ours(log: Log) -> None:
    record = hashedrekord()
    record["spec"]["data"]["hash"]["algorithm"] = "sha512"
    assert _refused_by(_verify(log.answer(record), log)) == "body"


def test_a_log_s_key_of_another_kind_verifies_nothing() -> None:
    log = Log(p256(1))
    trusted = attrs.evolve(log, key=ed25519(1))
    assert _refused_by(_verify(log.answer(hashedrekord()), trusted)) == "log"


def test_a_name_that_no_note_can_carry_is_no_log() -> None:
    for name in ("", "a b", "a+b", "x" * 256, "a\nb"):
        with pytest.raises(Invalid):
            TrustedLog(name=name, key=p256(1).public)


def test_an_inner_node_is_no_entry(log: Log) -> None:
    """The two hashes under a node, offered as a leaf's body, do not hash to the node."""
    answer = log.answer(hashedrekord())
    left, right = (leaf_hash(b"entry %d" % one) for one in (0, 1))
    body = left + right
    _entry(answer)["body"] = b64(body)
    [entry] = answer.values()
    entry["verification"]["inclusionProof"] |= {"logIndex": 0, "hashes": _proof(answer)["hashes"][1:]}
    assert _refused_by(_verify({"ab" * 8 + leaf_hash(body).hex(): entry}, log)) == "body"


def hashedrekord_2() -> dict[str, Any]:
    """Return a record of the second version, over the artifact."""
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": b64(SIGNER.public.der)}}
    spec = {
        "data": {"algorithm": "SHA2_256", "digest": b64(DIGEST)},
        "signature": {"content": b64(SIGNER.sign(ARTIFACT)), "verifier": verifier},
    }
    return {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}}


def intoto(signed: Envelope) -> dict[str, Any]:
    """Return a record of an envelope, its signatures in base64 of base64."""
    of_payload = {"algorithm": "sha256", "value": sha256(signed.payload).hexdigest()}
    signatures = [
        {"publicKey": b64(SIGNER.pem.encode()), "sig": b64(b64(one.raw).encode())} for one in signed.signatures
    ]
    content = {
        "envelope": {"payloadType": signed.payload_type, "signatures": signatures},
        "hash": of_payload,
        "payloadHash": of_payload,
    }
    return {"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": content}}


def test_the_other_records_are_read(log: Log) -> None:
    assert _verify(log.answer(hashedrekord_2()), log, signer=SIGNER.public).verified
    signed = envelope(PAYLOAD)
    assert _verify(log.answer(intoto(signed)), log, envelope=signed, signer=SIGNER.public).verified


def _signature(record: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = record["spec"]["hashedRekordV002"]["signature"]
    return found


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record["spec"]["hashedRekordV002"]["data"].update(algorithm="SHA2_512"),
        lambda record: _signature(record)["verifier"].pop("publicKey"),
        lambda record: _signature(record)["verifier"].update(x509Certificate={"rawBytes": "QQ=="}),
        lambda record: _signature(record).pop("verifier"),
        lambda record: record["spec"].update(more=1),
    ],
)
def test_a_record_of_the_second_version_in_another_shape_is_refused(
    log: Log, change: Callable[[dict[str, Any]], object]
) -> None:
    record = hashedrekord_2()
    change(record)
    assert _refused_by(_verify(log.answer(record), log)) == "body"


@pytest.mark.parametrize(
    "sig", [b64(b"\xff\xfe"), b64(b"not base64 at all!"), b64("QQ==\u00e9".encode()), 1, ""], ids=range(5)
)
def test_a_signature_that_is_not_base64_of_base64_is_refused(log: Log, sig: Any) -> None:
    signed = envelope(PAYLOAD)
    record = intoto(signed)
    record["spec"]["content"]["envelope"]["signatures"][0]["sig"] = sig
    assert _refused_by(_verify(log.answer(record), log, envelope=signed)) == "body"


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"no PEM",
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
        b"QQ==\nQQ==\nQQ==\n",
        b"-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nQQ\n-----END PUBLIC KEY-----\n",
        SIGNER.pem.encode() * 2,
    ],
)
def test_a_verifier_that_is_not_one_block_of_pem_is_refused(log: Log, pem: bytes) -> None:
    record = hashedrekord()
    record["spec"]["signature"]["publicKey"]["content"] = b64(pem)
    assert _refused_by(_verify(log.answer(record), log)) == "body"


@pytest.mark.parametrize("cut", ["", "6\n", f"{NAME} - 42\n", f"{NAME} - 42\n6\n"])
def test_a_checkpoint_that_was_signed_too_short_is_refused(log: Log, cut: str) -> None:
    """Even the log's own signature makes no head of a note that says none."""
    answer = log.answer(hashedrekord())
    text = cut or "\n"
    line = b64(log.key.public.fingerprint[:4] + log.key.sign(text.encode()))
    _proof(answer)["checkpoint"] = f"{text}\n— {NAME} {line}\n"
    assert _refused_by(_verify(answer, log)) == "checkpoint"


def test_a_checkpoint_with_many_lines_is_not_read(log: Log) -> None:
    longer = attrs.evolve(log, extensions="more\n" * 14)
    assert _refused_by(_verify(longer.answer(hashedrekord()), longer)) == "checkpoint"


def test_two_entries_in_one_answer_are_refused(log: Log) -> None:
    answer = log.answer(hashedrekord()) | log.answer(hashedrekord(b"another"))
    assert _refused_by(_verify(answer, log)) == "entry"


def test_a_checkpoint_that_says_why_it_is_refused_says_which_of_three(log: Log) -> None:
    """Another name, another key and a changed text are three mistakes of the caller or attacks, told apart."""
    answer = log.answer(hashedrekord())
    told = []
    for note in (
        log.checkpoint(name="other.example"),
        Log(p256(9), tree=log.tree).checkpoint(),
        log.checkpoint().replace("\n6\n", "\n7\n"),
    ):
        _proof(answer)["checkpoint"] = note
        failed = _verify(answer, log).failed
        assert failed is not None
        told.append(failed.detail)
    assert ["not signed by" in told[0], "another key" in told[1], "does not hold" in told[2]] == [True] * 3


def test_a_known_signer_does_not_vouch_for_whoever_signed_beside_it(log: Log) -> None:
    one, other = envelope(PAYLOAD), envelope(PAYLOAD, p256(78))
    both = attrs.evolve(one, signatures=one.signatures + other.signatures)
    record = dsse(both)
    assert _verify(log.answer(record), log, envelope=both, signer=SIGNER.public).verified
    record["spec"]["signatures"][1]["verifier"] = b64(p256(78).pem.encode())
    assert _refused_by(_verify(log.answer(record), log, envelope=both, signer=SIGNER.public)) == "subject"


def _message_bundle(log: Log) -> dict[str, Any]:
    """Return a bundle about an artifact that is not in it."""
    record = hashedrekord()
    whole = bundle(log.answer(record), envelope(b"{}"))
    del whole["dsseEnvelope"]
    whole["messageSignature"] = {
        "messageDigest": {"algorithm": "SHA2_256", "digest": b64(DIGEST)},
        "signature": record["spec"]["signature"]["content"],
    }
    return whole


def test_a_bundle_about_an_artifact_is_believed_with_the_artifact_alone(log: Log) -> None:
    whole = _message_bundle(log)
    assert _verify(whole, log).verified
    assert _refused_by(_verify(whole, log, artifact=bytes(32))) == "subject"
    assert _refused_by(_verify(whole, log, artifact=None)) == "subject"
    del whole["messageSignature"]["messageDigest"]
    assert _verify(whole, log).verified


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("check", "change"),
    [
        ("entry", lambda whole: whole["messageSignature"]["messageDigest"].update(algorithm="SHA2_512")),
        ("entry", lambda whole: whole["messageSignature"].update(signature=1)),
        ("entry", lambda whole: whole["messageSignature"].pop("signature")),
        ("subject", lambda whole: whole["messageSignature"].update(signature="QQ==")),
        ("subject", lambda whole: whole["messageSignature"]["messageDigest"].update(digest=b64(bytes(32)))),
        ("entry", lambda whole: whole.pop("messageSignature")),
        ("entry", lambda whole: whole["verificationMaterial"].pop("publicKey")),
        ("entry", lambda whole: whole["verificationMaterial"].update(certificate={"rawBytes": "QQ=="})),
        ("entry", lambda whole: _material(whole, x509CertificateChain={"certificates": []})),
        ("entry", lambda whole: _material(whole, x509CertificateChain={"certificates": [{"rawBytes": "QQ=="}] * 17})),
        ("entry", lambda whole: _material(whole, certificate={})),
        ("subject", lambda whole: _material(whole, certificate={"rawBytes": "QQ=="})),
        ("entry", lambda whole: _tlog(whole).pop("inclusionProof")),
        ("entry", lambda whole: _tlog(whole)["inclusionProof"].pop("checkpoint")),
        ("entry", lambda whole: _tlog(whole).update(canonicalizedBody=1)),
        ("entry", lambda whole: _tlog(whole).update(logIndex="-1")),
        ("entry", lambda whole: _tlog(whole).update(logIndex="01")),
        ("entry", lambda whole: _tlog(whole).update(logIndex=1.5)),
        ("entry", lambda whole: _tlog(whole)["logId"].update(keyId="QQ==")),
        ("entry", lambda whole: _tlog(whole)["inclusionPromise"].update(more=1)),
        ("entry", lambda whole: _tlog(whole).update(more=1)),
        ("entry", lambda whole: whole["verificationMaterial"]["tlogEntries"].append(_tlog(whole))),
        ("timestamp", lambda whole: _tlog(whole).pop("integratedTime")),
    ],
)
def test_a_bundle_that_is_not_whole_is_refused(log: Log, check: str, change: Change) -> None:
    whole = _message_bundle(log)
    change(whole)
    assert _refused_by(_verify(whole, log)) == check


def _tlog(whole: dict[str, Any]) -> dict[str, Any]:
    [entry] = whole["verificationMaterial"]["tlogEntries"][:1]
    assert isinstance(entry, dict)
    return entry


def _material(whole: dict[str, Any], **signer: Any) -> None:
    material = whole["verificationMaterial"]
    del material["publicKey"]
    material.update(signer)


@pytest.mark.parametrize(
    "change",
    [
        {"logID": "zz" * 32},
        {"logID": "AB" * 32},
        {"logID": "00"},
        {"logID": 1},
        {"logID": "0"},
        {"integratedTime": -1},
        {"integratedTime": 2**60},
        {"integratedTime": None},
        {"logIndex": True},
        {"body": ""},
        {"body": None},
        {"verification": []},
        {"more": 1},
    ],
)
def test_an_answer_in_another_form_is_refused(log: Log, change: dict[str, Any]) -> None:
    [(entry_id, entry)] = log.answer(hashedrekord()).items()
    assert _refused_by(_verify({entry_id: entry | change}, log)) == "entry"
