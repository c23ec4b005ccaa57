"""Sandbox grants as people see them: one object each, named by its hash, and what stands against a dispatch under it.

The policy alone grants. Whatever else is written down (a draft, an exported object) is text: it can be compared with
what the policy grants, and gives nothing to anybody.
"""

from __future__ import annotations

from collections.abc import Iterator

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import ListMode, SandboxGrant
from helm.crypto.canonical import canonical, ordered_bytes, parse
from helm.crypto.hashing import content_id
from helm.guardian.bundle_grants import grant_hash, read_grant
from helm.guardian.bundle_table import Table
from helm.guardian.connection import WasmConnection
from helm.guardian.overgrant import Finding, overgrants
from helm.guardian.policy import Policy

DRAFT, POLICY = "draft", "policy"

VIEW = frozenset({"connector", "declared_at_ms", "grant_hash", "grant_id", "policy_epoch", "source"})
"""What stands beside the grant itself; none of it is hashed."""


def grant_id(hashed: str) -> str:
    """Return the id of the grant whose hash this is."""
    return content_id("grant_", hashed)


def body_of(grant: SandboxGrant) -> dict[str, JSONValue]:
    """Return every field of a grant as JSON."""
    body: dict[str, JSONValue] = parse(ordered_bytes(grant))
    return body


def view(grant: SandboxGrant, *, connector: str, declared_at_ms: int, policy_epoch: int) -> dict[str, JSONValue]:
    """Return the grant object: a draft where no connector of a policy has it."""
    hashed = grant_hash(grant)
    return body_of(grant) | {
        "connector": connector,
        "declared_at_ms": declared_at_ms,
        "grant_hash": hashed,
        "grant_id": grant_id(hashed),
        "policy_epoch": policy_epoch,
        "source": POLICY if connector else DRAFT,
    }


def granted(policy: Policy) -> Iterator[tuple[str, WasmConnection]]:
    """Yield (grant_hash, connection) of everything that the policy grants to guests."""
    for connection in policy.connectors.values():
        if isinstance(connection, WasmConnection):
            yield connection.grant_hash, connection


def views_of(policy: Policy) -> list[dict[str, JSONValue]]:
    """Return the grant objects of a policy."""
    return [
        view(one.grant, connector=one.name, declared_at_ms=policy.not_before_ms, policy_epoch=policy.epoch)
        for _, one in granted(policy)
    ]


def read_asked(asked: JSONValue) -> SandboxGrant:
    """Return the grant that a table of the policy's own form describes. Raises Invalid."""
    if type(asked) is not dict:
        raise Invalid("not an object", "grant")
    table = Table("grant", asked)
    grant = read_grant(table)
    table.finish()
    return grant


def read_view(body: JSONValue) -> SandboxGrant:
    """Return the grant of a grant object. Raises Invalid for one that is not in its form, or not what it is named."""
    if type(body) is not dict:
        raise Invalid("not an object", "grant")
    grant = read_asked(as_table(body))
    stated = {name: value for name, value in body.items() if name not in VIEW}
    if canonical(stated) != canonical(body_of(grant)):
        raise Invalid("not a grant in its one form", "grant", "write it as `helm sandbox get` does")
    hashed = grant_hash(grant)
    if (body.get("grant_hash"), body.get("grant_id")) != (hashed, grant_id(hashed)):
        raise Invalid(f"the grant is not the one that it is named: its hash is {hashed}", "grant.grant_hash")
    return grant


def as_table(body: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return a grant object in the form in which a policy states it. What is not understood is refused there."""
    left_out = VIEW | {"env", "filesystem_preopens", "limits", "network", "runtime"}
    table = {name: value for name, value in body.items() if name not in left_out}
    if table.get("runtime_version") == "":
        del table["runtime_version"]
    limits, preopens = body.get("limits"), body.get("filesystem_preopens")
    if type(limits) is dict:
        table |= limits
    if preopens:
        table["preopens"] = preopens
    for member, names in (("env", ("mode", "names")), ("network", ("mode", "destinations", "cidrs"))):
        stated = body.get(member)
        if type(stated) is dict and stated.get("mode") != ListMode.DENY_ALL:
            table[member] = {name: stated.get(name) for name in names}
    return table


def verified(found: dict[str, JSONValue], policy: Policy) -> dict[str, JSONValue]:
    """Return what can be said of a grant object whose hash is its own."""
    return {
        "grant_hash": found["grant_hash"],
        "grant_id": found["grant_id"],
        "in_policy": found["grant_hash"] in dict(granted(policy)),
        "source": found["source"],
        "verified": True,
    }


def preflight(
    grant: SandboxGrant, policy: Policy, of_host: tuple[Finding, ...], checked_at_ms: int
) -> dict[str, JSONValue]:
    """Return whether a guest would be dispatched under this grant, now and here, and every reason why not."""
    hashed = grant_hash(grant)
    findings = (*overgrants(grant, policy.p0.sandbox), *of_policy(hashed, policy), *of_host)
    code = ReasonCode.SANDBOX_VIOLATION if findings else ReasonCode.NONE
    return {
        "checked_at_ms": checked_at_ms,
        "dispatch_ready": not findings,
        "findings": [{"code": one.code, "detail": one.detail} for one in findings],
        "grant_hash": hashed,
        "grant_id": grant_id(hashed),
        "reason_code": code.value,
        "verdict": "DENY" if findings else "ALLOW",
    }


def of_policy(hashed: str, policy: Policy) -> Iterator[Finding]:
    """A grant that nobody has signed into the policy grants nothing."""
    if hashed not in dict(granted(policy)):
        yield Finding(code="NOT_IN_POLICY", detail="no connector of the policy has this grant")
