"""P0 ceilings as they stand in force: what is lowered counts at once, what is raised waits (contracts.md section 3).

A bundle states its ceilings; the ones in force are those together with the ones before it, until the timelock of a
raise has elapsed. Ceilings have one form in which they can be joined and compared.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.form import JSONValue
from helm.contracts.verdict import RiskTier
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_rules import DEFAULT_TIMELOCK_S, P0_BUDGET, read_sandbox
from helm.guardian.bundle_table import Table
from helm.guardian.destination import Pattern
from helm.guardian.glob import names_of
from helm.guardian.overgrant import SandboxCeilings
from helm.guardian.policy import Budget, P0Ceilings, SubjectKind

MAX_BUDGETS: Final = 8
"""Hard budgets in force at once: each activation may bring another window, and each is looked at in every call (T4)."""


@attrs.frozen(kw_only=True)
class HardBudget:
    """One P0 budget. None is no limit of that kind."""

    id: str
    window_s: int
    tool_calls: int | None
    spend_cents: int | None

    def budget(self) -> Budget:
        """Return it as the guardian counts it: all calls together."""
        return Budget(
            id=self.id,
            subject=SubjectKind.ALL,
            subject_name="",
            tool_call_limit=self.tool_calls,
            spend_limit_cents=self.spend_cents,
            write_operation_limit=None,
            egress_limit_bytes=None,
            approval_required_above_cents=None,
            window_s=self.window_s,
        )


@attrs.frozen(kw_only=True)
class Ceilings:
    """What nothing may go beyond, in the one form in which two of them are joined. Lists are as they were written."""

    max_risk_tier: str
    denied_tools: frozenset[str]
    denied_effect_types: frozenset[str]
    denied_destinations: frozenset[str]
    increase_timelock_s: int
    """How long a raise waits: the ceilings in force say it, so that no raise shortens its own wait."""
    sandbox: SandboxCeilings
    budgets: tuple[HardBudget, ...]

    def document(self) -> dict[str, JSONValue]:
        """Return them as JSON, for their hash and for whoever judges again."""
        return {
            "budgets": [
                {"id": one.id, "spend_cents": one.spend_cents, "tool_calls": one.tool_calls, "window_s": one.window_s}
                for one in self.budgets
            ],
            "denied_destinations": sorted(self.denied_destinations),
            "denied_effect_types": sorted(self.denied_effect_types),
            "denied_tools": sorted(self.denied_tools),
            "increase_timelock_s": self.increase_timelock_s,
            "max_risk_tier": self.max_risk_tier,
            "sandbox": self.sandbox.document(),
        }

    @property
    def hash(self) -> str:
        """The p0_ceiling_hash of ceilings that no one bundle states."""
        return hash_in(domains.P0, canonical(self.document()))

    def compiled(self) -> P0Ceilings:
        """Return them as the offices look at them."""
        return P0Ceilings(
            max_risk_tier=self.max_risk_tier,
            denied_tools=names_of(sorted(self.denied_tools), "p0.denied_tools"),
            denied_effect_types=self.denied_effect_types,
            denied_destinations=tuple(Pattern.parse(text) for text in sorted(self.denied_destinations)),
            sandbox=self.sandbox,
        )

    def within(self, other: Ceilings) -> bool:
        """Tell whether they raise none of the other's."""
        return joined(other, self).limits() == self.limits()

    def limits(self) -> tuple[object, ...]:
        """Return all that limits, by whatever name its budgets are counted."""
        budgets = {one.window_s: (one.tool_calls, one.spend_cents) for one in self.budgets}
        return (*attrs.astuple(attrs.evolve(self, budgets=())), budgets)


def ceilings_of(p0: dict[str, JSONValue]) -> Ceilings:
    """Return what a bundle's P0 table states; the bundle was compiled before, or its hash is that of one that was."""
    calls, cents = p0.get("tool_calls_per_window"), p0.get("spend_cents_per_window")
    budgets: tuple[HardBudget, ...] = ()
    if calls is not None or cents is not None:
        budgets = (HardBudget(id=P0_BUDGET, window_s=p0["window_s"], tool_calls=calls, spend_cents=cents),)
    return Ceilings(
        max_risk_tier=p0.get("max_risk_tier", RiskTier.T3.value),
        denied_tools=frozenset(p0.get("denied_tools", ())),
        denied_effect_types=frozenset(p0.get("denied_effect_types", ())),
        denied_destinations=frozenset(p0.get("denied_destinations", ())),
        increase_timelock_s=p0.get("increase_timelock_s", DEFAULT_TIMELOCK_S),
        sandbox=read_sandbox(Table("p0.sandbox", p0.get("sandbox", {}))),
        budgets=budgets,
    )


def read_ceilings(body: dict[str, JSONValue]) -> Ceilings:
    """Return ceilings of their own document. Raises KeyError, TypeError, ValueError or Refused for anything else."""
    read = Ceilings(
        max_risk_tier=RiskTier(body["max_risk_tier"]).value,
        denied_tools=frozenset(body["denied_tools"]),
        denied_effect_types=frozenset(body["denied_effect_types"]),
        denied_destinations=frozenset(body["denied_destinations"]),
        increase_timelock_s=body["increase_timelock_s"],
        sandbox=read_sandbox(Table("p0.sandbox", body["sandbox"])),
        budgets=tuple(HardBudget(**one) for one in body["budgets"]),
    )
    if read.document() != body:
        raise ValueError("the ceilings are not in their one form")
    return read


def joined(held: Ceilings, stated: Ceilings) -> Ceilings:
    """Return the ceilings that hold where both do: of each, the lower. A budget keeps the name it is counted by."""
    return Ceilings(
        max_risk_tier=min(held.max_risk_tier, stated.max_risk_tier),  # tiers sort as they rise, T0 to T3
        denied_tools=held.denied_tools | stated.denied_tools,
        denied_effect_types=held.denied_effect_types | stated.denied_effect_types,
        denied_destinations=held.denied_destinations | stated.denied_destinations,
        increase_timelock_s=max(held.increase_timelock_s, stated.increase_timelock_s),
        sandbox=held.sandbox.joined(stated.sandbox),
        budgets=joined_budgets(held.budgets, stated.budgets),
    )


def joined_budgets(held: tuple[HardBudget, ...], stated: tuple[HardBudget, ...]) -> tuple[HardBudget, ...]:
    """Return both lists as one. Budgets of two windows cannot be compared: both count."""
    found = {one.window_s: one for one in held}
    names = {one.id for one in held}
    for one in stated:
        had = found.get(one.window_s)
        name = one.id if one.id not in names else f"{P0_BUDGET}@{one.window_s}s"
        found[one.window_s] = (
            attrs.evolve(one, id=name)
            if had is None
            else attrs.evolve(
                had,
                tool_calls=lower(had.tool_calls, one.tool_calls),
                spend_cents=lower(had.spend_cents, one.spend_cents),
            )
        )
    return tuple(found.values())


def lower(one: int | None, other: int | None) -> int | None:
    """Return the lower of two limits; None is none."""
    return other if one is None else one if other is None else min(one, other)
