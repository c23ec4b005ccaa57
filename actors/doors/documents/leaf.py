"""One page of the documents as HTML: what stands around the text. Everything that is put in is escaped here (T2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

import attrs

from actors.documents.library import Library, Page
from actors.documents.links import FILES, Turner
from actors.documents.markdown import Heading, rendered
from actors.documents.search import Hit, search
from actors.documents.source_truth import source_truth
from helm.surfaces.rows.documents import MAX_QUERY_CHARS

DEEPEST: Final = 2
"""Titles that the list beside a page has: those of its parts, not those within them."""

FEWEST: Final = 3
"""Fewer titles need no list."""

LONGEST: Final = 60
"""More are no list any more: the reference of commands is searched instead."""


@attrs.frozen(kw_only=True)
class Leaf:
    """What differs from page to page. `article` and `beside` are markup already; the rest is text."""

    title: str
    route: str
    article: str
    beside: str = ""
    query: str = ""
    export: str = ""


def page_leaf(library: Library, page: Page) -> str:
    """Return a page of the manifest."""
    text = rendered(f"{Turner(library, page).turned()}\n{source_truth(page)}")
    badges = (
        f'<p class="soft small">{escape(page.section)} · {escape(page.path)} · <a href="{page.export}">Markdown</a></p>'
    )
    return bound(
        library,
        Leaf(
            title=page.title,
            route=page.route,
            article=badges + text.html,
            beside=on_this_page(text.headings),
            export=page.export,
        ),
    )


def list_leaf(library: Library) -> str:
    """Return the list of all pages."""
    sections = "".join(
        f"<h2>{escape(section)}</h2><ul>{''.join(listed(page) for page in pages)}</ul>"
        for section, pages in by_section(library)
    )
    return bound(library, Leaf(title="Documents", route="/docs", article=f"<h1>Documents</h1>{sections}"))


def listed(page: Page) -> str:
    return f'<li><a href="{page.route}">{escape(page.title)}</a>: {escape(page.about)}</li>'


def found_leaf(library: Library, query: str) -> str:
    """Return what a search finds."""
    hits = search(library, query)
    shown = f'<ol class="hits">{"".join(map(hit_of, hits))}</ol>' if hits else NOTHING
    said = f'<p class="soft" role="status">{len(hits)} found for “{escape(query)}”</p>'
    return bound(library, Leaf(title="Search", route="/docs", article=f"<h1>Search</h1>{said}{shown}", query=query))


NOTHING: Final = '<div class="empty"><p>No page holds these words.</p><p><a href="/docs">All pages</a></p></div>'


def hit_of(hit: Hit) -> str:
    """Return one section that was found."""
    pieces = (f"<mark>{escape(one)}</mark>" if n % 2 else escape(one) for n, one in enumerate(hit.snippet))
    within = f' <span class="soft">› {escape(hit.heading)}</span>' if hit.heading else ""
    return (
        f'<li><a href="{escape(hit.link)}">{escape(hit.page.title)}</a>{within}'
        f'<p class="small">{"".join(pieces)}</p></li>'
    )


def on_this_page(headings: Iterable[Heading]) -> str:
    """Return the list of a page's parts, "" where it is no help."""
    parts = [one for one in headings if one.level <= DEEPEST]
    if not FEWEST <= len(parts) <= LONGEST:
        return ""
    links = "".join(f'<li><a href="#{escape(one.anchor)}">{escape(one.words)}</a></li>' for one in parts)
    return f'<nav class="beside small" aria-label="On this page"><h2>On this page</h2><ul>{links}</ul></nav>'


def by_section(library: Library) -> Iterator[tuple[str, list[Page]]]:
    """Yield the sections in the manifest's order, each with its pages."""
    for section in dict.fromkeys(page.section for page in library.pages):
        yield section, [page for page in library.pages if page.section == section]


def shelf(library: Library, route: str) -> str:
    """Return the list of pages that stands beside every page."""
    return "".join(
        f"<h2>{escape(section)}</h2><ul>{''.join(spine(page, route) for page in pages)}</ul>"
        for section, pages in by_section(library)
    )


def spine(page: Page, route: str) -> str:
    here = ' aria-current="page"' if page.route == route else ""
    return f'<li><a href="{page.route}"{here}>{escape(page.title)}</a></li>'


def bound(library: Library, leaf: Leaf) -> str:
    """Return the whole page. It needs no script, and holds none."""
    export = f'\n<link rel="alternate" type="text/markdown" href="{leaf.export}">' if leaf.export else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(leaf.title)} · HELM</title>
<link rel="icon" href="/console/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/console/console.css">
<link rel="stylesheet" href="{FILES}/documents.css">{export}
</head>
<body class="documents">
<a class="skip" href="#text">Skip to the text</a>
<header>
  <a class="mark" href="/docs"><img src="/console/mark.svg" alt="" width="24" height="24"><span>HELM</span></a>
  <nav aria-label="Parts">{"".join(part(one, leaf.route) for one in PARTS)}</nav>
  <form action="/docs" role="search">
    <input type="search" name="q" value="{escape(leaf.query)}" maxlength="{MAX_QUERY_CHARS}"
      aria-label="Search the documents" placeholder="Search">
    <button>Search</button>
  </form>
</header>
<div class="shelves">
<main id="text" tabindex="-1"><article>
{leaf.article}</article></main>
{leaf.beside}
<nav class="shelf small" aria-label="All pages">{shelf(library, leaf.route)}</nav>
</div>
</body>
</html>
"""


PARTS: Final = (("/docs", "Documents"), ("/security", "Security"), ("/trust", "Trust"), ("/console/", "Console"))


def part(one: tuple[str, str], route: str) -> str:
    here = ' aria-current="true"' if one[0] == route else ""
    return f'<a href="{one[0]}"{here}>{one[1]}</a>'
