"""What a recorder outside HELM wrote is believed under its own key only, and not where one byte of it was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical
from helm.crypto.ed25519 import SignatureInvalid
from helm.evidence import host_chain
from helm.evidence.es256 import Es256Key, N
from helm.evidence.host_chain import read_chain, verify_chain
from helm.evidence.host_key import HostKey
from helm.evidence.host_receipt import MAX_ANCESTRY, MAX_RECEIPT_BYTES, MAX_ROOT_MEMBERS, moment_ms
from tests.helm.evidence.recorder import ED25519, ES256, Body, Recorder, jsonl, of_chain, other_s


def recorder(algorithm: str = ED25519, receipts: int = 3) -> Recorder:
    one = Recorder(algorithm)
    for _ in range(receipts):
        one.saw(agent_id="agent", event={"bytes_sent": 10})
    return one


def key_of(one: Recorder) -> HostKey:
    return HostKey.read(one.public_key, "key")


def refusing(raw: bytes, key: HostKey) -> str:
    """Return the name of the check that refuses a file, "" where none does."""
    return next((outcome.name for outcome in verify_chain(raw, key).outcomes if not outcome.ok), "")


@pytest.mark.parametrize("algorithm", [ED25519, ES256])
def test_every_form_of_file_says_the_same(algorithm: str) -> None:
    one = recorder(algorithm)
    forms = {
        "a chain": of_chain(one.bodies),
        "an array": json.dumps(one.bodies, indent=1).encode(),
        "lines": jsonl(one.bodies),
        "lines without a last end": jsonl(one.bodies)[:-1],
        "a chain on one line": json.dumps(json.loads(of_chain(one.bodies))).encode(),
    }
    assert {form: refusing(raw, key_of(one)) for form, raw in forms.items()} == dict.fromkeys(forms, "")
    assert len({read_chain(raw).lines() for raw in forms.values()}) == 1


def test_a_single_receipt_is_verified_and_says_what_it_begins_behind() -> None:
    one = recorder()
    report = verify_chain(json.dumps(one.bodies[2], indent=4).encode(), key_of(one))
    assert report.verified
    assert report.body()["chain"]["begins"] == one.bodies[1]["receipt_hash"]


def test_a_report_names_every_check_and_those_behind_the_first_that_fails_are_not_made() -> None:
    one = recorder()
    report = verify_chain(jsonl([one.bodies[0], one.bodies[2]]), key_of(one)).body()
    assert [check["ok"] for check in report["checks"]] == [True, True, True, False, False]
    assert [check["number"] for check in report["checks"]] == [1, 2, 3, 4, 5]
    assert "not made" in report["checks"][4]["detail"]
    assert (report["verified"], report["chain"]) == (False, {})


EVENT: Final[dict[str, Any]] = {
    "destination_ip": "300.1.1.1",
    "destination_port": 0,
    "timestamp": "yesterday",
    "bytes_sent": -1,
    "bytes_received": -2,
    "protocol": "",
    "destination_host": "user@example.com",
    "verdict": 1,
    "zz": "unknown",
}
RECEIPT: Final[dict[str, Any]] = {
    "agent_id": "two\nlines",
    "event": [],
    "hardware_root": {"verified": True},
    "host_id": "",
    "prev_receipt_hash": "none",
    "process_ancestry": ["a"] * (MAX_ANCESTRY + 1),
    "receipt_hash": "sha256:0",
    "receipt_id": "x" * 2000,
    "recorded_at": "2027-13-01T00:00:00Z",
    "signature_algorithm": "none",
    "version": "external_host_receipt.v2",
    "zz": "unknown",
}


@pytest.mark.parametrize("name", EVENT)
def test_an_event_that_is_not_one_is_refused_even_where_its_recorder_signed_it(name: str) -> None:
    one = recorder(receipts=1)
    bodies = one.rechained(lambda bodies: bodies[0]["event"].update({name: EVENT[name]}))
    assert refusing(jsonl(bodies), key_of(one)) in ("file", "structure")


@pytest.mark.parametrize("name", RECEIPT)
def test_a_receipt_that_is_not_one_is_refused(name: str) -> None:
    one = recorder(receipts=1)
    assert refusing(jsonl([one.bodies[0] | {name: RECEIPT[name]}]), key_of(one)) == "structure"


@pytest.mark.parametrize("name", sorted(recorder().bodies[0].keys() - {"agent_id"}))
def test_a_receipt_that_misses_a_member_is_refused(name: str) -> None:
    one = recorder(receipts=1)
    body = {other: value for other, value in one.bodies[0].items() if other != name}
    assert refusing(jsonl([body]), key_of(one)) == "structure"


@pytest.mark.parametrize(
    "text",
    ["2027-01-15 08:00:00Z", "2027-01-15T08:00:00", "2027-01-15T08:00:60Z", "1969-12-31T23:59:59Z", "20270115T080000Z"],
)
def test_a_moment_that_two_readers_may_read_differently_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        moment_ms(text, "here")


def test_a_moment_is_read_with_its_offset_and_to_the_millisecond() -> None:
    assert moment_ms("2027-01-15T08:00:00.123456789Z", "here") == 1_800_000_000_123
    assert moment_ms("2027-01-15T10:00:00+02:00", "here") == 1_800_000_000_000


def changed(where: str, value: Any) -> Callable[[Body], Body]:
    return lambda body: body | {where: value}


@pytest.mark.parametrize("algorithm", [ED25519, ES256])
def test_one_changed_member_fails_its_hash(algorithm: str) -> None:
    one = recorder(algorithm)
    for number in range(3):
        bodies = [*one.bodies]
        bodies[number] = bodies[number] | {"agent_id": "another"}
        assert refusing(jsonl(bodies), key_of(one)) == "hashes"


def test_a_changed_hardware_root_fails_its_hash() -> None:
    one = Recorder()
    one.saw(hardware_root={"quote": "abc", "type": "tpm2"})
    body = one.bodies[0] | {"hardware_root": {"quote": "abd", "type": "tpm2"}}
    assert refusing(jsonl([body]), key_of(one)) == "hashes"


@pytest.mark.parametrize("algorithm", [ED25519, ES256])
def test_a_forger_who_hashes_and_links_anew_has_no_signature(algorithm: str) -> None:
    one, forger = recorder(algorithm), Recorder(algorithm, number=2)
    forger.bodies = one.bodies
    bodies = forger.rechained(lambda bodies: bodies[1].update(agent_id="another"))
    assert refusing(jsonl(bodies), key_of(one)) == "signatures"
    assert refusing(jsonl(bodies), key_of(forger)) == ""


@pytest.mark.parametrize(
    "forged",
    [
        lambda bodies: bodies[1:2] + bodies[:1] + bodies[2:],
        lambda bodies: bodies[:1] + bodies[2:],
        lambda bodies: [*bodies, bodies[-1]],
        lambda bodies: [bodies[0], bodies[0], *bodies[1:]],
    ],
    ids=["moved", "left out", "doubled at the end", "doubled"],
)
def test_forged_links_are_refused(forged: Callable[[list[Body]], list[Body]]) -> None:
    one = recorder()
    assert refusing(jsonl(forged(one.bodies)), key_of(one)) == "links"


def test_two_receipts_of_one_name_are_refused_even_where_hashes_and_links_hold() -> None:
    one = recorder()
    bodies = one.rechained(lambda bodies: bodies[2].update(receipt_id=bodies[0]["receipt_id"]))
    assert refusing(jsonl(bodies), key_of(one)) == "links"


@pytest.mark.parametrize("name", ["host_id", "signing_key_id"])
def test_receipts_of_two_recorders_are_no_chain(name: str) -> None:
    one = recorder()
    bodies = one.rechained(lambda bodies: bodies[1].update({name: "another"}))
    assert refusing(jsonl(bodies), key_of(one)) == "links"


def test_a_key_of_one_algorithm_reads_no_signature_of_the_other() -> None:
    """The caller's key says which algorithm it is for; what a receipt says of itself decides nothing."""
    ed25519, es256 = recorder(ED25519), recorder(ES256)
    assert refusing(jsonl(ed25519.bodies), key_of(es256)) == "signatures"
    assert refusing(jsonl(es256.bodies), key_of(ed25519)) == "signatures"
    relabelled = es256.rechained(lambda bodies: [body.update(signature_algorithm=ED25519) for body in bodies])
    assert refusing(jsonl(relabelled), key_of(ed25519)) == "signatures"
    assert refusing(jsonl(relabelled), key_of(es256)) == "signatures"


