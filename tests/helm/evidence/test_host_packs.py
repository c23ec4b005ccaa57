"""A chain beside a pack changes nothing of the pack, and nobody changes the chain: neither verifier lets it pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.evidence import archive
from helm.evidence.attach import MAX_SOURCES, attach, note_drift
from helm.evidence.check_host import described
from helm.evidence.condense import condense
from helm.evidence.correlate import correlate
from helm.evidence.drift import read, sign
from helm.evidence.host_chain import read_chain
from helm.evidence.layout import CHAINS, HOST, HOST_DRIFT, MANIFEST, NATIVE, SOURCES, chain_path
from helm.evidence.manifest import write_manifest
from helm.evidence.reading import Reading
from helm.evidence.verify import check_pack, verify_pack
from tests.helm.evidence.forger import (
    Members,
    a_log,
    a_pack,
    check_refused,
    packed,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.hosts import a_watched_pack
from tests.helm.evidence.material import key_of
from tests.helm.evidence.recorder import ED25519, ES256, Recorder, jsonl, other_s

KEY: Final = a_log().key(KeyPurpose.EVIDENCE)


def reading_of(raw: bytes) -> Reading:
    return check_pack(raw, root_of(a_log()))


def recorder(algorithm: str = ED25519) -> Recorder:
    one = Recorder(algorithm)
    one.saw()
    one.saw(agent_id="agent-1")
    return one


def attached(one: Recorder, source: str = "host-1", to: bytes = b"") -> bytes:
    return attach(reading_of(to or a_pack()), source, read_chain(jsonl(one.bodies)), KEY)


def watched() -> Members:
    return unpacked(a_watched_pack(a_pack()))


def test_both_verifiers_authenticate_a_pack_with_a_chain_beside_it() -> None:
    for raw in (attached(recorder()), a_watched_pack(a_pack())):
        assert (refusing_check(raw), refusing_check_of_script(raw)) == ("", "")


def test_the_same_pack_and_chain_make_the_same_bytes_and_take_nothing_away() -> None:
    raw = attached(recorder())
    assert raw == attached(recorder())
    members = unpacked(raw)
    bare = {path: content for path, content in members.items() if not path.startswith(HOST)}
    assert packed(bare | {MANIFEST: members[NATIVE]}) == a_pack()


def test_the_native_hash_stays_visible_also_behind_a_second_chain() -> None:
    other = Recorder(ES256, number=2)
    other.saw()
    twice = attached(other, "host-2", attached(recorder()))
    native = reading_of(twice).native
    assert native is not None
    assert native.manifest_hash == reading_of(a_pack()).manifest.manifest_hash
    assert verify_pack(twice, root_of(a_log())).subject.host_receipts == 3


@pytest.mark.parametrize("algorithm", [ED25519, ES256])
def test_signatures_are_checked_under_the_key_that_the_reader_brings(algorithm: str) -> None:
    raw, key, other = attached(recorder(algorithm)), recorder(algorithm).public_key, Recorder(algorithm, number=9)
    check_refused(raw, "", host_keys={"host-1": key})
    check_refused(raw, "host", host_keys={"host-1": other.public_key})
    check_refused(raw, "host", host_keys={"host-2": key})
    assert verify_pack(raw, root_of(a_log())).subject.host_unsigned == 1
    assert verify_pack(raw, root_of(a_log()), host_keys={"host-1": key}).subject.host_unsigned == 0


def test_a_key_of_another_algorithm_reads_nothing() -> None:
    check_refused(attached(recorder(ED25519)), "host", host_keys={"host-1": recorder(ES256).public_key})
    check_refused(attached(recorder(ES256)), "host", host_keys={"host-1": recorder(ED25519).public_key})
    check_refused(attached(recorder()), "host", host_keys={"host-1": "00"})


def test_a_signature_in_its_second_form_is_refused_by_both() -> None:
    one = recorder(ES256)
    one.bodies = [other_s(body) for body in one.bodies]
    check_refused(attached(one), "host", host_keys={"host-1": one.public_key})


def test_a_key_for_a_pack_without_a_chain_is_refused() -> None:
    check_refused(a_pack(), "host", host_keys={"host-1": recorder().public_key})


Forgery = Callable[[Members], Any]


def dropped(path: str) -> Forgery:
    return lambda members: members.pop(path)


def line_dropped(path: str, number: int) -> Forgery:
    def forge(members: Members) -> None:
        lines = members[path].splitlines(keepends=True)
        members[path] = b"".join(lines[:number] + lines[number + 1 :])

    return forge


def moved(old: str, new: str) -> Forgery:
    return lambda members: members.update({new: members.pop(old)})


def relisted(members: Members, chains: Members) -> None:
    """Put other chains into a pack, and a list of sources that describes them; no drift is noted any more."""
    for path in [path for path in members if path.startswith(CHAINS)]:
        del members[path]
    members.pop(HOST_DRIFT)
    named = {path.removeprefix(CHAINS).removesuffix(".jsonl"): read_chain(raw) for path, raw in chains.items()}
    members |= chains
    members[SOURCES] = described(named)


CHAIN: Final = chain_path("host-1")
FORGERIES: Final[dict[str, tuple[str, Forgery]]] = {
    "no native manifest": ("host", dropped(NATIVE)),
    "no list of sources": ("host", dropped(SOURCES)),
    "a chain was taken away": ("host", dropped(CHAIN)),
    "every chain was taken away": ("host", lambda m: [m.pop(path) for path in [*m] if path.startswith(CHAINS)]),
    "a chain under another name": ("host", moved(CHAIN, chain_path("host-3"))),
    "a chain in a folder": ("host", moved(CHAIN, chain_path("host/1"))),
    "a chain that is no chain": ("host", moved(CHAIN, CHAINS + "host-1.json")),
    "no chain at all, and so it says": ("host", lambda m: relisted(m, {})),
    "a chain in a folder, and so it says": ("host", lambda m: relisted(m, {chain_path("a/b"): m[CHAIN]})),
    "a chain that is no chain, and so it says": ("host", lambda m: relisted(m, {CHAINS + "a.json": m[CHAIN]})),
    "a spare file": ("complete", lambda m: m.update({HOST + "note.json": b"{}"})),
    "the first receipt was left out": ("host", line_dropped(CHAIN, 0)),
    "the last receipt was left out": ("host", line_dropped(CHAIN, 2)),
    "a receipt within was left out": ("host", line_dropped(CHAIN, 1)),
    "the first drift was left out": ("host", line_dropped(HOST_DRIFT, 0)),
    "the last drift was left out": ("host", line_dropped(HOST_DRIFT, 3)),
    "another pack's manifest": ("host", lambda m: m.update({NATIVE: unpacked(a_pack("s2"))[MANIFEST]})),
    "chains in another form": ("host", lambda m: m.update({CHAIN: m[CHAIN].replace(b'":', b'": ')})),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_what_an_insider_does_beside_a_pack_is_refused_by_both(name: str) -> None:
    check, forge = FORGERIES[name]
    members = watched()
    forge(members)
    check_refused(resealed(members), check)


def test_a_signature_is_not_changed_though_nobody_looks_at_it() -> None:
    """Without the recorder's key no signature is checked; the list of sources has the hash of all of the chain."""
    members = watched()
    lines = [reread(line) for line in members[CHAIN].splitlines()]
    lines[0]["signature"] = "0" * 128
    members[CHAIN] = b"".join(record_bytes(line) + b"\n" for line in lines)
    check_refused(resealed(members), "host")


