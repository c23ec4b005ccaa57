"""Routes on which one sees the identities that this kernel knows: a tenant's own, or all of them for an operator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from quart import Response

from actors.doors.browsing import Wanted, receipts_before
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query
from actors.doors.problem import Problem
from actors.identity.agents import MAX_AGENTS, Agent, Name, body_of, domains_of, issuers_of, known, sessions_of
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from helm.contracts.form import JSONValue
from helm.guardian.policy import Policy

AGENTS: Final = "/api/v1/identity/agents"

LOOKED_AT: Final = 512
"""The latest receipts that one listing looks at, for who was seen when (T4)."""


class IdentityRoutes:
    """Reads of who is known. HELM keeps no users: it tells of keys, of sessions, and of those whose word counts."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    @property
    def _keys(self) -> tuple[BearerKey, ...]:
        return self.desk.who.standing()

    async def browse(self) -> Response:
        """Answer with the identities, and with the issuers and trust domains of the policy in force."""
        key = self.desk.caller()
        given = query()
        tenant = tenant_asked(key, given)
        return answer(await told(self.kernel, self._keys, self.kernel.memory.policy, tenant, given))

    async def show(self, agent_id: str) -> Response:
        """Answer with one identity and its latest sessions."""
        key = self.desk.caller()
        query()
        one = await shown(self.kernel, self._keys, self.kernel.memory.policy, tenant_of(key), agent_id)
        if one is None:
            raise Problem(status=404, detail="no such identity")
        return answer(one)


def tenant_asked(key: BearerKey, given: Mapping[str, str]) -> str | None:
    """Return whose identities are asked for, None for everyone's. Raises Problem."""
    own, asked = tenant_of(key), given.get("tenant") or None
    if own is not None and asked not in (None, own):
        raise Problem(status=403, detail="a tenant's credential reads its own tenant", place="?tenant")
    return own or asked


async def told(
    kernel: Kernel, keys: tuple[BearerKey, ...], policy: Policy, tenant: str | None, wanted: Mapping[str, str]
) -> dict[str, JSONValue]:
    """Return the identities that are wanted, and whose word counts on them."""
    memory, now_ms = kernel.memory, kernel.parts.clock.now_ms()
    seen = await seen_lately(kernel, tenant)
    agents = sorted(known(keys, memory.sessions, now_ms, tenant).items())
    bodies = [body_of(agent, policy, memory.freezes, seen) for _, agent in agents]
    found: list[JSONValue] = [one for one in bodies if all(one[name] == said for name, said in asked(wanted))]
    return {
        "agents": found[:MAX_AGENTS],
        "is_complete": len(found) <= MAX_AGENTS,
        "issuers": issuers_of(policy, tenant),
        "policy_epoch": policy.epoch,
        "trust_domains": domains_of(policy, tenant),
    }


def asked(wanted: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, said) for name, said in wanted.items() if name in ("principal", "source") and said]


async def shown(
    kernel: Kernel, keys: tuple[BearerKey, ...], policy: Policy, tenant: str | None, agent_id: str
) -> dict[str, JSONValue] | None:
    """Return one identity with its latest sessions, None where the reader's tenant has no such one."""
    memory, now_ms = kernel.memory, kernel.parts.clock.now_ms()
    agents = known(keys, memory.sessions, now_ms, tenant).values()
    found: Agent | None = next((one for one in agents if one.agent_id == agent_id), None)
    if found is None:
        return None
    body = body_of(found, policy, memory.freezes, await seen_lately(kernel, found.tenant))
    latest = sessions_of(memory.sessions, (found.tenant, found.principal), now_ms)
    return body | {"latest_sessions": latest}


async def seen_lately(kernel: Kernel, tenant: str | None) -> Mapping[Name, int]:
    """Return when each identity's latest receipt was sealed, as far as the latest receipts tell."""
    journal = kernel.parts.journal
    page = await receipts_before(journal, Wanted(tenant=tenant), journal.head + 1, LOOKED_AT)
    return {(one["tenant"], one["principal"]): one["issued_at_ms"] for _, one in page.receipts}
