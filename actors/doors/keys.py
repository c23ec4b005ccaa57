"""Routes on which an operator issues bearer keys, sees them, and takes them back."""

from __future__ import annotations

from itertools import islice
from typing import Final

from quart import Response

from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.issuing import Issuing, NotKept, Wanted, listed
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.guardian.bearers import KeyClass

KEYS: Final = "/api/v1/keys"

MAX_SHOWN: Final = 1_000
"""Keys in one listing: there may be tens of thousands (T4)."""


class KeyRoutes:
    """An admin key opens the routes. A new key is told once, in the answer that nobody may keep."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.issuing = Issuing(kernel, desk.who.keys)

    async def browse(self) -> Response:
        """Answer with the keys that are wanted: those that count first, then those that were taken back."""
        given = {name: said for name, said in query().items() if said}
        found = listed(self.desk.who.keys, self.kernel.memory.bearers, self.kernel.parts.clock.now_ms())
        wanted = [*islice((one for one in found if given.items() <= one.items()), MAX_SHOWN + 1)]
        return answer({"is_complete": len(wanted) <= MAX_SHOWN, "keys": list(wanted[:MAX_SHOWN])})

    async def show(self, key_id: str) -> Response:
        """Answer with one key."""
        query()
        try:
            return answer(self.issuing.show(key_id))
        except KeyError as problem:
            raise unknown() from problem

    async def issue(self) -> Response:
        """Issue a key, and tell it."""
        operator = self.desk.caller().principal
        body = await read_object()
        wanted = Wanted(
            key_class=KeyClass(body["class"]),
            principal=body["principal"],
            **{name: body[name] for name in ("expires_in_s", "label", "scope", "tenant") if name in body},
        )
        try:
            plain, key = await self.issuing.issue(wanted, operator)
        except NotKept as problem:
            raise Problem(status=503, detail=problem.what) from problem
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place=problem.where) from problem
        return answer({"bearer_key": key, "key": plain}, 201, {"location": f"{KEYS}/{key['key_id']}"})

    async def revoke(self, key_id: str) -> Response:
        """Take a key back for ever."""
        operator = self.desk.caller().principal
        body = await read_object()
        try:
            return answer(await self.issuing.revoke(key_id, body["reason"], operator))
        except KeyError as problem:
            raise unknown() from problem
        except Invalid as problem:
            raise Problem(status=409, detail=str(problem)) from problem


def unknown() -> Problem:
    """Return the refusal for a key that never was."""
    return Problem(status=404, detail="no such bearer key")
