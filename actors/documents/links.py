"""Links of a page, turned from the files of the repository to the routes at which a reader is."""

from __future__ import annotations

import posixpath
import re
from typing import Final

import attrs

from actors.documents.library import IMAGES, Library, Page
from actors.documents.lines import told

TICKED_OR_LINK: Final = re.compile(r"(`+[^`]*`+)|(!?)\[((?:[^\]`]|`[^`]*`)*)\]\(([^)\s]+)\)")
"""What stands between ticks is looked over: it comes first, so that no link is seen in it."""

FILES: Final = "/docs/files"
"""Where pictures are served."""


@attrs.frozen
class Turner:
    """Turns the links of one page. `suffix` is what the routes of pages end with: ".md" for readers of Markdown."""

    library: Library
    page: Page
    suffix: str = ""

    def turned(self) -> str:
        """Return the page's Markdown with every link turned, and without the comments of its makers."""
        lines = [
            self._line(line) if is_prose else line
            for line, is_prose in told(self.page.text)
            if not (is_prose and line.startswith("<!--"))
        ]
        return "\n".join(lines) + "\n"

    def _line(self, line: str) -> str:
        return TICKED_OR_LINK.sub(self._one, line)

    def _one(self, found: re.Match[str]) -> str:
        ticked, picture, words, target = found.groups()
        if ticked or "://" in target or target.startswith(("#", "mailto:")):
            return found[0]
        path, _, section = target.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(self.page.path), path))
        page = self.library.of(file)
        if page is not None:
            return f"[{words}]({page.route}{self.suffix}{f'#{section}' if section else ''})"
        if picture and posixpath.dirname(file) == IMAGES:
            return f"![{words}]({FILES}/{posixpath.basename(file)})"
        return f"`{file}`" if words.strip("`") == file else f"{words} `{file}`"
