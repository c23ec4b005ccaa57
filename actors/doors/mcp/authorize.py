"""The route that decides and does nothing: would this call be allowed, by server, tool, arguments and scopes?"""

from __future__ import annotations

from typing import Final

from quart import Response

from actors.doors.desk import Desk, answer, heading, read_object
from actors.doors.entry import Entry
from actors.doors.envelope import Asked
from actors.doors.problem import Problem
from actors.doors.told import common, evidence
from actors.identity.holder import TokenHolder
from actors.identity.trust import MAX_SCOPES
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from helm.config import Config
from helm.contracts.call import Source
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical
from helm.guardian.bundle_oauth import SCOPE
from helm.guardian.policy import Policy
from helm.mcp.registry import tool_named

AUTHORIZE: Final = "/api/v1/mcp/authorize-call"

ASKED: Final = Source(door="mcp", transport="authorize-call")
"""Receipts say it: the scopes of such a call are those that were asked about, not those of a token."""

MEMBERS: Final = frozenset({"arguments", "scopes", "server_id", "session_id", "tool"})


class AuthorizeRoutes:
    """A tenant's key asks for itself."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.entry = Entry(kernel, config, ASKED)

    async def ask(self) -> Response:
        """Answer with the decision, as its receipt has it: 200, whatever the verdict."""
        key = self.desk.caller()
        body = await read_object()
        policy = self.kernel.memory.policy
        asked, raw = asked_of(body, policy)
        caller = with_scopes(key, body["scopes"], policy) if "scopes" in body else key
        call = self.entry.admit(caller, asked, raw)
        decided = await self.kernel.govern(call, decide_only=True, origin=heading().origin)
        headers = {name.decode(): value.decode() for name, value in evidence(decided)}
        return answer(common(decided) | {"status": decided.status.value, "tool": asked.tool}, headers=headers)


def asked_of(body: dict[str, JSONValue], policy: Policy) -> tuple[Asked, bytes]:
    """Return the call that a body asks about, and its bytes. Raises Problem."""
    tool, server_id, session_id = (body.get(name, "") for name in ("tool", "server_id", "session_id"))
    if not all(type(said) is str for said in (tool, server_id, session_id)) or not tool:
        raise Problem(status=400, detail="tool, server_id and session_id are texts", place="/tool")
    arguments = body.get("arguments", {})
    malformed = "" if type(arguments) is dict else "not an object, at /arguments"
    try:
        raw = canonical(body)
    except Malformed as problem:
        raise Problem(status=400, detail=problem.problem, place=problem.place) from problem
    name = tool_named(policy, server_id, tool)
    return Asked(tool=name, session_id=session_id, arguments=arguments, malformed=malformed), raw


def with_scopes(key: BearerKey, scopes: JSONValue, policy: Policy) -> BearerKey:
    """Return the caller as it would be with an access token of the policy's profile. Raises Problem."""
    if policy.oauth is None:
        raise Problem(
            status=409, detail="the policy has no authorization profile: scopes mean nothing", place="/scopes"
        )
    is_list = type(scopes) is list and len(scopes) <= MAX_SCOPES
    if not is_list or not all(type(scope) is str and SCOPE.fullmatch(scope) for scope in scopes):
        raise Problem(status=400, detail=f"expected a list of at most {MAX_SCOPES} scopes", place="/scopes")
    return TokenHolder(
        credential_hash=key.credential_hash,
        created_at_ms=key.created_at_ms,
        key_class=key.key_class,
        principal=key.principal,
        resource=policy.oauth.resource,
        scopes=tuple(sorted(set(scopes))),
        tenant=key.tenant,
    )
