"""The documents over HTTP: every page answers, every link leads somewhere, and nothing of a reader's becomes markup."""

from __future__ import annotations

import re
from html import unescape
from typing import Final
from urllib.parse import quote

import pytest

from actors.documents.library import library
from actors.doors.documents.routes import POLICY
from tests.actors.doors.street import Street

PAGES: Final = library().pages
LEADS: Final = re.compile(r' (?:href|src)="([^"]*)"')
NAMED: Final = re.compile(r' id="([^"]*)"')
MARKUP: Final = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'"


async def text_at(street: Street, path: str) -> str:
    """Return what is read at a path that must be there."""
    reply = await street.ask("GET", path, key="")
    assert reply.status == 200, (path, reply.body)
    return reply.body.decode()


async def test_every_page_is_served_as_html_and_as_markdown(street: Street) -> None:
    for page in PAGES:
        html = await street.ask("GET", page.route, key="")
        assert (html.status, html.headers["content-type"]) == (200, "text/html; charset=utf-8"), page.route
        assert f"<title>{page.title}".encode() in html.body.replace(b"&#x27;", b"'")
        plain = await street.ask("GET", page.export, key="")
        assert (plain.status, plain.headers["content-type"]) == (200, "text/markdown; charset=utf-8"), page.route
        assert plain.body.startswith(f"# {page.title}\n".encode())
        asked = await street.ask("GET", page.route, key="", accept="text/markdown, text/html;q=0.5")
        assert asked.body == plain.body


async def test_every_link_of_every_page_leads_to_a_page_and_to_its_section(street: Street) -> None:
    read = {page.route: await text_at(street, page.route) for page in PAGES}
    read |= {"/docs": await text_at(street, "/docs"), "/docs?q=freeze": await text_at(street, "/docs?q=freeze")}
    leads = {(route, unescape(found)) for route, html in read.items() for found in LEADS.findall(html)}
    assert len(leads) > 1000
    for route, link in sorted(leads):
        path, _, section = link.partition("#")
        if "://" in path:
            continue
        target = path or route
        if target not in read:
            read[target] = await text_at(street, target) if target.rpartition(".")[2] not in BINARY else ""
            if target.rpartition(".")[2] in BINARY:
                assert (await street.ask("GET", target, key="")).status == 200, (route, link)
        assert not section or section in NAMED.findall(read[target]), (route, link)


BINARY: Final = frozenset({"png"})


async def test_the_lists_for_programs_lead_to_what_is_served(street: Street) -> None:
    listed = await text_at(street, "/llms.txt")
    links = re.findall(r"\]\(([^)]+)\)", listed)
    assert len(links) == len(PAGES)
    for link in links:
        await text_at(street, link)
    asked = await street.ask("GET", "/docs", key="", accept="text/markdown")
    assert (asked.body.decode(), asked.headers["content-type"]) == (listed, "text/markdown; charset=utf-8")
    assert "# Threat model" in await text_at(street, "/llms-full.txt")


@pytest.mark.parametrize(
    "path", ["/trust", "/trust.md", "/security", "/docs", "/docs/files/documents.css", "/llms.txt"]
)
async def test_who_has_a_page_is_not_sent_it_again(path: str, street: Street) -> None:
    first = await street.ask("GET", path, key="")
    assert "no-store" not in first.headers["cache-control"]
    again = await street.ask("GET", path, key="", if_none_match=f'"other", W/{first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await street.ask("GET", path, key="", if_none_match='"other"')
    assert (other.status, other.body) == (200, first.body)


async def test_a_page_and_its_markdown_are_not_taken_for_each_other(street: Street) -> None:
    page = await street.ask("GET", "/trust", key="")
    assert page.headers["vary"] == "accept"
    assert page.headers["etag"] != (await street.ask("GET", "/trust.md", key="")).headers["etag"]


async def test_nothing_runs_in_a_page(street: Street) -> None:
    for path in ("/security", "/docs", "/docs?q=x"):
        reply = await street.ask("GET", path, key="")
        assert reply.headers["content-security-policy"] == POLICY
        assert b"<script" not in reply.body
    assert "script-src" not in POLICY
    assert "unsafe" not in POLICY


async def test_a_question_with_markup_in_it_stays_text(street: Street) -> None:
    html = await text_at(street, f"/docs?q={quote(MARKUP)}")
    assert "<script" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;alert(1)" in html


async def test_a_search_names_the_section_that_was_meant(street: Street) -> None:
    html = await text_at(street, "/docs?q=approval%20bypass")
    first = re.search(r'<ol class="hits"><li><a href="([^"]+)">', html)
    assert first is not None
    assert first[1] == "/security/threat-model#t7-approval-bypass"


@pytest.mark.parametrize(
    "path",
    [
        "/docs/no-such",
        "/docs/no-such.md",
        "/security/no-such",
        "/docs/../pyproject.toml",
        "/docs/..%2fpyproject.toml",
        "/docs/files/no-such.png",
        "/docs/files/..%2fREADME.md",
        "/trust/",
        "/docs/",
    ],
)
async def test_nothing_else_is_served_under_their_paths(path: str, street: Street) -> None:
    assert (await street.ask("GET", path, key="")).status == 404


@pytest.mark.parametrize("path", [f"/docs?q={'a' * 201}", "/docs?q=a&q=b", "/docs?r=a", "/trust?q=a"])
async def test_a_question_that_is_none_is_refused(path: str, street: Street) -> None:
    assert (await street.ask("GET", path, key="")).status == 400
