"""The layers in force, P0, P1 and P2, as a table: which policy binds a caller, worked out before anyone calls."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.guardian.ceilings import Ceilings
from helm.guardian.narrowing import check_names, check_sound, narrowed
from helm.guardian.overlay import Overlay
from helm.guardian.policy import Policy

MAX_OVERLAYS: Final = 64
"""Overlays in force at once (T4)."""

MAX_CLASSES: Final = 4_096
"""Classes of callers, one for each principal in each tenant that an overlay names: each has its place in the table, and
those that the same overlays bind share one policy (T4)."""

Which = tuple[int, ...]
"""The places of the overlays that bind somebody, in order."""


@attrs.define
class Layers:
    """One bundle under the ceilings in force, and what is left of it for whom an overlay binds.

    Raises Invalid where overlays that may bind the same caller ask for what nobody could give.
    """

    bundle: Policy
    held: Ceilings | None
    """The ceilings in force where they are lower than the bundle's own."""
    overlays: tuple[Overlay, ...]
    """In the order of their ids."""
    everyone: Policy = attrs.field(init=False)
    """What binds whom no overlay names."""
    _principals: frozenset[str] = attrs.field(init=False, repr=False)
    _tenants: frozenset[str] = attrs.field(init=False, repr=False)
    _which: dict[tuple[str, str], Which] = attrs.field(factory=dict, init=False, repr=False)
    """By tenant and principal, "" for one that no overlay names."""
    _policies: dict[Which, Policy] = attrs.field(factory=dict, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._principals = frozenset().union(*(overlay.principals for overlay in self.overlays))
        self._tenants = frozenset().union(*(overlay.tenants for overlay in self.overlays))
        if len(self.overlays) > MAX_OVERLAYS:
            raise Invalid(f"more than {MAX_OVERLAYS} overlays", "overlays", "remove one")
        if (len(self._principals) + 1) * (len(self._tenants) + 1) > MAX_CLASSES:
            hint = "name fewer, or bind everyone"
            raise Invalid(f"they name more than {MAX_CLASSES} principals in tenants", "overlays", hint)
        check_names(self.overlays)
        for tenant in ("", *sorted(self._tenants)):
            for principal in ("", *sorted(self._principals)):
                which = tuple(i for i, one in enumerate(self.overlays) if one.binds(tenant, principal))
                self._which[tenant, principal] = which
                if which not in self._policies:
                    self._policies[which] = self._merged(which)
                    check_sound(self._policies[which], self._of(which))
        self.everyone = self._policies[self._which["", ""]]

    @property
    def is_plain(self) -> bool:
        """Whether the bundle alone is in force, under its own ceilings."""
        return self.held is None and not self.overlays

    def of(self, tenant: str, principal: str, delegator: str = "") -> Policy:
        """Return the policy that binds a caller; who acts for another is bound by what binds either of both."""
        which = self._bound(tenant, principal)
        if delegator:
            which = tuple(sorted({*which, *self._bound(tenant, delegator)}))
        policy = self._policies.get(which)
        if policy is None:
            policy = self._merged(which)
            if len(self._policies) < MAX_CLASSES:
                self._policies[which] = policy
        return policy

    def binding(self, tenant: str, principal: str) -> tuple[Overlay, ...]:
        """Return the overlays that bind a caller."""
        return self._of(self._bound(tenant, principal))

    def _bound(self, tenant: str, principal: str) -> Which:
        key = (tenant if tenant in self._tenants else "", principal if principal in self._principals else "")
        return self._which[key]

    def _of(self, which: Which) -> tuple[Overlay, ...]:
        return tuple(self.overlays[i] for i in which)

    def _merged(self, which: Which) -> Policy:
        return narrowed(self.bundle, self.held, self._of(which))
