"""The route on which a caller asks in advance that a call be approved: it is judged, and never executed."""

from __future__ import annotations

from typing import Final

from quart import Response

from actors.approving import Approving
from actors.doors.desk import Desk, answer, heading, read_object
from actors.doors.entry import Entry
from actors.doors.envelope import MEMBERS, asked_in
from actors.doors.heading import Heading
from actors.doors.problem import Problem
from actors.doors.told import APPROVALS, evidence, tell
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.mailbox import Answer
from helm.config import Config
from helm.contracts.call import ASKING, Source
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical

IN_ADVANCE: Final = Source(door=ASKING, transport="http/1.1")
"""What the guardian knows such a call by, and what its receipt says."""

ASKED: Final = MEMBERS - {"approval_id"}


class AskingRoutes:
    """A tenant's key asks for itself; what it gets is a ceremony, and no more."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.approving = Approving(kernel)
        self.desk = desk
        self.entry = Entry(kernel, config, IN_ADVANCE)

    async def create(self) -> Response:
        """Answer 201 with the approval that the call waits for now, as any call of the same intent does."""
        key = self.desk.caller()
        body = await read_object()
        decided = await ask(self.entry, key, body, heading())
        if not decided.approval_id:
            told = tell(decided, heading())
            headers = {name.decode(): value.decode() for name, value in told.headers}
            return Response(told.body, told.status, headers)
        where = APPROVALS + decided.approval_id
        headers = {name.decode(): value.decode() for name, value in evidence(decided)}
        shown = await self.approving.show(decided.approval_id)
        return answer(shown, 201, headers | {"location": where})


async def ask(entry: Entry, key: BearerKey, body: dict[str, JSONValue], said: Heading) -> Answer:
    """Have a call judged that is only to be approved. Raises Problem where the body is no such call."""
    try:
        raw = canonical(body)
    except Malformed as problem:
        raise Problem(status=400, detail=problem.problem, place=problem.place) from problem
    call = entry.admit(key, asked_in(body, said), raw)
    return await entry.kernel.govern(call, decide_only=True, origin=said.origin)
