"""Velocities: the counters of every velocity rule, folded from the ticks of the decisions.

A counter keeps two spans of time, the one under way and the one before it: whatever is older is dropped with its whole
span, so that what one call costs does not grow with what came before it, and an account that has fallen silent takes
no room. The order in which ticks are noted does not matter: a refusal reaches the journal later than it was decided.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

import attrs

from helm.contracts.call import ToolCall
from helm.contracts.errors import Invalid
from helm.guardian.velocity import HELD, Level, Pace, Tick, VelocityRule, counting_delegator

T = TypeVar("T")

KEPT: Final = 4096
"""Most calls of one account that are counted in a span: no threshold may be higher, and memory stays bounded (T4)."""

NOT_HELD: Final = (Level.NONE.value, 0)

Clock = tuple[str, int, int]
"""Rule id, window and cool-down in seconds."""


@attrs.define
class Spans(Generic[T]):
    """What is kept of each account, by owner, in the span under way and in the one before it."""

    span_ms: int
    number: int = -1
    young: dict[str, dict[str, T]] = attrs.field(factory=dict)
    old: dict[str, dict[str, T]] = attrs.field(factory=dict)

    def place(self, account: str, at_ms: int, fresh: Callable[[], T]) -> T | None:
        """Return what is kept of an account in the span of `at_ms`, None for a span that is over."""
        number = at_ms // self.span_ms
        if number > self.number:
            self.old = self.young if number == self.number + 1 else {}
            self.young, self.number = {}, number
        if number < self.number - 1:
            return None
        span = self.young if number == self.number else self.old
        accounts = span.setdefault(owner_of(account), {})
        if account not in accounts:
            accounts[account] = fresh()
        return accounts[account]

    def find(self, account: str) -> list[T]:
        """Return what is kept of an account, the later span first."""
        owner = owner_of(account)
        accounts = (self.young.get(owner), self.old.get(owner))
        return [kept[account] for kept in accounts if kept is not None and account in kept]

    def is_full(self, account: str, at_ms: int, most: int) -> bool:
        """Say whether the owner of an account has `most` others in the span of `at_ms` already."""
        if at_ms // self.span_ms > self.number:
            return False
        accounts = self.young.get(owner_of(account), {})
        return account not in accounts and len(accounts) >= most


def owner_of(account: str) -> str:
    """Return whose an account is: a session's principal, a principal's tenant."""
    return account.rpartition(" ")[0]


@attrs.define
class Counters:
    """The counters of one rule. Its time is the latest that a decision noted, and never runs backwards."""

    window_ms: int
    cool_down_ms: int
    now_ms: int = 0
    times: Spans[array[int]] = attrs.field(init=False)
    reached: Spans[dict[str, int]] = attrs.field(init=False)
    """When each level was reached last; nothing without a cool-down."""

    def __attrs_post_init__(self) -> None:
        self.times = Spans(self.window_ms)
        self.reached = Spans(max(self.cool_down_ms, 1))

    def count(self, account: str, at_ms: int) -> int:
        """Return how many calls of the account lie within the window that ends at `at_ms`."""
        since_ms = at_ms - self.window_ms
        return sum(len(times) - bisect_right(times, since_ms) for times in self.times.find(account))

    def held(self, account: str, at_ms: int) -> tuple[str, int]:
        """Return the highest level whose cool-down is not over, and when the last of them is."""
        if not self.cool_down_ms:
            return NOT_HELD
        since_ms = at_ms - self.cool_down_ms
        kept = self.reached.find(account)[::-1]  # the later span has the last word
        found = {level: ms for last in kept for level, ms in last.items() if ms > since_ms}
        return (max(found, key=HELD.index), max(found.values()) + self.cool_down_ms) if found else NOT_HELD

    def clear(self, account: str, at_ms: int, barring: int) -> int:
        """Return when fewer than `barring` calls lie in the window, this one at `at_ms` being one of them."""
        left = barring - 1
        if not left:
            return at_ms + self.window_ms
        for times in self.times.find(account):
            if left <= len(times):
                return times[-left] + self.window_ms
            left -= len(times)
        return at_ms

    def note(self, tick: Tick) -> None:
        """Count one call, and remember the level that it reached."""
        self.now_ms = max(self.now_ms, tick.at_ms)
        times = self.times.place(tick.account, tick.at_ms, no_times)
        if times is not None:
            insort(times, tick.at_ms)
            if len(times) > KEPT:
                del times[0]
        if self.cool_down_ms and tick.level in HELD:
            last = self.reached.place(tick.account, tick.at_ms, dict)
            if last is not None:
                last[tick.level] = max(tick.at_ms, last.get(tick.level, 0))


def no_times() -> array[int]:
    """Return an empty list of moments, eight bytes each."""
    return array("q")


@attrs.define
class Velocities:
    """The counters of every rule that ever counted."""

    by_clock: dict[Clock, Counters] = attrs.field(factory=dict, repr=False)

    def paces(self, rules: tuple[VelocityRule, ...], call: ToolCall, delegator: str, now_ms: int) -> tuple[Pace, ...]:
        """Return how fast such calls come at `now_ms`, as each rule counts them: for the caller, then its delegator."""
        own = tuple([self._pace(rule, rule.account(call, call.principal), now_ms) for rule in rules])
        if not delegator:
            return own
        others = (self._pace(rule, rule.account(call, delegator), now_ms) for rule in counting_delegator(rules))
        return (*own, *others)

    def _pace(self, rule: VelocityRule, account: str, now_ms: int) -> Pace:
        counters = self.by_clock.get(rule.clock)
        if counters is None:
            return Pace(rule.id, account, now_ms, 0, Level.NONE.value, 0)
        at_ms = max(now_ms, counters.now_ms)
        if counters.times.is_full(account, at_ms, rule.most_accounts):
            return Pace(rule.id, "", at_ms, 0, Level.NONE.value, 0)
        calls, (held, clear_ms) = counters.count(account, at_ms), counters.held(account, at_ms)
        reaches = 0 < rule.barring <= calls
        if reaches:
            clear_ms = max(clear_ms, at_ms + counters.cool_down_ms)
        if clear_ms and 0 < rule.barring <= calls + 1:
            clear_ms = max(clear_ms, counters.clear(account, at_ms, rule.barring))
        return Pace(rule.id, account, at_ms, calls, held, clear_ms)

    def note(self, ticks: Iterable[tuple[str, int, int, str, int, str, int]]) -> None:
        """Count one decision in each account that it names. Raises Invalid for what no rule could count."""
        for tick in map(Tick._make, ticks):
            clock = (tick.rule_id, tick.window_s, tick.cool_down_s)
            counters = self.by_clock.get(clock)
            if counters is None:
                if tick.window_s < 1 or tick.cool_down_s < 0:
                    raise Invalid("it counts a call in a window of no length", tick.rule_id, "it was edited")
                counters = self.by_clock[clock] = Counters(tick.window_s * 1000, tick.cool_down_s * 1000)
            counters.note(tick)
