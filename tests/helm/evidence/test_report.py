"""A report names every check, made or not, for people and for programs."""

from __future__ import annotations

from helm.crypto.canonical import parse, record_bytes
from helm.evidence import verify
from helm.evidence.verify import CHECKS, verify_pack
from tests.helm.evidence.forger import a_log, a_pack, flipped, root_of, standalone


def test_every_check_is_named_by_number_in_order() -> None:
    outcomes = verify_pack(a_pack(), root_of(a_log())).outcomes
    assert [outcome.number for outcome in outcomes] == list(range(1, len(CHECKS) + 1))
    assert [outcome.name for outcome in outcomes] == [name for name, _ in CHECKS]
    assert all(outcome.ok and outcome.promise and not outcome.detail for outcome in outcomes)


def test_the_list_in_the_docstring_is_the_list_that_is_made() -> None:
    listed = [line.split() for line in (verify.__doc__ or "").splitlines() if line[:2].strip().isdigit()]
    assert [(int(words[0].rstrip(".")), words[1]) for words in listed] == [
        (number, name) for number, (name, _) in enumerate(CHECKS, 1)
    ]


def test_the_replay_script_makes_the_same_checks_under_the_same_names_and_promises() -> None:
    ours = [(name, (check.__doc__ or "").removesuffix(".")) for name, check in CHECKS]
    assert [(name, check.__doc__) for name, check in standalone().CHECKS] == ours


def test_a_refusal_names_its_check_and_the_ones_that_were_not_made() -> None:
    report = verify_pack(flipped(a_pack()), root_of(a_log()))
    assert not report.authenticated
    assert report.failed is not None
    assert [outcome.ok for outcome in report.outcomes].index(False) == report.failed.number - 1
    assert all(not outcome.ok for outcome in report.outcomes[report.failed.number - 1 :])
    assert report.outcomes[-1].detail == f"not made: check {report.failed.number} did not hold"
    assert report.subject.log_id == ""


def test_the_object_form_says_what_the_text_says() -> None:
    for raw in (a_pack(), a_pack()[:-1]):
        report = verify_pack(raw, root_of(a_log()))
        body = parse(record_bytes(report.body()))
        assert body["authenticated"] is report.authenticated
        for outcome, line in zip(body["checks"], report.text().splitlines(), strict=False):
            assert outcome["name"] in line
        assert ("NOT AUTHENTICATED" in report.text()) is not report.authenticated


def test_bytes_that_are_no_pack_at_all_are_refused_without_a_traceback() -> None:
    for raw in (b"", b"\0" * 1024, b"PK\x03\x04", b"{}", bytes(512) + b"x"):
        failed = verify_pack(raw, root_of(a_log())).failed
        assert failed is not None
        assert failed.name in ("archive", "manifest")
