"""What a bundle says of data: in which order its classes stand, what lies where, and the rules over both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import attrs

from helm.guardian.destination import Destination, Pattern
from helm.guardian.glob import Names


class Kept(StrEnum):
    """What a rule asks the jurisdiction of."""

    DESTINATION = "destination"
    PRINCIPAL = "principal"
    TENANT = "tenant"
    TOOL = "tool"


@attrs.frozen(kw_only=True)
class Place:
    """What lies in one jurisdiction."""

    jurisdiction: str
    destinations: tuple[Pattern, ...]
    principals: Names
    tenants: Names


@attrs.frozen(kw_only=True)
class ComplianceRule:
    """To which calls a rule applies, and what it demands of them. None: to any, or nothing."""

    id: str
    tools: Names
    data_class: str
    """It applies to tools that touch this class or a higher one; "" to any."""
    principals: Names | None
    tenants: Names | None
    destinations: tuple[Pattern, ...] | None
    max_data_class: str
    """"" for no limit."""
    of: frozenset[str]
    """Of what a jurisdiction must be stated, and be one of those that are allowed."""
    allow_jurisdictions: frozenset[str] | None
    """None: any that is not denied."""
    deny_jurisdictions: frozenset[str]
    min_retention_days: int | None
    max_retention_days: int | None

    @property
    def is_for_everyone(self) -> bool:
        """Whether every call of its tools falls under it."""
        return self.principals is None and self.tenants is None and self.destinations is None

    def bars(self, jurisdiction: str) -> bool:
        """Say whether what lies there may not be part of such a call."""
        allowed = self.allow_jurisdictions is None or jurisdiction in self.allow_jurisdictions
        return not allowed or jurisdiction in self.deny_jurisdictions


@attrs.frozen(kw_only=True)
class Compliance:
    """Which data may be touched, where, and how long it must be kept. Nothing stated, nothing cleared."""

    allowed_data_classes: frozenset[str]
    allowed_jurisdictions: frozenset[str]
    min_retention_days: int
    ranks: Mapping[str, int]
    """The classes by their order, the most public first; empty where none is stated."""
    places: tuple[Place, ...]
    rules: tuple[ComplianceRule, ...]

    def above(self, classes: Iterable[str], most: str) -> str:
        """Return the highest of the classes that is above `most`, "" where none is."""
        highest = max(classes, key=lambda one: self.ranks[one], default=most)
        return highest if self.ranks[highest] > self.ranks[most] else ""

    def touches(self, classes: Iterable[str], least: str) -> bool:
        """Say whether one of the classes is `least` or above it; without an order, whether it is one of them."""
        if not self.ranks:
            return least in classes
        return any(self.ranks[one] >= self.ranks[least] for one in classes)

    def of_destination(self, destination: Destination) -> tuple[bool, frozenset[str]]:
        """Return whether its jurisdiction is stated, and every one in which it may lie.

        What a destination leaves open, such as its port, does not take it out of a place (T3).
        """
        stated = any(pattern.matches(destination) for place in self.places for pattern in place.destinations)
        possible = (
            place.jurisdiction
            for place in self.places
            if any(pattern.touches(destination) for pattern in place.destinations)
        )
        return stated, frozenset(possible)

    def of_principal(self, name: str) -> frozenset[str]:
        """Return where a principal is."""
        return frozenset(place.jurisdiction for place in self.places if name in place.principals)

    def of_tenant(self, name: str) -> frozenset[str]:
        """Return where a tenant is."""
        return frozenset(place.jurisdiction for place in self.places if name in place.tenants)
