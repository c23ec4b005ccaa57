"""Routes on which operators see MCP servers, hand in what an approver signed, and have a listing scanned."""

from __future__ import annotations

from quart import Response

from actors.commands.servers import CommandServer
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.guardian.servers import APPROVE, REVOKE, ServerCommand
from helm.mcp.registry import check_current, record, registry, servers_of
from helm.mcp.scan import Subject, scan, tools_of
from helm.wire import structure

REGISTRY = "/api/v1/mcp/registry"
SCAN = "/api/v1/mcp/scan"

COMMAND = frozenset({"command", "signature"})
SCANNED = frozenset({"command", "server_id", "tools", "url"})


class RegistryRoutes:
    """An admin key opens the routes; what is obeyed is an approval key's signature."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with every server, and the sequence that the next command must follow."""
        query()
        return answer(self._registry())

    async def show(self, server_id: str) -> Response:
        """Answer with one server."""
        query()
        return answer(self._record(server_id))

    async def register(self) -> Response:
        """Obey a signed command about whichever server it names."""
        return await self._obey("", "")

    async def approve(self, server_id: str) -> Response:
        """Obey a signed approval of this server."""
        return await self._obey(server_id, APPROVE)

    async def revoke(self, server_id: str) -> Response:
        """Obey a signed revocation of this server."""
        return await self._obey(server_id, REVOKE)

    async def scan(self) -> Response:
        """Answer with what is found in a listing: nothing is started, and nothing is remembered."""
        body = await read_object()
        try:
            subject = Subject(
                server_id=text(body, "server_id") or "scanned",
                command=words(body),
                url=text(body, "url"),
                tools=tools_of(body["tools"], "/tools"),
            )
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place=problem.where) from problem
        findings = [one.body() for one in scan(subject, self._others())]
        return answer({"findings": findings, "scanned": [subject.server_id]})

    async def _obey(self, server_id: str, action: str) -> Response:
        body = await read_object()
        command, signature = command_of(body["command"]), body["signature"]
        if type(signature) is not str:
            raise Problem(status=400, detail="expected 128 hex digits", place="/signature")
        if server_id and (command.server_id, command.action) != (server_id, action):
            raise Problem(status=400, detail=f"the command is no {action} of {server_id}", place="/command")
        self._check_known(command)
        self._check_key(command)
        self._check_sequence(command)
        try:
            check_current(command, self.kernel.memory.policy)
        except Invalid as problem:
            raise Problem(status=409, detail=str(problem), place="/command/pins_hash") from problem
        try:
            await self.kernel.command(CommandServer(command, signature, self.kernel.parts.state.registry))
        except Invalid as problem:
            self._check_sequence(command)  # another command may have come in between: a lost race is a conflict
            raise Problem(status=403, detail=str(problem), place="/signature") from problem
        return answer(self._record(command.server_id))

    def _registry(self) -> dict[str, JSONValue]:
        kernel = self.kernel
        return registry(
            kernel.memory.policy, kernel.memory.servers, kernel.parts.boot.log_id, kernel.parts.clock.now_ms()
        )

    def _record(self, server_id: str) -> dict[str, JSONValue]:
        memory = self.kernel.memory
        if server_id not in servers_of(memory.policy) and server_id not in memory.servers.said:
            raise Problem(status=404, detail="no such server")
        return record(server_id, memory.policy, memory.servers, self.kernel.parts.clock.now_ms())

    def _others(self) -> dict[str, frozenset[str]]:
        policy = self.kernel.memory.policy
        return {
            name: frozenset(rule.operation or rule.name for rule in policy.tools.values() if rule.connector == name)
            for name in servers_of(policy)
        }

    def _check_known(self, command: ServerCommand) -> None:
        memory = self.kernel.memory
        if command.server_id not in servers_of(memory.policy) and command.server_id not in memory.servers.said:
            raise Problem(status=404, detail="no such server", place="/command/server_id")

    def _check_key(self, command: ServerCommand) -> None:
        keys, lamport = self.kernel.parts.state.registry, self.kernel.appender.graph.lamport + 1
        if keys is None:
            raise Problem(status=403, detail="no key is known yet", place="/command/key_id")
        try:
            keys.require(command.key_id, KeyPurpose.APPROVAL, lamport)
        except Invalid as problem:
            raise Problem(status=403, detail=str(problem), place="/command/key_id") from problem

    def _check_sequence(self, command: ServerCommand) -> None:
        sequence = self.kernel.memory.servers.sequence
        if command.sequence != sequence + 1:
            detail = f"command {command.sequence} does not follow {sequence}: read the sequence and sign again"
            raise Problem(status=409, detail=detail, place="/command/sequence")


def command_of(body: JSONValue) -> ServerCommand:
    """Return the command in a body. Raises Problem."""
    try:
        return structure(body, ServerCommand, "/command")
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place=problem.where) from problem


def text(body: dict[str, JSONValue], name: str) -> str:
    """Return a member that is a text, "" where there is none. Raises Problem."""
    value = body.get(name, "")
    if type(value) is not str:
        raise Problem(status=400, detail="expected a text", place=f"/{name}")
    return value


def words(body: dict[str, JSONValue]) -> tuple[str, ...]:
    """Return the words of a command. Raises Problem."""
    value = body.get("command", [])
    if type(value) is not list or not all(type(word) is str and word for word in value):
        raise Problem(status=400, detail="expected a list of words", place="/command")
    return tuple(value)
