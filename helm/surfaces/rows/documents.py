"""Rows on which anybody reads the documents: pages for people and as Markdown, their search, and their lists."""

from __future__ import annotations

from typing import Final

from helm.surfaces.route import TEXT as PLAIN
from helm.surfaces.route import Access, Answer, Parameter, Route
from helm.surfaces.words import TEXT, Schema

HTML: Final = "text/html"
MARKDOWN: Final = "text/markdown"

MAX_QUERY_CHARS: Final = 200
"""Longest question to the search: it costs a look through every page (T4)."""

QUERY: Final[Schema] = {"type": "string", "maxLength": MAX_QUERY_CHARS}
UNCHANGED: Final = Answer(about="It is what the reader has: `if-none-match` named it.", headers=("etag",))
FOR_MARKDOWN: Final = "A page as HTML; as Markdown where `accept` prefers text/markdown, or the path ends with .md."


def document(
    name: str, path: str, about: str, kind: str = HTML, *others: str, parameters: tuple[Parameter, ...] = ()
) -> Route:
    """Return a row that answers with one text, known by its etag."""
    forms = tuple((one, TEXT) for one in others)
    given = Answer(about=about, schema=TEXT, media_type=kind, others=forms, headers=("etag",))
    return Route(
        name=name,
        method="GET",
        path=path,
        access=Access.PUBLIC,
        about=about,
        answers={200: given, 304: UNCHANGED},
        parameters=parameters,
    )


SEARCHED: Final = Parameter(name="q", schema=QUERY, about="Words to look for: the sections that hold them are listed.")

DOCUMENTS: Final = (
    document(
        "documents", "/docs", "The list of all pages, and what a search finds.", HTML, MARKDOWN, parameters=(SEARCHED,)
    ),
    document("document", "/docs/{page}", FOR_MARKDOWN, HTML, MARKDOWN),
    document("document_file", "/docs/files/{name}", "A picture of the pages, or their style.", "*/*"),
    document("trust_page", "/trust", "The security model.", HTML, MARKDOWN),
    document("trust_markdown", "/trust.md", "The security model, as Markdown.", MARKDOWN),
    document("security_map", "/security", "The security map.", HTML, MARKDOWN),
    document("security_markdown", "/security.md", "The security map, as Markdown.", MARKDOWN),
    document("security_page", "/security/{page}", FOR_MARKDOWN, HTML, MARKDOWN),
    document("llms", "/llms.txt", "The list of all pages for programs (llmstxt.org).", PLAIN),
    document("llms_full", "/llms-full.txt", "All pages in one text.", PLAIN),
)
