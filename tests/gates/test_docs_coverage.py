"""Every public surface has a page, every page its sources and its proofs; what is drawn is as it would be drawn now."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest

from conformance.documents import INVENTORY, MANIFEST, commands, drawn, index, inventory
from helm.contracts.reason import ReasonCode
from helm.surfaces.table import TABLE
from tests.gates.source import ROOT

LISTED: Final[list[dict[str, Any]]] = json.loads((ROOT / MANIFEST).read_text(encoding="utf-8"))["pages"]
WRITTEN: Final = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "adr"}
PROSE: Final = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in sorted(WRITTEN))


def test_every_page_is_listed_once_and_every_listed_page_is_there() -> None:
    paths = [page["path"] for page in LISTED]
    assert sorted(paths) == sorted({*WRITTEN, "README.md"}), f"list it in {MANIFEST}, with its sources and proofs"


@pytest.mark.parametrize("page", LISTED, ids=lambda page: str(page["path"]))
def test_a_page_says_what_it_stands_on(page: dict[str, Any]) -> None:
    assert set(page) == {"about", "path", "proofs", "route", "section", "sources", "title"}, "give it each of these"
    assert page["sources"], "name the code that the page tells of"
    assert page["proofs"], "name what fails where it is not true any more"
    missing = [one for one in (*page["sources"], *page["proofs"]) if not (ROOT / one.partition("::")[0]).exists()]
    assert missing == []
    title = (ROOT / page["path"]).read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    assert page["title"] == title


ROUTE: Final = re.compile(r"/trust|/security(/[a-z-]+)?|/docs/[a-z0-9-]+")
"""Where the server looks for pages: helm/surfaces/rows/documents.py."""

OF_SEEDS: Final = {
    "/security": "docs/public/security-and-trust/index.md",
    "/trust": "docs/public/security-and-trust/security-model.md",
    **{
        f"/security/{name}": f"docs/public/security-and-trust/{name}.md"
        for name in ("key-management", "tcb-policy", "threat-model", "verifier-trust-model")
    },
}


def test_every_page_has_a_route_of_its_own() -> None:
    routes = [page["route"] for page in LISTED]
    assert [route for route in routes if not ROUTE.fullmatch(route)] == [], "a route such as /docs/name"
    assert sorted(set(routes)) == sorted(routes)
    assert {page["route"]: page["path"] for page in LISTED}.items() >= OF_SEEDS.items()


def test_what_is_drawn_from_the_program_is_as_it_would_be_drawn_now() -> None:
    stale = [path for path, text in drawn().items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert stale == [], "run: python -m conformance.documents"


def test_every_command_and_every_route_has_its_place_in_the_references() -> None:
    cli = (ROOT / "docs/public/reference/cli.md").read_text(encoding="utf-8")
    http = (ROOT / "docs/public/reference/http-api.md").read_text(encoding="utf-8")
    sections = set(re.findall(r"^## (.*)$", cli, re.MULTILINE))
    assert {words for words, _ in commands()} == sections
    assert all(f"`{row.method} {row.path}`" in http for row in TABLE.values())
    assert len(sections) > 80


def test_every_command_says_what_it_does() -> None:
    assert [words for words, command in commands() if not (command.help or "").strip()] == []


def test_every_reason_code_is_told_of_somewhere() -> None:
    told = set(re.findall(r"[A-Z][A-Z_]*[A-Z]\*?", PROSE))
    families = {one.removesuffix("*") for one in told if one.endswith("*")}
    unsaid = [
        code.value
        for code in ReasonCode
        if code.value and code.value not in told and not any(code.value.startswith(one) for one in families)
    ]
    assert unsaid == []


def test_the_index_and_the_inventory_hold_every_page() -> None:
    assert all(f"]({page['path']})" in index(LISTED) for page in LISTED)
    held = {path for one in json.loads(inventory(LISTED))["sources"] for path in one["pages"]}
    assert held == {page["path"] for page in LISTED}
    assert (ROOT / INVENTORY).exists()
