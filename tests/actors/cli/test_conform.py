"""helm conform: what is published of the vectors, what a run needs, and what is refused with words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from helm.conformance.vector import CASES
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm

__all__ = ["made"]


def test_the_ten_cases_are_listed_with_what_each_binds() -> None:
    said = helm("conform", "negative", "--json").json()
    assert {one["case"] for one in said["vectors"]} == set(CASES)
    assert all(one["must_not_dispatch"] and one["must_bind"] for one in said["vectors"])
    ended = helm("conform", "negative")
    assert "blocked egress" in ended.out
    assert "DENY DATA_EGRESS_BLOCKED" in ended.out


def test_vectors_are_chosen_by_level_category_code_and_name() -> None:
    every = helm("conform", "vectors", "--json").json()
    low = helm("conform", "vectors", "--level", "L1", "--json").json()
    assert low["vectors_hash"] == every["vectors_hash"]
    assert {one["level"] for one in low["vectors"]} == {"L1"}
    assert len(low["vectors"]) < len(every["vectors"])
    frozen = helm("conform", "vectors", "--category", "gate-0-freeze", "--code", "AGENT_KILLED", "--json").json()
    assert [one["id"] for one in frozen["vectors"]] == ["killed-agent"]
    assert "killed-agent" in helm("conform", "vectors", "--vector", "killed-agent").out


@pytest.mark.parametrize("words", [("--category", "gate-9"), ("--vector", "nothing"), ("--code", "NOT_A_CODE")])
def test_a_name_that_nothing_has_is_a_mistake(words: tuple[str, str]) -> None:
    assert helm("conform", "vectors", *words).code == 2


def test_what_a_server_is_tested_with_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "servers"
    said = helm("conform", "setup", str(place), "--only", "main", "--first-port", "9001", "--json").json()
    assert said["servers"] == {"main": "http://127.0.0.1:9001"}
    target = place / "target.json"
    assert target.stat().st_mode & 0o077 == 0
    assert json.loads(target.read_text())["servers"]["main"]["keys"].keys() == {
        "agent",
        "intruder",
        "cleared",
        "delegate",
        "operator",
    }
    assert helm("conform", "setup", str(place)).code == 1


def test_a_server_of_others_is_tested_with_a_target_and_reported_on_with_a_key(tmp_path: Path) -> None:
    assert helm("conform", "run", "--server", "http://127.0.0.1:1").code == 2
    ended = helm("conform", "run", "--target", str(tmp_path / "target.json"), "--vector", "allowed")
    assert ended.code == 2
    assert "--key" in ended.err


def test_an_address_for_a_server_that_the_target_does_not_name_is_not_passed_over(tmp_path: Path, made: Made) -> None:
    target = tmp_path / "target.json"
    target.write_text(json.dumps({"counterpart": of_this_process(), "servers": {}}))
    ended = helm("conform", "run", "--target", str(target), "--server", "http://127.0.0.1:1", *made.option)
    assert ended.code == 1
    assert "no server main" in ended.err


def of_this_process() -> str:
    """Return an address of this machine that no other test listens at: below the ports that are given out."""
    return f"127.0.0.1:{20_000 + os.getpid() % 10_000}"


def test_a_server_that_is_not_there_has_passed_nothing(tmp_path: Path, made: Made) -> None:
    servers = tmp_path / "servers"
    helm("conform", "setup", str(servers), "--only", "main", "--counterpart", of_this_process(), "--first-port", "1")
    target = ("--target", str(servers / "target.json"))
    ended = helm("conform", "run", *target, "--vector", "allowed", "--vector", "stale-policy", "--json", *made.option)
    assert ended.code == 1
    report = ended.json()["report"]
    assert report["summary"] == {"failed": 1, "passed": 0, "skipped": 1, "unobserved": 0}
    assert report["level"] == "none"
    kept = made.path / "conformance" / f"{report['report_id']}.json"
    assert helm("conform", "verify", str(kept), *made.option).code == 0
    assert helm("conform", "verify", str(kept)).code == 2
    assert helm("conform", "verify", str(kept), "--public-key", "0" * 64).code == 1