def test_the_second_signature_that_ecdsa_allows_is_refused() -> None:
    one = recorder(ES256, receipts=1)
    report = verify_chain(jsonl([other_s(one.bodies[0])]), key_of(one))
    assert [outcome.name for outcome in report.outcomes if not outcome.ok] == ["signatures"]
    assert "n - s" in report.outcomes[-1].detail


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (N, 1), (1, N), (N - 1, N - 1)])
def test_numbers_that_no_signer_makes_are_refused(r: int, s: int) -> None:
    with pytest.raises(SignatureInvalid):
        Es256Key.from_hex(recorder(ES256).public_key).verify(b"any", f"{r:064x}{s:064x}")


@pytest.mark.parametrize(
    "digits", ["", "00", "0" * 64, "04" + "00" * 64, "02" + "11" * 64, "06" + "11" * 64, "g" * 64, "AB" * 32]
)
def test_what_is_no_key_is_refused(digits: str) -> None:
    with pytest.raises(Invalid):
        HostKey.read(digits, "key")


@pytest.mark.parametrize("signature", ["", "00", "A" * 128, "g" * 128])
def test_a_signature_has_one_written_form(signature: str) -> None:
    for algorithm in (ED25519, ES256):
        one = recorder(algorithm, receipts=1)
        wanted = "signatures" if signature else "structure"
        assert refusing(jsonl([one.bodies[0] | {"signature": signature}]), key_of(one)) == wanted


