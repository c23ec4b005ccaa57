"""Reads an overlay against the bundle that it narrows: whatever would widen is refused, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.verdict import RiskTier
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_approvals import DEFAULT_EXPIRES_S, MAX_EXPIRES_S, MAX_QUORUM
from helm.guardian.bundle_lines import located
from helm.guardian.bundle_rules import P0_BUDGET, read_budget, read_patterns
from helm.guardian.bundle_table import MAX_WHOLE, Table, dotted
from helm.guardian.bundle_toml import check_whole, read_toml
from helm.guardian.bundle_tools import read_requirements
from helm.guardian.destination import Pattern
from helm.guardian.glob import names_of
from helm.guardian.overlay import ApprovalNarrowing, Limits, Overlay, ToolNarrowing
from helm.guardian.policy import ApprovalRule, Budget, Policy, Requirement, ToolRule

VERSION: Final = "helm.overlay/1"

MAX_EPOCH: Final = 2**53 - 1
MAX_DEPTH: Final = 16
MAX_BYTES: Final = 256 * 1024
"""Largest overlay: it is kept inside an entry of the journal, and in every pack that it matters to (T4)."""

MAX_NAMES: Final = 256
"""Principals or tenants that one overlay names: each may be a class of its own (T4)."""

MAX_REQUIREMENTS: Final = 32
"""Requirements that one overlay adds to a tool: every call of it pays for them (T4)."""

ONLY: Final = "an overlay removes tools, adds requirements, and lowers or narrows what the bundle says; it adds nothing"

UNASKED: Final = ApprovalRule(
    required=True,
    when=None,
    quorum=1,
    timelock_s=0,
    expires_s=DEFAULT_EXPIRES_S,
    max_per_hour=0,
    max_per_day=0,
    approvers=(),
)
"""What an approval is measured by where the bundle asks for none: an intervention would be asked for like this."""


def load_overlay(text: str, where: str, bundle: Policy) -> Overlay:
    """Compile an overlay in TOML; `where` names the file. Raises Invalid with the line, as far as it can be told."""
    written = read_toml(text, where)
    try:
        return compile_overlay(overlay_bytes(written), bundle)
    except Invalid as problem:
        raise located(problem, text, where) from problem


def overlay_bytes(document: dict[str, JSONValue]) -> bytes:
    """Return what is hashed and kept of an overlay. Raises Invalid with the dotted path."""
    check_whole(document)
    try:
        return canonical(document, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise Invalid(problem.problem, dotted("", problem.place), "an overlay is one small JSON document") from problem


def overlay_hash_of(document: bytes) -> str:
    """Return the name of an overlay's canonical bytes."""
    return hash_in(domains.OVERLAY_TEXT, document)


def compile_overlay(document: bytes, bundle: Policy) -> Overlay:
    """Compile the canonical bytes of an overlay against its bundle. Raises Invalid where it is not narrower."""
    try:
        table = Table("", parse(document, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH))
    except Malformed as problem:
        raise Invalid(str(problem), "overlay") from problem
    if table.text("version") != VERSION:
        raise Invalid("another version of the overlay format", "version", f'write version = "{VERSION}"')
    overlay = Overlay(
        id=read_id(table),
        epoch=table.whole("epoch", (1, MAX_EPOCH)),
        narrows=read_narrows(table, bundle),
        principals=read_whom(table, "principals"),
        tenants=read_whom(table, "tenants"),
        removed=frozenset(read_removed(table, bundle)),
        tools=MappingProxyType(dict(read_tools(table, bundle))),
        lowered=MappingProxyType(dict(read_lowered(table, bundle))),
        added=tuple(read_added(table, bundle)),
        overlay_hash=overlay_hash_of(document),
        document=document,
    )
    table.finish()
    check_says(overlay)
    return overlay


def check_says(overlay: Overlay) -> None:
    """Raise Invalid for an overlay that says nothing, or two things of one tool."""
    for name in overlay.tools:
        if name in overlay.removed:
            raise Invalid(f"{name} is removed and narrowed", f"tools.{name}", "say one of both")
    if not (overlay.removed or overlay.tools or overlay.lowered or overlay.added):
        raise Invalid("it narrows nothing", "overlay", ONLY)


def read_id(table: Table) -> str:
    name = table.name("id")
    if "/" in name:
        raise Invalid("a slash in the id", table.at("id"), "a name of its own, without a slash")
    return name


