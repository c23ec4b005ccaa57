"""Pages as Markdown, for readers that are programs: one page, the list of all, all in one text (llmstxt.org)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

import attrs

from actors.documents.library import Library, Page
from actors.documents.links import Turner
from actors.documents.source_truth import source_truth

ABOUT: Final = "> An execution firewall for AI agents: every tool call is judged, bounded, and leaves a signed receipt."


@attrs.frozen
class Entry:
    """One page in a list of pages."""

    title: str
    link: str
    section: str
    about: str


def exported(library: Library, page: Page) -> str:
    """Return a page as Markdown whose links lead to other exports."""
    return f"{Turner(library, page, '.md').turned()}\n{source_truth(page)}"


def listed(entries: Iterable[Entry]) -> str:
    """Return the list of pages, by section, in the order in which the sections first come."""
    found = list(entries)
    return "\n".join(("# HELM", "", ABOUT, "", *sections(found)))


def sections(entries: list[Entry]) -> Iterator[str]:
    """Yield the lines of every section."""
    for section in dict.fromkeys(one.section for one in entries):
        yield f"## {section}"
        yield ""
        yield from (f"- [{one.title}]({one.link}): {one.about}" for one in entries if one.section == section)
        yield ""


def contents(library: Library, link: Callable[[Page], str]) -> str:
    """Return the list of a library's pages, each linked as `link` says."""
    return listed(
        Entry(title=page.title, link=link(page), section=page.section, about=page.about) for page in library.pages
    )


def everything(library: Library) -> str:
    """Return all pages in one text, each behind a line that says which it is."""
    return "\n".join(f"<!-- {page.route} -->\n\n{exported(library, page)}" for page in library.pages)
