"""The replay scripts that HELM has published: no other may stand in a pack that verifies.

Whoever unpacks a pack may run the script in it, so it must be one that we wrote.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = "sha256:804568d8f3aa2ad6833a94ca74f183fa23e048317aadbd1fe4ffad9601468b21"
"""The edition of this program; `python -m conformance.schemas` keeps it."""

EARLIER: Final[frozenset[str]] = frozenset()
"""Editions in packs of released programs. They stay here, so that those packs still verify."""

KNOWN_SCRIPTS: Final = EARLIER | {NEWEST}
