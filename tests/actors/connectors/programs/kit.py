"""Programs to attack with: an interpreter of this machine that is told what to do, pinned like any program."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import trio

from actors.connectors.port import Dispatch
from actors.connectors.programs.bubblewrap import find, works
from actors.connectors.programs.connector import ProgramConnector
from actors.connectors.programs.filter import refusing
from actors.connectors.programs.keeper import OLDEST_LANDLOCK, landlock_version
from helm.contracts.form import JSONValue
from helm.crypto.hashing import sha256
from helm.guardian.bundle import load_toml
from helm.guardian.connection import ProgramConnection
from tests.actors.connectors.orders import order as order_of


async def confines() -> bool:
    """Tell whether bubblewrap is there and works."""
    tool = await find()
    return tool is not None and await works(tool)


HAS_LANDLOCK = landlock_version() >= OLDEST_LANDLOCK and bool(refusing(network=False))
HAS_BUBBLEWRAP = sys.platform == "linux" and trio.run(confines)

SHELL = str(Path("/bin/sh").resolve())
"""A program that everyone has. It is a shell; that HELM starts none is tested by what it does to words."""


@cache
def hash_of(path: str) -> str:
    """Return the pin of a program."""
    return sha256(Path(path).read_bytes())


ROOMY = "\nprocesses = 4000"
"""Limits on processes count all of a user's, and other tests may run as the same user at the same time."""

OPEN = 'isolation = "none"\nnetwork = true'
CLOSED = 'isolation = "bubblewrap"'
FENCED = 'isolation = "landlock"'


def bundle(
    script: str,
    *,
    isolation: str = OPEN,
    limits: str = "",
    program: str = SHELL,
    program_hash: str = "",
    words: str = "",
    schema: str = '{"type": "object", "additionalProperties": false}',
    tool: str = "",
) -> str:
    """Return a policy whose one tool runs a script, with `words` behind it."""
    return f'''
version = "helm.policy/1"
scope = "test"
epoch = 1

[connectors.program]
kind = "subprocess"
program = "{program}"
program_hash = "{program_hash or hash_of(program)}"
{isolation}
{limits if "processes" in limits else f"{limits}{ROOMY}"}

[connectors.program.operations.run]
words = ["-c", {literal(script)}, "name"{words}]

[tools.run]
connector = "program"
operation = "run"
effect_type = "execute"
risk_tier = "T2"
principals = ["*"]
timeout_ms = 20000
input = \'\'\'{schema}\'\'\'
output = '{{}}'
{tool}
'''


def literal(script: str) -> str:
    """Return a script as one word of TOML in which braces are braces."""
    braced = script.replace("{", "{{").replace("}", "}}")
    return '"' + braced.replace("\\", "\\\\").replace('"', '\\"') + '"'


def connection_of(text: str) -> ProgramConnection:
    """Return the one program of a policy."""
    connection = load_toml(text, "test").connectors["program"]
    assert isinstance(connection, ProgramConnection)
    return connection


def prepared(text: str, arguments: JSONValue = None, **more: Any) -> tuple[ProgramConnector, Dispatch]:
    """Return a connector, and an order for it."""
    connection = connection_of(text)
    order = order_of(
        {} if arguments is None else arguments,
        tool="run",
        operation="run",
        connector="program",
        timeout_ms=20_000,
        sandbox_grant_hash=connection.grant_hash,
    )
    return ProgramConnector(connection, **more), order


async def ran(script: str, arguments: Mapping[str, JSONValue] | None = None, **more: Any) -> Any:
    """Return how a script ran."""
    connector, order = prepared(bundle(script, **more), None if arguments is None else dict(arguments))
    return await connector.dispatch(order)
