"""Which lines of a Markdown text are prose, and which are quoted from elsewhere: a fence's content is never read."""

from __future__ import annotations

from collections.abc import Iterator

FENCE = "```"


def told(text: str) -> Iterator[tuple[str, bool]]:
    """Yield every line, and whether it is prose: the lines of a fenced block, its fences with them, are not."""
    fenced = False
    for line in text.splitlines():
        is_fence = line.lstrip().startswith(FENCE)
        yield line, not (fenced or is_fence)
        fenced ^= is_fence
