"""Routes on which one asks for relationships, and changes them by a signed command."""

from __future__ import annotations

from quart import Response

from actors.commands.relations import ChangeRelations
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, members
from helm.guardian.policy import Policy
from helm.guardian.relations import (
    TUPLE,
    Question,
    Relations,
    RelationsCommand,
    look,
    snapshot_hash,
    split,
)
from helm.wire import structure

AUTHZ = "/api/v1/authz"


class RelationRoutes:
    """An admin key opens the routes; what changes a relationship is the policy key's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def health(self) -> Response:
        """Answer with how many tuples there are, for which model, and whether they still count."""
        query()
        return answer(self._health())

    async def check(self) -> Response:
        """Answer what the tuples say of one: whether its subject stands in its relation to its object."""
        asked = query().get("tuple", "")
        memory, now_ms = self.kernel.memory, self.kernel.parts.clock.now_ms()
        try:
            return answer(checked(memory.relations, memory.policy, asked, now_ms))
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place="tuple") from problem

    async def write(self) -> Response:
        """Obey a signed change of relationships."""
        body = await read_object()
        try:
            command = structure(body["command"], RelationsCommand, "/command")
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place=problem.where) from problem
        signature = body["signature"]
        if type(signature) is not str:
            raise Problem(status=400, detail="expected 128 hex digits", place="/signature")
        self._check_sequence(command)
        try:
            await self.kernel.command(ChangeRelations(command, signature, self.kernel.parts.state.registry))
        except Invalid as problem:
            self._check_sequence(command)  # another command may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/signature") from problem
        return answer(self._health())

    def _check_sequence(self, command: RelationsCommand) -> None:
        sequence = self.kernel.memory.relations.sequence
        if command.sequence != sequence + 1:
            detail = f"command {command.sequence} does not follow {sequence}: read the sequence and sign again"
            raise Problem(status=409, detail=detail, place="/command/sequence")

    def _health(self) -> JSONValue:
        memory, boot = self.kernel.memory, self.kernel.parts.boot
        return health_of(memory.relations, memory.policy, boot.log_id, self.kernel.parts.clock.now_ms())


def health_of(relations: Relations, policy: Policy, log_id: str, now_ms: int) -> dict[str, JSONValue]:
    """Return how the relationships stand, as people and programs read it."""
    nothing = Question(object="none:none", relation="none", subject="user:none")
    seen = look(relations, policy.authz, nothing, now_ms)
    return {
        "confirmed_at_ms": relations.confirmed_at_ms,
        "log_id": log_id,
        "model_id": policy.authz.model_id,
        "model_mismatch": seen.model_mismatch,
        "sequence": relations.sequence,
        "stale": seen.stale,
        "tuples": relations.count,
        "tuples_model_id": relations.model_id,
    }


def checked(relations: Relations, policy: Policy, asked: str, now_ms: int) -> dict[str, JSONValue]:
    """Return what the tuples say to `object#relation@subject`. Raises Invalid."""
    if TUPLE.fullmatch(asked) is None:
        raise Invalid("not object#relation@subject", asked[:100], "write document:7#viewer@user:alice")
    target, relation, subject = split(asked)
    snapshot = look(relations, policy.authz, Question(object=target, relation=relation, subject=subject), now_ms)
    return {**members(snapshot), "snapshot_hash": snapshot_hash(snapshot)}
