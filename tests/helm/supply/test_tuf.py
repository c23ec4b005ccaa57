"""A TUF repository and those who attack it: each is refused by the check that is there for it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]
from tuf.api.metadata import (  # type: ignore[attr-defined]
    Delegations,
    Metadata,
    MetaFile,
    SuccinctRoles,
)

from helm.contracts.errors import Invalid
from helm.supply.findings import Findings
from helm.supply.tuf import CHECKS, MAX_DEPTH, MAX_VISITED, TufReading, check_target_name, verify_repository
from helm.supply.tuf_memory import read_memory, written_memory
from tests import vectors
from tests.helm.supply.keys import ed25519, p256
from tests.helm.supply.repositories import CONTENT, NAME, NOW, Repository, signer, stored


@pytest.fixture
def repository() -> Repository:
    return Repository().publish()


def _verify(repository: Repository, **more: Any) -> Findings:
    return verify_repository(repository.reading(**more))


def _refused_by(findings: Findings) -> str:
    assert findings.failed is not None, "it was believed"
    assert not findings.about
    return findings.failed.name


def _memory(repository: Repository) -> bytes:
    reading = repository.reading()
    assert verify_repository(reading).verified
    return written_memory(reading.now)


def test_a_repository_is_believed_from_the_pinned_root(repository: Repository) -> None:
    findings = _verify(repository)
    assert findings.verified, findings.failed
    assert [one.name for one in findings.outcomes] == [name for name, _ in CHECKS]
    assert findings.about["root_version"] == 1
    assert NAME in findings.about["targets"]


def test_a_root_signed_by_too_few_is_not_pinned() -> None:
    repository = Repository()
    two = [signer(ed25519(1)), signer(ed25519(2))]
    repository.give("root", *two, threshold=2)
    repository.publish_root(two[:1])
    assert _refused_by(_verify(repository.publish())) == "pinned"
    repository.publish_root(two)
    assert _verify(repository.publish()).verified


def test_a_threshold_of_two_is_not_met_by_one(repository: Repository) -> None:
    for role in ("timestamp", "snapshot", "targets"):
        two = [signer(ed25519(1)), signer(ed25519(2))]
        whole = Repository()
        whole.give(role, *two, threshold=2)
        whole.publish_root()
        whole.signers[role] = two[:1]
        assert _refused_by(_verify(whole.publish())) == role
        whole.signers[role] = two
        assert _verify(whole.publish()).verified


@pytest.mark.parametrize("kind", [ed25519, p256])
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_one_key_under_two_names_counts_once(role: str, kind: Callable[[int], Any]) -> None:
    repository = Repository()
    twins = [signer(kind(1), "a" * 64), signer(kind(1), "b" * 64)]
    repository.give(role, *twins, threshold=2)
    repository.publish_root()
    findings = _verify(repository.publish())
    assert _refused_by(findings) == role
    assert findings.failed is not None
    assert "1 distinct keys" in findings.failed.detail


def test_one_key_under_two_names_pins_no_root() -> None:
    repository = Repository()
    repository.give("root", signer(ed25519(1), "a" * 64), signer(ed25519(1), "b" * 64), threshold=2)
    repository.publish_root()
    assert _refused_by(_verify(repository.publish())) == "pinned"


def test_one_key_written_in_two_ways_counts_once() -> None:
    repository = Repository()
    plain, odd = signer(p256(1), "a" * 64), signer(p256(1), "b" * 64)
    odd.public_key.keyval["public"] = odd.public_key.keyval["public"].replace("\n", "\r\n")
    repository.give("timestamp", plain, odd, threshold=2)
    repository.publish_root()
    assert _refused_by(_verify(repository.publish())) == "timestamp"


def test_two_signatures_by_one_name_are_refused(repository: Repository) -> None:
    body = json.loads(repository.files["timestamp.json"])
    body["signatures"] *= 2
    repository.files["timestamp.json"] = json.dumps(body).encode()
    assert _refused_by(_verify(repository)) == "timestamp"


def test_a_key_of_another_role_signs_nothing(repository: Repository) -> None:
    for role in ("timestamp", "snapshot", "targets"):
        whole = Repository()
        whole.signers[role] = whole.signers["root"]
        assert _refused_by(_verify(whole.publish())) == role


def _with_key(change: Callable[[dict[str, Any]], object]) -> Repository:
    """Return a repository whose timestamp key is described in another way."""
    repository = Repository()
    key = repository.signers["timestamp"][0].public_key
    described = repository.root.keys[key.keyid]
    change(vars(described))
    repository.publish_root()
    return repository.publish()


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key.update(keytype="ecdsa"),
        lambda key: key.update(keytype="ecdsa", scheme="ecdsa-sha2-nistp256"),
        lambda key: key.update(keytype="rsa", scheme="rsassa-pss-sha256"),
        lambda key: key.update(scheme="ecdsa-sha2-nistp256"),
        lambda key: key.update(keytype="unknown", scheme="none"),
        lambda key: key.update(keyval={"public": "00" * 32}),
        lambda key: key.update(keyval={"public": "01" + "00" * 31}),
        lambda key: key.update(keyval={"public": ed25519(1).public.raw.hex().upper()}),
    ],
)
def test_a_key_that_is_taken_for_another_kind_counts_for_nothing(change: Callable[[Any], object]) -> None:
    assert _refused_by(_verify(_with_key(change))) in ("pinned", "timestamp")


def test_a_kind_that_the_specification_does_not_name_counts_for_nothing() -> None:
    """The library verifies more kinds than the house counts; that one would verify there is no argument."""
    repository = Repository()
    repository.give("timestamp", CryptoSigner(generate_private_key(SECP384R1())))
    repository.publish_root()
    findings = _verify(repository.publish())
    assert _refused_by(findings) == "timestamp"


@pytest.mark.parametrize(("scheme", "counted"), [("rsassa-pss-sha256", True), ("rsa-pkcs1v15-sha256", False)])
def test_rsa_counts_in_one_scheme(scheme: str, counted: bool) -> None:
    private = generate_rsa(public_exponent=65537, key_size=2048)
    repository = Repository()
    public = SSlibKey.from_crypto(private.public_key(), scheme=scheme)
    repository.give("timestamp", CryptoSigner(private, public))
    repository.publish_root()
    failed = _verify(repository.publish()).failed
    assert (failed is None) is counted
    assert failed is None or failed.name == "timestamp"


def _pkcs1(public: Any) -> str:
    return str(public.public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode())


def _after_a_word(public: Any) -> str:
    return "a word before it\n" + _as_it_should_be(public)


def _as_it_should_be(public: Any) -> str:
    return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


@pytest.mark.parametrize("twin", [_pkcs1, _after_a_word, _as_it_should_be])
def test_one_rsa_key_written_in_two_forms_counts_once(twin: Callable[[Any], str]) -> None:
    private = generate_rsa(public_exponent=65537, key_size=2048)
    texts = {"a" * 64: _as_it_should_be(private.public_key()), "b" * 64: twin(private.public_key())}
    keys = [SSlibKey(name, "rsa", "rsassa-pss-sha256", {"public": text}) for name, text in texts.items()]
    repository = Repository()
    repository.give("timestamp", *(CryptoSigner(private, key) for key in keys), threshold=2)
    repository.publish_root()
    findings = _verify(repository.publish())
    assert _refused_by(findings) == "timestamp"
    assert findings.failed is not None
    assert "1 distinct keys" in findings.failed.detail


def test_a_signature_of_low_order_counts_for_nothing() -> None:
    """A key of low order verifies anything in a library that does not look."""
    repository = Repository()
    key = repository.signers["timestamp"][0].public_key
    repository.root.keys[key.keyid].keyval["public"] = "01" + "00" * 31
    repository.publish_root()
    body = json.loads(repository.publish().files["timestamp.json"])
    body["signatures"][0]["sig"] = "01" + "00" * 63
    repository.files["timestamp.json"] = json.dumps(body).encode()
    assert _refused_by(_verify(repository)) == "timestamp"


# The root and its chain.


def test_a_chain_of_roots_is_followed(repository: Repository) -> None:
    new = signer(ed25519(7))
    repository.rotate(lambda one: one.give("root", new))
    repository.rotate(lambda one: one.give("timestamp", signer(ed25519(8))))
    findings = _verify(repository.publish())
    assert findings.about["root_version"] == 3


def test_a_root_that_the_one_before_did_not_sign_is_forged(repository: Repository) -> None:
    repository.give("root", signer(ed25519(7)))
    repository.root.version += 1
    repository.publish_root()
    assert _refused_by(_verify(repository.publish())) == "chain"


def test_a_root_that_did_not_sign_itself_is_forged(repository: Repository) -> None:
    before = repository.signers["root"]
    repository.give("root", signer(ed25519(7)))
    repository.root.version += 1
    repository.publish_root(before)
    assert _refused_by(_verify(repository.publish())) == "chain"


def test_a_root_whose_successor_one_key_signed_under_two_names_is_forged() -> None:
    repository = Repository()
    honest = [signer(ed25519(1)), signer(ed25519(2))]
    repository.give("root", *honest, threshold=2)
    repository.publish_root()
    twins = [signer(ed25519(9), "a" * 64), signer(ed25519(9), "b" * 64)]
    repository.rotate(lambda one: one.give("root", *twins, threshold=2))
    assert _refused_by(_verify(repository.publish())) == "chain"


def test_a_root_that_one_key_of_the_one_before_signed_under_two_names_is_forged() -> None:
    """The keys of the root before are enough by their names, and not by what they are."""
    repository = Repository()
    twins = [signer(ed25519(9), "a" * 64), signer(ed25519(9), "b" * 64)]
    repository.give("root", *twins, signer(ed25519(1)), threshold=2)
    repository.publish_root()
    assert _verify(repository.publish()).verified
    new = signer(ed25519(2))
    repository.give("root", new)
    repository.root.version += 1
    repository.publish_root([*twins, new])
    assert _refused_by(_verify(repository.publish())) == "chain"


def test_a_root_of_another_version_than_its_name_is_refused(repository: Repository) -> None:
    repository.files["2.root.json"] = repository.files["1.root.json"]
    assert _refused_by(_verify(repository)) == "chain"


def test_a_missing_root_is_not_jumped_over(repository: Repository) -> None:
    repository.rotate(lambda one: None)
    repository.rotate(lambda one: None)
    del repository.files["2.root.json"]
    findings = _verify(repository.publish())
    assert _refused_by(findings) == "chain"
    assert findings.failed is not None
    assert "2.root.json" in findings.failed.detail


def test_a_root_is_not_taken_for_another_role(repository: Repository) -> None:
    repository.files["timestamp.json"] = repository.files["1.root.json"]
    assert _refused_by(_verify(repository)) == "timestamp"


# What has expired, at the caller's time.


@pytest.mark.parametrize(
    ("role", "check"),
    [("root", "current"), ("timestamp", "timestamp"), ("snapshot", "snapshot"), ("targets", "targets")],
)
def test_what_has_expired_is_refused(role: str, check: str) -> None:
    repository = Repository()
    getattr(repository, role).expires = NOW - timedelta(seconds=1)
    repository.publish_root()
    repository.publish()
    assert _refused_by(_verify(repository)) == check
    assert _verify(repository, at=NOW - timedelta(days=1)).verified


def test_an_expired_root_in_between_is_no_fault(repository: Repository) -> None:
    repository.root.expires = NOW - timedelta(days=1)
    repository.publish_root()

    def later(one: Repository) -> None:
        one.root.expires = NOW + timedelta(days=1)

    repository.rotate(later)
    assert _verify(repository.publish()).verified


def test_the_time_of_the_caller_decides_and_not_the_machine_s(repository: Repository) -> None:
    assert _refused_by(_verify(repository, at=NOW + timedelta(days=11))) == "current"


# Mixing states.


def test_a_snapshot_of_another_state_is_refused(repository: Repository) -> None:
    """Mix and match: an old snapshot under the new name, or a new one that the timestamp does not name."""
    old = dict(repository.files)
    repository.advance()
    for other in (old["1.snapshot.json"], repository.sign("snapshot", repository.snapshot) + b" "):
        files = repository.files | {"2.snapshot.json": other}
        assert _refused_by(_verify(repository, metadata=files)) == "snapshot"


def test_a_snapshot_of_another_version_than_the_timestamp_says_is_refused(repository: Repository) -> None:
    repository.timestamp.snapshot_meta = MetaFile(2)
    repository.publish_timestamp()
    repository.files["2.snapshot.json"] = repository.files["1.snapshot.json"]
    assert _refused_by(_verify(repository)) == "snapshot"


def test_targets_of_another_state_are_refused(repository: Repository) -> None:
    old = dict(repository.files)
    repository.advance()
    files = repository.files | {"2.targets.json": old["1.targets.json"]}
    assert _refused_by(_verify(repository, metadata=files)) == "targets"


@pytest.mark.parametrize("file", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_a_file_that_is_not_there_is_named(repository: Repository, file: str) -> None:
    del repository.files[file]
    findings = _verify(repository)
    assert _refused_by(findings) == file.removeprefix("1.").removesuffix(".json")
    assert findings.failed is not None
    assert file in findings.failed.detail


@pytest.mark.parametrize("file", ["1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_a_changed_byte_in_what_was_signed_is_refused(repository: Repository, file: str) -> None:
    repository.files[file] = repository.files[file].replace(b'"version"', b'"versioN"')
    assert not _verify(repository).verified


@pytest.mark.parametrize("file", ["1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"{}", b"[" * 200, b'{"signed":{},"signatures":[]}', b'{"signed":null,"signatures":{}}', b"\xff"],
)
def test_what_is_no_metadata_is_refused(repository: Repository, file: str, raw: bytes) -> None:
    assert not _verify(repository, metadata=repository.files | {file: raw}, root=_root(repository, file, raw)).verified


def _root(repository: Repository, file: str, raw: bytes) -> bytes:
    return raw if file == "1.root.json" else repository.files["1.root.json"]


def test_a_member_that_stands_twice_is_refused(repository: Repository) -> None:
    """The library would take the last one; another reader may take the first."""
    raw = repository.files["timestamp.json"]
    repository.files["timestamp.json"] = raw.replace(b'"signed":', b'"signed": {}, "signed":', 1)
    findings = _verify(repository)
    assert _refused_by(findings) == "timestamp"
    assert findings.failed is not None
    assert "stands twice" in findings.failed.detail


def test_metadata_that_is_too_long_is_not_looked_at(repository: Repository) -> None:
    repository.files["timestamp.json"] += b" " * 20_000
    findings = _verify(repository)
    assert _refused_by(findings) == "timestamp"
    assert findings.failed is not None
    assert "16384" in findings.failed.detail


# Memory.


def test_what_was_seen_is_taken_again_and_so_is_what_is_newer(repository: Repository) -> None:
    memory = _memory(repository)
    assert _verify(repository, memory=memory).verified
    assert _verify(repository.advance(), memory=memory).verified
    assert read_memory(memory) == read_memory(written_memory(read_memory(memory)))


def test_an_older_state_is_refused(repository: Repository) -> None:
    old = dict(repository.files)
    memory = _memory(repository.advance())
    findings = _verify(repository, metadata=old, memory=memory)
    assert _refused_by(findings) == "memory"
    assert findings.failed is not None
    assert "timestamp" in findings.failed.detail


def test_an_older_root_is_refused(repository: Repository) -> None:
    old = dict(repository.files)
    repository.rotate(lambda one: None)
    memory = _memory(repository.publish())
    findings = _verify(repository, metadata=old, memory=memory)
    assert _refused_by(findings) == "memory"
    assert findings.failed is not None
    assert "root: version 1" in findings.failed.detail


def test_an_older_snapshot_under_a_newer_timestamp_is_refused(repository: Repository) -> None:
    repository.advance()
    memory = _memory(repository)
    repository.snapshot.version -= 1
    repository.timestamp.version += 1
    findings = _verify(repository.publish(), memory=memory)
    assert _refused_by(findings) == "memory"
    assert findings.failed is not None
    assert "snapshot" in findings.failed.detail


def test_older_targets_under_a_newer_snapshot_are_refused(repository: Repository) -> None:
    repository.advance()
    memory = _memory(repository)
    repository.targets.version = 1
    repository.snapshot.version += 1
    repository.timestamp.version += 1
    findings = _verify(repository.publish(), memory=memory)
    assert _refused_by(findings) == "memory"
    assert findings.failed is not None
    assert "targets" in findings.failed.detail


def test_a_role_that_vanished_is_refused(repository: Repository) -> None:
    repository.delegate("team", ["team/*"])
    memory = _memory(repository.publish())
    repository.targets.delegations = None
    repository.delegated.clear()
    del repository.snapshot.meta["team.json"]
    assert _refused_by(_verify(repository.advance(), memory=memory)) == "memory"


def test_two_statements_under_one_version_are_refused(repository: Repository) -> None:
    memory = _memory(repository)
    repository.timestamp.expires += timedelta(days=1)
    assert _refused_by(_verify(repository.publish(), memory=memory)) == "memory"


def test_a_fast_forward_is_forgotten_only_when_the_root_gives_other_keys(repository: Repository) -> None:
    """Who stole the timestamp's key makes versions so high that no honest one follows."""
    repository.timestamp.version = 2**52
    memory = _memory(repository.publish())
    repository.timestamp.version = 2
    assert _refused_by(_verify(repository.publish(), memory=memory)) == "memory"
    repository.rotate(lambda one: one.give("targets", signer(ed25519(60))))
    assert _refused_by(_verify(repository.publish(), memory=memory)) == "memory"
    repository.rotate(lambda one: one.give("timestamp", signer(ed25519(61))))
    assert _verify(repository.publish(), memory=memory).verified


