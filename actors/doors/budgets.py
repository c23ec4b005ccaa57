"""Routes on which one sees what every budget allows, and what is used of it."""

from __future__ import annotations

from quart import Response

from actors.doors.credentials import check_admin
from actors.doors.desk import Desk, answer, query
from actors.kernel import Kernel
from helm.contracts.form import JSONValue
from helm.guardian.ledger import Ledger
from helm.guardian.policy import Budget, Policy

BUDGETS = "/api/v1/budgets"

MAX_ACCOUNTS = 1_000
"""Accounts of one budget that are shown: each principal may have one (T4)."""


class BudgetRoutes:
    """Reads of the budgets. They change nothing: the policy is signed."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with every budget of the policy in force, and its accounts in their present windows."""
        check_admin(self.desk.caller())
        query()
        memory, now_ms = self.kernel.memory, self.kernel.parts.clock.now_ms()
        return answer({"budgets": told(memory.policy, memory.ledger, now_ms)})


def told(policy: Policy, ledger: Ledger, now_ms: int) -> list[JSONValue]:
    """Return the budgets as people and programs read them."""
    return [ceiling_of(budget, policy, ledger, now_ms) for budget in policy.budgets]


def ceiling_of(budget: Budget, policy: Policy, ledger: Ledger, now_ms: int) -> dict[str, JSONValue]:
    """Return one budget, and what is used of it in the window that is open now."""
    span_ms = budget.window_s * 1000
    opened_ms = now_ms - now_ms % span_ms
    accounts = [
        {
            "account": account,
            "egress_bytes": sent,
            "spend_cents": cents,
            "tool_calls": calls,
            "write_operations": writes,
        }
        for account, start_ms, calls, cents, writes, sent in ledger.accounts.values()
        if account.partition("/")[0] == budget.id and start_ms == opened_ms
    ]
    subject = f"{budget.subject}:{budget.subject_name}" if budget.subject_name else budget.subject.value
    return {
        "accounts": sorted(accounts, key=lambda one: str(one["account"]))[:MAX_ACCOUNTS],
        "approval_required_above_cents": budget.approval_required_above_cents,
        "budget_id": budget.id,
        "egress_limit_bytes": budget.egress_limit_bytes,
        "policy_epoch": policy.epoch,
        "spend_limit_cents": budget.spend_limit_cents,
        "subject": subject,
        "tool_call_limit": budget.tool_call_limit,
        "window_s": budget.window_s,
        "window_start_ms": opened_ms,
        "write_operation_limit": budget.write_operation_limit,
    }
