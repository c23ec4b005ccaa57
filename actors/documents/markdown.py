"""Markdown as HTML that holds no markup of its writer's: what looks like a tag is text (T2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import attrs

from actors.documents.slug import plain, slug

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

DRAWN: Final = "mermaid"
"""A fence in a language that a browser would need somebody's script for: it is shown as what it is, a text."""


@attrs.frozen
class Heading:
    """A title below the page's own."""

    level: int
    words: str
    anchor: str


@attrs.frozen
class Rendered:
    """A page's content in HTML, and the titles in it in their order."""

    html: str
    headings: tuple[Heading, ...]


def rendered(text: str) -> Rendered:
    """Return a Markdown text as HTML."""
    parser = reader()
    tokens = parser.parse(text)
    headings = tuple(name_headings(tokens))
    undress_cells(tokens)
    html: str = parser.renderer.render(tokens, parser.options, {})
    return Rendered(html, headings)


def reader() -> MarkdownIt:
    """Return a parser of CommonMark with tables, raw HTML off, that writes what a reader can scroll and reach.

    The library takes a tenth of a second to be loaded: by whoever reads the first page, and not by every start.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("table_open", table_open)
    parser.add_render_rule("table_close", table_close)
    parser.add_render_rule("fence", fence)
    return parser


def name_headings(tokens: Sequence[Token]) -> list[Heading]:
    """Give every heading the name by which it is linked to, and return those below the page's title."""
    found: list[Heading] = []
    taken: set[str] = set()
    for opening, words in pairwise(tokens):
        if opening.type != "heading_open":
            continue
        anchor = slug(words.content)
        if anchor and anchor not in taken:
            taken.add(anchor)
            opening.attrSet("id", anchor)
            if opening.tag != "h1":
                found.append(Heading(int(opening.tag[1:]), plain(words.content), anchor))
    return found


def undress_cells(tokens: Sequence[Token]) -> None:
    """Take the styles from the cells of tables: the policy of our pages admits none in the text."""
    for token in tokens:
        if token.type in {"td_open", "th_open"}:
            token.attrs.pop("style", None)


def table_open(_self: Any, _tokens: Sequence[Token], _at: int, _options: Any, _env: Mapping[str, Any]) -> str:
    return '<div class="scroll" role="region" aria-label="Table" tabindex="0"><table>\n'


def table_close(_self: Any, _tokens: Sequence[Token], _at: int, _options: Any, _env: Mapping[str, Any]) -> str:
    return "</table></div>\n"


def fence(_self: Any, tokens: Sequence[Token], at: int, _options: Any, _env: Mapping[str, Any]) -> str:
    """Return a quoted text, a figure where it is a drawing."""
    token = tokens[at]
    quoted = f'<pre tabindex="0"><code>{escape(token.content)}</code></pre>\n'
    if token.info.strip() == DRAWN:
        return f"<figure>{quoted}<figcaption>A diagram, as its Mermaid source.</figcaption></figure>\n"
    return quoted
