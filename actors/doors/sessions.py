"""Routes on which a session is opened, looked at and closed, by its own tenant."""

from __future__ import annotations

import secrets

from quart import Response

from actors.commands.sessions import CloseSession, OpenSession
from actors.doors.credentials import check_opening
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.envelope import unframed
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey, KeyClass
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.intake import Caller, check_name

SESSIONS = "/api/v1/sessions"


class SessionRoutes:
    """A session belongs for ever to the principal that opened it."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def open(self) -> Response:
        """Open a session, under a name of the caller's or of ours."""
        key = self.desk.caller()
        body = await read_object()
        caller = caller_of(key, body.get("session_id", "ses_" + secrets.token_hex(16)))
        check_opening(key, caller.session_id)
        try:
            await self.kernel.command(OpenSession(caller))
        except Invalid as problem:
            raise Problem(status=409, detail=problem.what, place="/session_id") from problem
        return answer(
            self._body(caller.tenant, caller.session_id), 201, {"location": f"{SESSIONS}/{caller.session_id}"}
        )

    async def show(self, session_id: str) -> Response:
        """Answer with one session."""
        key = self.desk.caller()
        asked = query().get("tenant", "")
        if key.key_class == KeyClass.TENANT and asked not in ("", key.tenant):
            raise Problem(status=403, detail="a tenant's key reads its own tenant", place="?tenant")
        return answer(self._body(key.tenant or asked, session_id))

    async def close(self, session_id: str) -> Response:
        """Close a session for ever."""
        key = self.desk.caller()
        query()
        caller = caller_of(key, session_id)
        try:
            await self.kernel.command(CloseSession(caller))
        except Invalid as problem:
            raise Problem(status=404, detail=problem.what) from problem
        return answer(self._body(caller.tenant, caller.session_id))

    def _body(self, tenant: str, session_id: str) -> dict[str, JSONValue]:
        binding = self.kernel.memory.sessions.find((tenant, session_id))
        if binding is None:
            raise Problem(status=404, detail="no such session")
        return {
            "closed": binding.closed_at(self.kernel.parts.clock.now_ms()),
            "labels": list(binding.labels),
            "lamport_clock": self.kernel.parts.state.chains.latest((tenant, session_id)).lamport_clock,
            "opened_at_ms": binding.opened_at_ms,
            "principal": binding.principal,
            "session_id": session_id,
            "tenant": tenant,
        }


def caller_of(key: BearerKey, session_id: JSONValue) -> Caller:
    """Return the key's holder in a session. Raises Problem for a name that cannot stand in a record."""
    try:
        check_name(session_id, "/session_id")
    except Invalid as problem:
        raise unframed(problem) from problem
    return Caller(tenant=key.tenant, principal=key.principal, session_id=session_id)
