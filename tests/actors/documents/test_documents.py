"""Pages as they are read: links lead to routes, markup of a writer stays text, what is searched for is found."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.documents.export import contents, everything, exported
from actors.documents.library import Library, Page, library
from actors.documents.links import Turner
from actors.documents.markdown import rendered
from actors.documents.search import MAX_HITS, MAX_WORDS, OF_PAGE, parts, search, words_of
from actors.documents.slug import slug
from actors.doors.documents.leaf import found_leaf
from helm.surfaces.rows.documents import MAX_QUERY_CHARS

MARKUP = "<script>alert(1)</script> <img src=x onerror=alert(1)>"


def page(path: str, route: str, text: str, title: str = "A page") -> Page:
    return Page(
        path=path,
        route=route,
        title=title,
        section="Guides",
        about="what it is about",
        sources=("helm/receipts",),
        proofs=("tests/helm/receipts",),
        text=text,
    )


def shelf(*texts: str) -> Library:
    """Return a library of pages in one folder, the first of them the one that is looked at."""
    pages = tuple(page(f"docs/p{n}.md", f"/docs/p{n}", text, f"Page {n}") for n, text in enumerate(texts))
    return Library(pages=pages, pictures={"one.png": b""})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("[a](p1.md)", "[a](/docs/p1)"),
        ("[a](p1.md#of-it)", "[a](/docs/p1#of-it)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](https://example.org/x.md)", "[a](https://example.org/x.md)"),
        ("![a](images/one.png)", "![a](/docs/files/one.png)"),
        ("[chain](../helm/guardian/chain.py)", "chain `helm/guardian/chain.py`"),
        ("[`helm/receipts`](../helm/receipts)", "`helm/receipts`"),
        ("`[a](p1.md)`", "`[a](p1.md)`"),
        ("[`a`](p1.md), [b](p1.md)", "[`a`](/docs/p1), [b](/docs/p1)"),
        ("<!-- of its makers -->\nx", "x"),
        ("```\n[a](p1.md)\n<!-- x -->\n```", "```\n[a](p1.md)\n<!-- x -->\n```"),
    ],
)
def test_links_lead_to_routes(written: str, read: str) -> None:
    library = shelf(written, "# Page 1")
    assert Turner(library, library.pages[0]).turned() == read + "\n"


def test_links_of_an_export_lead_to_exports() -> None:
    library = shelf("[a](p1.md#of-it) ![b](images/one.png)", "# Page 1")
    assert exported(library, library.pages[0]).startswith("[a](/docs/p1.md#of-it) ![b](/docs/files/one.png)\n")


@pytest.mark.parametrize(
    "written", [MARKUP, f"# {MARKUP}", f"| a |\n|---|\n| {MARKUP} |", f"```\n{MARKUP}\n```", f"`{MARKUP}`"]
)
def test_what_looks_like_markup_is_text(written: str) -> None:
    html = rendered(written).html
    assert "<script" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html


BLOCKS: Final = {"blockquote", "div", "figcaption", "figure", "hr", "li", "ol", "p", "pre", "ul"}
TABLES: Final = {"table", "tbody", "td", "th", "thead", "tr"}
TAGS: Final = {"a", "br", "code", "em", "img", "strong", *(f"h{level}" for level in range(1, 7)), *BLOCKS, *TABLES}
ATTRIBUTES: Final = {"alt", "aria-label", "class", "href", "id", "role", "src", "start", "tabindex", "title"}
SIGNS: Final = (
    "<",
    ">",
    '"',
    "'",
    "`",
    "```",
    "|",
    "[",
    "](",
    ")",
    "!",
    "#",
    "&",
    "--",
    ":-",
    "\\",
    " ",
    "    ",
    "\n",
    "\n\n",
)
WORDS: Final = (
    "a",
    "- ",
    "> ",
    "1. ",
    "mermaid\n",
    "&lt;",
    "&#60;",
    "onclick=",
    "javascript:alert(1)",
    "[a]: <x>",
    "<http://x>",
)
PIECES: Final = st.sampled_from([MARKUP, *SIGNS, *WORDS])


class Markup(HTMLParser):
    """Collects what a browser would take for markup."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@given(st.lists(PIECES, max_size=40).map("".join))
def test_no_text_becomes_markup_that_does_something(written: str) -> None:
    markup = Markup()
    markup.feed(rendered(written).html)
    for tag, held in markup.found:
        assert tag in TAGS
        assert held.keys() <= ATTRIBUTES
        assert not (held.get("href") or held.get("src") or "").lower().startswith(("javascript:", "data:", "vbscript:"))


