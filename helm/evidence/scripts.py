"""The replay scripts that HELM has published: no other may stand in a pack that verifies.

Whoever unpacks a pack may run the script in it, so it must be one that we wrote.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = "sha256:71df2181af898f7fe70d1bb2cf63586d767e18ed8760b848867be65972deaf6d"
"""The edition of this program; `python -m conformance.schemas` keeps it."""

EARLIER: Final[frozenset[str]] = frozenset()
"""Editions in packs of released programs. They stay here, so that those packs still verify."""

KNOWN_SCRIPTS: Final = EARLIER | {NEWEST}
