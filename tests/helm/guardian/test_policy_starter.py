"""The starter policy loads, and lets agents do what its comments say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import actors.cli
from helm.guardian.bundle import load_toml
from helm.guardian.policy import Policy

STARTER = Path(actors.cli.__file__).with_name("starter_policy.toml")
TEXT = STARTER.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def starter() -> Policy:
    return load_toml(TEXT, "starter_policy.toml")


def may(policy: Policy, tool: str, arguments: dict[str, Any]) -> bool:
    rule = policy.tool(tool)
    assert rule is not None
    rule.input_schema.check(arguments)
    return all(requirement.program.holds({"args": arguments}) for requirement in rule.requirements)


def test_the_starter_reads_below_public_only(starter: Policy) -> None:
    assert may(starter, "files.read", {"path": "public/readme.txt"})
    assert not may(starter, "files.read", {"path": "private/salaries.txt"})
    assert not may(starter, "files.read", {"path": "public/../private/salaries.txt"})
    assert not may(starter, "files.read", {"path": "publicity.txt"})
    assert may(starter, "files.list", {"path": "public"}) and may(starter, "files.list", {"path": "public/a"})
    assert not may(starter, "files.list", {"path": "."})


def test_the_starter_takes_the_answers_of_the_files_connector(starter: Policy) -> None:
    read, listing = starter.tools["files.read"].output_schema, starter.tools["files.list"].output_schema
    read.check({"path": "public/readme.txt", "text": "x", "bytes": 1, "sha256": "sha256:" + "0" * 64})
    entries = [{"name": "a", "kind": kind, "bytes": 0} for kind in ("file", "folder", "link", "other")]
    listing.check({"path": "public", "entries": entries})


def test_the_starter_asks_a_human_before_private_files_are_read(starter: Policy) -> None:
    private = starter.tools["files.read_private"]
    assert private.approval is not None and private.approval.required
    assert may(starter, "files.read_private", {"path": "private/salaries.txt"})
    assert not may(starter, "files.read_private", {"path": "private/../../etc/passwd"})


def test_no_starter_tool_is_above_its_ceilings(starter: Policy) -> None:
    assert not any(starter.p0.forbids(rule) for rule in starter.tools.values())


def test_what_the_starter_only_suggests_loads_too() -> None:
    lines = TEXT.splitlines()
    suggested = [
        line[1:] if line.startswith("#") and not line.startswith("# ") and line != "#" else line for line in lines
    ]
    policy = load_toml("\n".join(suggested), "starter_policy.toml")
    assert policy.tool("orders.get") is not None and policy.max_age_s > 0
