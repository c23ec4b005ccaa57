"""Routes on which one sees which calls wait for humans, and on which approvers answer by signature."""

from __future__ import annotations

from heapq import nsmallest

from quart import Response

from actors.approving import Approving, told
from actors.commands.approvals import Stale
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.doors.receipts import may_read
from actors.kernel import Kernel
from helm.contracts.approval import Action, Assertion
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.ceremony import TIMELOCKED, Ceremony
from helm.wire import structure

MAX_SHOWN = 200
"""Approvals in one answer, the latest requests first."""

SAID = frozenset({"assertion", "ceremony_hash", "signature"})


class ApprovalRoutes:
    """A bearer key of the tenant, or an operator's, opens the routes; what is obeyed is an approver's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.approving = Approving(kernel)

    async def browse(self) -> Response:
        """Answer with the approvals of the caller's tenant, in one state where one is asked for."""
        tenant = tenant_of(self.desk.caller())
        state = query().get("state", "")
        asked_for = (
            ceremony
            for ceremony in self.kernel.memory.approvals.ceremonies.values()
            if ceremony.record_id and tenant in (None, ceremony.tenant) and state in ("", ceremony.state)
        )
        # Callers choose how many there are: all of them are looked at, but only these are put in order (T4).
        shown = nsmallest(MAX_SHOWN, asked_for, key=lambda one: (-one.requested_at_ms, one.approval_id))
        return answer({"approvals": [told(ceremony) for ceremony in shown]})

    async def show(self, approval_id: str) -> Response:
        """Answer with one approval, and the arguments that it is about."""
        self._find(approval_id)
        query()
        return answer(await self.approving.show(approval_id))

    async def challenge(self, approval_id: str) -> Response:
        """Put a challenge to the key that is named, for the action that is named."""
        self._find(approval_id)
        body = await read_object()
        key_id, action = body["key_id"], body.get("action", Action.APPROVE.value)
        if type(key_id) is not str or type(action) is not str:
            raise Problem(status=400, detail="expected texts", place="/key_id")
        try:
            return answer(await self.approving.challenge(approval_id, key_id, action))
        except (Invalid, ValueError) as problem:
            raise refused(problem) from problem

    async def approve(self, approval_id: str) -> Response:
        """Take an approver's yes."""
        return await self._take(approval_id, Action.APPROVE)

    async def deny(self, approval_id: str) -> Response:
        """Take an approver's no."""
        return await self._take(approval_id, Action.DENY)

    async def revoke(self, approval_id: str) -> Response:
        """Take back an approval that was not used yet."""
        return await self._take(approval_id, Action.REVOKE)

    async def dispute(self, approval_id: str) -> Response:
        """Hold an approval back until its approvers have agreed anew."""
        return await self._take(approval_id, Action.DISPUTE)

    async def override(self, approval_id: str) -> Response:
        """Take an emergency key's yes, and open the review that it owes."""
        return await self._take(approval_id, Action.OVERRIDE)

    async def review(self, approval_id: str) -> Response:
        """Take an approver's review of an override."""
        return await self._take(approval_id, Action.REVIEW)

    async def _take(self, approval_id: str, action: Action) -> Response:
        self._find(approval_id)
        body = await read_object()
        assertion, signature = assertion_of(body["assertion"]), body["signature"]
        if (assertion.approval_id, assertion.action) != (approval_id, action):
            raise Problem(status=400, detail="the assertion is about something else", place="/assertion")
        seen = body.get("ceremony_hash")
        if seen is None:
            detail = "name the ceremony_hash that you have seen: a lost race must not pass for a yes"
            raise Problem(status=428, detail=detail, place="/ceremony_hash")
        if type(signature) is not str or type(seen) is not str:
            raise Problem(status=400, detail="expected texts", place="/signature")
        try:
            return answer(told(await self.approving.say(assertion, signature, seen)))
        except Stale as problem:
            raise Problem(status=409, detail=str(problem), place="/ceremony_hash") from problem
        except Invalid as problem:
            raise refused(problem) from problem

    def _find(self, approval_id: str) -> Ceremony:
        """Return a ceremony that the caller may see. Raises Problem 404."""
        key = self.desk.caller()
        try:
            ceremony = self.approving.find(approval_id)
        except Invalid:
            ceremony = None
        if ceremony is None or not may_read(key, ceremony.tenant):
            raise Problem(status=404, detail="no such approval")
        return ceremony


def refused(problem: Exception) -> Problem:
    """Return what is told of something that is not possible now, or not by this key."""
    locked = isinstance(problem, Invalid) and problem.hint == TIMELOCKED
    code = ReasonCode.ERR_APPROVAL_TIMELOCK_ACTIVE if locked else ReasonCode.NONE
    return Problem(status=403, detail=str(problem), reason_code=code)


def assertion_of(body: JSONValue) -> Assertion:
    """Return the assertion in a body. Raises Problem."""
    try:
        return structure(body, Assertion, "/assertion")
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
