"""Routes on which a delegation session is bound, looked at and ended, by the tenant that it belongs to."""

from __future__ import annotations

from heapq import nsmallest
from typing import TypeVar

from quart import Response

from actors.commands.delegation import BindDelegation, RevokeDelegation
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.doors.receipts import may_read
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.delegation import GRANT, DelegationGrant, DelegationRevocation, delegation_id
from helm.guardian.delegations import Bound
from helm.wire import structure

DELEGATIONS = "/api/v1/delegations"

MAX_SHOWN = 200
"""Delegations in one answer, the latest first (T4)."""

T = TypeVar("T")


class DelegationRoutes:
    """A bearer key opens the route; what counts is the delegator's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def create(self) -> Response:
        """Bind a delegation that its delegator has signed."""
        key = self.desk.caller()
        body = await read_object()
        grant = read(body["grant"], DelegationGrant, "/grant")
        if not may_read(key, grant.tenant):
            raise Problem(status=403, detail="the delegation is of another tenant", place="/grant/tenant")
        try:
            registry = self.kernel.parts.state.registry
            await self.kernel.command(BindDelegation(grant, signature_of(body), registry))
        except Invalid as problem:
            raise Problem(status=403, detail=str(problem), place="/grant") from problem
        name = delegation_id(grant)
        return answer(
            shown(name, self.kernel.memory.delegations.bound[name]), 201, {"location": f"{DELEGATIONS}/{name}"}
        )

    async def browse(self) -> Response:
        """Answer with the delegations of the caller's tenant, and the log that a new one must name."""
        tenant = tenant_of(self.desk.caller())
        query()
        bound = self.kernel.memory.delegations.bound.items()
        of_tenant = ((name, found) for name, found in bound if tenant in (None, found.grant.tenant))
        latest = nsmallest(MAX_SHOWN, of_tenant, key=lambda item: (-item[1].grant.issued_at_ms, item[0]))
        rows: JSONValue = [shown(name, found) for name, found in latest]
        return answer({"delegations": rows, "log_id": self.kernel.parts.boot.log_id})

    async def show(self, name: str) -> Response:
        """Answer with one delegation."""
        key = self.desk.caller()
        query()
        found = self.kernel.memory.delegations.bound.get(name)
        if found is None or not may_read(key, found.grant.tenant):
            raise Problem(status=404, detail="no such delegation")
        return answer(shown(name, found))

    async def revoke(self, name: str) -> Response:
        """End a delegation, as whoever gave it has signed, or whoever may stop everything."""
        key = self.desk.caller()
        body = await read_object()
        revocation = read(body["command"], DelegationRevocation, "/command")
        found = self.kernel.memory.delegations.bound.get(name)
        if found is None or not may_read(key, found.grant.tenant):
            raise Problem(status=404, detail="no such delegation")
        if revocation.delegation_id != name:
            raise Problem(status=400, detail="the command is about another delegation", place="/command/delegation_id")
        self._check_lasts(found)
        try:
            registry = self.kernel.parts.state.registry
            await self.kernel.command(RevokeDelegation(revocation, signature_of(body), registry))
        except Invalid as problem:
            self._check_lasts(found)  # another revocation may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/signature") from problem
        return answer(shown(name, found))

    def _check_lasts(self, found: Bound) -> None:
        if found.ended:
            raise Problem(status=409, detail=f"the delegation has ended: {found.ended}")


def shown(name: str, found: Bound) -> dict[str, JSONValue]:
    """Return a delegation as people and programs read it."""
    return {
        "calls_up_to": found.sequences.highest,
        "delegation_id": name,
        "ended": found.ended,
        "grant": GRANT.body(found.grant),
    }


def signature_of(body: dict[str, JSONValue]) -> str:
    """Return the signature in a body. Raises Problem."""
    signature = body["signature"]
    if type(signature) is not str:
        raise Problem(status=400, detail="expected 128 hex digits", place="/signature")
    return signature


def read(body: JSONValue, kind: type[T], where: str) -> T:
    """Return the record in a body. Raises Problem."""
    try:
        return structure(body, kind, where)
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
