"""From a policy bundle to a compiled policy: one document is always one policy with one hash.

A bundle is written in TOML and kept as canonical JSON. What is hashed is what its author wrote: a default
belongs to the version that the bundle names, not to the program that reads it.
"""

from __future__ import annotations

from types import MappingProxyType

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_approvals import keys_of, read_aliases, read_approvers
from helm.guardian.bundle_compliance import check_whole, read_compliance
from helm.guardian.bundle_connections import read_connections
from helm.guardian.bundle_identity import read_identity
from helm.guardian.bundle_lines import located
from helm.guardian.bundle_oauth import read_oauth
from helm.guardian.bundle_points import read_points, remote
from helm.guardian.bundle_relations import read_authz
from helm.guardian.bundle_rules import read_budgets, read_p0, read_principals
from helm.guardian.bundle_servers import pins_of
from helm.guardian.bundle_table import MAX_WHOLE, Table, dotted
from helm.guardian.bundle_times import check_windows_used, read_named_windows
from helm.guardian.bundle_toml import as_document, read_toml
from helm.guardian.bundle_tools import Around, read_tool
from helm.guardian.bundle_velocity import check_velocities_used, read_velocities
from helm.guardian.policy import Policy
from helm.guardian.shadowing import check_shadowing

VERSION = "helm.policy/1"

MAX_DEPTH = 56
"""Deepest nesting of a bundle: it is kept inside an entry of the journal, which may have 64 levels."""

MAX_EPOCH = 2**53 - 1

MEMBERS = frozenset(
    (
        *("version", "scope", "epoch", "not_before", "max_age_s", "p0", "compliance", "principals", "approvers"),
        *("budgets", "connectors", "windows", "velocity", "authz", "decision_points", "identity", "oauth", "tools"),
    )
)
"""What a bundle may say. A misspelt one is named before whatever it leaves undeclared; `finish` is what refuses it."""


def load_toml(text: str, where: str) -> Policy:
    """Compile a bundle; `where` names the file. Raises Invalid with the line, as far as it can be told."""
    written = read_toml(text, where)
    try:
        return compile_document(as_document(written))
    except Invalid as problem:
        raise located(problem, text, where) from problem


def compile_document(document: JSONValue) -> Policy:
    """Compile a bundle that was kept as JSON. Raises Invalid with the dotted path."""
    if type(document) is not dict:
        raise Invalid("a policy must be a table", "policy")
    try:
        written = canonical(document, max_depth=MAX_DEPTH)
    except Malformed as problem:
        hint = "a bundle is one JSON document: no dates but not_before, no huge numbers"
        raise Invalid(problem.problem, dotted("", problem.place), hint) from problem
    return compile_written(written)


def compile_written(written: bytes) -> Policy:
    """Compile the canonical bytes of a bundle, which nobody else holds. Raises Invalid."""
    bundle = Table("", parse(written, max_depth=MAX_DEPTH))
    if bundle.text("version") != VERSION:
        raise Invalid("another version of the policy format", "version", f'write version = "{VERSION}"')
    bundle.check_known(MEMBERS)
    p0, hard_budget = read_p0(bundle.table("p0"))
    budgets = (*hard_budget, *read_budgets(bundle))
    connections = read_connections(bundle)
    approvers = read_approvers(bundle)
    authz = read_authz(bundle)
    identity = read_identity(bundle)
    points = read_points(bundle, p0)
    windows, velocities = read_named_windows(bundle), read_velocities(bundle)
    compliance, principals = read_compliance(bundle.table("compliance")), read_principals(bundle)
    around = Around(connections, approvers, authz, points, windows, velocities, compliance)
    tools = {name: read_tool(name, table, around) for name, table in bundle.named("tools")}
    check_shadowing(tools.values(), connections)
    check_windows_used(windows, tools.values())
    check_velocities_used(velocities, tools)
    check_whole(compliance, tools.values(), principals.items())
    policy = Policy(
        policy_hash=hash_in(domains.POLICY, written),
        scope=bundle.name("scope"),
        epoch=bundle.whole("epoch", (1, MAX_EPOCH)),
        not_before_ms=bundle.whole("not_before", (0, MAX_WHOLE), 0),
        max_age_s=bundle.whole("max_age_s", (0, MAX_WHOLE // 1000), 0),
        p0=p0,
        p0_ceiling_hash=hash_in(domains.P0, canonical(bundle.members.get("p0", {}))),
        compliance=compliance,
        principals=principals,
        approvers=keys_of(approvers, approvers),
        aliases=read_aliases(bundle, approvers),
        budgets=budgets,
        budgets_by_id=MappingProxyType({budget.id: budget for budget in budgets}),
        connectors=connections,
        tools=MappingProxyType(tools),
        server_pins=pins_of(tools.values()),
        authz=authz,
        points=points,
        remote_points=remote(points),
        identity=identity,
        oauth=read_oauth(bundle, identity),
        document=written,
    )
    bundle.finish()
    if policy.max_age_s and not policy.not_before_ms:
        hint = "add not_before: the age is counted from there"
        raise Invalid("a policy that grows stale from no moment on", "max_age_s", hint)
    return policy
