"""Facts read back: the call and the world that a decision was made by, ready to be judged again.

Whatever is read here must write the very bytes it was read from: then nothing was lost, added or read another way.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from types import MappingProxyType

from helm.contracts.call import CallContext, Source, ToolCall, Trust
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue, noun_of
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import sha256
from helm.guardian.delegation import Standing
from helm.guardian.judgement import facts_bytes
from helm.guardian.points import Advice
from helm.guardian.policy import Policy, ToolRule
from helm.guardian.relations import AuthzSnapshot
from helm.guardian.velocity import Pace, counting_delegator
from helm.guardian.world import Sought, World

MAX_BYTES = 16 * 1024 * 1024
"""Largest facts that are read: arguments and texts at their limits, malformed ones in base64 (T4)."""

MAX_DEPTH = 96
"""Deepest facts that are read: arguments of depth 64, and a little around them (T4)."""

HINT = "they were edited, or a HELM of another version wrote them"


CALL: Mapping[str, type] = MappingProxyType(
    {
        "approval_id": str,
        "args_hash": str,
        "claimed_principal": str,
        "credential_hash": str,
        "delegation_id": str,
        "delegation_proof": str,
        "delegation_sequence": int,
        "door": str,
        "fault": str,
        "fault_reason": str,
        "idempotency_key": str,
        "labels": list,
        "malformed": str,
        "oauth_resource": str,
        "oauth_scopes": list,
        "principal": str,
        "session_id": str,
        "tenant": str,
        "texts": list,
        "tool": str,
        "transport": str,
        "trust": str,
    }
)
"""The members of a call but for its arguments, which are any JSON."""

WORLD: Mapping[str, type] = MappingProxyType(
    {
        "approvals_asked": list,
        "budgets": list,
        "call_seq": int,
        "claim_conflict": bool,
        "connector_halted": str,
        "fingerprint": str,
        "fingerprint_at_boot": str,
        "frozen": str,
        "kernel_epoch": int,
        "log_id": str,
        "now_ms": int,
        "policy": str,
        "session_closed": bool,
        "session_labels": list,
        "session_owner": str,
        "velocity": list,
    }
)
"""The members of a world but for the approval, which may be none."""

SOUGHT = [str, int, str, str, str, str, bool]

USAGE = [str, int, int, int, int, int]

PACE = [str, str, int, int, str, int]


def read_facts(facts: bytes, policy: Policy, where: str) -> tuple[ToolCall, World]:
    """Return the call and the world of canonical facts, under the policy they name. Raises Invalid."""
    try:
        body = parse(facts, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        check_types(body["call"], CALL)
        check_types(body["world"], WORLD)
        call, world = read_call(body["call"]), read_world(body["world"], policy)
        check_paces(policy.rule(call.tool), world)
    except (Malformed, KeyError, TypeError, ValueError) as problem:
        raise Invalid(f"the facts cannot be read: {type(problem).__name__} {problem}", where, HINT) from problem
    if facts_bytes(call, world) != facts:
        raise Invalid("the facts do not say what a call and its world say, under this policy", where, HINT)
    if sha256(call.arguments) != call.args_hash:
        raise Invalid("the arguments do not hash to the args_hash of their call", where, HINT)
    return call, world


def check_types(body: dict[str, JSONValue], members: Mapping[str, type]) -> None:
    """Raise TypeError unless each of these members is of its type: lists hold texts, budgets their five."""
    for name, kind in members.items():
        if type(body[name]) is not kind:
            raise TypeError(f"{name} is {type(body[name]).__name__}")
        if name == "approvals_asked":
            if [*map(type, body[name])] != [int, int]:
                raise TypeError("the approvals asked for are not two numbers")
        elif name == "budgets":
            if not all(type(usage) is list and [*map(type, usage)] == USAGE for usage in body[name]):
                raise TypeError("a budget's usage is not a name and five numbers")
        elif name == "velocity":
            if not all(type(pace) is list and [*map(type, pace)] == PACE for pace in body[name]):
                raise TypeError("a pace is not a rule, an account, two numbers, a level and a number")
        elif kind is list and not all(type(text) is str for text in body[name]):
            raise TypeError(f"{name} are not texts")


def read_call(body: dict[str, JSONValue]) -> ToolCall:
    """Return the call of an object. Raises KeyError, TypeError, ValueError or Malformed for anything else."""
    given = body["arguments"]
    malformed = body["malformed"]
    return ToolCall(
        session_id=body["session_id"],
        tenant=body["tenant"],
        principal=body["principal"],
        tool=body["tool"],
        arguments=b64decode(given, validate=True) if malformed else canonical(given),
        args_hash=body["args_hash"],
        parsed=None if malformed else given,
        malformed=malformed,
        idempotency_key=body["idempotency_key"],
        delegation_id=body["delegation_id"],
        delegation_proof=body["delegation_proof"],
        delegation_sequence=body["delegation_sequence"],
        approval_id=body["approval_id"],
        source=Source(door=body["door"], transport=body["transport"]),
        context=CallContext(
            credential_hash=body["credential_hash"],
            claimed_principal=body["claimed_principal"],
            trust=Trust(body["trust"]),
            texts=tuple(body["texts"]),
            labels=tuple(body["labels"]),
            fault=body["fault"],
            fault_reason=body["fault_reason"],
            oauth_resource=body["oauth_resource"],
            oauth_scopes=tuple(body["oauth_scopes"]),
        ),
    )


def check_paces(rule: ToolRule, world: World) -> None:
    """Raise ValueError unless the world says of each velocity rule of the tool how fast such calls come."""
    rules = [one.id for one in rule.velocity]
    if world.delegation is not None:
        rules += [one.id for one in counting_delegator(rule.velocity)]
    if [pace.rule_id for pace in world.velocity] != rules:
        raise ValueError("the paces are not those of the tool's velocity rules")


def read_sought(body: JSONValue) -> Sought | None:
    """Return how an approval stood, None for none. Raises TypeError for anything else."""
    if body is None:
        return None
    if type(body) is not list or [*map(type, body)] != SOUGHT:
        raise TypeError("the approval is not what was sought")
    return Sought(*body)


def read_world(body: dict[str, JSONValue], policy: Policy) -> World:
    """Return the world of an object, with `policy` in the place of its hash. Raises KeyError or TypeError."""
    said = dict(body)
    said["policy"] = policy
    said["delegation"] = read_standing(body["delegation"])
    said["pdp"] = None if body["pdp"] is None else noun_of(Advice, body["pdp"])
    said["authz"] = None if body["authz"] is None else noun_of(AuthzSnapshot, body["authz"])
    said["budgets"] = tuple(tuple(usage) for usage in body["budgets"])
    said["approvals_asked"] = tuple(body["approvals_asked"])
    said["approval"] = read_sought(body["approval"])
    said["session_labels"] = tuple(body["session_labels"])
    said["velocity"] = tuple(Pace(*pace) for pace in body["velocity"])
    return World(**said)


def read_standing(body: JSONValue) -> Standing | None:
    """Return the standing of an object, None of null. Raises ValueError for anything else."""
    return None if body is None else noun_of(Standing, body)