def read_narrows(table: Table, bundle: Policy) -> str:
    """Return the bundle that the overlay is bound to. Raises Invalid for another one."""
    narrows = table.name("narrows")
    if narrows != bundle.policy_hash:
        hint = f'read it against this bundle, write narrows = "{bundle.policy_hash}", and sign it with a higher epoch'
        raise Invalid(f"it narrows another bundle than the one of epoch {bundle.epoch}", table.at("narrows"), hint)
    return narrows


def read_whom(table: Table, member: str) -> frozenset[str]:
    """Return the names that an overlay is about, none for everyone. Raises Invalid."""
    names = table.texts(member, ())
    if (table.has(member) and not names) or any("*" in name for name in names) or len(names) > MAX_NAMES:
        hint = f"name 1 to {MAX_NAMES} of them in full, or leave {member} out for everyone"
        raise Invalid("nobody, a pattern, or too many", table.at(member), hint)
    return frozenset(names)


def read_removed(table: Table, bundle: Policy) -> Iterator[str]:
    """Yield the tools that an overlay takes away. Raises Invalid for what the bundle has not."""
    for index, text in enumerate(table.texts("remove_tools", ())):
        place = f"{table.at('remove_tools')}[{index}]"
        wanted = names_of((text,), place)
        found = [name for name in bundle.tools if name in wanted]
        if not found:
            raise Invalid(f"the bundle declares no tool {text}", place, "a name or a pattern of tools that it has")
        yield from found


def read_tools(table: Table, bundle: Policy) -> Iterator[tuple[str, ToolNarrowing]]:
    """Yield what an overlay narrows of each tool. Raises Invalid."""
    for name, below in table.named("tools"):
        rule = bundle.tool(name)
        if rule is None:
            raise Invalid(f"the bundle declares no tool {name}: to declare it would widen", below.place, ONLY)
        yield name, read_narrowing(below, rule, bundle)


def read_narrowing(table: Table, rule: ToolRule, bundle: Policy) -> ToolNarrowing:
    if not table.members:
        raise Invalid("it narrows nothing of this tool", table.place, ONLY)
    narrowing = ToolNarrowing(
        risk_tier=read_tier(table, rule),
        requirements=read_required(table),
        allow_destinations=read_allowed(table, rule),
        deny_destinations=read_denied(table, rule),
        approval=read_approval(table.table("approval"), rule, bundle) if table.has("approval") else None,
    )
    for member in table.members:
        if member not in table.asked:
            raise Invalid(f"an overlay cannot state {member} of a tool", table.at(member), ONLY)
    return narrowing


def read_tier(table: Table, rule: ToolRule) -> str:
    if not table.has("risk_tier"):
        return ""
    tier = table.choice("risk_tier", RiskTier)
    if tier < rule.risk_tier:
        raise wider(f"it lowers the risk tier from {rule.risk_tier} to {tier}", table.at("risk_tier"))
    return tier


def read_required(table: Table) -> tuple[Requirement, ...]:
    found = tuple(read_requirements(table))
    if len(found) > MAX_REQUIREMENTS:
        raise Invalid(f"more than {MAX_REQUIREMENTS} requirements", table.at("requires"), "join some of them")
    return found


def read_allowed(table: Table, rule: ToolRule) -> tuple[Pattern, ...] | None:
    """Return the destinations that are left, None for all. Raises Invalid for one that the bundle does not allow."""
    if not table.has("allow_destinations"):
        return None
    check_reaches(table, "allow_destinations", rule)
    patterns = read_patterns(table, "allow_destinations")
    for index, pattern in enumerate(patterns):
        if not any(pattern.meets(allowed) == pattern for allowed in rule.allow_destinations):
            place = f"{table.at('allow_destinations')}[{index}]"
            raise wider(f"the bundle does not allow all of {table.members['allow_destinations'][index]}", place)
    return patterns


def read_denied(table: Table, rule: ToolRule) -> tuple[Pattern, ...]:
    if table.has("deny_destinations"):
        check_reaches(table, "deny_destinations", rule)
    return read_patterns(table, "deny_destinations")


def check_reaches(table: Table, member: str, rule: ToolRule) -> None:
    if rule.destination is None:
        raise Invalid("destinations of a tool that goes nowhere", table.at(member), "leave them out")


