"""The words that start HELM before a server, as another program's configuration holds them."""

from __future__ import annotations

import sys
from pathlib import Path

from actors.cli.mcp.declaring import connection_of
from actors.installation import Installation
from actors.policy_file import read_policy
from helm.guardian.connection import McpConnection

PROGRAM = "helm"


def program() -> tuple[str, ...]:
    """Return the words that start this very program, wherever it is asked from.

    Never a name to be looked for, and never Python with its own folder on the path: the client may start it in a
    folder that somebody else filled.
    """
    beside = Path(sys.executable).parent / PROGRAM
    if beside.is_file():
        return (str(beside),)
    return (sys.executable, "-P", "-m", "actors.cli.main")


def launch(place: Installation, server: str | None) -> tuple[str, ...]:
    """Return the words that serve one server of the policy through HELM, or all tools of it. Raises Invalid."""
    data = str(place.path.resolve())
    if server is None:
        return (*program(), "mcp", "serve", "--data-dir", data)
    connection = connection_of(read_policy(place.policy_path), server, place.policy_path)
    return (*program(), *wrapping(connection, data))


def wrapping(connection: McpConnection, data: str) -> tuple[str, ...]:
    """Return the words of `helm mcp wrap` that reach a server as its policy does."""
    words = ["mcp", "wrap", "--data-dir", data, "--server-id", connection.name]
    for name in connection.environment:
        words += ["--env", name]
    if connection.url:
        words += ["--url", connection.url]
        words += ["--bearer", connection.bearer] if connection.bearer else []
        words += ["--allow-private"] if connection.allow_private else []
        return tuple(words)
    return (*words, "--", *connection.command)
