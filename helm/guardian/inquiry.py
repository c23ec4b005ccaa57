"""One evaluation under way: the call, the world, and what the offices have established so far."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from helm.contracts.call import ToolCall
from helm.contracts.effect import Effect
from helm.contracts.reason import ReasonCode
from helm.guardian.points import Question
from helm.guardian.policy import ToolRule
from helm.guardian.world import Usage, World


@attrs.define
class Inquiry:
    """What one office hands to the next. It lives for one synchronous evaluation."""

    call: ToolCall
    world: World
    rule: ToolRule
    """What the active policy says about the tool; UNDECLARED where it says nothing."""
    destination: str = ""
    effect: Effect | None = None
    effect_id: str = ""
    intent_hash: str = ""
    reservation: tuple[Usage, ...] = ()
    relies_on: str = ""
    """The approval that answered for a human, "" where none was needed."""
    question: Question | None = None
    """What a remote decision point must answer before this call can pass, None where nothing is left to ask."""
    pdp_policy_hash: str = ""
    """The policy of the decision point that was consulted, "" where none was."""
    delegation_sequence: int = 0
    """Which call under its delegation session it is, as gate 5 let it through; 0 without one."""


@attrs.frozen(eq=False)
class Office:
    """One place in the roster: its name, its check, and the code under which its own failure is a DENY.

    It is only itself: a refusal finds its place in the roster without comparing what offices are made of.
    """

    name: str
    check: Callable[[Inquiry], None]
    """Returns None to let the call pass; raises Refused to end the evaluation."""
    fails_as: ReasonCode
