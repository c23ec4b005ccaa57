"""The conformance runner passes against our own server, and fails on a server with one gate broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
import pytest

from actors.conforming.counterpart import counterpart
from actors.conforming.material import vector_set
from actors.conforming.run import Run
from actors.conforming.setup import set_up
from helm.conformance.choosing import Wanted, chosen
from helm.conformance.report import Ran, seal_report
from helm.conformance.result import FAILED, PASSED, Result
from helm.conformance.vector import CASES
from helm.contracts.reason import CODES
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.gates.source import ROOT
from tests.warm.python import python

__all__ = ["made"]

BROKEN: Final = {
    "freeze": ("gate-0-freeze", "SYSTEM_FROZEN"),
    "context": ("gate-1-context", "PROVENANCE_FAILURE"),
    "identity": ("gate-2-identity", "IDENTITY_ISOLATION_VIOLATION"),
    "egress": ("gate-3-egress", "DATA_EGRESS_BLOCKED"),
    "threat": ("gate-4-threat", "PROMPT_INJECTION_DETECTED"),
    "delegation": ("gate-5-delegation", "DELEGATION_INVALID"),
    "effect": ("effect", "NO_POLICY_DEFINED"),
    "temporal": ("temporal", "TEMPORAL_THROTTLE"),
    "compliance": ("compliance", "COMPLIANCE_VIOLATION"),
    "pep": ("pep", "SCHEMA_VIOLATION"),
    "authz": ("authz", "PDP_ERROR"),
    "prg": ("prg", "MISSING_REQUIREMENT"),
    "pdp": ("pdp", "SANDBOX_VIOLATION"),
    "budget": ("budget", "BUDGET_EXCEEDED"),
    "drift": ("drift", "ERR_CONNECTOR_CONTRACT_DRIFT"),
}
"""Each gate with the category of its vectors, and the code that a server without it no longer gives."""

LONG: Final = pytest.mark.timeout(600)
"""The whole set takes a quarter of a minute of processor time, and a machine may have other things to do."""

CONTROLS: Final = frozenset({"control"})


@contextmanager
def served_by(*words: str, path: Path) -> Iterator[Run]:
    """Serve the conformance policy by a process of its own, started by these words; yield a run against it."""
    with counterpart() as service:
        target = set_up(path, ["main"], service.origin.removeprefix("http://"))
        main = target.servers["main"]
        line = [*python(), *words, "serve", "--json", "--port", "0", "--data-dir", main.data_dir]
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                url = address_in(process)
                named = attrs.evolve(target, servers={"main": attrs.evolve(main, url=url)})
                yield Run(target=named, service=service, may_stop=True)
            finally:
                process.kill()


def address_in(process: subprocess.Popen[str]) -> str:
    """Return where a gateway says that it is open."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        _, found, url = json.loads(line)["event"].partition("deciding at ")
        if found:
            return str(url)
    raise AssertionError(f"it did not open: {said}")


def told(_: Result) -> None:
    """Say nothing."""


def of(*categories: str) -> tuple[Any, ...]:
    """Return the vectors of some categories that anybody brings about at the server `main`."""
    found = chosen(vector_set(), Wanted(categories=frozenset({*categories, *CONTROLS})))
    return tuple(one for one in found if not one.inside and one.server == "main")


@LONG
@pytest.mark.slow
@pytest.mark.parametrize("gate", BROKEN)
def test_a_server_with_this_gate_broken_does_not_conform(gate: str, tmp_path: Path) -> None:
    category, code = BROKEN[gate]
    with served_by("-m", "tests.journeys.broken_gate", gate, path=tmp_path / "servers") as run:
        results = run.run(of(category), told)
    failed = {one.vector.expected.reason_code for one in results if one.outcome == FAILED}
    assert code in failed, [one.why for one in results]
    assert {one.vector.category for one in results if one.outcome == PASSED} >= CONTROLS, [one.why for one in results]
    ran = Ran(results=results, subjects=run.subjects, strays=run.strays, begun_at_ms=1, ended_at_ms=2)
    report: Any = seal_report(ran, vector_set(), SigningKey.from_seed(bytes(32), KeyPurpose.EVIDENCE))["report"]
    assert report["level"] == "none"
    assert report["summary"]["failed"]


@LONG
@pytest.mark.slow
def test_the_same_process_with_no_gate_broken_conforms_in_all_of_these(tmp_path: Path) -> None:
    with served_by("-m", "actors.cli.main", path=tmp_path / "servers") as run:
        results = run.run(of(*(category for category, _ in BROKEN.values())), told)
    assert [one.why for one in results if one.outcome != PASSED] == []
    assert run.strays == 0


@LONG
@pytest.mark.slow
def test_a_server_that_somebody_else_started_is_tested_by_its_address(tmp_path: Path, made: Made) -> None:
    place, out, counterparts = (
        tmp_path / "servers",
        tmp_path / "report.json",
        f"127.0.0.1:{30_000 + os.getpid() % 2_000}",
    )
    assert helm("conform", "setup", str(place), "--only", "main", "--counterpart", counterparts).code == 0
    line = [*python(), "-m", "actors.cli.main", "serve", "--json", "--port", "0", "--data-dir", str(place / "main")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            there = ("--target", str(place / "target.json"), "--server", address_in(process), *made.option)
            ended = helm("conform", "run", *there, "--level", "L1", "--out", str(out), "--json")
        finally:
            process.kill()
    report = ended.json()["report"]
    assert ended.code == 1  # there is no server whose policy is stale, so that the level is not reached
    assert [(one["id"], one["outcome"]) for one in report["results"] if one["outcome"] != "passed"] == [
        ("stale-policy", "skipped")
    ]
    assert report["level"] == "none"
    assert report["subjects"]["main"]["is_own"] is False
    assert helm("conform", "verify", str(out), *made.option).code == 0


@LONG
@pytest.mark.slow
def test_our_own_server_reaches_the_highest_level(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    ended = helm("conform", "run", "--out", str(out), "--json")
    assert ended.code == 0, [one for one in ended.json()["report"]["results"] if one["outcome"] not in SETTLED]
    document = json.loads(out.read_text())
    assert document["report"]["level"] == "L3"
    assert document["report"]["strays"] == 0
    believed = helm("conform", "verify", str(out), "--public-key", document["public_key"])
    assert believed.code == 0
    document["report"]["summary"]["passed"] += 1
    out.write_text(json.dumps(document))
    assert helm("conform", "verify", str(out), "--public-key", document["public_key"]).code == 1


SETTLED: Final = ("passed", "unobserved")


def test_the_ten_fail_closed_cases_are_refused_by_our_own_server() -> None:
    cases = [one.id for one in vector_set().vectors if one.case or one.category == "control"]
    ended = helm("conform", "run", "--json", *(word for one in cases for word in ("--vector", one)))
    assert ended.code == 0, [one for one in ended.json()["report"]["results"] if one["outcome"] != "passed"]
    assert {one["id"] for one in ended.json()["report"]["results"]} == set(cases)


def test_there_is_a_vector_for_each_case_and_each_code() -> None:
    vectors = vector_set().vectors
    assert {one.case for one in vectors} - {""} == set(CASES)
    assert {one.expected.reason_code for one in vectors} - {""} == set(CODES)
