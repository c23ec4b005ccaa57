"""World: the frozen snapshot of everything a gate may look at, the time included.

Whoever holds a call, its World and the policy it names can evaluate the call again and must get the same decision.
Nothing else reaches a gate: no clock, no store, no network. A fact that could not be had is a fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from helm.contracts.form import Noun
from helm.guardian.delegation import Standing
from helm.guardian.points import Advice
from helm.guardian.relations import AuthzSnapshot
from helm.guardian.velocity import Pace

if TYPE_CHECKING:
    from helm.guardian.policy import Policy

Usage = tuple[str, int, int, int, int, int]
"""What stands against one budget in one window: budget_id, window_start_ms, tool calls, cents, write operations, bytes
sent to the network."""


class Sought(NamedTuple):
    """How the approval stands that such a call has asked for before."""

    approval_id: str
    expires_at_ms: int
    intent_hash: str
    p0_ceiling_hash: str
    policy_hash: str
    state: str
    unlocked: bool
    """Whether its timelock has elapsed, on the kernel's own clock."""


class World(Noun, frozen=True):
    """The facts of one moment, for one call."""

    approval: Sought | None
    """None where such a call asks for the first time."""
    approvals_asked: tuple[int, int]
    """Approvals that this principal asked for, of this tool, in the last hour and the last day; looked at only where
    they are limited."""
    authz: AuthzSnapshot | None
    """What the relationships say of this call, None where its tool asks for none."""
    budgets: tuple[Usage, ...]
    """What is already reserved or spent in the current window of every budget that binds this call."""
    call_seq: int
    claim_conflict: bool
    """The call's idempotency key was claimed before with other bytes."""
    connector_halted: str
    """Why the tool's connector is halted, "" while it is not."""
    delegation: Standing | None
    """What is known of the delegation session that the call names, None where nothing is."""
    fingerprint: str
    fingerprint_at_boot: str
    frozen: str
    """The reason code of the freeze that covers this call, "" where none does."""
    kernel_epoch: int
    log_id: str
    now_ms: int
    pdp: Advice | None
    """What the remote decision point said of this call, None where none was asked."""
    policy: Policy
    """NO_POLICY where none is in force."""
    session_closed: bool
    session_labels: tuple[str, ...]
    session_owner: str
    """The principal the session is bound to, "" for a session that this call would open."""
    velocity: tuple[Pace, ...]
    """How fast such calls come, as each velocity rule of the tool counts them: for the caller, in the order of the
    rules, then for its delegator."""


class WorldFacts(Noun, frozen=True):
    """The World as facts tell it; the policy stands there by its hash."""

    approval: Sought | None
    approvals_asked: tuple[int, int]
    authz: AuthzSnapshot | None
    budgets: tuple[Usage, ...]
    call_seq: int
    claim_conflict: bool
    connector_halted: str
    delegation: Standing | None
    fingerprint: str
    fingerprint_at_boot: str
    frozen: str
    kernel_epoch: int
    log_id: str
    now_ms: int
    pdp: Advice | None
    policy: str
    session_closed: bool
    session_labels: tuple[str, ...]
    session_owner: str
    velocity: tuple[Pace, ...]


def world_facts(world: World) -> WorldFacts:
    """Return the World as facts tell it."""
    return WorldFacts(
        world.approval,  # approval
        world.approvals_asked,  # approvals_asked
        world.authz,  # authz
        world.budgets,  # budgets
        world.call_seq,  # call_seq
        world.claim_conflict,  # claim_conflict
        world.connector_halted,  # connector_halted
        world.delegation,  # delegation
        world.fingerprint,  # fingerprint
        world.fingerprint_at_boot,  # fingerprint_at_boot
        world.frozen,  # frozen
        world.kernel_epoch,  # kernel_epoch
        world.log_id,  # log_id
        world.now_ms,  # now_ms
        world.pdp,  # pdp
        world.policy.policy_hash,  # policy
        world.session_closed,  # session_closed
        world.session_labels,  # session_labels
        world.session_owner,  # session_owner
        world.velocity,  # velocity
    )
