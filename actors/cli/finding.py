"""What one examination came to."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One examination: `state` is ok, note, warn or fail."""

    check: str
    state: str
    detail: str
    hint: str = ""
