"""The replay scripts that HELM has published: no other may stand in a pack that verifies."""

from __future__ import annotations

from typing import Final

KNOWN_SCRIPTS: Final = frozenset({""})
"""Whoever unpacks a pack may run the script in it, so it must be one that we wrote. A new edition is added
here; the old ones stay, so that old packs still verify."""
