"""The documents in a terminal."""

from __future__ import annotations

from tests.actors.cli.shell import helm


def test_a_search_finds_the_section_and_says_where_it_is_read() -> None:
    ended = helm("docs", "search", "threat", "model")
    assert ended.code == 0
    assert ended.out.startswith("Threat model  /security/threat-model\n")
    found = helm("docs", "search", "threat", "model", "--json").json()["found"]
    assert found[0]["path"] == "docs/public/security-and-trust/threat-model.md"


def test_a_search_that_finds_nothing_ends_with_one() -> None:
    ended = helm("docs", "search", "xyzzyplugh")
    assert (ended.code, ended.out) == (1, "")
    assert "no page holds these words" in ended.err
    assert helm("docs", "search", "xyzzyplugh", "--json").json() == {"found": []}


def test_a_page_is_shown_by_any_of_its_names() -> None:
    names = ("threat-model", "/security/threat-model", "docs/public/security-and-trust/threat-model.md")
    shown = {helm("docs", "show", name).out for name in names}
    assert len(shown) == 1
    assert next(iter(shown)).startswith("# Threat model\n")


def test_without_a_name_the_pages_are_listed() -> None:
    assert "- [Threat model](/security/threat-model): " in helm("docs", "show").out
    assert helm("docs", "show", "--json").json()["route"] == "/docs"


def test_a_page_that_is_not_there_is_refused_with_what_to_do() -> None:
    ended = helm("docs", "show", "no-such-page")
    assert ended.code == 1
    assert "there is no page 'no-such-page'" in ended.err
    assert "helm docs show" in ended.err
    assert helm("docs", "show", "no-such-page", "--json").failure()["code"] == "NOT_FOUND"