def test_a_native_file_that_was_changed_is_refused_though_the_outer_manifest_lists_it() -> None:
    """A spare schema is nobody's business but the native manifest's: all else is caught before."""
    members = watched()
    native = reread(members[NATIVE])
    native["entries"] = native["entries"][:-1]
    members[NATIVE] = record_bytes(native)
    check_refused(resealed(members), "host")


def test_a_native_manifest_that_no_evidence_key_signed_is_refused() -> None:
    members = watched()
    body = reread(members[NATIVE])
    members[NATIVE] = record_bytes(body | {"signature": "0" * 128})
    check_refused(resealed(members), "host")


@pytest.mark.parametrize(
    "change",
    [
        {"lamport": a_log().graph.lamport + 1},
        {"log_id": "sha256:" + "0" * 64},
        {"open_intents": ()},
        {"redacted": 1},
        {"shard": "1"},
        {"version": "helm.evidence-pack/0"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_native_manifest_about_something_else_is_refused_though_it_lists_these_files_and_is_signed(
    change: dict[str, Any],
) -> None:
    members = unpacked(attached(recorder()))
    native = {path: raw for path, raw in members.items() if not path.startswith(HOST) and path != MANIFEST}
    cover = reading_of(a_pack()).manifest.cover
    forged = attrs.evolve(cover, **change)
    assert forged != cover
    members[NATIVE] = write_manifest(forged, native, KEY)
    check_refused(resealed(members), "host")


@pytest.mark.parametrize("named", [True, False], ids=["under its own name", "under ours"])
def test_drift_that_somebody_else_signed_is_refused_by_both(named: bool) -> None:
    stranger, members = key_of(KeyPurpose.EVIDENCE, 2), watched()
    drifts = [one for one, _ in read(members[HOST_DRIFT], HOST_DRIFT)]
    members[HOST_DRIFT] = sign([one.but(key_id=stranger.key_id) if named else one for one in drifts], stranger)
    check_refused(resealed(members), "host")


@pytest.mark.parametrize(
    "change",
    [
        {"key_id": "key_" + "0" * 32},
        {"log_id": "sha256:" + "0" * 64},
        {"manifest_hash": "sha256:" + "0" * 64},
        {"host_receipt_hash": "sha256:" + "0" * 64},
        {"source": "host-9"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_drift_about_something_else_is_refused_even_where_the_evidence_key_signed_it(change: dict[str, str]) -> None:
    members = watched()
    drifts = [one for one, _ in read(members[HOST_DRIFT], HOST_DRIFT)]
    members[HOST_DRIFT] = sign([drifts[0].but(**change), *drifts[1:]], KEY)
    check_refused(resealed(members), "host")


@pytest.mark.parametrize("change", [{"type": "DRIFT"}, {"version": "helm.drift/2"}, {"reason_code": "PDP_DENY"}])
def test_drift_of_another_kind_is_refused_by_both(change: dict[str, str]) -> None:
    members = watched()
    lines = [reread(line) for line in members[HOST_DRIFT].splitlines()]
    lines[0]["drift"] |= change
    lines[0]["signature"] = KEY.sign(b"HELM/Drift/v1\n", record_bytes(lines[0]["drift"]))
    members[HOST_DRIFT] = b"".join(record_bytes(line) + b"\n" for line in lines)
    check_refused(resealed(members), "host")


def test_a_source_has_a_plain_name_of_its_own() -> None:
    one = recorder()
    for name in ("", "Host", "a/b", "..", "x" * 41, "a b"):
        with pytest.raises(Invalid, match="no plain name"):
            attached(one, name)
    with pytest.raises(Invalid, match="there already"):
        attached(one, "host-1", attached(one))
    assert MAX_SOURCES > 1


def test_nothing_is_attached_behind_noted_drift() -> None:
    with pytest.raises(Invalid, match="without this chain"):
        attached(recorder(), "host-3", a_watched_pack(a_pack()))


def test_a_pack_with_host_evidence_is_not_condensed() -> None:
    with pytest.raises(Invalid, match="host evidence"):
        condense(reading_of(attached(recorder())), KEY)


def test_only_an_evidence_key_attaches_or_notes_drift() -> None:
    execution = a_log().key(KeyPurpose.EXECUTION)
    reading = reading_of(attached(recorder()))
    with pytest.raises(PurposeMismatch):
        attach(reading_of(a_pack()), "host-1", read_chain(jsonl(recorder().bodies)), execution)
    with pytest.raises(PurposeMismatch):
        sign(correlate(reading).drifts(reading, execution.key_id), execution)
    with pytest.raises(PurposeMismatch):
        note_drift(reading, b"", execution)


def test_drift_without_host_evidence_is_asked_for_in_vain() -> None:
    with pytest.raises(Invalid, match="attach a chain first"):
        correlate(reading_of(a_pack())).drifts(reading_of(a_pack()), "key")


def test_what_is_attached_is_in_the_one_form_of_an_archive() -> None:
    raw = attached(recorder())
    assert archive.write(archive.Member(path, content) for path, content in archive.read(raw).items()) == raw
