"""The program `helm` in a process that cannot reach the network: every socket, every child is refused.

A verification that needs nobody but itself runs here as everywhere: python -m actors.cli.offline verify PACK ...
"""

from __future__ import annotations

import sys

REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "ctypes.")
"""Audit events (PEP 578) by their beginnings: what reaches the network, starts something, or goes round this hook."""


def refuse(event: str, _: object) -> None:
    """Refuse what an offline process does not do."""
    if event.startswith(REFUSED):
        raise PermissionError(f"offline: {event} is refused")


def main() -> None:
    """Take the network away, for good, then run the command line."""
    sys.addaudithook(refuse)
    from actors.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
