"""The replay scripts that HELM has published: no other may stand in a pack that verifies.

Whoever unpacks a pack may run the script in it, so it must be one that we wrote.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = "sha256:aef31952ad16c4395f24967e10e54d58426f887182eefba099c3abdc0eb1e609"
"""The edition of this program; `python -m conformance.schemas` keeps it."""

EARLIER: Final[frozenset[str]] = frozenset()
"""Editions in packs of released programs. They stay here, so that those packs still verify."""

KNOWN_SCRIPTS: Final = EARLIER | {NEWEST}
