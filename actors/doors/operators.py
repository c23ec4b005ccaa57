"""Routes for whoever runs HELM: stop everything, look at what is stopped, let a halted connector serve again."""

from __future__ import annotations

from quart import Response

from actors.commands.connectors import ResumeConnector
from actors.commands.freeze import Freeze
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.guardian.freezes import FreezeCommand
from helm.mcp.registry import pins_of, servers_of
from helm.wire import structure

MAX_REASON = 500


class OperatorRoutes:
    """An admin key opens the route; what is obeyed is the emergency key's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def freeze(self) -> Response:
        """Obey a signed freeze or unfreeze command."""
        body = await read_object()
        command, signature = command_of(body["command"]), body["signature"]
        if type(signature) is not str:
            raise Problem(status=400, detail="expected 128 hex digits", place="/signature")
        self._check_key(command)
        self._check_sequence(command)
        try:
            await self.kernel.command(Freeze(command, signature, self.kernel.parts.state.registry))
        except Invalid as problem:
            self._check_sequence(command)  # another command may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/signature") from problem
        return answer(self._stops(None))

    async def stops(self) -> Response:
        """Answer with the stops in force, and the sequence that the next command must follow."""
        key = self.desk.caller()
        query()
        return answer(self._stops(key))

    async def connectors(self) -> Response:
        """Answer with the connectors that are plugged in: which are halted, which cannot be reached, and why."""
        query()
        names = sorted({*self.kernel.executor.connectors, *self.kernel.memory.halted})
        return answer({"connectors": [self._connector(name) for name in names]})

    async def resume(self, name: str) -> Response:
        """Let a halted connector serve again."""
        key = self.desk.caller()
        body = await read_object()
        reason = body["reason"]
        if type(reason) is not str or not 0 < len(reason) <= MAX_REASON:
            raise Problem(status=400, detail=f"1 to {MAX_REASON} characters", place="/reason")
        if name not in self.kernel.executor.connectors and name not in self.kernel.memory.halted:
            raise Problem(status=404, detail="no such connector")
        try:
            await self.kernel.command(ResumeConnector(name, reason, key.principal))
        except Invalid as problem:
            raise Problem(status=409, detail=problem.what) from problem
        return answer(self._connector(name))

    async def repin(self, name: str) -> Response:
        """Answer with what an MCP server's pins are, and what each would have to be: nothing is changed."""
        await read_object()
        memory = self.kernel.memory
        if name not in self.kernel.executor.connectors and name not in memory.halted:
            raise Problem(status=404, detail="no such connector")
        if name not in servers_of(memory.policy):
            raise Problem(status=409, detail="no MCP server: its schemas stand in the policy itself, sign a new one")
        return answer(pins_of(name, memory.policy, memory.servers, memory.halted))

    def _connector(self, name: str) -> dict[str, JSONValue]:
        executor = self.kernel.executor
        trouble = executor.troubles.of(name, executor.connectors.get(name))
        return {
            "failing_since_ms": trouble.since_ms if trouble else None,
            "failure": trouble.said if trouble else "",
            "halted": self.kernel.memory.halted.get(name, ""),
            "name": name,
        }

    def _check_key(self, command: FreezeCommand) -> None:
        registry = self.kernel.parts.state.registry
        if registry is None:
            raise Problem(status=403, detail="no key is known yet", place="/command/key_id")
        try:
            registry.require(command.key_id, KeyPurpose.EMERGENCY, registry.lamport + 1)
        except Invalid as problem:
            raise Problem(status=403, detail=str(problem), place="/command/key_id") from problem

    def _check_sequence(self, command: FreezeCommand) -> None:
        sequence = self.kernel.memory.freezes.sequence
        if command.sequence != sequence + 1:
            detail = f"command {command.sequence} does not follow {sequence}: read the sequence and sign again"
            raise Problem(status=409, detail=detail, place="/command/sequence")

    def _stops(self, key: BearerKey | None) -> dict[str, JSONValue]:
        """Return what is stopped, as far as it is the business of the key's tenant."""
        tenant = None if key is None else tenant_of(key)
        freezes = self.kernel.memory.freezes
        shown = [
            {"scope": scope, "target": target}
            for scope, target in sorted(freezes.in_force)
            if tenant is None or scope == "global" or target.partition("/")[0] == tenant
        ]
        return {"in_force": shown, "log_id": self.kernel.parts.boot.log_id, "sequence": freezes.sequence}


def command_of(body: JSONValue) -> FreezeCommand:
    """Return the command in a body. Raises Problem."""
    try:
        return structure(body, FreezeCommand, "/command")
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem
