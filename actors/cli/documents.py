"""helm docs: these documents in a terminal, without a kernel."""

from __future__ import annotations

import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.documents.export import contents, exported
from actors.documents.library import library
from actors.documents.search import Hit, search

HINT = "helm docs show, without a name, lists them"


@click.group()
def docs() -> None:
    """Search and read these documents."""


@docs.command("search")
@click.argument("words", nargs=-1, required=True)
@show.json_option
def search_(words: tuple[str, ...], as_json: bool) -> int:
    """Find the sections that hold these words.

    The best first; exit 1 where there are none.
    """
    hits = search(library(), " ".join(words))
    if as_json:
        show.as_object({"found": [told(hit) for hit in hits]})
    else:
        for hit in hits:
            click.echo(f"{click.style(place(hit), bold=True)}  {hit.link}")
            click.echo("  " + marked(hit.snippet))
    if not hits:
        show.note("no page holds these words")
    return 0 if hits else REFUSED


def place(hit: Hit) -> str:
    """Return where something was found, in words."""
    return f"{hit.page.title} › {hit.heading}" if hit.heading else hit.page.title


def marked(snippet: tuple[str, ...]) -> str:
    """Return a snippet with its words marked, where colours are wanted."""
    return "".join(click.style(piece, bold=True) if n % 2 else piece for n, piece in enumerate(snippet))


def told(hit: Hit) -> dict[str, str]:
    """Return a hit for machines."""
    return {
        "heading": hit.heading,
        "link": hit.link,
        "path": hit.page.path,
        "snippet": "".join(hit.snippet),
        "title": hit.page.title,
    }


@docs.command("show")
@click.argument("name", metavar="[PAGE]", default="")
@show.json_option
def show_(name: str, as_json: bool) -> None:
    """Write a page as Markdown, or the list of all pages.

    PAGE is its route, its file, or its name: threat-model.
    """
    shelf = library()
    page = shelf.named(name) if name else None
    if name and page is None:
        raise Failed(f"there is no page {name!r}", HINT, "NOT_FOUND")
    text = exported(shelf, page) if page else contents(shelf, lambda one: one.route)
    if as_json:
        show.as_object({"markdown": text, "route": page.route if page else "/docs"})
    else:
        click.echo(text, nl=False)
