"""The documents' routes: for anyone, without a key, and known by a tag, so that nobody reads one twice."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from hashlib import sha256
from importlib.resources import files
from typing import Final

import attrs
import trio
from quart import Response, request

from actors.documents.export import contents, everything, exported
from actors.documents.library import Library, library
from actors.doors.desk import query
from actors.doors.documents.leaf import found_leaf, list_leaf, page_leaf
from actors.doors.problem import Problem
from helm.surfaces.rows.documents import HTML, MARKDOWN

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{what} 'self'" for what in ("style-src", "img-src", "form-action")),
        *(f"{what} 'none'" for what in ("base-uri", "frame-ancestors")),
    )
)
"""No script at all, nothing from elsewhere: were a page's text ever markup, it could still do nothing (T2)."""

FRESH: Final = "public, no-cache"
"""Anyone may keep a page, and asks whether it is still the one: another HELM may answer tomorrow."""

TAG_DIGITS: Final = 32

KINDS: Final = {"css": "text/css; charset=utf-8", "png": "image/png", "svg": "image/svg+xml"}
STYLE: Final = "documents.css"


@attrs.frozen
class Text:
    """What is answered with: some bytes, of a kind, and the tag that names them."""

    content: bytes = attrs.field(repr=False)
    kind: str
    tag: str


def text_of(content: str | bytes, kind: str) -> Text:
    """Return a text with its tag."""
    raw = content.encode() if isinstance(content, str) else content
    full = kind if kind in KINDS.values() else f"{kind}; charset=utf-8"
    return Text(raw, full, sha256(raw).hexdigest()[:TAG_DIGITS])


class DocumentRoutes:
    """Who answers them. A page is made when it is first asked for, off the kernel's thread, and kept.

    One is made, or searched for, at a time: whoever asks much waits for themselves, and not calls for them (T4).
    """

    def __init__(self) -> None:
        self.library: Library = library()
        self.desk = trio.CapacityLimiter(1)
        self.made: dict[tuple[str, str], Text] = {}
        self.files = {STYLE: files("actors").joinpath("documents", STYLE).read_bytes(), **self.library.pictures}

    async def browse(self) -> Response:
        """Answer with the list of pages, or with what a search finds."""
        words = query().get("q", "").strip()
        if words:
            return given(text_of(await self._aside(partial(found_leaf, self.library, words)), HTML))
        if prefers_markdown():
            return given(await self._make("/docs", MARKDOWN, self._contents))
        return given(await self._make("/docs", HTML, lambda: list_leaf(self.library)))

    async def document(self, page: str) -> Response:
        """Answer with a page below /docs."""
        return await self._page(f"/docs/{page}")

    async def security(self, page: str) -> Response:
        """Answer with a page below /security."""
        return await self._page(f"/security/{page}")

    async def security_map(self) -> Response:
        """Answer with the security map."""
        return await self._page("/security")

    async def security_markdown(self) -> Response:
        """Answer with the security map as Markdown."""
        return await self._page("/security.md")

    async def trust(self) -> Response:
        """Answer with the security model."""
        return await self._page("/trust")

    async def trust_markdown(self) -> Response:
        """Answer with the security model as Markdown."""
        return await self._page("/trust.md")

    async def llms(self) -> Response:
        """Answer with the list of pages for programs."""
        query()
        return given(await self._make("/llms.txt", "text/plain", self._contents))

    async def llms_full(self) -> Response:
        """Answer with all pages in one text."""
        query()
        return given(await self._make("/llms-full.txt", "text/plain", lambda: everything(self.library)))

    async def file(self, name: str) -> Response:
        """Answer with a picture, or the style: a name is looked up, never opened (T4)."""
        query()
        content, kind = self.files.get(name), KINDS.get(name.rpartition(".")[2])
        if content is None or kind is None:
            raise Problem(status=404, detail="nothing is here")
        return given(text_of(content, kind))

    async def _page(self, route: str) -> Response:
        query()
        plain = route.removesuffix(".md")
        page = self.library.at(plain)
        if page is None:
            raise Problem(status=404, detail="no page is here; GET /docs lists them")
        if plain != route or prefers_markdown():
            return given(await self._make(plain, MARKDOWN, lambda: exported(self.library, page)))
        return given(await self._make(plain, HTML, lambda: page_leaf(self.library, page)))

    def _contents(self) -> str:
        return contents(self.library, lambda page: page.export)

    async def _make(self, route: str, kind: str, make: Callable[[], str]) -> Text:
        """Return a text that is made once: only routes that there are come so far, so that few are kept."""
        found = self.made.get((route, kind))
        if found is None:
            found = text_of(await self._aside(make), kind)
            self.made[route, kind] = found
        return found

    async def _aside(self, make: Callable[[], str]) -> str:
        return await trio.to_thread.run_sync(make, limiter=self.desk)


def prefers_markdown() -> bool:
    """Tell whether the reader would rather have Markdown than HTML; who does not say so is a browser."""
    accepted = request.accept_mimetypes
    return accepted.quality(MARKDOWN) > accepted.quality(HTML)


def given(text: Text) -> Response:
    """Return an answer with a text, or that the reader has it already (RFC 9110 section 13.1.2)."""
    has_it = request.if_none_match.contains_weak(text.tag)
    response = Response(b"" if has_it else text.content, 304 if has_it else 200, content_type=text.kind)
    response.headers["etag"] = f'"{text.tag}"'
    response.headers["cache-control"] = FRESH
    response.headers["content-security-policy"] = POLICY
    response.headers["vary"] = "accept"
    return response
