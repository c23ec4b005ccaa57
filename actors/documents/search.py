"""Search: the sections of all pages that hold the words, the best first. A look through half a megabyte, no index."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from time import sleep
from typing import Final

import attrs

from actors.documents.library import Library, Page
from actors.documents.lines import FENCE, told
from actors.documents.slug import plain, slug
from helm.surfaces.rows.documents import MAX_QUERY_CHARS

MAX_WORDS: Final = 8
MAX_HITS: Final = 20
"""How much a question may ask for (T4): each word is one look through every page, some tenths of a millisecond."""

OF_PAGE: Final = 3
"""Sections of one page among the hits, so that a long page does not hide the others."""

TITLE, BELOW_TITLE, HEADING, WHOLE, MOST = 12, 2, 8, 3, 4
"""What a word counts: in a page's title for its first section, there for the others, in a section's own heading, more
where it is all of a word; and in the text, where it counts so often at most."""

AROUND: Final = 90
"""Characters of a snippet before and behind the word."""

WORD: Final = re.compile(r"[\w][\w./-]*")
LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
MARKS: Final = re.compile(r"^[#>|\s-]+|[`*|]", re.MULTILINE)
BLANK: Final = re.compile(r"\s+")
HEADED: Final = re.compile(r"#{1,6} (.*)")


@attrs.frozen
class Part:
    """One section of one page, ready to be looked through."""

    page: Page
    heading: str
    anchor: str
    text: str = attrs.field(repr=False)
    lower: str = attrs.field(repr=False)
    title: str
    """The page's, in small letters."""
    head: str
    """The section's, likewise."""


@attrs.frozen
class Hit:
    """A section that was found. `snippet` is of its text: pieces in turn, every second of them one of the words."""

    page: Page
    heading: str
    anchor: str
    snippet: tuple[str, ...]

    @property
    def link(self) -> str:
        """Return where it is to be read."""
        return f"{self.page.route}#{self.anchor}" if self.anchor else self.page.route


def search(library: Library, query: str) -> list[Hit]:
    """Return the sections that hold every word of a query; where none does, those that hold most of them."""
    words = words_of(query)
    scored = [(found, part) for part in gently(parts(library)) if (found := weigh(part, words))[0]]
    most = max((found[0] for found, _ in scored), default=0)
    best = sorted((one for one in scored if one[0][0] == most), key=lambda one: -one[0][1])
    shown = islice(few_of_a_page([part for _, part in best]), MAX_HITS)
    return [Hit(part.page, part.heading, part.anchor, snippet(part, words)) for part in gently(shown)]


def gently(found: Iterable[Part]) -> Iterator[Part]:
    """Yield sections, and let the kernel's thread go on before each: it would wait 5 ms for its turn otherwise (T4)."""
    for part in found:
        sleep(0)
        yield part


def words_of(query: str) -> list[str]:
    """Return the words that are looked for."""
    return list(dict.fromkeys(WORD.findall(query[:MAX_QUERY_CHARS].lower())))[:MAX_WORDS]


def weigh(part: Part, words: list[str]) -> tuple[int, int]:
    """Return how many of the words a section holds, and how much they count in it."""
    counted = [weigh_word(part, word) for word in words]
    return sum(map(bool, counted)), sum(counted)


def weigh_word(part: Part, word: str) -> int:
    """Return how much one word counts in a section, 0 where it is not in it."""
    in_title = (TITLE if not part.anchor else BELOW_TITLE) * (word in part.title)
    in_head = HEADING * (word in part.head)
    whole = WHOLE * (bool(in_title or in_head) and f" {word} " in f" {part.title} {part.head} ")
    return in_title + in_head + whole + min(MOST, part.lower.count(word))


def few_of_a_page(found: list[Part]) -> Iterator[Part]:
    """Yield sections in their order, no more than a few of each page."""
    seen: dict[str, int] = {}
    for part in found:
        seen[part.page.route] = seen.get(part.page.route, 0) + 1
        if seen[part.page.route] <= OF_PAGE:
            yield part


def snippet(part: Part, words: list[str]) -> tuple[str, ...]:
    """Return the text around the first of the words, in pieces: every second piece is a word that was looked for."""
    places = [place for word in words if (place := part.lower.find(word)) >= 0]
    shown = around(part.text, min(places, default=0))
    return tuple(re.split(f"({'|'.join(map(re.escape, words))})", shown, flags=re.IGNORECASE)) if words else (shown,)


def around(text: str, place: int) -> str:
    """Return the words about a place in a text."""
    start = text.rfind(" ", 0, max(0, place - AROUND)) + 1
    end = text.find(" ", place + AROUND)
    return f"{'… ' if start else ''}{text[start : None if end < 0 else end]}{'' if end < 0 else ' …'}"


@lru_cache(maxsize=2)
def parts(library: Library) -> tuple[Part, ...]:
    """Return every section of every page."""
    return tuple(part for page in library.pages for part in parts_of(page))


def parts_of(page: Page) -> Iterator[Part]:
    """Yield the sections of a page; the first is what stands before any heading but its title."""
    heading, lines = "", [page.about + "."]
    for line, is_prose in told(page.text):
        headed = HEADED.fullmatch(line) if is_prose else None
        if headed is None:
            lines.append("" if line.startswith(("<!--", FENCE)) else line)
        elif not line.startswith("# "):
            yield part_of(page, heading, lines)
            heading, lines = plain(headed[1]), []
    yield part_of(page, heading, lines)


def part_of(page: Page, heading: str, lines: list[str]) -> Part:
    """Return one section, without its Markdown."""
    text = BLANK.sub(" ", MARKS.sub("", LINK.sub(r"\1", "\n".join(lines)))).strip()
    anchor = slug(heading)
    return Part(page, heading, anchor, text, text.lower(), page.title.lower(), heading.lower())
