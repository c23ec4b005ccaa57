"""Names with stars: which names a policy means when it does not list them all."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from helm.contracts.errors import Invalid

MAX_STARS = 4
"""Most stars in one pattern; every star is a search through the name (T4)."""


@attrs.frozen(kw_only=True)
class Glob:
    """A pattern in which a star stands for any characters, also for none."""

    first: str
    middle: tuple[str, ...]
    last: str

    def matches(self, name: str) -> bool:
        """Tell whether the whole name fits. Each part is looked for once: there is nothing to try again."""
        if not (name.startswith(self.first) and name.endswith(self.last)):
            return False
        if len(name) < len(self.first) + len(self.last):
            return False
        place, end = len(self.first), len(name) - len(self.last)
        for part in self.middle:
            found = name.find(part, place, end)
            if found < 0:
                return False
            place = found + len(part)
        return True


EVERYONE = Glob(first="", middle=(), last="")
"""A star alone."""


@attrs.frozen(kw_only=True)
class Names:
    """The names that a list of names and patterns means; an empty list means nobody."""

    exact: frozenset[str]
    globs: tuple[Glob, ...]
    _everyone: bool = attrs.field(init=False, repr=False)

    @_everyone.default
    def _find_everyone(self) -> bool:
        return EVERYONE in self.globs

    def __contains__(self, name: str) -> bool:
        if self._everyone or name in self.exact:
            return True
        for glob in self.globs:  # noqa: SIM110 - a call waits for it, and any() costs twice as much
            if glob.matches(name):
                return True
        return False


def names_of(texts: Iterable[str], where: str) -> Names:
    """Return the names that a policy lists. Raises Invalid."""
    exact, globs = set(), []
    for text in texts:
        if "*" in text:
            globs.append(glob_of(text, where))
        else:
            exact.add(text)
    return Names(exact=frozenset(exact), globs=tuple(globs))


def glob_of(text: str, where: str) -> Glob:
    first, *middle, last = text.split("*")
    if len(middle) >= MAX_STARS:
        raise Invalid(f"more than {MAX_STARS} stars in {text!r}", where, "list the names")
    return Glob(first=first, middle=tuple(middle), last=last)
