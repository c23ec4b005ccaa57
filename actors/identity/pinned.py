"""Pinned keys and roots, tried before they count: a policy with one that cannot be used is refused as a whole."""

from __future__ import annotations

from helm.guardian.identity import NO_IDENTITY
from helm.guardian.policy import Policy


def check_identity(policy: Policy) -> None:
    """Raise Invalid where a key or a root cannot be used. The libraries are imported here: most policies pin none."""
    if policy.identity is NO_IDENTITY and policy.oauth is None:
        return
    from actors.identity.trust import Trust

    Trust.of(policy)
