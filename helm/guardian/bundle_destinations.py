"""Reads where a tool may go on a network: nowhere, unless the bundle says so."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.guardian.bundle_rules import read_patterns
from helm.guardian.bundle_table import Table
from helm.guardian.connection import Connection, FilesConnection, HttpConnection, McpConnection, TunnelConnection
from helm.guardian.destination import Pattern, normalise
from helm.guardian.policy import DestinationRule


@attrs.frozen(kw_only=True)
class Reach:
    """Where a tool goes, and which destinations it may have."""

    destination: DestinationRule | None
    allow: tuple[Pattern, ...]


TUNNELS_TO: Final = "destination"
"""The argument that says where a tunnel goes."""

NOWHERE = Reach(destination=None, allow=())


def read_reach(table: Table, connection: Connection, operation: str, inputs: dict[str, JSONValue]) -> Reach:
    """Return where a tool goes; it must be where its connector goes. Raises Invalid."""
    rule = read_destination(table)
    goes = goes_to(connection, operation)
    if goes is not None:
        rule = agreed(rule, goes, table.at("destination"))
    elif isinstance(connection, FilesConnection) and rule is not None:
        raise Invalid("a directory has no destination", table.at("destination"), "leave it out")
    if rule is None:
        for member in ("allow_destinations", "deny_destinations"):
            if table.has(member):
                hint = "add destination = {fixed = ...} or {argument = ...}"
                raise Invalid("destinations of a tool that goes nowhere", table.at(member), hint)
        return NOWHERE
    if rule.argument:
        check_argument(rule.argument, inputs, table.at("destination"))
    if table.has("allow_destinations") or rule.argument:
        return Reach(destination=rule, allow=read_patterns(table, "allow_destinations"))
    return Reach(destination=rule, allow=(Pattern.parse(rule.fixed),))


def read_destination(table: Table) -> DestinationRule | None:
    """Return the destination as the bundle states it. Raises Invalid."""
    if not table.has("destination"):
        return None
    below = table.table("destination")
    fixed, argument = below.text("fixed", ""), below.name("argument", "")
    below.finish()
    if bool(fixed) == bool(argument):
        hint = "write {fixed = ...} or {argument = ...}"
        raise Invalid("a destination is fixed or named by an argument", below.place, hint)
    try:
        return DestinationRule(fixed=str(normalise(fixed)) if fixed else "", argument=argument)
    except Refused as refused:
        raise Invalid(refused.reason, below.at("fixed")) from refused


def goes_to(connection: Connection, operation: str) -> DestinationRule | None:
    """Return where a connector takes an operation, None where it does not say."""
    if isinstance(connection, HttpConnection):
        return DestinationRule(fixed=connection.origin, argument=connection.operations[operation].url_argument)
    if isinstance(connection, McpConnection) and connection.url:
        return DestinationRule(fixed=str(normalise(connection.url)), argument="")
    if isinstance(connection, TunnelConnection):
        return DestinationRule(fixed="", argument=TUNNELS_TO)
    return None


def agreed(rule: DestinationRule | None, goes: DestinationRule, where: str) -> DestinationRule:
    """Return where the operation goes; a tool that says where must say the same. Raises Invalid."""
    if rule is not None and rule != goes:
        stated, there = rule.fixed or rule.argument, goes.fixed or goes.argument
        hint = f"leave it out, or write {there}"
        raise Invalid(f"the tool goes to {stated}, its connector to {there}", where, hint)
    return goes


def check_argument(argument: str, inputs: dict[str, JSONValue], where: str) -> None:
    """Refuse an argument that a call may leave out: the gates would judge no destination. Raises Invalid."""
    property_schema = inputs.get("properties", {}).get(argument)
    is_text = type(property_schema) is dict and property_schema.get("type") == "string"
    if not is_text or argument not in inputs.get("required", ()) or inputs.get("type") != "object":
        hint = f'the input schema must be of type object, require {argument}, and give it type "string"'
        raise Invalid(f"the argument {argument} may be no destination", where, hint)
