"""A server without any SDK, which breaks one limit; its argument says which."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import islice
from typing import Any

HOW = sys.argv[1] if len(sys.argv) > 1 else ""
TOOL: dict[str, Any] = {"name": "sum", "inputSchema": {"type": "object"}}
NOTICE = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}


def say(body: Any) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(body) + "\n")
    sys.stdout.flush()


def endless() -> None:
    """Write a line that does not end."""
    while True:
        sys.stdout.write("x" * 65_536)
        sys.stdout.flush()


def listing(params: dict[str, Any]) -> dict[str, Any]:
    """Return a page of what is listed."""
    if HOW == "pages":
        return {"tools": [], "nextCursor": params.get("cursor", "") + "x"}
    if HOW == "many":
        number = int(params.get("cursor", "0"))
        tools = [TOOL | {"name": f"t{number}-{one}"} for one in range(600)]
        return {"tools": tools, "nextCursor": str(number + 1)}
    if HOW == "large":
        return {"tools": [TOOL | {"description": "x" * 300_000}]}
    return {"tools": [TOOL]}


def answered(message: dict[str, Any]) -> dict[str, Any] | None:
    """Return the result of a request, None for what this server does not have."""
    match message["method"]:
        case "initialize":
            about = {"name": "raw", "version": "1"}
            version = message["params"]["protocolVersion"]
            return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
        case "tools/list":
            return listing(message.get("params") or {})
        case "tools/call":
            if HOW == "endless":
                endless()
            if HOW == "flood":
                for _ in range(2_000):
                    say(NOTICE)
            return {"content": [{"type": "text", "text": "3"}]}
        case _:
            return None


def begin() -> None:
    """Misbehave from the start."""
    if HOW == "silent":
        time.sleep(600)
    if HOW == "endless at once":
        endless()
    if HOW == "noisy":
        for _ in range(100):
            sys.stdout.write("hello, I am a server\n\n")
    if HOW == "noise":
        while True:
            sys.stdout.write("hello\n")
    if HOW == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        with open(sys.argv[2], "w") as file:
            file.write(f"{os.getpid()} {child.pid}")


def main() -> None:
    """Serve."""
    begin()
    for line in islice(sys.stdin, 4 if HOW == "deaf" else None):
        message = json.loads(line)
        if "id" in message:
            result = answered(message)
            error = {"error": {"code": -32601, "message": "Method not found"}}
            say({"jsonrpc": "2.0", "id": message["id"], **(error if result is None else {"result": result})})
    if HOW in ("deaf", "stubborn"):
        time.sleep(600)


if __name__ == "__main__":
    main()
