"""A report says what its results come to, or it is not believed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from actors.conforming.material import vector_set
from helm.conformance.judge import STEPS, Check
from helm.conformance.report import Ran, check_report, level_of, seal_report, summary_of
from helm.conformance.result import FAILED, PASSED, SKIPPED, Result, unobserved
from helm.conformance.vector import Vector
from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey, SigningKey

SET: Final = vector_set()
KEY: Final = SigningKey.from_seed(bytes(range(32)), KeyPurpose.EVIDENCE)
TRUSTED: Final = PublicKey.from_hex(KEY.public_key)
CHECKS: Final = tuple(Check(name=name, detail="") for name in STEPS)


def good(vector: Vector) -> Result:
    """Return a result as a run makes it where everything holds."""
    return unobserved(vector) if vector.inside else Result(vector=vector, outcome=PASSED, checks=CHECKS)


def document(*but: Result, strays: int = 0) -> Any:
    """Return the report of a run in which everything held but this."""
    changed = {one.vector.id: one for one in but}
    results = tuple(changed.get(one.id, good(one)) for one in SET.vectors)
    ran = Ran(results=results, subjects={}, strays=strays, begun_at_ms=1, ended_at_ms=2)
    return copy.deepcopy(seal_report(ran, SET, KEY))


def test_a_level_is_reached_when_every_vector_of_it_and_below_has_passed() -> None:
    assert check_report(document(), TRUSTED, SET)["level"] == "L3"


@pytest.mark.parametrize(("level", "reached"), [("L1", "none"), ("L2", "L1"), ("L3", "L2")])
@pytest.mark.parametrize("outcome", [FAILED, SKIPPED])
def test_one_vector_that_did_not_pass_keeps_its_level_away(level: str, reached: str, outcome: str) -> None:
    vector = next(one for one in SET.vectors if one.level == level and not one.inside)
    told = document(Result(vector=vector, outcome=outcome, why="it did not"))
    assert check_report(told, TRUSTED, SET)["level"] == reached


def test_a_dispatch_that_belongs_to_no_vector_keeps_every_level_away() -> None:
    assert check_report(document(strays=1), TRUSTED, SET)["level"] == "none"


def test_nobody_is_believed_about_who_signed() -> None:
    other = SigningKey.from_seed(bytes(32), KeyPurpose.EVIDENCE)
    with pytest.raises(Invalid, match="did not sign"):
        check_report(document(), PublicKey.from_hex(other.public_key), SET)


def test_a_key_of_another_purpose_signs_no_report() -> None:
    key = SigningKey.from_seed(bytes(32), KeyPurpose.EXECUTION)
    with pytest.raises(PurposeMismatch):
        seal_report(Ran(results=(), subjects={}, strays=0, begun_at_ms=1, ended_at_ms=2), SET, key)


def signed_again(report: dict[str, Any]) -> Any:
    """Return a report that its own signer made say something else."""
    from helm.conformance.report import name_of

    del report["report_id"]
    report["report_id"] = name_of(report)
    signature = KEY.sign(domains.CONFORMANCE_REPORT, record_bytes(report))
    return {"public_key": KEY.public_key, "report": report, "signature": signature}


def raised(report: dict[str, Any]) -> None:
    report["level"] = "L3"


def counted(report: dict[str, Any]) -> None:
    report["summary"]["failed"] = 0
    report["summary"]["passed"] += 1


def passed(report: dict[str, Any]) -> None:
    for one in report["results"]:
        one["outcome"] = PASSED if one["outcome"] == FAILED else one["outcome"]


def unchecked(report: dict[str, Any]) -> None:
    report["results"][0]["checks"] = report["results"][0]["checks"][:-1]


def left_out(report: dict[str, Any]) -> None:
    report["results"] = [one for one in report["results"] if one["outcome"] != FAILED]


def doubled(report: dict[str, Any]) -> None:
    report["results"].append(report["results"][0])


def of_another_set(report: dict[str, Any]) -> None:
    report["vectors_hash"] = "sha256:" + "0" * 64


def seen_after_all(report: dict[str, Any]) -> None:
    for one in report["results"]:
        one["outcome"] = SKIPPED if one["outcome"] == "unobserved" else one["outcome"]


FORGERIES: Final[tuple[Callable[[dict[str, Any]], None], ...]] = (
    raised,
    counted,
    passed,
    unchecked,
    left_out,
    doubled,
    of_another_set,
    seen_after_all,
)


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_even_its_signer_cannot_make_it_say_more_than_its_results(forge: Callable[[dict[str, Any]], None]) -> None:
    vector = next(one for one in SET.vectors if one.id == "blocked-egress")
    wrong = (*CHECKS[:-1], Check(name="dispatch", detail="the counterpart was reached"))
    report = document(Result(vector=vector, outcome=FAILED, why="dispatch", checks=wrong))["report"]
    forge(report)
    with pytest.raises(Invalid):
        check_report(signed_again(report), TRUSTED, SET)


def passed_the_second_time(report: dict[str, Any]) -> None:
    failed = next(one for one in report["results"] if one["outcome"] == FAILED)
    report["results"].append(failed | {"outcome": PASSED, "checks": report["results"][0]["checks"]})


def observed_from_inside(report: dict[str, Any]) -> None:
    inside = next(one for one in report["results"] if one["outcome"] == "unobserved")
    inside |= {"outcome": PASSED, "checks": report["results"][0]["checks"]}


@pytest.mark.parametrize(
    "forge", [doubled, passed_the_second_time, observed_from_inside, seen_after_all], ids=lambda forge: forge.__name__
)
def test_a_signer_who_also_counts_anew_is_not_believed_either(forge: Callable[[dict[str, Any]], None]) -> None:
    """A result that its vector does not allow is no result, also where the counts and the level follow from it."""
    vector = next(one for one in SET.vectors if one.id == "blocked-egress")
    report = document(Result(vector=vector, outcome=FAILED, why="dispatch", checks=CHECKS))["report"]
    forge(report)
    report["summary"] = summary_of(report["results"])
    report["level"] = level_of(report["results"], SET, report["strays"])
    with pytest.raises(Invalid, match="result "):
        check_report(signed_again(report), TRUSTED, SET)


def test_a_signed_report_goes_by_no_name_but_its_own() -> None:
    report = document()["report"] | {"report_id": "conf_" + "0" * 32}
    signature = KEY.sign(domains.CONFORMANCE_REPORT, record_bytes(report))
    with pytest.raises(Invalid, match="report_id"):
        check_report({"public_key": KEY.public_key, "report": report, "signature": signature}, TRUSTED, SET)


def test_one_changed_letter_breaks_the_signature() -> None:
    told = document()
    told["report"]["results"][0]["why"] = "x"
    with pytest.raises(Invalid, match="did not sign"):
        check_report(told, TRUSTED, SET)


@pytest.mark.parametrize("odd", [None, [], {}, {"report": {}, "signature": "", "public_key": ""}], ids=str)
def test_what_is_no_report_is_told_so(odd: object) -> None:
    with pytest.raises(Invalid, match="no"):
        check_report(odd, TRUSTED, SET)
