"""What a user's installation brings along: the locked distributions that the project needs to run, and why each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Final

import attrs
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helm.contracts.errors import Invalid

NOT_TO_RUN: Final = frozenset({"test", "release"})
"""Extras that only builders install."""


@attrs.frozen(kw_only=True)
class Locked:
    """One distribution, at the version that was tested."""

    name: str
    version: str
    needs: tuple[str, ...]
    is_optional: bool
    """Whether only an extra asks for it."""

    @property
    def purl(self) -> str:
        """Its package URL (the type pypi of the purl specification)."""
        return f"pkg:pypi/{self.name}@{self.version}"


def pins_of(constraints: str) -> dict[str, str]:
    """Return the versions in a lock file, by normalized name."""
    pairs = [line.split("==") for line in constraints.splitlines() if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): pinned.strip() for name, pinned in pairs}


def direct_of(project: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return what the project asks for itself: always, and by the extras that users install."""
    extras = project.get("optional-dependencies", {})
    optional = [text for name, texts in extras.items() if name not in NOT_TO_RUN for text in texts]
    return list(project["dependencies"]), optional


def locked(project: Mapping[str, Any], constraints: str) -> list[Locked]:
    """Return every distribution that running it takes, by name. Raises Invalid where the lock, or an install, lacks it.

    What a distribution needs is in its own metadata, so the lock has to be installed where a release is made.
    """
    pins = pins_of(constraints)
    always, optional = direct_of(project)
    held = closure(always, pins)
    everything = held | closure(optional, pins)
    return [
        Locked(name=name, version=pins[name], needs=tuple(sorted(needs)), is_optional=name not in held)
        for name, needs in sorted(everything.items())
    ]


def closure(wanted: Iterable[str], pins: Mapping[str, str]) -> dict[str, set[str]]:
    """Return everything that these need, by name, with what each of them needs. Raises Invalid."""
    found: dict[str, set[str]] = {}
    waiting = [Requirement(text) for text in wanted]
    seen: set[tuple[str, str]] = set()
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        found.setdefault(name, set())
        for extra in ("", *asked.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = needs_of(name, extra, pins)
                found[name] |= {canonicalize_name(need.name) for need in needs}
                waiting += needs
    return found


def needs_of(name: str, extra: str, pins: Mapping[str, str]) -> list[Requirement]:
    """Return what an installed distribution needs on this interpreter. Raises Invalid unless it is the locked one."""
    pinned = pins.get(name, "none")
    try:
        installed = version(name)
    except PackageNotFoundError:
        installed = "none"
    if installed != pinned or pinned == "none":
        hint = "pip install -c constraints.txt -e '.[test,release]'"
        raise Invalid(f"{installed} is installed, {pinned} is locked", name, hint)
    needs = [Requirement(line) for line in requires(name) or []]
    return [need for need in needs if need.marker is None or need.marker.evaluate({"extra": extra})]