def test_a_hardware_root_that_says_it_is_verified_is_not() -> None:
    one = Recorder()
    one.saw(hardware_root={"type": "tpm2-quote", "verified": True, "status": "verified"})
    report = verify_chain(jsonl(one.bodies), key_of(one))
    assert report.verified
    assert (report.body()["chain"]["hardware_root"], report.body()["chain"]["hardware_roots"]) == ("not verified", 1)


@pytest.mark.parametrize(
    "root",
    [
        {},
        {"type": 1},
        {"type": "t", "list": []},
        {"type": "t", "Name": "x"},
        {"type": "t"} | {f"m{number}": 1 for number in range(MAX_ROOT_MEMBERS)},
    ],
)
def test_a_hardware_root_without_structure_is_refused(root: Body) -> None:
    one = Recorder()
    one.saw(hardware_root=root)
    assert refusing(jsonl(one.bodies), key_of(one)) == "structure"


def test_a_recorder_keeps_one_key_for_many_things_and_no_other_statement_is_a_receipt() -> None:
    one = recorder(receipts=1)
    body = one.bodies[0] | {"signature": ""}
    bare = one.sign(canonical(body))
    assert refusing(jsonl([body | {"signature": bare}]), key_of(one)) == "signatures"


def test_addresses_have_many_forms_and_one_meaning() -> None:
    forms = ["::ffff:93.184.216.34", "::FFFF:5db8:d822", "64:ff9b::5db8:d822", "93.184.216.34"]
    one = Recorder()
    for form in forms:
        one.saw("", form)
    assert {str(receipt.address) for receipt in read_chain(jsonl(one.bodies)).receipts} == {"93.184.216.34"}
    long = Recorder()
    long.saw("", "2606:4700:0:0:0:0:0:1111")
    long.saw("", "2606:4700::1111")
    assert len({receipt.address for receipt in read_chain(jsonl(long.bodies)).receipts}) == 1


@pytest.mark.parametrize("address", ["fe80::1%eth0", "[::1]", "0177.0.0.1", "127.1", "::1/128", "1.2.3.4:80"])
def test_an_address_that_two_readers_may_read_differently_is_refused(address: str) -> None:
    one = Recorder()
    one.saw("", address)
    assert refusing(jsonl(one.bodies), key_of(one)) == "structure"


@pytest.mark.parametrize(
    "host", ["example.com/path", "https://example.com", "example.com:80", "10.0.0.1", "2001:db8::1"]
)
def test_a_name_that_is_more_than_a_name_or_another_address_is_refused(host: str) -> None:
    one = Recorder()
    one.saw(host)
    assert refusing(jsonl(one.bodies), key_of(one)) == "structure"


def test_a_name_has_one_spelling() -> None:
    one = Recorder()
    for host in ("API.example.com", "api.example.com.", "api.example.com"):
        one.saw(host)
    assert {receipt.host for receipt in read_chain(jsonl(one.bodies)).receipts} == {"api.example.com"}


def test_what_is_too_large_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    one = recorder()
    big = Recorder()
    big.saw(hardware_root={"type": "t"} | {f"m{number}": "x" * 30_000 for number in range(3)})
    assert len(jsonl(big.bodies)) > MAX_RECEIPT_BYTES
    assert refusing(json.dumps(big.bodies).encode(), key_of(big)) == "structure"
    with monkeypatch.context() as few:
        few.setattr(host_chain, "MAX_RECEIPTS", 2)
        assert refusing(jsonl(one.bodies), key_of(one)) == "file"
    monkeypatch.setattr(host_chain, "MAX_FILE_BYTES", 100)
    for raw in (jsonl(one.bodies), of_chain(one.bodies)):
        assert refusing(raw, key_of(one)) == "file"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"{}x",
        b'{"receipts": []}',
        b'{"receipts": [], "version": "external_receipt_chain.v2"}',
        b'{"receipts": [], "version": "external_receipt_chain.v1", "zz": 1}',
        b"[" * 100 + b"]" * 100,
        b"\xff\xfe",
    ],
)
def test_what_is_no_file_of_receipts_is_refused(raw: bytes) -> None:
    assert refusing(raw, key_of(recorder())) in ("file", "structure")


def test_a_member_that_is_written_twice_is_refused() -> None:
    one = recorder(receipts=1)
    doubled = jsonl(one.bodies).replace(b'"agent_id": "agent"', b'"agent_id": "other", "agent_id": "agent"')
    assert refusing(doubled, key_of(one)) == "file"


def test_a_line_that_is_empty_or_torn_is_refused() -> None:
    one = recorder()
    lines = jsonl(one.bodies).splitlines()
    for torn in (b"\n".join([lines[0], b"", lines[1]]), b"\n".join([lines[0], lines[1][:-5]])):
        assert refusing(torn, key_of(one)) == "file"
