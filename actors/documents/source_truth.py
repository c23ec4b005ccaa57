"""What a page stands on, as its reader is told: drawn from the manifest, so that it cannot be another list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.documents.library import MANIFEST, Page


def source_truth(page: Page) -> str:
    """Return the section that closes a page, as Markdown."""
    return "\n".join(("## Source Truth", "", *rows(page))) + "\n"


def rows(page: Page) -> Iterator[str]:
    """Yield its lines."""
    yield f"- Public route: `{page.route}`, as Markdown `{page.export}`"
    yield f"- Source document: `{page.path}`, listed in `{MANIFEST}`"
    yield f"- What it tells of: {ticked(page.sources)}"
    yield f"- What fails where it is not true any more: {ticked(page.proofs)}"
    yield "- Validation: `just docs-truth`, `just docs-coverage`"


def ticked(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
