"""Routes on which one sees whose access tokens open the MCP door. They change nothing: the policy is signed."""

from __future__ import annotations

from quart import Response

from actors.doors.desk import Desk, answer, query
from actors.doors.mcp import wire
from actors.doors.problem import Problem
from actors.kernel import Kernel
from helm.contracts.form import JSONValue
from helm.guardian.oauth import profile_body
from helm.guardian.policy import Policy

PROFILES = "/api/v1/mcp/auth-profiles"


class ProfileRoutes:
    """Reads of the authorization profile."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with the profiles: there is one door, and at most one."""
        query()
        return answer({"auth_profiles": shown(self.kernel.memory.policy)})

    async def show(self, profile_id: str) -> Response:
        """Answer with one profile."""
        query()
        for one in shown(self.kernel.memory.policy):
            if one["profile_id"] == profile_id:
                return answer(one)
        raise Problem(status=404, detail="no such authorization profile")


def shown(policy: Policy) -> list[JSONValue]:
    """Return the profiles of a policy."""
    if policy.oauth is None:
        return []
    versions = (*wire.HANDSHAKE_PROTOCOL_VERSIONS, *wire.MODERN_PROTOCOL_VERSIONS)
    scopes = {name: rule.scopes for name, rule in policy.tools.items()}
    return [profile_body(policy.oauth, scopes, versions)]
