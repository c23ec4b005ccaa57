"""Which known name a misspelt one was meant to be; only for messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MAX_CHARS: Final = 64
"""What is longer is not compared: the work grows with the square of it (T4)."""

MAX_SLIPS: Final = 2
"""Letters that may be left out, added, swapped or mistaken; in a short name no more than half of them."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the known name with the fewest slips between the two, the first by alphabet of several, "" for none."""
    most = min(MAX_SLIPS, len(name) // 2)
    if len(name) > MAX_CHARS:
        return ""
    near = [(slips(name, one), one) for one in known if abs(len(one) - len(name)) <= most]
    count, found = min(near, default=(most + 1, ""))
    return found if count <= most else ""


def slips(written: str, meant: str) -> int:
    """Return how many slips part two words: the optimal string alignment distance."""
    before: list[int] = []
    row = list(range(len(meant) + 1))
    for i, letter in enumerate(written, start=1):
        two_before, before, row = before, row, [i]
        for j, wanted in enumerate(meant, start=1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == meant[j - 2] and written[i - 2] == wanted:
                least = min(least, two_before[j - 2] + 1)
            row.append(least)
    return row[-1]


def or_nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant, or which there are where none is near."""
    names = sorted(known)
    if near := nearest(name, names):
        return f"did you mean {near}?"
    return f"there are {', '.join(names)}" if names else "there are none yet"