def read_approval(table: Table, rule: ToolRule, bundle: Policy) -> ApprovalNarrowing:
    """Return what is asked of an approval, at least as much as the bundle asks. Raises Invalid."""
    asked = rule.approval or attrs.evolve(UNASKED, approvers=bundle.approvers)
    required = table.flag("required")
    if rule.approval is None and not required:
        raise Invalid("the bundle asks for no approval of this tool", table.place, "write required = true")
    narrowing = ApprovalNarrowing(
        required=required,
        quorum=at_least(table, "quorum", asked.quorum, MAX_QUORUM),
        timelock_s=at_least(table, "timelock_s", asked.timelock_s, MAX_EXPIRES_S - 1),
        expires_s=at_most(table, "expires_s", asked.expires_s),
        max_per_hour=rate(table, "max_per_hour", asked.max_per_hour),
        max_per_day=rate(table, "max_per_day", asked.max_per_day),
        approvers=read_approvers(table, asked),
    )
    table.finish()
    return narrowing


def at_least(table: Table, member: str, stated: int, most: int) -> int:
    """Return a number that is no lower than the bundle's. Raises Invalid."""
    number = table.whole(member, (0, most), stated)
    if number < stated:
        raise wider(f"it lowers {member} from {stated} to {number}", table.at(member))
    return number


def at_most(table: Table, member: str, stated: int) -> int:
    """Return a number that is no higher than the bundle's. Raises Invalid."""
    number = table.whole(member, (1, MAX_WHOLE), stated)
    if number > stated:
        raise wider(f"it raises {member} from {stated} to {number}", table.at(member))
    return number


def rate(table: Table, member: str, stated: int) -> int:
    """Return a rate that is no higher than the bundle's; there 0 is none. Raises Invalid."""
    number = table.whole(member, (1, MAX_WHOLE)) if table.has(member) else stated
    if stated and number > stated:
        raise wider(f"it raises {member} from {stated} to {number}", table.at(member))
    return number


def read_approvers(table: Table, asked: ApprovalRule) -> tuple[str, ...]:
    """Return the keys of the approvers that are left. Raises Invalid for one that the bundle does not name."""
    if not table.has("approvers"):
        return asked.approvers
    names = table.texts("approvers")
    may = {one.partition(" ")[0] for one in asked.approvers}
    for index, name in enumerate(names):
        if name not in may:
            place = f"{table.at('approvers')}[{index}]"
            raise wider(f"the bundle does not let {name} approve this tool", place)
    if not names:
        raise Invalid("nobody may approve it", table.at("approvers"), "remove the tool instead")
    return tuple(one for one in asked.approvers if one.partition(" ")[0] in names)


def read_lowered(table: Table, bundle: Policy) -> Iterator[tuple[str, Limits]]:
    """Yield the lower limits of budgets that the bundle has. Raises Invalid."""
    seen: set[str] = set()
    for below in table.tables("budgets"):
        name = below.name("id")
        if name in seen:
            raise Invalid(f"the budget {name} stands twice", below.at("id"), "join both")
        seen.add(name)
        budget = bundle.budgets_by_id.get(name)
        if budget is not None:
            yield name, read_limits(below, budget)


def read_limits(table: Table, budget: Budget) -> Limits:
    """Return the limits that are lower than the bundle's. Raises Invalid."""
    names = [attribute.name for attribute in attrs.fields(Limits)]
    found = {name: table.limit(name) for name in names}
    said = attrs.asdict(budget)
    for name, limit in found.items():
        stated = said[name]
        if limit is not None and stated is not None and limit > stated:
            raise wider(f"it raises {name} of the budget {budget.id} from {stated} to {limit}", table.at(name))
    for member in table.members:
        if member not in table.asked:
            hint = f"whose budget {budget.id} is, and its window, stand in the bundle; an overlay lowers its limits"
            raise Invalid(f"an overlay cannot state {member} of this budget", table.at(member), hint)
    if {*found.values()} == {None}:
        raise Invalid("no limit is lowered", table.place, f"state one of {', '.join(names)}")
    return Limits(**found)


def read_added(table: Table, bundle: Policy) -> Iterator[Budget]:
    """Yield the budgets that an overlay adds to those of the bundle: every budget takes away. Raises Invalid."""
    for below in table.tables("budgets"):
        name = below.name("id")
        if name in bundle.budgets_by_id:
            continue
        if "/" in name or name == P0_BUDGET or name.startswith(f"{P0_BUDGET}@"):
            raise Invalid(f"the budget id {name} cannot be used", below.at("id"), "a name of its own, without a slash")
        yield read_budget(below)


def wider(what: str, where: str) -> Invalid:
    """Return the refusal of an overlay that would widen."""
    hint = "an overlay only narrows: state it in the bundle's next epoch, or leave it out"
    return Invalid(f"{what}: that would widen", where, hint)


def subjects(documents: Mapping[str, JSONValue], member: str) -> tuple[str, ...]:
    """Return whom the document of an overlay names, in order."""
    return tuple(sorted(documents.get(member, ())))
