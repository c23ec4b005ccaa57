"""A bundle that is right in every member, for the tests that make one member wrong."""

from __future__ import annotations

import copy
from typing import Any

from helm.guardian.bundle import compile_document
from helm.guardian.policy import Policy, ToolRule

TEXT = {"type": "string", "maxLength": 200}

FULL: dict[str, Any] = {
    "version": "helm.policy/1",
    "scope": "test",
    "epoch": 7,
    "not_before": 1_790_000_000_000,
    "max_age_s": 86_400,
    "p0": {
        "max_risk_tier": "T2",
        "denied_tools": ["shell.*"],
        "denied_effect_types": ["credential"],
        "denied_destinations": ["169.254.169.254", "*.internal.example.com"],
        "tool_calls_per_window": 1_000,
        "spend_cents_per_window": 5_000,
        "window_s": 3_600,
    },
    "compliance": {
        "allowed_data_classes": ["internal", "personal"],
        "allowed_jurisdictions": ["EU"],
        "min_retention_days": 30,
    },
    "approvers": {"alice": {"keys": ["key_" + "a" * 32]}, "bob": {"keys": ["key_" + "b" * 32, "key_" + "c" * 32]}},
    "principals": {
        "agent-1": {"data_classes": ["internal"], "credentials": ["vault:pay"]},
        "delegate-1": {"delegation_required": True},
    },
    "budgets": [
        {"id": "everyone", "subject": "*", "tool_call_limit": 100, "window_s": 60},
        {"id": "each", "subject": "each-principal", "write_operation_limit": 5, "window_s": 60},
        {"id": "acme", "subject": "tenant:acme", "spend_limit_cents": 900, "window_s": 86_400},
        {"id": "one", "subject": "principal:agent-1", "tool_call_limit": 50, "window_s": 60},
        {"id": "paying", "subject": "tool:pay", "tool_call_limit": 3, "window_s": 60},
    ],
    "connectors": {
        "local": {"kind": "local"},
        "files": {"kind": "files", "root": "files", "max_bytes": 1_000},
        "orders": {
            "kind": "http",
            "origin": "https://orders.example.com",
            "operations": {
                "get_order": {"method": "GET", "path": "/orders/{order_id}", "query": ["fields"]},
                "cancel": {"method": "DELETE", "path": "/orders/{order_id}"},
            },
            "headers": {"X-Client": "helm"},
            "allow_private": False,
            "max_response_bytes": 65_536,
        },
        "web": {
            "kind": "http",
            "operations": {"fetch": {"method": "GET", "url_argument": "url"}},
        },
    },
    "tools": {
        "pay": {
            "connector": "local",
            "operation": "pay_invoice",
            "effect_type": "payment",
            "risk_tier": "T2",
            "irreversible": True,
            "timeout_ms": 5_000,
            "spend_cents": 250,
            "principals": ["agent-1", "clerk-*"],
            "input": {
                "type": "object",
                "properties": {"iban": TEXT, "cents": {"type": "integer"}, "note": TEXT},
                "required": ["iban", "cents"],
                "additionalProperties": False,
            },
            "output": {"type": "object", "properties": {"receipt": TEXT}},
            "destination": {"fixed": "https://bank.example.com"},
            "allow_destinations": ["https://bank.example.com", "*.bank.example.com"],
            "deny_destinations": ["10.0.0.0/8"],
            "data_classes": ["internal"],
            "jurisdiction": "EU",
            "retention_days": 365,
            "credential": "vault:pay",
            "windows": [
                {"days": ["mon", "fri"], "from": "08:00", "to": "18:00"},
                {"from": "22:30", "to": "24:00"},
            ],
            "velocity": {"window_s": 60, "throttle_above": 10, "interrupt_above": 20},
            "requires": [
                {"id": "small", "cel": "args.cents < 10000", "reason": "only small sums"},
                {"id": "own", "cel": "args.iban.startsWith('DE')"},
            ],
            "approval": {
                "when": "args.cents > 1000",
                "quorum": 2,
                "timelock_s": 60,
                "expires_s": 600,
                "max_per_hour": 5,
                "max_per_day": 20,
                "approvers": ["alice", "bob"],
            },
            "free_text": ["note"],
            "accepts_tainted": False,
        },
        "files.read": {
            "connector": "files",
            "operation": "read",
            "effect_type": "read",
            "risk_tier": "T0",
            "principals": ["*"],
            "input": {"type": "object", "properties": {"path": TEXT}, "required": ["path"]},
            "output": {},
        },
        "orders.get": {
            "connector": "orders",
            "operation": "get_order",
            "effect_type": "read",
            "risk_tier": "T1",
            "principals": [],
            "input": {"type": "object", "properties": {"order_id": TEXT}},
            "output": {"type": "object"},
        },
        "fetch": {
            "connector": "web",
            "effect_type": "egress",
            "risk_tier": "T1",
            "principals": ["agent-1"],
            "input": {"type": "object", "properties": {"url": TEXT}, "required": ["url"]},
            "output": {},
            "destination": {"argument": "url"},
            "allow_destinations": ["example.com:443", "https://*.example.org"],
        },
    },
}


def document(*path: str | int, **members: Any) -> dict[str, Any]:
    """Return the full bundle with some members of one of its tables set."""
    whole = copy.deepcopy(FULL)
    table: Any = whole
    for step in path:
        table = table[step]
    table.update(members)
    return whole


def without(*path: str | int) -> dict[str, Any]:
    """Return the full bundle without one member."""
    whole = copy.deepcopy(FULL)
    table: Any = whole
    for step in path[:-1]:
        table = table[step]
    del table[path[-1]]
    return whole


def policy(*path: str | int, **members: Any) -> Policy:
    """Return the full bundle, compiled, with some members of one of its tables set."""
    return compile_document(document(*path, **members))


def tool(name: str, **members: Any) -> ToolRule:
    """Return one tool of the full bundle, compiled, with some of its members set."""
    rule = policy("tools", name, **members).tool(name)
    assert rule is not None
    return rule
