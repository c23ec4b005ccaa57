"""The small server behind the package's gate: log id, public key and report are its arguments."""

from __future__ import annotations

import sys
from pathlib import Path

import trio
from mcp.server.stdio import stdio_server

sys.path.insert(0, str(Path(__file__).parents[3]))

from actors.permit_gate import PermitGate
from helm.crypto.ed25519 import PublicKey
from helm.executor.outbound import Trusted
from tests.actors.connectors.mcp_server import small


async def main() -> None:
    """Serve until the client closes its side."""
    log_id, key, report = sys.argv[1:]
    public = PublicKey.from_hex(key)
    server = small()
    server.middleware.append(PermitGate(Trusted({public.key_id: public}, log_id, "wrapped"), Path(report)))
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    trio.run(main)
