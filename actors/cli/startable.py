"""What a start asks of the policy, asked without one: the functions are those that a start goes through."""

from __future__ import annotations

from collections.abc import Mapping

from actors.cli.in_force import active_policy
from actors.commands.policy import succession_of
from actors.connectors.local import Function
from actors.installation import Installation
from actors.plugging import plug
from actors.policy_log import precedence_of
from actors.process.clock import SystemClock
from actors.signed_policy import SignedPolicy
from actors.trust_log import registry_of
from helm.config import Config
from helm.guardian.connection import LocalConnection
from helm.guardian.policy import Policy
from helm.openai.policy import check_island
from helm.openai.upstream import read_place


def check_room(config: Config, policy: Policy) -> None:
    """Raise Invalid for a policy that the settings leave no room for."""
    if config.island_mode:
        check_island(policy, read_place(config.proxy_upstream, allow_private=True).origin)


def check_startable(place: Installation, signed: SignedPolicy) -> tuple[str, ...]:
    """Raise Invalid, or Refused with its code, for a policy that no kernel on this data directory would start with.

    Return its local connectors: only a program that opens the kernel itself, and gives their functions, starts it.
    """
    check_room(place.config, signed.policy)
    local = sorted(name for name, one in signed.policy.connectors.items() if isinstance(one, LocalConnection))
    nothing: Mapping[str, Function] = {}
    plug(signed.policy, dict.fromkeys(local, nothing), place.path)
    now_ms = SystemClock().now_ms()
    succession_of(signed, registry_of(place), active_policy(place), precedence_of(place), now_ms)
    return tuple(local)
