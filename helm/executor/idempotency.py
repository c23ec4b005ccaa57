"""Idempotency: what a key claims, so that one key is one call and one effect (T6)."""

from __future__ import annotations

from helm.contracts.call import ToolCall
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in


def claim_of(call: ToolCall) -> str:
    """Return the claim of the call's key, unique per tenant, principal and session: "claim:" and a hash."""
    return claim_name(call.tenant, call.principal, call.session_id, call.idempotency_key)


def claim_name(tenant: str, principal: str, session_id: str, idempotency_key: str) -> str:
    """Return the claim of a key: "claim:" and the HELM/Claim/v1 hash of whose it is."""
    body = {"key": idempotency_key, "principal": principal, "session_id": session_id, "tenant": tenant}
    return "claim:" + hash_in(domains.CLAIM, record_bytes(body))


def same_call(call: ToolCall, tool: str, args_hash: str) -> bool:
    """Say whether `call` asks for what its key was claimed with: the same tool and the same bytes."""
    return call.tool == tool and call.args_hash == args_hash
