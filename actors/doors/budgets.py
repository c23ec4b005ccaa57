"""Routes on which one sees what every budget allows and what is used of it, and lowers one by a signed overlay."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from quart import Response

from actors.commands.policy import ChangeOverlays
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.policies import overlay_in
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.signed_policy import SignedOverlay
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.bundle_overlay import compile_overlay
from helm.guardian.bundle_rules import P0_BUDGET
from helm.guardian.layers import Layers
from helm.guardian.ledger import Ledger
from helm.guardian.overlay import Limits, Overlay
from helm.guardian.policy import Budget, Policy

BUDGETS = "/api/v1/budgets"

MAX_ACCOUNTS = 1_000
"""Accounts of one budget that are shown: each principal may have one (T4)."""


class BudgetRoutes:
    """An admin key opens the routes; what changes a budget is an overlay that the policy key signed."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with every budget in force, and its accounts in their present windows."""
        query()
        return answer({"budgets": self._told()})

    async def set(self, name: str) -> Response:
        """Lower or add one budget: the overlay that says so says nothing else."""
        signed = overlay_in(await read_object())
        memory, known = self.kernel.memory, self.kernel.memory.precedence.overlays.epochs
        if signed.command.epoch <= known.get(signed.command.overlay_id, 0):
            raise Problem(status=409, detail="the epoch does not follow: raise it and sign again", place="/command")
        try:
            check_about(signed, name, memory.bundle)
            await self.kernel.command(ChangeOverlays((signed,), self.kernel.parts.state.registry))
        except Invalid as problem:
            raise Problem(status=403, detail=str(problem), place="/document") from problem
        rows = [row for row in self._told() if row["budget_id"] == name]
        return answer(rows[0])

    def _told(self) -> list[dict[str, JSONValue]]:
        memory = self.kernel.memory
        return told(memory.layers or memory.policy, memory.ledger, self.kernel.parts.clock.now_ms())


def check_about(signed: SignedOverlay, name: str, bundle: Policy) -> None:
    """Raise Invalid unless an overlay states this one budget, and nothing else."""
    overlay = compile_overlay(signed.document, bundle)
    if overlay.tools or overlay.removed or [*overlay.lowered, *(one.id for one in overlay.added)] != [name]:
        raise Invalid(f"the overlay is not about the budget {name} alone", "document", "helm policy overlay add")


def told(source: Layers | Policy, ledger: Ledger, now_ms: int) -> list[dict[str, JSONValue]]:
    """Return the budgets as people and programs read them: those of the bundle, and those that overlays add."""
    if isinstance(source, Policy):
        return [ceiling_of(budget, source, ledger, now_ms) | {"narrowed_by": []} for budget in source.budgets]
    owners = {budget.id: overlay for overlay in source.overlays for budget in overlay.added}
    budgets = {budget.id: budget for overlay in source.overlays for budget in overlay.added}
    budgets |= {budget.id: budget for budget in source.everyone.budgets}
    rows = []
    for name, budget in budgets.items():
        row = ceiling_of(budget, source.everyone, ledger, now_ms)
        row["narrowed_by"] = narrowed_by(source.overlays, name)
        row["layer"] = f"P2 {owners[name].id}" if name in owners else row["layer"]
        rows.append(row)
    return sorted(rows, key=lambda row: str(row["budget_id"]))


def narrowed_by(overlays: tuple[Overlay, ...], budget_id: str) -> list[JSONValue]:
    """Return what each overlay says of a budget, and for whom."""
    return [
        whom(overlay) | limits_of(overlay.lowered.get(budget_id))
        for overlay in overlays
        if budget_id in overlay.lowered or any(one.id == budget_id for one in overlay.added)
    ]


def whom(overlay: Overlay) -> dict[str, JSONValue]:
    return {
        "overlay_id": overlay.id,
        "principals": sorted(overlay.principals),
        "tenants": sorted(overlay.tenants),
    }


def limits_of(limits: Limits | None) -> dict[str, JSONValue]:
    return {} if limits is None else attrs.asdict(limits)


def ceiling_of(budget: Budget, policy: Policy, ledger: Ledger, now_ms: int) -> dict[str, JSONValue]:
    """Return one budget, and what is used of it in the window that is open now."""
    opened_ms = opened(budget, now_ms)
    accounts = [*accounts_of(budget.id, ledger, opened_ms)]
    subject = f"{budget.subject}:{budget.subject_name}" if budget.subject_name else budget.subject.value
    return {
        "accounts": sorted(accounts, key=lambda one: str(one["account"]))[:MAX_ACCOUNTS],
        "approval_required_above_cents": budget.approval_required_above_cents,
        "budget_id": budget.id,
        "egress_limit_bytes": budget.egress_limit_bytes,
        "layer": "P0" if budget.id.partition("@")[0] == P0_BUDGET else "P1",
        "policy_epoch": policy.epoch,
        "spend_limit_cents": budget.spend_limit_cents,
        "subject": subject,
        "tool_call_limit": budget.tool_call_limit,
        "window_s": budget.window_s,
        "window_start_ms": opened_ms,
        "write_operation_limit": budget.write_operation_limit,
    }


def opened(budget: Budget, now_ms: int) -> int:
    """Return when the present window of a budget began."""
    return now_ms - now_ms % (budget.window_s * 1000)


def accounts_of(budget_id: str, ledger: Ledger, opened_ms: int) -> Iterator[dict[str, JSONValue]]:
    """Yield what is used of a budget in one window, by account."""
    for account, start_ms, calls, cents, writes, sent in ledger.accounts.values():
        if account.partition("/")[0] == budget_id and start_ms == opened_ms:
            yield {
                "account": account,
                "egress_bytes": sent,
                "spend_cents": cents,
                "tool_calls": calls,
                "write_operations": writes,
            }
