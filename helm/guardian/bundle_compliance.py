"""Reads what a bundle says of data: its classes, where things lie, and the rules; contradictions are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MappingProxyType

import attrs

from helm.contracts.errors import Invalid
from helm.guardian.bundle_rules import read_patterns
from helm.guardian.bundle_table import Table, check_choice
from helm.guardian.compliance import Compliance, ComplianceRule, Kept, Place
from helm.guardian.glob import Names, names_of
from helm.guardian.policy import PrincipalRule, ToolRule

MAX_RETENTION_DAYS = 36_500


def read_compliance(table: Table) -> Compliance:
    """Return which data may be touched, and by which rules. Raises Invalid."""
    order = table.texts("data_class_order", ())
    compliance = Compliance(
        allowed_data_classes=frozenset(table.texts("allowed_data_classes", ())),
        allowed_jurisdictions=frozenset(table.texts("allowed_jurisdictions", ())),
        min_retention_days=table.whole("min_retention_days", (0, MAX_RETENTION_DAYS), 0),
        ranks=MappingProxyType({name: rank for rank, name in enumerate(order)}),
        places=tuple(map(read_place, table.tables("places"))),
        rules=(),
    )
    check_classes(compliance, compliance.allowed_data_classes, table.at("allowed_data_classes"))
    rules = tuple(read_rules(table, compliance))
    table.finish()
    return attrs.evolve(compliance, rules=rules)


def check_classes(compliance: Compliance, classes: Iterable[str], where: str) -> None:
    """Raise Invalid for a class that stands nowhere in the order, if there is one: no rule could be held against it."""
    for name in sorted(classes):
        if compliance.ranks and name not in compliance.ranks:
            hint = f"write {', '.join(compliance.ranks)}, or add it to compliance.data_class_order"
            raise Invalid(f"the data class {name} has no place in the order", where, hint)


def read_place(table: Table) -> Place:
    place = Place(
        jurisdiction=table.name("jurisdiction"),
        destinations=read_patterns(table, "destinations"),
        principals=names_of(table.texts("principals", ()), table.at("principals")),
        tenants=names_of(table.texts("tenants", ()), table.at("tenants")),
    )
    table.finish()
    if not {"destinations", "principals", "tenants"} & {*table.members}:
        raise Invalid("a place in which nothing lies", table.place, "add destinations, principals or tenants")
    return place


def read_rules(compliance_table: Table, compliance: Compliance) -> Iterator[ComplianceRule]:
    """Yield the rules. Raises Invalid."""
    seen: set[str] = set()
    for table in compliance_table.tables("rules"):
        rule = read_rule(table)
        if rule.id in seen:
            raise Invalid(f"the rule {rule.id} stands twice", table.at("id"), "rename one")
        seen.add(rule.id)
        check_rule(rule, compliance, table)
        yield rule


def read_rule(table: Table) -> ComplianceRule:
    of = table.texts("of", ())
    for index, word in enumerate(of):
        check_choice(word, Kept, f"{table.at('of')}[{index}]")
    rule = ComplianceRule(
        id=table.name("id"),
        tools=names_of(table.texts("tools", ("*",)), table.at("tools")),
        data_class=table.name("data_class", ""),
        principals=read_names(table, "principals"),
        tenants=read_names(table, "tenants"),
        destinations=read_patterns(table, "destinations") if table.has("destinations") else None,
        max_data_class=table.name("max_data_class", ""),
        of=frozenset(of),
        allow_jurisdictions=frozenset(table.texts("allow_jurisdictions")) if table.has("allow_jurisdictions") else None,
        deny_jurisdictions=frozenset(table.texts("deny_jurisdictions", ())),
        min_retention_days=read_days(table, "min_retention_days"),
        max_retention_days=read_days(table, "max_retention_days"),
    )
    table.finish()
    return rule


def read_names(table: Table, member: str) -> Names | None:
    return names_of(table.texts(member), table.at(member)) if table.has(member) else None


def read_days(table: Table, member: str) -> int | None:
    return table.whole(member, (0, MAX_RETENTION_DAYS)) if table.has(member) else None


def check_rule(rule: ComplianceRule, compliance: Compliance, table: Table) -> None:
    """Raise Invalid for a rule that demands nothing, that nothing can satisfy, or that speaks of what is not there."""
    lists = rule.allow_jurisdictions is not None or bool(rule.deny_jurisdictions)
    days = rule.min_retention_days, rule.max_retention_days
    if not (rule.max_data_class or lists or days != (None, None)):
        hint = "add max_data_class, allow_jurisdictions, deny_jurisdictions, min_ or max_retention_days"
        raise Invalid("a rule that demands nothing", table.place, hint)
    if lists != bool(rule.of):
        hint = f"of = the list of what it is asked of: {', '.join(Kept)}; with allow_ or deny_jurisdictions"
        raise Invalid("jurisdictions of nothing, or of something but none", table.at("of"), hint)
    both = (rule.allow_jurisdictions or frozenset()) & rule.deny_jurisdictions
    if both:
        raise Invalid(f"{min(both)} is allowed and denied", table.at("deny_jurisdictions"), "leave one out")
    if days[0] is not None and days[1] is not None and days[0] > days[1]:
        what = f"nothing is kept at least {days[0]} and at most {days[1]} days"
        raise Invalid(what, table.at("max_retention_days"), "raise it")
    for member in ("principals", "tenants", "destinations", "tools"):
        if table.members.get(member) == []:
            raise Invalid("a rule for nobody", table.at(member), "name some, or leave it out: it is for all then")
    check_rule_classes(rule, compliance, table)


def check_rule_classes(rule: ComplianceRule, compliance: Compliance, table: Table) -> None:
    """Raise Invalid for a class without an order or beyond it, and for a rule that refuses whatever it applies to."""
    if rule.max_data_class and not compliance.ranks:
        hint = 'add data_class_order = ["public", "internal", ...] to [compliance], the most public first'
        raise Invalid("nothing is above a class without an order", table.at("max_data_class"), hint)
    check_classes(compliance, filter(None, (rule.max_data_class,)), table.at("max_data_class"))
    check_classes(compliance, filter(None, (rule.data_class,)), table.at("data_class"))
    if rule.max_data_class and rule.data_class and compliance.above((rule.data_class,), rule.max_data_class):
        what = f"it applies to {rule.data_class} and allows no more than {rule.max_data_class}: nothing satisfies it"
        raise Invalid(what, table.at("max_data_class"), "leave data_class out: the limit is for all tools then")


def read_classes(table: Table, compliance: Compliance) -> frozenset[str]:
    """Return the classes of data that a tool touches. Raises Invalid."""
    classes = frozenset(table.texts("data_classes", ()))
    check_classes(compliance, classes, table.at("data_classes"))
    return classes


def rules_of_tool(name: str, classes: frozenset[str], compliance: Compliance) -> tuple[ComplianceRule, ...]:
    """Return the rules for the calls of one tool."""
    return tuple(
        rule
        for rule in compliance.rules
        if name in rule.tools and (not rule.data_class or compliance.touches(classes, rule.data_class))
    )


def check_tool(rule: ToolRule, compliance: Compliance, table: Table) -> None:
    """Raise Invalid where a rule asks what the tool does not say, or where two rules leave it no way to comply."""
    least = ("min_retention_days", compliance.min_retention_days if rule.data_classes else 0)
    most = ("", MAX_RETENTION_DAYS)
    for one in rule.compliance_rules:
        asks = one.min_retention_days is not None or one.max_retention_days is not None
        if asks and not table.has("retention_days"):
            hint = "add retention_days: for how long the tool keeps its data"
            raise Invalid(f"the compliance rule {one.id} asks for it", table.at("retention_days"), hint)
        if Kept.TOOL in one.of and not rule.jurisdiction:
            hint = "add jurisdiction: where the tool keeps its data"
            raise Invalid(f"the compliance rule {one.id} asks for it", table.at("jurisdiction"), hint)
        if one.is_for_everyone:
            least = max(least, (one.id, one.min_retention_days or 0), key=days_of)
            most = min(
                most,
                (one.id, MAX_RETENTION_DAYS if one.max_retention_days is None else one.max_retention_days),
                key=days_of,
            )
    if least[1] > most[1]:
        what = f"the compliance rules {least[0]} and {most[0]} ask for {least[1]} days at least and {most[1]} at most"
        raise Invalid(what, table.at("retention_days"), "no retention satisfies both: change one of them")
    check_common_ground(rule, table)


def days_of(named: tuple[str, int]) -> int:
    return named[1]


def check_common_ground(rule: ToolRule, table: Table) -> None:
    """Raise Invalid where the rules for everyone leave no jurisdiction in which something may lie."""
    for kept in Kept:
        rules = [one for one in rule.compliance_rules if kept in one.of and one.is_for_everyone]
        lists = [one.allow_jurisdictions for one in rules if one.allow_jurisdictions is not None]
        left = frozenset.intersection(*lists) if lists else None
        if left is not None and not any(all(not one.bars(name) for one in rules) for name in left):
            what = f"the compliance rules {', '.join(one.id for one in rules)} leave no jurisdiction for the {kept}"
            raise Invalid(what, table.place, "let their lists have one in common that none denies")


def check_whole(
    compliance: Compliance, tools: Iterable[ToolRule], principals: Iterable[tuple[str, PrincipalRule]]
) -> None:
    """Raise Invalid for a rule that is for no tool, or that denies a place where nothing lies: a misspelt one."""
    known = tuple(tools)
    lies = {place.jurisdiction for place in compliance.places} | {rule.jurisdiction for rule in known}
    for index, one in enumerate(compliance.rules):
        place = f"compliance.rules[{index}]"
        if not any(one in rule.compliance_rules for rule in known):
            hint = "name tools of the bundle that touch such data, or leave the rule out"
            raise Invalid(f"the rule {one.id} is for no tool", f"{place}.tools", hint)
        for name in sorted(one.deny_jurisdictions - lies):
            there = ", ".join(sorted(lies - {""}))
            hint = (
                f"write one of {there}, or leave it out"
                if there
                else "leave it out: nothing of this bundle lies anywhere"
            )
            raise Invalid(f"nothing lies in {name}", f"{place}.deny_jurisdictions", hint)
    for name, principal in principals:
        check_classes(compliance, principal.data_classes or (), f"principals.{name}.data_classes")
