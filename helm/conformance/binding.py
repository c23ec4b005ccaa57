"""What a record must bind of a policy, computed from the policy itself and not read off any answer."""

from __future__ import annotations

from helm.contracts.form import JSONValue
from helm.guardian.policy import Policy


def bindings_of(policy: Policy, tool: str) -> dict[str, JSONValue]:
    """Return the members of a record or decision that follow from the policy; `tool` is "" where none is named."""
    bound: dict[str, JSONValue] = {
        "p0_ceiling_hash": policy.p0_ceiling_hash,
        "policy_epoch": policy.epoch,
        "policy_hash": policy.policy_hash,
    }
    if not tool:
        return bound
    rule = policy.rule(tool)
    return bound | {
        "credential_ref": rule.credential,
        "input_schema_hash": rule.input_schema_hash,
        "mcp_server_id": rule.connector if rule.pin else "",
        "pinned_schema_hash": rule.input_schema_hash,
        "requirement_set_hash": rule.requirement_set_hash,
        "sandbox_grant_hash": rule.sandbox_grant_hash,
    }
