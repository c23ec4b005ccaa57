"""World: the frozen snapshot of everything a gate may look at, the time included.

Whoever holds a call, its World and the policy it names can evaluate the call again and must get the same decision.
Nothing else reaches a gate: no clock, no store, no network. A fact that could not be had is a fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from helm.contracts.form import JSONValue, Noun
from helm.guardian.delegation import Standing, standing_body
from helm.guardian.points import Advice, advice_body
from helm.guardian.relations import AuthzSnapshot, snapshot_body
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


def world_body(world: World) -> dict[str, JSONValue]:
    """Return the World as a JSON object; the policy stands there by its hash."""
    return {
        "approval": world.approval,
        "approvals_asked": world.approvals_asked,
        "authz": snapshot_body(world.authz),
        "budgets": world.budgets,
        "call_seq": world.call_seq,
        "claim_conflict": world.claim_conflict,
        "connector_halted": world.connector_halted,
        "delegation": standing_body(world.delegation),
        "fingerprint": world.fingerprint,
        "fingerprint_at_boot": world.fingerprint_at_boot,
        "frozen": world.frozen,
        "kernel_epoch": world.kernel_epoch,
        "log_id": world.log_id,
        "now_ms": world.now_ms,
        "pdp": advice_body(world.pdp),
        "policy": world.policy.policy_hash,
        "session_closed": world.session_closed,
        "session_labels": world.session_labels,
        "session_owner": world.session_owner,
        "velocity": world.velocity,
    }
