"""Budget: what a call would cost must still fit every ceiling that binds it; the lowest one wins."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import WRITING
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.offices.asking import require
from helm.guardian.world import Usage


def check(inquiry: Inquiry) -> None:
    """Refuse when any binding budget has no room left; else put down what this call reserves of each."""
    budgets = inquiry.world.policy.budgets_by_id
    rule = inquiry.rule
    cents, writes = rule.spend_cents, int(rule.effect_type in WRITING)
    sent = len(inquiry.call.arguments) + rule.sends_bytes if inquiry.destination else 0
    reserved: list[Usage] = []
    asking = ""
    for budget_id, window_start_ms, used_calls, used_cents, used_writes, used_sent in inquiry.world.budgets:
        budget = budgets[budget_id.partition("/")[0]]
        if (
            _over(used_calls + 1, budget.tool_call_limit)
            or _over(used_cents + cents, budget.spend_limit_cents)
            or _over(used_writes + writes, budget.write_operation_limit)
            or _over(used_sent + sent, budget.egress_limit_bytes)
        ):
            raise Refused(
                ReasonCode.BUDGET_EXCEEDED, f"budget {budget_id} has no room in its window of {budget.window_s} s"
            )
        if cents and _over(used_cents + cents, budget.approval_required_above_cents):
            asking = f"budget {budget_id} asks for an approval above {budget.approval_required_above_cents} cents"
        reserved.append((budget_id, window_start_ms, 1, cents, writes, sent))
    if asking:  # after every limit: nobody is asked to agree to what may not be
        require(inquiry, ReasonCode.APPROVAL_REQUIRED, asking)
    inquiry.reservation = tuple(reserved)


def _over(amount: int, limit: int | None) -> bool:
    return limit is not None and amount > limit


OFFICE = Office("budget", check, ReasonCode.BUDGET_ERROR)
