"""A velocity rule: how many calls in how many seconds lift their caller to which level.

Every call counts, whatever became of it: whoever hammers at a throttle climbs to the next level. The count slides with
the clock, so that no burst fits between the end of one window and the beginning of the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

import attrs

from helm.contracts.call import ToolCall
from helm.guardian.glob import Names

MAX_SESSIONS: Final = 4_096
"""Most sessions of one principal that a rule counts in a span: whoever opens more is throttled (T4)."""

MAX_ACCOUNTS: Final = 65_536
"""Most principals of one tenant, or tenants, likewise: these are not had for the asking (T4)."""


class Level(StrEnum):
    """What a pace comes to, as it rises."""

    NONE = ""
    OBSERVE = "OBSERVE"
    """The call goes on, and its decision says that it came at this pace."""
    THROTTLE = "THROTTLE"
    INTERRUPT = "INTERRUPT"


RISING: Final = tuple(Level)
"""The levels from the lowest to the highest."""

HELD: Final = (Level.THROTTLE, Level.INTERRUPT)
"""The levels that a cool-down holds."""


class Scope(StrEnum):
    """Whose calls a rule counts together."""

    PRINCIPAL = "principal"
    SESSION = "session"
    TENANT = "tenant"


@attrs.frozen(kw_only=True)
class VelocityRule:
    """From how many earlier calls within `window_s` which level is reached; 0: never.

    THROTTLE and INTERRUPT hold for `cool_down_s` after the last call that reached them.
    """

    id: str
    per: Scope
    tools: Names
    """Their calls count together."""
    window_s: int
    observe_above: int
    throttle_above: int
    interrupt_above: int
    cool_down_s: int

    def account(self, call: ToolCall, principal: str) -> str:
        """Return the account in which the call counts for a principal; no name in it holds a blank.

        A session counts by its caller: whoever calls in another's session is refused, and slows nobody down (T4).
        """
        if self.per is Scope.TENANT:
            return call.tenant
        if self.per is Scope.PRINCIPAL:
            return f"{call.tenant} {principal}"
        return f"{call.tenant} {principal} {call.session_id}"

    def reached(self, calls: int) -> Level:
        """Return the level that a call reaches after `calls` earlier ones."""
        if self.interrupt_above and calls >= self.interrupt_above:
            return Level.INTERRUPT
        if self.throttle_above and calls >= self.throttle_above:
            return Level.THROTTLE
        return Level.OBSERVE if self.observe_above and calls >= self.observe_above else Level.NONE

    @property
    def most_accounts(self) -> int:
        """Return how many accounts of one owner it counts: sessions of a principal, principals of a tenant, tenants."""
        return MAX_SESSIONS if self.per is Scope.SESSION else MAX_ACCOUNTS

    @property
    def barring(self) -> int:
        """Return from how many earlier calls on a call does not simply pass, 0 for never."""
        return self.throttle_above or self.interrupt_above

    @property
    def clock(self) -> tuple[str, int, int]:
        """Return what its counters are kept by: a rule of another window or cool-down starts with new ones."""
        return (self.id, self.window_s, self.cool_down_s)


class Pace(NamedTuple):
    """How fast the calls of one account come, as one rule counts them: a fact of a call's World."""

    rule_id: str
    account: str
    """"" where the rule counts as many accounts of one owner as it may: this one has no place."""
    at_ms: int
    """The time of the rule, which never runs backwards: a clock that was set back wins nothing."""
    calls: int
    """Earlier calls in the window that ends at `at_ms`."""
    held: str
    """The level that its cool-down holds, "" where there is none."""
    clear_ms: int
    """From when on this rule lets a call of the account pass again, if none comes after this one; 0 where it does."""


class Tick(NamedTuple):
    """What one decision adds to one account: all that the fold needs of the rule, so that it needs no policy."""

    rule_id: str
    window_s: int
    cool_down_s: int
    account: str
    at_ms: int
    level: str
    """The level that the count reached; one that was only held is not reached anew."""
    clear_ms: int
    """From when on the rule lets such a call pass again, 0 where it lets this one pass."""


def level_of(rule: VelocityRule, pace: Pace) -> Level:
    """Return the level at which a call comes: the one it reaches, or the higher one that still holds."""
    reached = rule.reached(pace.calls)
    held = Level(pace.held)
    return held if RISING.index(held) > RISING.index(reached) else reached


def tick_of(rule: VelocityRule, pace: Pace) -> Tick:
    """Return what a call at this pace adds to the rule's counters."""
    return Tick(
        rule.id,
        rule.window_s,
        rule.cool_down_s,
        pace.account,
        pace.at_ms,
        rule.reached(pace.calls).value,
        pace.clear_ms,
    )


def counting_delegator(rules: Iterable[VelocityRule]) -> Iterator[VelocityRule]:
    """Yield the rules that count a delegated call for its delegator as well: nobody is faster by many hands (T8)."""
    return (rule for rule in rules if rule.per is Scope.PRINCIPAL)


def paced(rules: tuple[VelocityRule, ...], paces: tuple[Pace, ...]) -> Iterator[tuple[VelocityRule, Pace]]:
    """Yield each pace with its rule: the caller's in the order of the rules, then those of its delegator.

    Raises ValueError where one is missing.
    """
    own, others = paces[: len(rules)], paces[len(rules) :]
    yield from zip(rules, own, strict=True)
    if others:
        yield from zip(counting_delegator(rules), others, strict=True)