@pytest.mark.parametrize("target", ["javascript:alert(1)", "vbscript:x", "data:text/html,x", "file:///etc/passwd"])
def test_a_link_runs_nothing(target: str) -> None:
    assert "href" not in rendered(f"[a]({target})").html


def test_cells_bring_no_style_that_the_policy_would_refuse() -> None:
    assert "style" not in rendered("| a |\n|:-:|\n| b |").html


def test_a_language_closes_no_attribute() -> None:
    assert 'onclick="' not in rendered('```x" onclick="y\nz\n```').html


def test_a_diagram_in_mermaid_is_shown_as_its_source() -> None:
    html = rendered("```mermaid\nflowchart TD\n  A --> B\n```").html
    assert "<figure><pre" in html
    assert "A --&gt; B" in html


def test_sections_have_the_names_by_which_they_are_linked() -> None:
    html = rendered("# T\n## One `two` three\n## One `two` three").html
    assert html.count('id="one-two-three"') == 1
    assert slug("What's new, in [a](b)?") == "whats-new-in-a"


def test_the_source_truth_of_a_page_is_drawn_from_the_manifest() -> None:
    library = shelf("# Page 0")
    assert "`helm/receipts`" in exported(library, library.pages[0]).partition("## Source Truth")[2]


def test_a_title_counts_more_than_a_heading_and_a_heading_more_than_text() -> None:
    library = Library(
        pages=(
            page("docs/a.md", "/docs/a", "# A\nfreeze freeze freeze freeze freeze", "A"),
            page("docs/b.md", "/docs/b", "# B\nx\n## To freeze\ny", "B"),
            page("docs/c.md", "/docs/c", "# Freeze\nz", "Freeze"),
        ),
        pictures={},
    )
    assert [hit.link for hit in search(library, "FREEZE")] == ["/docs/c", "/docs/b#to-freeze", "/docs/a"]


def test_a_section_that_holds_every_word_hides_those_that_hold_some() -> None:
    library = shelf("# Page 0\none two", "# Page 1\none", "# Page 2\ntwo")
    assert [hit.link for hit in search(library, "one two")] == ["/docs/p0"]
    assert [hit.link for hit in search(library, "one nowhere")] == ["/docs/p0", "/docs/p1"]


def test_a_snippet_shows_the_words_where_they_stand() -> None:
    library = shelf(f"# Page 0\n{'before ' * 50}Needle{' behind' * 50}")
    (hit,) = search(library, "needle")
    assert hit.snippet[1] == "Needle"
    assert (hit.snippet[0].startswith("… before"), hit.snippet[-1].endswith("behind …")) == (True, True)


def test_whoever_searches_without_pause_does_not_hold_up_the_kernels_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter changes threads every 5 ms by itself: it is let go before each section (T4)."""
    yielded: list[float] = []
    monkeypatch.setattr("actors.documents.search.sleep", yielded.append)
    search(library(), "a e i o u t n s")
    assert len(yielded) >= len(parts(library()))
    assert set(yielded) == {0}


@pytest.mark.parametrize("query", ["", "   ", "%%%", "(((((", "[a-", "\\", "a" * 10_000, "\x00"])
def test_no_question_breaks_the_search(query: str) -> None:
    assert len(search(library(), query)) <= MAX_HITS


def test_a_question_is_of_few_words() -> None:
    assert len(words_of(" ".join(f"w{n}" for n in range(100)))) == MAX_WORDS
    assert words_of(" " * MAX_QUERY_CHARS + "late") == []


def test_a_long_page_does_not_hide_the_others() -> None:
    library = shelf("# Page 0\n" + "\n".join(f"## Freeze {n}" for n in range(9)), "# Page 1\nfreeze")
    assert [hit.page.route for hit in search(library, "freeze")] == ["/docs/p0"] * OF_PAGE + ["/docs/p1"]


def test_markup_in_what_is_found_is_text() -> None:
    library = shelf(f"# Page 0\n{MARKUP}\n## {MARKUP}\nneedle {MARKUP}")
    found = found_leaf(library, "needle")
    assert "<mark>needle</mark> &lt;script&gt;" in found
    assert "<script" not in found
    assert "onerror=alert" not in found.replace("&lt;img src=x onerror=alert", "")


def test_every_page_is_found_by_its_title() -> None:
    lost = [
        one.title
        for one in library().pages
        if one.route not in [hit.page.route for hit in search(library(), one.title)]
    ]
    assert lost == []


def test_the_lists_for_programs_name_every_page() -> None:
    listed, whole = contents(library(), lambda one: one.export), everything(library())
    assert all(f"]({one.export})" in listed and f"<!-- {one.route} -->" in whole for one in library().pages)
