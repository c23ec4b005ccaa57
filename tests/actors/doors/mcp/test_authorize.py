"""Asking whether a call would be allowed: the decision is real, its receipt too, and nothing happens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.server import Server
from tests.actors.doors.mcp.test_oauth import policy
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, build, gateway


@asynccontextmanager
async def opened(tmp_path: Path, puppet: Puppet, text: str = "") -> AsyncIterator[Gateway]:
    house = build(tmp_path / "data")
    async with gateway(house, house.sign(text or policy()), {"local": puppet, "other": puppet}) as at:
        yield at


async def ask(at: Gateway, key: str = "agent", **body: Any) -> tuple[int, Any]:
    """Ask about a call; return the status and what is said."""
    server = Server(at.url, at.house.keys[key])
    raw, kind = json.dumps(body).encode(), {"content-type": "application/json"}
    reply = await trio.to_thread.run_sync(partial(server.ask, "POST", "/api/v1/mcp/authorize-call", raw, **kind))
    return reply.status, reply.json()


QUESTIONS: dict[str, dict[str, Any]] = {
    "allowed": {"tool": "read", "arguments": {}},
    "unknown": {"tool": "add", "server_id": "nobody", "arguments": {}},
    "wrong": {"tool": "strict", "arguments": {"n": "one"}, "scopes": ["tools", "numbers"]},
    "no object": {"tool": "read", "arguments": [1]},
    "without scopes": {"tool": "strict", "arguments": {"n": 1}, "scopes": ["tools"]},
    "with scopes": {"tool": "strict", "arguments": {"n": 1}, "scopes": ["tools", "numbers"]},
}


async def test_what_would_be_is_said_and_nothing_is_done(tmp_path: Path) -> None:
    puppet = Puppet()
    async with opened(tmp_path, puppet) as at:
        told = {name: (await ask(at, **body))[1] for name, body in QUESTIONS.items()}
        story = await at.kernel.library.story(told["with scopes"]["receipt"]["receipt_id"])
    said = {name: (one["verdict"], one["reason_code"]) for name, one in told.items()}
    assert said == {
        "allowed": ("ALLOW", "EVALUATED_ONLY"),
        "unknown": ("DENY", "NO_POLICY_DEFINED"),
        "wrong": ("DENY", "SCHEMA_VIOLATION"),
        "no object": ("DENY", "SCHEMA_VIOLATION"),
        "without scopes": ("DENY", "INSUFFICIENT_PRIVILEGE"),
        "with scopes": ("ALLOW", "EVALUATED_ONLY"),
    }
    assert told["unknown"]["tool"] == "nobody.add"
    assert puppet.orders == []
    assert story is not None
    assert (story["receipt"]["door"], story["receipt"]["transport"]) == ("mcp", "authorize-call")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tool": ""},
        {"tool": 1},
        {"tool": "read", "session_id": 1},
        {"tool": "read", "scopes": "all"},
        {"tool": "read", "scopes": ["two words"]},
        {"tool": "read", "scopes": ["a"] * 129},
        {"tool": "read", "principal": "operator"},
    ],
    ids=str,
)
async def test_what_is_no_question_is_not_answered(tmp_path: Path, body: dict[str, Any]) -> None:
    async with opened(tmp_path, Puppet()) as at:
        assert (await ask(at, **body))[0] == 400


async def test_a_tenant_asks_for_itself(tmp_path: Path) -> None:
    async with opened(tmp_path, Puppet()) as at:
        assert (await ask(at, "operator", tool="read"))[0] == 403
        assert (await ask(at, "", tool="read"))[0] == 401


async def test_scopes_mean_nothing_without_a_profile(tmp_path: Path) -> None:
    from tests.actors.policies import POLICY

    async with opened(tmp_path, Puppet(), POLICY) as at:
        assert (await ask(at, tool="read", scopes=["a"]))[0] == 409
