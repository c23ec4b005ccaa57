"""The library: every page that the manifest lists, read once from the package, or from the checkout that it is."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import attrs

from helm.crypto.canonical import parse

MANIFEST: Final = "docs/public-docs.manifest.json"
"""Which pages there are, where each is served, and what it stands on: the only list."""

IMAGES: Final = "docs/images"
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024
"""It is our own file; a reader of JSON still says how far it reads."""

PACKAGED: Final = Path(__file__).parent / "pages"
"""Where a wheel has the pages (setup.py puts them there)."""

CHECKOUT: Final = Path(__file__).parent.parent.parent


@attrs.frozen(kw_only=True)
class Page:
    """One page, as the manifest lists it. `path` is its file, from the root; `route` is where it is served."""

    path: str
    route: str
    title: str
    section: str
    about: str
    sources: tuple[str, ...]
    proofs: tuple[str, ...]
    text: str = attrs.field(repr=False)
    """Its Markdown, as it was written."""

    @property
    def export(self) -> str:
        """Return where its Markdown is served."""
        return f"{self.route}.md"


@attrs.frozen(kw_only=True)
class Library:
    """All pages, in the manifest's order, and the pictures in them."""

    pages: tuple[Page, ...]
    pictures: Mapping[str, bytes] = attrs.field(repr=False, hash=False)

    def at(self, route: str) -> Page | None:
        """Return the page that is served there, None where there is none."""
        return next((page for page in self.pages if page.route == route), None)

    def of(self, path: str) -> Page | None:
        """Return the page that a file is, None for a file that is none."""
        return next((page for page in self.pages if page.path == path), None)

    def named(self, name: str) -> Page | None:
        """Return the page that somebody means by its route, its file, or the last part of either."""
        exact = self.at(name) or self.of(name)
        last = [page for page in self.pages if name in (page.route.rpartition("/")[2], Path(page.path).stem)]
        return exact or next(iter(last), None)


@cache
def library() -> Library:
    """Return the library of this installation. Raises FileNotFoundError where it came without its documents."""
    return read_library(PACKAGED if PACKAGED.is_dir() else CHECKOUT)


def read_library(root: Path) -> Library:
    """Return the library below a directory. Raises FileNotFoundError, Malformed, KeyError for a broken manifest."""
    listed: Any = parse((root / MANIFEST).read_bytes(), max_bytes=MAX_MANIFEST_BYTES)
    pictures = {file.name: file.read_bytes() for file in sorted((root / IMAGES).iterdir())}
    return Library(pages=tuple(read_page(root, entry) for entry in listed["pages"]), pictures=pictures)


def read_page(root: Path, entry: Mapping[str, Any]) -> Page:
    """Return one page of the manifest with its text."""
    return Page(
        path=entry["path"],
        route=entry["route"],
        title=entry["title"],
        section=entry["section"],
        about=entry["about"],
        sources=tuple(entry["sources"]),
        proofs=tuple(entry["proofs"]),
        text=(root / entry["path"]).read_text(encoding="utf-8"),
    )
