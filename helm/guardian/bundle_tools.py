"""Compiles what a bundle says of one tool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.nearest import or_nearest
from helm.contracts.schema import Schema
from helm.contracts.verdict import EffectType, RiskTier
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_approvals import read_approval
from helm.guardian.bundle_compliance import MAX_RETENTION_DAYS, check_tool, read_classes, rules_of_tool
from helm.guardian.bundle_destinations import read_reach
from helm.guardian.bundle_oauth import read_scopes
from helm.guardian.bundle_points import read_point_rule
from helm.guardian.bundle_programs import check_words
from helm.guardian.bundle_relations import read_relation
from helm.guardian.bundle_rules import read_patterns
from helm.guardian.bundle_servers import read_pin
from helm.guardian.bundle_table import Table
from helm.guardian.bundle_times import Windows, read_windows
from helm.guardian.bundle_velocity import read_velocity
from helm.guardian.cel import Program
from helm.guardian.cel_grammar import together
from helm.guardian.compliance import Compliance
from helm.guardian.connection import (
    Connection,
    HttpConnection,
    LaunchConnection,
    McpConnection,
    ProgramConnection,
    TunnelConnection,
    WasmConnection,
)
from helm.guardian.glob import names_of
from helm.guardian.points import Point
from helm.guardian.policy import Requirement, ToolRule
from helm.guardian.relations import AuthzModel
from helm.guardian.velocity import VelocityRule

DEFAULT_TIMEOUT_MS = 30_000
MAX_TIMEOUT_MS = 600_000
"""Ten minutes: a call holds one of the places in flight for as long (T4)."""

MAX_CENTS = 10**12


CONFINED = (LaunchConnection, ProgramConnection, WasmConnection)
"""Connectors whose effects have a grant."""


class Around(NamedTuple):
    """What a tool may refer to in its bundle."""

    connections: Mapping[str, Connection]
    approvers: Mapping[str, tuple[str, ...]]
    authz: AuthzModel
    points: Mapping[str, Point]
    windows: Windows
    velocities: tuple[VelocityRule, ...]
    compliance: Compliance


def read_tool(name: str, table: Table, around: Around) -> ToolRule:
    """Return the compiled rule of one tool. Raises Invalid."""
    connection = read_connection_name(table, around.connections)
    operation = read_operation(name, table, connection)
    inputs, outputs = read_schema(table, "input"), read_schema(table, "output")
    requirements = tuple(read_requirements(table))
    classes = read_classes(table, around.compliance)
    if isinstance(connection, ProgramConnection):
        check_words(connection.grant.operations[operation or name], inputs.document, table.at("input"))
    reach = read_reach(table, connection, operation or name, inputs.document)
    rule = ToolRule(
        name=name,
        connector=connection.name,
        operation=operation,
        effect_type=table.choice("effect_type", EffectType),
        risk_tier=table.choice("risk_tier", RiskTier),
        stated_tier=table.choice("risk_tier", RiskTier),
        irreversible=table.flag("irreversible"),
        timeout_ms=read_timeout(table, connection),
        spend_cents=table.whole("spend_cents", (0, MAX_CENTS), 0),
        principals=names_of(table.texts("principals"), table.at("principals")),
        input_schema=inputs,
        input_schema_hash=hash_in(domains.SCHEMA, canonical(inputs.document)),
        output_schema=outputs,
        output_schema_hash=hash_in(domains.SCHEMA, canonical(outputs.document)),
        destination=reach.destination,
        allow_destinations=reach.allow,
        deny_destinations=read_patterns(table, "deny_destinations"),
        data_classes=classes,
        jurisdiction=table.name("jurisdiction", ""),
        retention_days=table.whole("retention_days", (0, MAX_RETENTION_DAYS), 0),
        compliance_rules=rules_of_tool(name, classes, around.compliance),
        description=table.source("description") if table.has("description") else "",
        pin=read_pin(name, operation or name, table, connection),
        carries_permit=isinstance(connection, (HttpConnection, McpConnection)) and connection.permits,
        sandbox_grant=connection.grant if isinstance(connection, WasmConnection) else None,
        sandbox_grant_hash=connection.grant_hash if isinstance(connection, CONFINED) else "",
        sends_bytes=connection.max_sent_bytes if isinstance(connection, TunnelConnection) else 0,
        credential=table.name("credential", ""),
        scopes=frozenset(read_scopes(table, "scopes")),
        relation=read_relation(table, around.authz, inputs.document),
        point=read_point_rule(name, table, around.points, inputs.document),
        windows=tuple(read_windows(table, around.windows)),
        velocity=tuple(read_velocity(name, table, around.velocities)),
        requirements=requirements,
        requirement_needs=together(requirement.program.needs for requirement in requirements),
        requirement_set_hash=hash_in(domains.REQUIREMENTS, canonical(set_of(requirements))),
        approval=read_approval(table, around.approvers),
        free_text=read_free_text(table, inputs.document),
        accepts_tainted=table.flag("accepts_tainted"),
    )
    table.finish()
    check_tool(rule, around.compliance, table)
    return rule


def read_connection_name(table: Table, connections: Mapping[str, Connection]) -> Connection:
    name = table.name("connector")
    if name not in connections:
        hint = f"declare [connectors.{name}]; {or_nearest(name, connections)}"
        raise Invalid(f"the connector {name} is not declared", table.at("connector"), hint)
    return connections[name]


def read_operation(name: str, table: Table, connection: Connection) -> str:
    """Return what the connector is asked to do, "" where it goes by the tool's name. Raises Invalid."""
    operation = table.name("operation", "")
    if not connection.has(operation or name):
        what = f"the connector {connection.name} has no operation {operation or name}"
        raise Invalid(what, table.at("operation"), "name one that it declares")
    return operation


