"""What a policy may grant to a program: its bytes, its words, its limits, and nothing that is left unsaid."""

from __future__ import annotations

import re

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import load_toml
from helm.guardian.connection import ProgramConnection, Word
from helm.openai.policy import check_island
from tests.gates.source import ROOT

HASH = "sha256:" + "a" * 64
BUNDLE = f"""
version = "helm.policy/1"
scope = "test"
epoch = 1

[connectors.git]
kind = "subprocess"
program = "/usr/bin/git"
program_hash = "{HASH}"

[connectors.git.operations.log]
words = ["log", "--max-count={{count}}", "--", "{{path}}"]

[tools.log]
connector = "git"
operation = "log"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
input = '''{{
  "type": "object", "properties": {{"count": {{"type": "integer"}}, "path": {{"type": "string"}}}},
  "required": ["count", "path"], "additionalProperties": false
}}'''
output = '{{}}'
"""


OPEN = 'isolation = "none"\nnetwork = true\n'


def loaded(old: str = "", new: str = "") -> ProgramConnection:
    """Return the program of the bundle with something else in it."""
    assert old in BUNDLE
    policy = load_toml(BUNDLE.replace(old, new, 1) if old else BUNDLE, "test")
    connection = policy.connectors["git"]
    assert isinstance(connection, ProgramConnection)
    assert policy.rule("log").sandbox_grant_hash == connection.grant_hash
    return connection


def test_a_command_line_is_words_and_places() -> None:
    words = loaded().grant.operations["log"].words
    assert words[:2] == (Word(argument="", literal="log"), Word(argument="count", literal="--max-count="))
    braces = loaded('"log", ', '"{{a}}", "log", ').grant.operations["log"].words
    assert braces[0] == Word(argument="", literal="{a}")


def test_bubblewrap_is_what_is_meant_where_nothing_is_said() -> None:
    grant = loaded().grant
    assert (grant.isolation, grant.network, grant.writes, grant.is_harmless) == ("bubblewrap", False, (), True)


@pytest.mark.parametrize(
    "line",
    [
        "cpu_s = 11",
        "network = true",
        'writes = ["/srv"]',
        'reads = ["/srv"]',
        'environment = { A = "b" }',
        'directory = "/srv"',
    ],
)
def test_whatever_is_granted_changes_the_grants_hash(line: str) -> None:
    assert (
        loaded("\n\n[connectors.git.operations", f"\n{line}\n\n[connectors.git.operations").grant_hash
        != loaded().grant_hash
    )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"/usr/bin/git"', '"git"', "not an absolute path"),
        ('"/usr/bin/git"', '"/usr/bin/../bin/git"', "not an absolute path"),
        ('"/usr/bin/git"', '"/usr//bin/git"', "not an absolute path"),
        ('"/usr/bin/git"', '"/usr/bin/git/"', "not an absolute path"),
        (HASH, "sha256:abc", "not a hash"),
        ('"log", ', '"{count} {path}", "log", ', "a brace that is no place"),
        ('"log", ', '"{count}s", "log", ', "a brace that is no place"),
        ('"log", ', '"{", "log", ', "a brace that is no place"),
        ('"log", ', '"", "log", ', "not a word"),
        ('"log", ', '1, "log", ', "not a word"),
        (', "--", "{path}"', "", "path goes nowhere"),
        ('"required": ["count", "path"]', '"required": ["count"]', "path may be no word"),
        ('"path": {"type": "string"}', '"path": {"type": "object"}', "path may be no word"),
        ('"path": {"type": "string"}', '"path": {"type": ["string", "null"]}', "path may be no word"),
        ('{"type": "integer"}', '{"type": "array", "items": {"type": "string"}}', "count may be no word"),
        (', "additionalProperties": false', "", "dropped unsaid"),
        ("\n\n[tools", '\noptions = ["other"]\n\n[tools', "no word takes this argument"),
        ("\n\n[tools", '\nstdin = "count"\n\n[tools', "count may be no text"),
        ("\n\n[tools", '\nshell = "true"\n\n[tools', "unknown key"),
        ("\n\n[connectors.git.", '\nisolation = "none"\n\n[connectors.git.', "no network is withheld"),
        ("\n\n[connectors.git.", f'\n{OPEN}reads = ["/a"]\n\n[connectors.git.', "every path is open"),
        ("\n\n[connectors.git.", '\nisolation = "magic"\n\n[connectors.git.', "none of the words"),
        ("\n\n[connectors.git.", '\nenvironment = { LD_PRELOAD = "/a" }\n\n[connectors.git.', "runs other code"),
        ("\n\n[connectors.git.", '\nenvironment = { "A=B" = "c" }\n\n[connectors.git.', "not the name of a variable"),
        ("\n\n[connectors.git.", "\ncpu_s = 0\n\n[connectors.git.", "not within"),
        ("\n\n[connectors.git.", '\nwrites = ["tmp"]\n\n[connectors.git.', "not an absolute path"),
        ('operation = "log"', 'operation = "push"', "has no operation push"),
    ],
)  # fmt: skip
def test_what_a_policy_leaves_open_is_refused(old: str, new: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        loaded(old, new)


def test_the_page_shows_a_policy_that_compiles() -> None:
    page = (ROOT / "docs" / "programs.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    policy = load_toml(BUNDLE[: BUNDLE.index("[connectors.git]")] + shown.replace("sha256:...", HASH), "page")
    assert policy.rule("history").sandbox_grant_hash


def test_an_island_keeps_programs_that_have_no_network() -> None:
    check_island(load_toml(BUNDLE, "test"), "https://api.example.com:443")
    open_one = BUNDLE.replace("\n\n[connectors.git.", "\nnetwork = true\n\n[connectors.git.", 1)
    with pytest.raises(Invalid, match="island mode"):
        check_island(load_toml(open_one, "test"), "https://api.example.com:443")