def test_the_same_keys_under_other_names_forget_nothing(repository: Repository) -> None:
    memory = _memory(repository.advance())
    again = [attrs.evolve(ed25519(101))]
    repository.rotate(lambda one: one.give("timestamp", *(signer(key, "c" * 64) for key in again)))
    repository.timestamp.version = 1
    assert _refused_by(_verify(repository.publish(), memory=memory)) == "memory"


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"version":"helm.tuf-memory/2"}', b"x" * 5_000_000])
def test_a_memory_that_cannot_be_read_is_not_taken_for_none(repository: Repository, raw: bytes) -> None:
    assert _refused_by(_verify(repository, memory=raw)) == "memory"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(version="helm.tuf-memory/2"),
        lambda body: body.update(more=1),
        lambda body: body["notes"].pop("root"),
        lambda body: body["notes"]["root"].update(version=-1),
        lambda body: body["roles"].update(targets="x"),
    ],
)
def test_a_memory_in_another_form_is_refused(repository: Repository, change: Callable[[Any], object]) -> None:
    body = json.loads(_memory(repository))
    change(body)
    assert _refused_by(_verify(repository, memory=json.dumps(body).encode())) == "memory"


# Delegations.


def test_a_delegated_target_is_found(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("team", ["team/*"])
    repository.name(NAME, CONTENT, "team")
    findings = _verify(repository.advance())
    assert findings.about["roles"] == ["targets", "team"]


def test_a_role_says_nothing_of_paths_that_it_was_not_given(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("team", ["elsewhere/*"])
    repository.name(NAME, CONTENT, "team")
    assert _refused_by(_verify(repository.advance())) == "delegated"


def test_a_role_signed_by_another_key_than_the_delegation_s_is_refused(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("team", ["team/*"])
    repository.name(NAME, CONTENT, "team")
    repository.signers["team"] = [signer(ed25519(1))]
    assert _refused_by(_verify(repository.advance())) == "delegated"
    assert _refused_by(_verify(repository, files={})) == "delegated"


def test_one_key_under_two_names_counts_once_in_a_delegation(repository: Repository) -> None:
    repository.delegate("team", ["team/*"])
    twins = [signer(ed25519(5), "a" * 64), signer(ed25519(5), "b" * 64)]
    delegations = repository.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    repository.targets.revoke_key(delegations.roles["team"].keyids[0], "team")
    for one in twins:
        repository.targets.add_key(one.public_key, "team")
    delegations.roles["team"].threshold = 2
    repository.signers["team"] = twins
    assert _refused_by(_verify(repository.advance(), files={})) == "delegated"


def test_a_terminating_delegation_ends_the_search(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("first", ["team/*"], terminating=True)
    repository.delegate("second", ["team/*"])
    repository.name(NAME, CONTENT, "second")
    assert _refused_by(_verify(repository.advance())) == "delegated"


def test_a_terminating_delegation_further_down_ends_the_search_too(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("first", ["team/*"])
    repository.delegate("inner", ["team/*"], by="first", key=151, terminating=True)
    repository.delegate("second", ["team/*"], key=152)
    repository.name(NAME, CONTENT, "second")
    assert _refused_by(_verify(repository.advance())) == "delegated"


def test_the_first_role_that_names_a_target_counts(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("first", ["team/*"])
    repository.delegate("second", ["team/*"])
    repository.name(NAME, CONTENT, "first")
    repository.name(NAME, b"evil", "second")
    assert _verify(repository.advance()).verified
    assert _refused_by(_verify(repository, files={NAME: (stored(b"evil"),)})) == "files"


def test_roles_that_delegate_to_each_other_end_the_search(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    repository.delegate("a", ["team/*"], key=1)
    repository.delegate("b", ["team/*"], by="a", key=2)
    repository.delegate("a", ["team/*"], by="b", key=1)
    assert _refused_by(_verify(repository.advance())) == "delegated"
    assert _verify(repository, files={}).verified


def test_a_chain_of_delegations_that_is_too_long_is_not_followed(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    above = "targets"
    for depth in range(MAX_DEPTH + 1):
        repository.delegate(f"r{depth}", ["team/*"], by=above)
        above = f"r{depth}"
    repository.name(NAME, CONTENT, above)
    findings = _verify(repository.advance())
    assert _refused_by(findings) == "delegated"
    assert findings.failed is not None
    assert str(MAX_DEPTH) in findings.failed.detail
    assert _refused_by(_verify(repository, files={})) == "delegated"


def test_more_delegations_than_are_looked_at_are_refused(repository: Repository) -> None:
    del repository.targets.targets[NAME]
    for number in range(MAX_VISITED + 1):
        repository.delegate(f"r{number}", ["team/*"])
    repository.name(NAME, CONTENT, f"r{MAX_VISITED}")
    assert _refused_by(_verify(repository.advance())) == "delegated"


def test_every_role_is_verified_where_no_target_is_asked_for(repository: Repository) -> None:
    repository.delegate("team", ["team/*"])
    repository.advance()
    assert _verify(repository, files={}).about["roles"] == ["targets", "team"]
    del repository.files["1.team.json"]
    assert _refused_by(_verify(repository, files={})) == "delegated"


def test_more_bins_than_are_looked_at_are_not_counted_out(repository: Repository) -> None:
    """A few bytes may delegate to billions of bins: a target's own is looked at, and all of them never."""
    own = repository.signers["targets"][0]
    bins = SuccinctRoles([own.public_key.keyid], 1, 32, "bin")
    repository.targets.delegations = Delegations({own.public_key.keyid: own.public_key}, None, bins)
    findings = _verify(repository.advance(), files={})
    assert _refused_by(findings) == "delegated"
    assert findings.failed is not None
    assert "4294967296" in findings.failed.detail


def test_an_expired_role_is_refused(repository: Repository) -> None:
    repository.delegate("team", ["team/*"])
    repository.delegated["team"].expires = NOW - timedelta(days=1)
    assert _refused_by(_verify(repository.advance(), files={})) == "delegated"


# Target files.


def test_a_file_of_another_length_is_refused(repository: Repository) -> None:
    findings = _verify(repository, files={NAME: (stored(CONTENT + b"\x00", "targets/it"),)})
    assert _refused_by(findings) == "files"
    assert findings.failed is not None
    assert "bytes" in findings.failed.detail
    assert "targets/it" in findings.failed.detail


def test_a_file_with_another_content_is_refused(repository: Repository) -> None:
    other = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
    assert _refused_by(_verify(repository, files={NAME: (stored(other),)})) == "files"


def test_one_wrong_file_among_several_is_refused(repository: Repository) -> None:
    assert _refused_by(_verify(repository, files={NAME: (stored(CONTENT), stored(b"x"))})) == "files"


def test_a_length_alone_proves_nothing(repository: Repository) -> None:
    lied = attrs.evolve(stored(CONTENT), length=len(CONTENT) - 1)
    assert _refused_by(_verify(repository, files={NAME: (lied,)})) == "files"


def test_a_file_that_is_missing_is_refused(repository: Repository) -> None:
    assert _refused_by(_verify(repository, files={NAME: ()})) == "files"


def test_a_target_that_nobody_names_is_refused(repository: Repository) -> None:
    assert _refused_by(_verify(repository, files={"other": (stored(CONTENT),)})) == "delegated"


@pytest.mark.parametrize("hashes", [{"md5": "00" * 16}, {"sha256": stored(CONTENT).hashes["sha256"], "sha1": "0" * 40}])
def test_a_hash_that_is_not_compared_is_not_passed_over(hashes: dict[str, str]) -> None:
    repository = Repository()
    repository.targets.targets[NAME].hashes = hashes
    assert _refused_by(_verify(repository.publish())) == "files"


@pytest.mark.parametrize(
    "name", ["", "/a", "a/", "../a", "a/../b", "a//b", "./a", "a\\b", "a\x00b", "a\nb", "x" * 1025, ".."]
)
def test_a_name_that_leads_elsewhere_is_no_target(name: str) -> None:
    with pytest.raises(Invalid):
        check_target_name(name)


# Public vectors.

VECTORS: Final = ("sigstore-root-signing", "tuf-on-ci-0.11")


def _vector(name: str, **more: Any) -> TufReading:
    place = vectors.folder("tuf") / name
    target = (place / "targetpath").read_text(encoding="utf-8").strip()
    [file] = [path for path in (place / "targets").rglob("*") if path.name.endswith(Path(target).name)]
    given: dict[str, Any] = {
        "at": datetime.fromisoformat((place / "faketime").read_text(encoding="utf-8").strip()).astimezone(UTC),
        "files": {target: (stored(file.read_bytes(), str(file)),)},
        "metadata": {path.name: path.read_bytes() for path in (place / "metadata").glob("*.json")},
        "root": (place / "initial_root.json").read_bytes(),
    }
    return TufReading(**given | more)


@pytest.mark.parametrize("name", VECTORS)
def test_repositories_of_others_are_believed(name: str) -> None:
    whole = _vector(name)
    for reading in (whole, attrs.evolve(whole, files={})):
        findings = verify_repository(reading)
        assert findings.verified, findings.failed


@pytest.mark.parametrize("name", VECTORS)
def test_repositories_of_others_expire(name: str) -> None:
    late = verify_repository(_vector(name, at=datetime(2100, 1, 1, tzinfo=UTC)))
    assert not late.verified


@pytest.mark.filterwarnings("ignore:keytype 'ecdsa-sha2-nistp256' is deprecated")
def test_every_root_of_a_real_chain_is_needed() -> None:
    whole = _vector("sigstore-root-signing")
    whole.root = whole.metadata["5.root.json"]
    findings = verify_repository(whole)
    assert findings.verified, findings.failed
    assert findings.about["root_version"] == 12
    for missing in range(6, 12):
        rest = {name: raw for name, raw in whole.metadata.items() if name != f"{missing}.root.json"}
        assert _refused_by(verify_repository(attrs.evolve(whole, metadata=rest))) == "chain"


def test_what_is_written_here_is_what_the_library_reads() -> None:
    """The simulator's metadata is metadata: else every refusal above would prove nothing."""
    repository = Repository().publish()
    assert Metadata.from_bytes(repository.files["timestamp.json"]).signed.version == 1
