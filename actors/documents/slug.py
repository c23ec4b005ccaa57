"""The name of a section, as links to it have it: the title in small letters, spaces as hyphens, nothing else."""

from __future__ import annotations

import re
from typing import Final

DRESSED: Final = re.compile(r"[`*]|\]\([^)]*\)|\[")
UNNAMED: Final = re.compile(r"[^\w\- ]")


def plain(title: str) -> str:
    """Return a title without its Markdown."""
    return DRESSED.sub("", title)


def slug(title: str) -> str:
    """Return the name of the section under a title. Two alike in one page have one name: the first is meant."""
    return UNNAMED.sub("", plain(title).lower()).strip().replace(" ", "-")
