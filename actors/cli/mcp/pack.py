"""helm mcp pack: a server of the policy as an MCP bundle, which starts it through HELM."""

from __future__ import annotations

import io
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click

from actors.cli import show
from actors.cli.mcp.declaring import connection_of
from actors.cli.mcp.launching import wrapping
from actors.cli.place import data_dir_option, open_place
from actors.policy_file import read_policy
from actors.process import durable
from helm.contracts.errors import Invalid
from helm.crypto.hashing import sha256
from helm.guardian.policy import Policy
from helm.mcp.mcpb import ENTRY, Bundle

EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The one time that every zip archive can say: the bytes are the same whenever they are written."""

UNIX: Final = 3
MODES: Final = {ENTRY: 0o755}


@click.command()
@click.argument("server")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; SERVER.mcpb, if not said.")
@click.option("--version", help="The bundle's version; 0.EPOCH.0 of the policy, if not said.")
@data_dir_option
@show.json_option
def pack(server: str, out: Path | None, version: str | None, data_dir: Path, as_json: bool) -> None:
    """Write SERVER of the policy as an MCP bundle (.mcpb), to be opened in a client."""
    place = open_place(data_dir)
    policy = read_policy(place.policy_path)
    connection = connection_of(policy, server, place.policy_path)
    _, _, _, _, *words = wrapping(connection, "")
    bundle = Bundle(
        name=server,
        version=version or f"0.{policy.epoch}.0",
        words=shlex.join(words),
        variables=(*connection.environment, *([connection.bearer] if connection.bearer else [])),
        tools=described(policy, server),
    )
    path = out or Path(f"{server}.mcpb")
    if not path.parent.is_dir():
        raise Invalid("its folder is not there", str(path), "make it, or name another with --out")
    content = zipped(bundle.files())
    durable.replace(path, content)
    if as_json:
        show.as_object({"bundle": str(path), "bundle_hash": sha256(content), "server_id": server})
    else:
        show.note(f"{path}: open it in the client; it asks for {data_dir} and for the program helm")


def described(policy: Policy, server: str) -> Mapping[str, str]:
    """Return the tools of a server with their descriptions."""
    return {rule.operation or rule.name: rule.description for rule in policy.tools.values() if rule.connector == server}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Return a zip archive whose bytes depend on nothing but the files."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.create_system = UNIX
            entry.external_attr = (0o100000 | MODES.get(name, 0o644)) << 16
            archive.writestr(entry, content)
    return whole.getvalue()
