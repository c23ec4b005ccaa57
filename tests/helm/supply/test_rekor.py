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
    [envelope(b"{}"), envelope(PAYLOAD, p256(3)), attrs.evolve(envelope(PAYLOAD), signatures=())],
    ids=["another payload", "another signature", "no signature"],
)
def test_an_entry_about_another_envelope_is_refused(log: Log, other: Envelope) -> None:
    answer = log.answer(dsse(envelope(PAYLOAD)))
    assert _refused_by(_verify(answer, log, envelope=other, artifact=None)) == "subject"


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
