"""Paints a session's picture: lines for a terminal, SVG and a page for everybody else. No script, nothing fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from types import MappingProxyType
from typing import Final

import click

from actors.cli import show
from helm.evidence.picture import Lane, Mark, Picture, Tone

MAX_WORDS: Final = 96
"""Characters of a node's words that are drawn; the pack holds the rest."""

COLOURS: Final[Mapping[Tone, str]] = MappingProxyType(
    {
        Tone.ALLOWED: "#2f6feb",
        Tone.ASKED: "#b7791f",
        Tone.DONE: "#2f855a",
        Tone.FAILED: "#c05621",
        Tone.REFUSED: "#c53030",
        Tone.RULE: "#6b7280",
    }
)
"""Of SVG. Every node is also named in words: nobody needs to tell colours apart."""

TERMINAL: Final[Mapping[Tone, str]] = MappingProxyType(
    {
        Tone.ALLOWED: "blue",
        Tone.ASKED: "yellow",
        Tone.DONE: "green",
        Tone.FAILED: "magenta",
        Tone.REFUSED: "red",
        Tone.RULE: "white",
    }
)

ROW: Final = 34
TOP: Final = 96
X_OF: Final[Mapping[Lane, int]] = MappingProxyType({Lane.LOG: 96, Lane.SESSION: 148})
TEXT_X: Final = 190
WIDTH: Final = 1080

STYLE: Final = """
svg { font: 13px ui-monospace, SFMono-Regular, Menlo, monospace; background: #ffffff; color: #1f2328 }
text { fill: currentColor } .faint { opacity: .6 } .title { font-weight: 600 }
.edge { fill: none; stroke: currentColor; stroke-opacity: .35; stroke-width: 1.4 }
@media (prefers-color-scheme: dark) { svg { background: #0d1117; color: #e6edf3 } }
"""

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>body {{ margin: 0 }} svg {{ display: block; max-width: 100%; height: auto }}</style></head>
<body>
{svg}</body></html>
"""


def as_lines(picture: Picture) -> Iterator[str]:
    """Yield the picture as lines for a terminal: the clock, the lanes, and what each node says."""
    width = len(str(picture.marks[-1].lamport)) if picture.marks else 1
    for mark in picture.marks:
        rails = "● │" if mark.lane is Lane.LOG else "│ ●"
        title = click.style(show.plain(mark.title), fg=TERMINAL[mark.tone])
        beyond = f"  ← {mark.elsewhere} elsewhere" if mark.elsewhere else ""
        yield f"{mark.lamport:>{width}} {rails} {title}  {show.plain(shortened(mark.words))}{beyond}"


def as_svg(picture: Picture) -> str:
    """Return the picture as one SVG document that stands by itself."""
    height = TOP + ROW * len(picture.marks) + 24
    at = {mark.node_hash: (X_OF[mark.lane], TOP + ROW * n) for n, mark in enumerate(picture.marks)}
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="t">',
        f'<title id="t">{text_of(f"Session {picture.session_id}")}</title><style>{STYLE}</style>',
        *heading(picture),
        *(edge for mark in picture.marks for edge in edges(mark, at)),
        *(node for mark in picture.marks for node in drawn(mark, *at[mark.node_hash])),
        "</svg>\n",
    ]
    return "\n".join(parts)


def as_page(picture: Picture) -> str:
    """Return the picture as an HTML page."""
    return PAGE.format(title=text_of(f"HELM: session {picture.session_id}"), svg=as_svg(picture))


def heading(picture: Picture) -> Iterator[str]:
    """Yield what stands above the nodes: whose session it is, in which log, and the names of the lanes."""
    session = text_of(f"session {picture.session_id} of {picture.tenant}")
    yield f'<text class="title" x="24" y="30">{session}</text>'
    yield f'<text class="faint" x="24" y="50">verified; log {text_of(picture.log_id)}</text>'
    for lane, x in X_OF.items():
        yield f'<text class="faint" x="{x}" y="76" text-anchor="middle">{lane}</text>'


def edges(mark: Mark, at: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """Yield a line to every node that this one stands on."""
    x, y = at[mark.node_hash]
    for parent in mark.stands_on:
        px, py = at[parent]
        bend = f"C {px} {py + ROW} {x} {y - ROW} {x} {y}" if px != x else f"L {x} {y}"
        yield f'<path class="edge" d="M {px} {py} {bend}"/>'


def drawn(mark: Mark, x: int, y: int) -> Iterator[str]:
    """Yield one node: its dot, its place on the clock, its name and its words."""
    colour = COLOURS[mark.tone]
    yield f'<g><title>{text_of(mark.node_hash)}</title><circle cx="{x}" cy="{y}" r="6" fill="{colour}"/>'
    yield f'<text class="faint" x="60" y="{y + 4}" text-anchor="end">{mark.lamport}</text>'
    beyond = f" ← {mark.elsewhere} elsewhere" if mark.elsewhere else ""
    yield (
        f'<text x="{TEXT_X}" y="{y + 4}"><tspan class="title" fill="{colour}">{text_of(mark.title)}</tspan>'
        f"  {text_of(shortened(mark.words))}{beyond}</text></g>"
    )


def text_of(words: str) -> str:
    """Return words of unknown origin as text in a document: none of them is markup, none is invisible."""
    return escape(show.plain(words), quote=True)


def shortened(words: str) -> str:
    """Return what fits beside a node."""
    return words if len(words) <= MAX_WORDS else words[: MAX_WORDS - 1] + "…"
