"""Reads what a bundle says of everyone: ceilings, principals, budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from helm.contracts.errors import Invalid, Refused
from helm.contracts.verdict import EffectType, RiskTier
from helm.guardian.bundle_grants import MAX_FUEL, MAX_MEMORY_BYTES, MAX_WALL_MS
from helm.guardian.bundle_table import Table, check_choice, check_name
from helm.guardian.destination import Pattern
from helm.guardian.glob import names_of
from helm.guardian.overgrant import SandboxCeilings
from helm.guardian.policy import Budget, P0Ceilings, PrincipalRule, SubjectKind

P0_BUDGET = "p0"
"""The id of the hard budget; no other budget may take it, nor one that begins with it and an @."""

MAX_WINDOW_S = 366 * 86_400

DEFAULT_TIMELOCK_S = 86_400
MIN_TIMELOCK_S, MAX_TIMELOCK_S = 60, 30 * 86_400
"""How long a raise of a ceiling waits: long enough for somebody to see it, and for a clock to be noticed (T7, T8)."""


def read_p0(table: Table) -> tuple[P0Ceilings, tuple[Budget, ...]]:
    """Return the hard limits, and the hard budget if there is one. Raises Invalid."""
    ceilings = P0Ceilings(
        max_risk_tier=table.choice("max_risk_tier", RiskTier, RiskTier.T3),
        denied_tools=names_of(table.texts("denied_tools", ()), table.at("denied_tools")),
        denied_effect_types=read_effect_types(table),
        denied_destinations=read_patterns(table, "denied_destinations"),
        sandbox=read_sandbox(table.table("sandbox")),
    )
    budget = read_hard_budget(table)
    table.whole("increase_timelock_s", (MIN_TIMELOCK_S, MAX_TIMELOCK_S), DEFAULT_TIMELOCK_S)
    table.finish()
    return ceilings, budget


def read_sandbox(table: Table) -> SandboxCeilings:
    """Return what no sandbox grant may go beyond. Raises Invalid."""
    for member in ("readable", "writable"):
        for index, path in enumerate(table.texts(member, ())):
            if not path.startswith("/") or {".", ".."} & {*path.split("/")}:
                raise Invalid("not an absolute path", f"{table.at(member)}[{index}]", "write /srv/data")
    ceilings = SandboxCeilings(
        max_fuel=table.whole("max_fuel", (1, MAX_FUEL), MAX_FUEL),
        max_memory_bytes=table.whole("max_memory_bytes", (1, MAX_MEMORY_BYTES), MAX_MEMORY_BYTES),
        max_wall_ms=table.whole("max_wall_ms", (1, MAX_WALL_MS), MAX_WALL_MS),
        readable=frozenset(table.texts("readable", ())),
        writable=frozenset(table.texts("writable", ())),
        variables=frozenset(table.texts("variables", ())),
        networks=frozenset(table.texts("networks", ())),
    )
    table.finish()
    return ceilings


def read_effect_types(table: Table) -> frozenset[str]:
    words = table.texts("denied_effect_types", ())
    for index, word in enumerate(words):
        check_choice(word, EffectType, f"{table.at('denied_effect_types')}[{index}]")
    return frozenset(words)


def read_patterns(table: Table, member: str) -> tuple[Pattern, ...]:
    """Return the destinations that a list names. Raises Invalid."""
    try:
        return tuple(Pattern.parse(text) for text in table.texts(member, ()))
    except Refused as refused:
        hint = "host, host:port, scheme://host[:port], *.suffix, or a network"
        raise Invalid(refused.reason, table.at(member), hint) from refused


def read_hard_budget(table: Table) -> tuple[Budget, ...]:
    """Return the P0 budget, which binds all calls together. Raises Invalid."""
    calls, cents = table.limit("tool_calls_per_window"), table.limit("spend_cents_per_window")
    if calls is None and cents is None:
        if table.has("window_s"):
            hint = "add tool_calls_per_window or spend_cents_per_window"
            raise Invalid("a window without a limit", table.at("window_s"), hint)
        return ()
    return (
        Budget(
            id=P0_BUDGET,
            subject=SubjectKind.ALL,
            subject_name="",
            tool_call_limit=calls,
            spend_limit_cents=cents,
            write_operation_limit=None,
            egress_limit_bytes=None,
            approval_required_above_cents=None,
            window_s=table.whole("window_s", (1, MAX_WINDOW_S)),
        ),
    )


def read_principals(bundle: Table) -> Mapping[str, PrincipalRule]:
    """Return the principals that the bundle says more of than who may use a tool. Raises Invalid."""
    return MappingProxyType({name: read_principal(table) for name, table in bundle.named("principals")})


def read_principal(table: Table) -> PrincipalRule:
    classes = frozenset(table.texts("data_classes")) if table.has("data_classes") else None
    principal = PrincipalRule(
        delegation_keys=frozenset(table.texts("delegation_keys", ())),
        delegation_mfa=table.flag("delegation_mfa"),
        delegation_required=table.flag("delegation_required"),
        data_classes=classes,
        credentials=frozenset(table.texts("credentials", ())),
    )
    table.finish()
    return principal


def read_budgets(bundle: Table) -> Iterator[Budget]:
    """Yield the budgets of the bundle. Raises Invalid."""
    seen = {P0_BUDGET}
    for table in bundle.tables("budgets"):
        budget = read_budget(table)
        if budget.id in seen or "/" in budget.id or budget.id.startswith(f"{P0_BUDGET}@"):
            hint = f"a name of its own, without a slash; {P0_BUDGET} is taken"
            raise Invalid(f"the budget id {budget.id} cannot be used", table.at("id"), hint)
        seen.add(budget.id)
        yield budget


def read_budget(table: Table) -> Budget:
    """Return one budget. Raises Invalid."""
    subject, subject_name = read_subject(table)
    budget = Budget(
        id=table.name("id"),
        subject=subject,
        subject_name=subject_name,
        tool_call_limit=table.limit("tool_call_limit"),
        spend_limit_cents=table.limit("spend_limit_cents"),
        write_operation_limit=table.limit("write_operation_limit"),
        egress_limit_bytes=table.limit("egress_limit_bytes"),
        approval_required_above_cents=table.limit("approval_required_above_cents"),
        window_s=table.whole("window_s", (1, MAX_WINDOW_S)),
    )
    table.finish()
    limits = {
        "tool_call_limit": budget.tool_call_limit,
        "spend_limit_cents": budget.spend_limit_cents,
        "write_operation_limit": budget.write_operation_limit,
        "egress_limit_bytes": budget.egress_limit_bytes,
        "approval_required_above_cents": budget.approval_required_above_cents,
    }
    if {*limits.values()} == {None}:
        hint = f"add one of {', '.join(limits)}"
        raise Invalid("a budget without a limit", table.place, hint)
    return budget


def read_subject(table: Table) -> tuple[SubjectKind, str]:
    """Return whose calls a budget counts. Raises Invalid."""
    text = table.text("subject")
    if text in (SubjectKind.ALL, SubjectKind.EACH_PRINCIPAL):
        return SubjectKind(text), ""
    kind, _, name = text.partition(":")
    if kind not in (SubjectKind.PRINCIPAL, SubjectKind.TENANT, SubjectKind.TOOL):
        hint = 'write "*", "each-principal", "principal:NAME", "tenant:NAME" or "tool:NAME"'
        raise Invalid("a budget for nobody", table.at("subject"), hint)
    check_name(name, table.at("subject"))
    return SubjectKind(kind), name
