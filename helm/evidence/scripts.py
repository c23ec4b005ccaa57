"""The replay scripts that HELM has published: no other may stand in a pack that verifies.

Whoever unpacks a pack may run the script in it, so it must be one that we wrote.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = "sha256:4a19a5b473fd7504b67c07ccb3708664b6f9a4e44f4dfd491c9e8bfb958b590a"
"""The edition of this program; `python -m conformance.schemas` keeps it."""

EARLIER: Final[frozenset[str]] = frozenset()
"""Editions in packs of released programs. They stay here, so that those packs still verify."""

KNOWN_SCRIPTS: Final = EARLIER | {NEWEST}
