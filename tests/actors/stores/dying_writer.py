"""A process that makes writers for test_kill: a line in asks for one, its process id and acknowledgements come out.

It forks, because a kill is cheap then, and a new interpreter is not.
"""

import hashlib
import os
import random
import sys
from pathlib import Path

import trio

from actors.stores.segments import segment
from tests.actors.stores.journals import STORES

SHORT_FILE = 300_000
"""What a file of segments holds here, so that some writers die while they turn to the next."""


def batch_from(first: int, size: int) -> list[bytes]:
    """Rows that tell where they belong, and whether they are whole: number, place in the batch, filling, digest."""
    rows = []
    for place in range(size):
        head = b"%d %d %d " % (first + place, place, size)
        body = head.ljust(200 + 37 * (first % 61), b".")
        rows.append(body + hashlib.sha256(body).digest())
    return rows


async def write_until_killed(store: str, path: Path, seed: int) -> None:
    sizes = random.Random(seed)
    journal = await STORES[store].open(path)
    while True:
        rows = batch_from(journal.head + 1, sizes.choice((1, 2, 16, 64)))
        await journal.append(rows)
        print(journal.head, flush=True)


def main() -> None:
    segment.SEGMENT_BYTES = SHORT_FILE
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            trio.run(write_until_killed, sys.argv[1], Path(sys.argv[2]), int(line))
        print(f"pid {child}", flush=True)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main()
