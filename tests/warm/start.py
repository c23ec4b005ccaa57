"""A program that is run elsewhere: it hands all that it was given to the host, and ends as its other self ends.

Imports nothing that is slow: to be started is all it does.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Be the program that the host forks."""
    place, *words = sys.argv[1:]
    given = json.dumps({"words": words, "environment": dict(os.environ), "folder": os.getcwd()}).encode()
    with socket.socket(socket.AF_UNIX) as host:
        host.connect(place)
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, lambda number, _: host.sendall(bytes([number])))
        socket.send_fds(host, [len(given).to_bytes(4, "big")], [0, 1, 2])
        host.sendall(given)
        let_go()
        status = int(host.recv(16) or b"9")
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def let_go() -> None:
    """Hold no stream of the program's: whoever closes one must see it closed."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


main()