def read_timeout(table: Table, connection: Connection) -> int:
    """Return how long a call may take; a guest no longer than its grant says. Raises Invalid."""
    if not isinstance(connection, WasmConnection):
        return table.whole("timeout_ms", (1, MAX_TIMEOUT_MS), DEFAULT_TIMEOUT_MS)
    most = connection.grant.limits.wall_ms
    timeout_ms = table.whole("timeout_ms", (1, MAX_TIMEOUT_MS), most)
    if timeout_ms > most:
        hint = f"raise wall_ms of the connector {connection.name}, or shorten it"
        raise Invalid(f"{timeout_ms} ms is longer than its grant's {most} ms", table.at("timeout_ms"), hint)
    return timeout_ms


def read_schema(table: Table, member: str) -> Schema:
    """Return a pinned schema, compiled. Raises Invalid with the JSON pointer."""
    return Schema.compile(table.object(member), table.at(member))


def read_requirements(table: Table) -> Iterator[Requirement]:
    """Yield what must hold for a call of the tool. Raises Invalid."""
    seen: set[str] = set()
    for below in table.tables("requires"):
        source = below.source("cel")
        requirement = Requirement(
            id=below.name("id"),
            program=Program.compile(source, below.at("cel")),
            reason=below.text("reason", " ".join(source.split())),
        )
        below.finish()
        if requirement.id in seen:
            raise Invalid(f"the requirement {requirement.id} stands twice", below.at("id"), "rename one")
        seen.add(requirement.id)
        yield requirement


def set_of(requirements: tuple[Requirement, ...]) -> list[JSONValue]:
    """Return the requirements as JSON, for their hash."""
    return [{"cel": r.program.source, "id": r.id, "reason": r.reason} for r in requirements]


def read_free_text(table: Table, inputs: dict[str, JSONValue]) -> frozenset[str]:
    """Return the arguments that are documents. Raises Invalid for one that the schema does not know."""
    names = table.texts("free_text", ())
    for index, name in enumerate(names):
        if name not in inputs.get("properties", {}):
            place = f"{table.at('free_text')}[{index}]"
            raise Invalid(f"the input schema has no property {name}", place, "name one that it has")
    return frozenset(names)
