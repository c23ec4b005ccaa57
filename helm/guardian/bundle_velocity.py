"""Reads what a bundle says of how fast its tools may be called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import Table
from helm.guardian.glob import Names, names_of
from helm.guardian.velocities import KEPT
from helm.guardian.velocity import Scope, VelocityRule

MAX_SPAN_S = 86_400
"""Longest window and longest cool-down: the counters keep two of them (T4)."""

OWN = "tools."
"""What the id of a tool's own rule begins with; no rule of the bundle may take it."""


def read_velocities(bundle: Table) -> tuple[VelocityRule, ...]:
    """Return the rules that count the calls of several tools together. Raises Invalid."""
    rules: dict[str, VelocityRule] = {}
    for table in bundle.tables("velocity"):
        rule_id = table.name("id")
        if rule_id in rules or rule_id.startswith(OWN):
            hint = f"a name of its own, that does not begin with {OWN}"
            raise Invalid(f"the velocity id {rule_id} cannot be used", table.at("id"), hint)
        rules[rule_id] = read_rule(rule_id, names_of(table.texts("tools"), table.at("tools")), table)
    return tuple(rules.values())


def read_velocity(name: str, table: Table, shared: Iterable[VelocityRule]) -> Iterator[VelocityRule]:
    """Yield the rules that count the calls of one tool, its own first. Raises Invalid."""
    rules = [rule for rule in shared if name in rule.tools]
    if table.has("velocity"):
        below = table.table("velocity")
        rules.insert(0, read_rule(OWN + name, Names(exact=frozenset({name}), globs=()), below))
    for rule in rules:
        check_not_dodged(rule, rules, table.at("velocity"))
    yield from rules


def check_not_dodged(rule: VelocityRule, rules: list[VelocityRule], place: str) -> None:
    """Raise Invalid for a rule that whoever opens another session begins anew."""
    if rule.per is Scope.SESSION and all(other.per is Scope.SESSION for other in rules):
        hint = "add a velocity of the tool per principal, or per tenant: nobody gets another of those for the asking"
        raise Invalid(f"the velocity {rule.id} counts by session alone: another session dodges it", place, hint)


def read_rule(rule_id: str, tools: Names, table: Table) -> VelocityRule:
    """Return one rule. Raises Invalid, also for a level that no call can reach."""
    rule = VelocityRule(
        id=rule_id,
        per=Scope(table.choice("per", Scope, Scope.PRINCIPAL)),
        tools=tools,
        window_s=table.whole("window_s", (1, MAX_SPAN_S)),
        observe_above=table.whole("observe_above", (1, KEPT), 0),
        throttle_above=table.whole("throttle_above", (1, KEPT), 0),
        interrupt_above=table.whole("interrupt_above", (1, KEPT), 0),
        cool_down_s=table.whole("cool_down_s", (1, MAX_SPAN_S), 0),
    )
    table.finish()
    thresholds = ("observe_above", rule.observe_above), ("throttle_above", rule.throttle_above)
    rising = [(name, above) for name, above in (*thresholds, ("interrupt_above", rule.interrupt_above)) if above]
    if not rising:
        hint = "add observe_above, throttle_above or interrupt_above"
        raise Invalid("a velocity without a threshold", table.place, hint)
    for (lower, low), (higher, high) in pairwise(rising):
        if low >= high:
            hint = f"{lower} must be below {higher}: the higher level stands in its way"
            raise Invalid(f"no call ever reaches {lower}", table.at(lower), hint)
    if rule.cool_down_s and not (rule.throttle_above or rule.interrupt_above):
        hint = "add throttle_above or interrupt_above: OBSERVE holds nothing back"
        raise Invalid("a cool-down of nothing", table.at("cool_down_s"), hint)
    return rule


def check_velocities_used(rules: Iterable[VelocityRule], tools: Iterable[str]) -> None:
    """Raise Invalid for a rule that counts no tool of the bundle: its author believes in it, and nobody applies it."""
    names = tuple(tools)
    for index, rule in enumerate(rules):
        if not any(name in rule.tools for name in names):
            hint = "name tools of the bundle, or leave the rule out"
            raise Invalid(f"the velocity {rule.id} counts no tool", f"velocity[{index}].tools", hint)
