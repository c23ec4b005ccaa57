"""Which vectors are wanted, and how they are published."""

from __future__ import annotations

from typing import Final

import attrs

from helm.conformance.judge import rests_on_silence
from helm.conformance.vector import LEVELS, Vector
from helm.conformance.vector_set import VectorSet
from helm.contracts.form import JSONValue


@attrs.frozen(kw_only=True)
class Wanted:
    """What is asked for; what is empty narrows nothing."""

    level: str = ""
    """Of this level, and of those below it: a level holds them."""
    categories: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()
    code: str = ""
    case: str = ""
    only_cases: bool = False
    """Only those of the fail-closed cases."""

    def admits(self, vector: Vector) -> bool:
        """Tell whether a vector is wanted."""
        return (
            (not self.level or LEVELS.index(vector.level) <= LEVELS.index(self.level))
            and (not self.categories or vector.category in self.categories)
            and (not self.ids or vector.id in self.ids)
            and (not self.code or vector.expected.reason_code == self.code)
            and (not self.case or vector.case == self.case)
            and (not self.only_cases or bool(vector.case))
        )


CONTROL: Final = "control"
"""The category of what must be let through."""

NEGATIVE: Final = Wanted(only_cases=True)


def chosen(vectors: VectorSet, wanted: Wanted) -> tuple[Vector, ...]:
    """Return the wanted vectors, in their order."""
    return tuple(one for one in vectors.vectors if wanted.admits(one))


def to_run(vectors: VectorSet, wanted: Wanted) -> tuple[Vector, ...]:
    """Return the wanted vectors, and before those that rest on silence alone a control: silence of what answers nobody
    proves nothing.
    """
    found = chosen(vectors, wanted)
    if any(one.deeds for one in found) or not any(rests_on_silence(one) for one in found):
        return found
    return (next(one for one in vectors.vectors if one.category == CONTROL and one.deeds), *found)


def published(vectors: VectorSet, wanted: Wanted) -> dict[str, JSONValue]:
    """Return the wanted vectors as their files say them, and the hash of the whole set."""
    return {
        "vectors": [vectors.bodies[one.id] for one in chosen(vectors, wanted)],
        "vectors_hash": vectors.hash,
    }
