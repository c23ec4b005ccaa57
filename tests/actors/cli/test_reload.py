"""helm reload, asked of a real gateway before a real MCP server: a server that has not changed is left in peace."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import trio

from actors.cli.mcp.declaring import Terms, declaration
from actors.cli.serve import Gateway
from actors.cli.server import Server
from actors.connectors.mcp import look_at
from actors.connectors.port import Connector
from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.actors.cli.test_serve import Served, edit, served
from tests.actors.connectors.test_mcp import server


def declared(made: Made) -> Path:
    """Let the policy declare the small server; return where the policy stands."""
    path = made.place().policy_path
    text = declaration(server(), trio.run(look_at, server()), Terms())
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")
    assert helm("policy", "sign", str(path), *made.option).code == 0
    assert helm("mcp", "approve", "small", "--reason", "looked at its tools", *made.option).code == 0
    return path


def pid_behind(gateway: Served, made: Made) -> int:
    """Return which process answers a call."""
    body = json.dumps({"tool": "small.say", "arguments": {"who": True}}).encode()
    server_of_ours = Server(gateway.url, made.tenant_key)
    reply = server_of_ours.ask("POST", "/v1/tools/execute", body, **{"content-type": "application/json"})
    assert reply.status == 200, reply.json()
    return int(reply.json()["output"]["content"][0]["text"])


def asked(made: Made, *words: str) -> str:
    """Have the gateway read everything again; return what it says."""
    told = helm("reload", "--json", *words, *made.option)
    assert told.code == 0
    return str(told.json()["said"])


@pytest.mark.slow
def test_a_reload_leaves_a_server_in_peace_until_its_definition_changes_or_somebody_asks_for_it(made: Made) -> None:
    path = declared(made)
    with served(made) as gateway:
        first = pid_behind(gateway, made)
        assert asked(made) == "policy epoch 1 is in force"
        edit(path, "epoch = 1", "epoch = 2")
        refused = helm("reload", "--restart-servers", *made.option)
        assert (refused.code, pid_behind(gateway, made)) == (1, first)
        assert helm("policy", "sign", str(path), *made.option).code == 0
        assert asked(made) == "policy epoch 2 is in force"
        assert pid_behind(gateway, made) == first
        edit(path, "epoch = 2", "epoch = 3")
        edit(path, 'kind = "mcp"', 'kind = "mcp"\nenvironment = ["LATER"]')
        assert helm("policy", "sign", str(path), *made.option).code == 0
        assert asked(made) == "policy epoch 3 is in force; started: small"
        second = pid_behind(gateway, made)
        assert second != first
        assert asked(made, "--restart-servers") == "policy epoch 3 is in force; started: small"
        assert pid_behind(gateway, made) not in {first, second}


async def test_a_gateway_that_ends_while_it_reads_everything_again_says_what_came_of_it(made: Made) -> None:
    """The kernel obeyed with its last breath: by the time that it is asked what it started there is none."""
    place, told = made.place(), list[str]()
    gateway = Gateway(place, read_signed(place.policy_path, place.overlays_path), told.append)

    class Ending:
        stopping = False
        executor = SimpleNamespace(connectors=dict[str, Connector]())

        async def activate(self, *_: object, **__: object) -> None:
            gateway.kernel = None

    gateway.kernel = Ending()  # type: ignore[assignment]
    said = await gateway.reload()
    assert (said["refused"], told) == (False, ["policy epoch 1 is in force"])
    assert (await gateway.reload())["refused"] is True
