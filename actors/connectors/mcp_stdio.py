"""An MCP server as a program: started by HELM alone, heard in lines of bounded length, ended with all that it started.

The SDK reads lines without a limit, so that one server could fill our memory; what is below its messages is ours. Each
limit that a server breaks ends it: whoever waits for it is told that it was lost, and it is started again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
import attrs
import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, jsonrpc_message_adapter

from helm.guardian.connection import McpConnection

LOG: Final = logging.getLogger("helm.connectors")

ENVELOPE_BYTES: Final = 64 * 1024
"""What may stand around a result in its line (T4)."""

PIECE: Final = 65_536

MAX_NOISE: Final = 256
"""Lines of a server's that are no messages: some greet, and some print their errors; more is no server (T4)."""

NOTICES_A_SECOND: Final = 200
"""Notifications that are read in one second; the next is not read before it is over, so that the server waits (T4)."""

ENDED_S: Final = 1.0
"""How long a program that closed its output may take to end, before it is said that it did not."""

CLOSE_S: Final = 2.0
"""How long a program may take to end by itself once its input is closed, and again once it is told to."""


class Lost(Exception):
    """The program ended, or broke a limit."""


@asynccontextmanager
async def open_program(connection: McpConnection, environment: Mapping[str, str]) -> AsyncIterator[Any]:
    """Start the program of a connection; yield the SDK's two streams. Raises OSError, and Lost once it is lost."""
    passed = {name: environment[name] for name in connection.environment if name in environment}
    process = await trio.lowlevel.open_process(
        connection.command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=get_default_environment() | passed,
        start_new_session=True,
    )
    try:
        heard, hears = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        says, said = anyio.create_memory_object_stream[SessionMessage](0)
        program = Program(process, heard, said, connection.max_response_bytes + ENVELOPE_BYTES)
        async with heard, hears, says, said, trio.open_nursery() as nursery:
            nursery.start_soon(program.read)
            nursery.start_soon(program.write)
            yield hears, says
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await end(process)


@attrs.define(eq=False)
class Program:
    """One running program."""

    process: trio.Process
    heard: MemoryObjectSendStream[SessionMessage | Exception]
    said: MemoryObjectReceiveStream[SessionMessage]
    max_line: int
    _noise: int = attrs.field(default=0, init=False)
    _second: float = attrs.field(factory=trio.current_time, init=False)
    _notices: int = attrs.field(default=0, init=False)

    async def read(self) -> None:
        """Hand on every message. Raises Lost."""
        source = self.process.stdout
        if source is None:
            raise Lost("it has no output")
        held = bytearray()
        try:
            while piece := await source.receive_some(PIECE):
                held += piece
                if b"\n" in piece:
                    *whole, rest = held.split(b"\n")
                    held = bytearray(rest)
                    for line in whole:
                        await self._hand_on(bytes(line))
                self._check(held)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as problem:
            raise Lost("its output broke") from problem
        raise Lost(await self._end())

    async def _end(self) -> str:
        """Return how a program ended that says nothing more."""
        with trio.move_on_after(ENDED_S):
            await self.process.wait()
        match self.process.returncode:
            case None:
                return "it closed its output"
            case code if code < 0:
                return f"it was ended by signal {-code}"
            case code:
                return f"it ended with exit code {code}"

    async def write(self) -> None:
        """Write every message. Raises Lost."""
        sink = self.process.stdin
        if sink is None:
            raise Lost("it has no input")
        try:
            async for one in self.said:
                await sink.send_all(one.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError) as problem:
            raise Lost("it closed its input") from problem

    def _check(self, line: bytes | bytearray) -> None:
        if len(line) > self.max_line:
            raise Lost(f"it wrote a line of more than {self.max_line} bytes")

    async def _hand_on(self, line: bytes) -> None:
        self._check(line)
        if not line.strip():
            return
        try:
            message = jsonrpc_message_adapter.validate_json(line, by_name=False)
        except ValueError:
            self._noise += 1
            if self._noise > MAX_NOISE:
                raise Lost(f"it wrote more than {MAX_NOISE} lines that are no messages") from None
            LOG.info("a line on stdout that is no message, %d bytes", len(line))
            return
        if isinstance(message, JSONRPCNotification):
            await self._wait_for_a_place()
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session is over, and so are we soon
            await self.heard.send(SessionMessage(message))

    async def _wait_for_a_place(self) -> None:
        """Count a notification, and wait where there were enough of them."""
        self._notices += 1
        if self._notices > NOTICES_A_SECOND:
            await trio.sleep_until(self._second + 1)
        if trio.current_time() >= self._second + 1:
            self._second, self._notices = trio.current_time(), 0


async def end(process: trio.Process) -> None:
    """End a program and all that it started: by closing its input, then by asking, then without."""
    if process.stdin is not None:
        await process.stdin.aclose()
    for ask in (0, signal.SIGTERM, signal.SIGKILL):
        if ask:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, ask)
        with trio.move_on_after(CLOSE_S):
            await drained(process)
            break
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started and left behind
    if process.stdout is not None:
        await process.stdout.aclose()


async def drained(process: trio.Process) -> None:
    """Return once a program has ended; what it still says is read, so that it can."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drain, process)
        await process.wait()
        nursery.cancel_scope.cancel()


async def drain(process: trio.Process) -> None:
    """Read and forget."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        while process.stdout is not None and await process.stdout.receive_some(PIECE):
            pass
