"""The replay scripts that HELM has published: no other may stand in a pack that verifies.

Whoever unpacks a pack may run the script in it, so it must be one that we wrote.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = "sha256:2c06fff7bb78d61aea4bf423efb75680bc5eba3c1eabc36532cc110dff7f48e0"
"""The edition of this program; `python -m conformance.schemas` keeps it."""

EARLIER: Final[frozenset[str]] = frozenset()
"""Editions in packs of released programs. They stay here, so that those packs still verify."""

KNOWN_SCRIPTS: Final = EARLIER | {NEWEST}
