"""The budget ledger: what was reserved in each window, rebuilt from the decisions that reserved it."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from helm.contracts.call import ToolCall
from helm.guardian.policy import Policy
from helm.guardian.world import Usage


@attrs.define
class Ledger:
    """Reservations by budget account and window. A reservation stays spent unless nothing was dispatched."""

    accounts: dict[str, Usage] = attrs.field(factory=dict, repr=False)

    def standing(self, policy: Policy, call: ToolCall, now_ms: int) -> tuple[Usage, ...]:
        """Return what stands at `now_ms` against every budget that binds `call`."""
        if not policy.budgets:
            return ()
        return tuple(
            self._current(account, now_ms - now_ms % (budget.window_s * 1000))
            for account, budget in policy.budgets_for(call.tenant, call.principal, call.tool)
        )

    def _current(self, account: str, window_start_ms: int) -> Usage:
        usage = self.accounts.get(account)
        if usage is None or usage[1] < window_start_ms:
            return (account, window_start_ms, 0, 0, 0, 0)
        return usage

    def reserve(self, reservation: Iterable[Usage]) -> None:
        """Add what one decision reserved."""
        for usage in reservation:
            self._add(usage, 1)

    def release(self, reservation: Iterable[Usage]) -> None:
        """Give back what a decision reserved whose effect provably never started; a past window is left alone."""
        for usage in reservation:
            if self._current(usage[0], usage[1])[1] == usage[1]:
                self._add(usage, -1)

    def _add(self, usage: Usage, sign: int) -> None:
        account, window_start_ms, calls, cents, writes, sent = usage
        _, start, had_calls, had_cents, had_writes, had_sent = self._current(account, window_start_ms)
        self.accounts[account] = (
            account,
            start,
            had_calls + sign * calls,
            had_cents + sign * cents,
            had_writes + sign * writes,
            had_sent + sign * sent,
        )
