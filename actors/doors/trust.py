"""Routes on which one reads which keys count, and hands in signed trust events."""

from __future__ import annotations

from quart import Response

from actors.commands.trust import ChangeTrust
from actors.doors.desk import Desk, answer, query, read_object, whole_number
from actors.doors.problem import Problem
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.trust.event import TrustEvent, event_hash, from_body, to_body
from helm.trust.registry import Registry

MAX_EVENTS = 200
"""Events in one answer."""


class TrustRoutes:
    """An admin key opens the routes; what changes the keys is the signature of who may change them."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def events(self) -> Response:
        """Answer with the durable events behind height `after`, at most up to `at_lamport`."""
        given = query()
        after = whole_number(given, "after", 0)
        limit = max(1, whole_number(given, "limit", MAX_EVENTS, MAX_EVENTS))
        registry = self._at(given)
        shown = registry.events[after : after + limit]
        rows = [{"event": to_body(event), "lamport": lamport} for event, lamport in shown]
        last = after + len(rows)
        return answer(
            {"events": rows, "log_id": registry.log_id, "next": last if last < registry.height else None},
        )

    async def keys(self) -> Response:
        """Answer with every key ever known, and what became of it."""
        snapshot = self._snapshot()
        return answer({"keys": snapshot["keys"], "lamport": snapshot["lamport"], "log_id": snapshot["log_id"]})

    async def snapshot(self) -> Response:
        """Answer with the registry as the fold of its events."""
        return answer(self._snapshot())

    async def change(self) -> Response:
        """Take a signed trust event, between two calls."""
        body = await read_object()
        event = event_of(body["event"])
        self._check_place(event)
        state = self.kernel.parts.state
        try:
            control = await self.kernel.command(ChangeTrust(event, state.registry, self.kernel.parts.pen.key_id))
        except Invalid as problem:
            self._check_place(event)  # another event may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/event") from problem
        lamport = 0 if control is None else control.lamport
        return answer({"event_hash": event_hash(event), "height": event.height, "lamport": lamport}, 201)

    def _check_place(self, event: TrustEvent) -> None:
        place = self._registry().place
        if (event.height, event.prev_event_hash) != (place.height, place.prev_event_hash):
            detail = f"event {event.height} does not follow {place.height - 1}: read the snapshot and sign again"
            raise Problem(status=409, detail=detail, place="/event/height")

    def _snapshot(self) -> dict[str, JSONValue]:
        return self._at(query()).snapshot()

    def _at(self, given: dict[str, str]) -> Registry:
        """Return the registry of what is durable, as of `at_lamport` where one is given. Raises Problem."""
        durable = self.kernel.parts.journal.head
        lamport = min(durable, whole_number(given, "at_lamport", durable))
        registry = self._registry()
        if registry.settled == registry.height and registry.lamport <= lamport:
            return registry  # nothing is on its way: it need not be folded again
        try:
            return registry.at(lamport)
        except Invalid as problem:
            raise Problem(status=404, detail=problem.what, place="?at_lamport") from problem

    def _registry(self) -> Registry:
        registry = self.kernel.parts.state.registry
        if registry is None:
            raise Problem(status=503, detail="no key is known yet")
        return registry


def event_of(body: JSONValue) -> TrustEvent:
    """Return the event in a body. Raises Problem."""
    try:
        return from_body(body, "/event")
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
