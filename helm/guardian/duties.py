"""Duties: what the compliance rules of a tool demand of one call, and which demand it breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from helm.contracts.reason import ReasonCode
from helm.guardian.compliance import Compliance, ComplianceRule, Kept
from helm.guardian.destination import Destination
from helm.guardian.policy import ToolRule


class Concerned(NamedTuple):
    """Who and what is part of a call."""

    principals: tuple[str, ...]
    """Who calls, and in whose name: neither gets by a rule through the other (T8)."""
    tenant: str
    destination: Destination | None
    """None for a call that reaches no network."""


class Breach(NamedTuple):
    """A demand that a call breaks."""

    code: ReasonCode
    why: str


def applies(rule: ComplianceRule, concerned: Concerned) -> bool:
    """Say whether a rule of the tool is one for this call."""
    destination = concerned.destination
    return (
        (rule.principals is None or any(name in rule.principals for name in concerned.principals))
        and (rule.tenants is None or concerned.tenant in rule.tenants)
        and (
            rule.destinations is None
            or (destination is not None and any(pattern.touches(destination) for pattern in rule.destinations))
        )
    )


def breaches(rule: ComplianceRule, tool: ToolRule, compliance: Compliance, concerned: Concerned) -> Iterator[Breach]:
    """Yield what a call of the tool breaks of one rule that applies to it."""
    yield from of_class(rule, tool, compliance)
    yield from of_retention(rule, tool)
    for kept, name, stated, found in jurisdictions(rule, tool, compliance, concerned):
        barred = sorted(one for one in found if rule.bars(one))
        if not stated:
            yield Breach(ReasonCode.JURISDICTION_VIOLATION, f"nothing says in which jurisdiction {kept} {name} lies")
        elif barred:
            yield Breach(ReasonCode.JURISDICTION_VIOLATION, f"{kept} {name} lies in {barred[0]}")


def of_class(rule: ComplianceRule, tool: ToolRule, compliance: Compliance) -> Iterator[Breach]:
    """Yield the class of data that goes beyond a rule."""
    above = compliance.above(tool.data_classes, rule.max_data_class) if rule.max_data_class else ""
    if above:
        why = f"the data class {above} is above {rule.max_data_class}"
        yield Breach(ReasonCode.COMPLIANCE_VIOLATION, why)


def of_retention(rule: ComplianceRule, tool: ToolRule) -> Iterator[Breach]:
    """Yield how long the tool keeps its data, where that is too short or too long."""
    days, least, most = tool.retention_days, rule.min_retention_days, rule.max_retention_days
    kept = f"the tool keeps its data {days} days"
    if least is not None and days < least:
        yield Breach(ReasonCode.COMPLIANCE_VIOLATION, f"{kept}, at least {least} are asked for")
    if most is not None and days > most:
        yield Breach(ReasonCode.COMPLIANCE_VIOLATION, f"{kept}, at most {most} are allowed")


Found = tuple[str, str, bool, frozenset[str]]
"""What it is, its name, whether its jurisdiction is stated, and in which it may lie."""


def jurisdictions(
    rule: ComplianceRule, tool: ToolRule, compliance: Compliance, concerned: Concerned
) -> Iterator[Found]:
    """Yield where everything lies that a rule asks the jurisdiction of."""
    if Kept.TOOL in rule.of:
        yield "the tool", tool.name, tool.jurisdiction != "", frozenset({tool.jurisdiction})
    if Kept.DESTINATION in rule.of and concerned.destination is not None:
        yield "the destination", str(concerned.destination), *compliance.of_destination(concerned.destination)
    if Kept.PRINCIPAL in rule.of:
        for name in concerned.principals:
            found = compliance.of_principal(name)
            yield "the principal", name, bool(found), found
    if Kept.TENANT in rule.of:
        found = compliance.of_tenant(concerned.tenant)
        yield "the tenant", concerned.tenant, bool(found), found
