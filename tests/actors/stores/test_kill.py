"""A writer killed at any instruction leaves whole batches without a gap, every acknowledged one among them."""

import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.actors.stores import dying_writer
from tests.actors.stores.journals import Store, name_of
from tests.counterparts import postgres

ROUNDS = 25
FEW = {True: 4, False: 8}
"""Rounds in the quick run, against a server and against files: each takes a tenth of a second, or three."""


@pytest.fixture
def nursery_of_writers(store: Store, path: Path) -> Iterator[tuple[IO[str], IO[str]]]:
    if store.in_database:
        postgres.server()  # before the writers are told where it is
    command = [sys.executable, str(dying_writer.__file__), name_of(store), str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def _run_and_kill(orders: IO[str], answers: IO[str], chance: random.Random) -> int:
    """Let a writer live for some batches and a little longer; return the last row it was told is durable."""
    print(chance.randrange(1000), file=orders, flush=True)
    writer = 0
    acknowledged = []
    patience = chance.randrange(1, 40)
    for answer in answers:
        if answer.startswith("pid"):
            writer = int(answer.split()[1])
        elif answer == "dead\n":
            break
        else:
            acknowledged.append(int(answer))
        if writer and len(acknowledged) == patience:
            hashlib.sha256(b"a moment" * chance.randrange(100_000)).digest()
            os.kill(writer, signal.SIGKILL)
    return acknowledged[-1]


def _check_rows(store: Store, path: Path) -> int:
    """Every row is whole and in its place, and the last one ends its batch. Return how many there are."""
    with store.book(path) as book, store.glance(path) as seen:
        rows = seen.page(1, book.head + 1)
        assert book.head == len(rows)
    ends_batch = True
    for expected, (seq, body) in enumerate(rows, start=1):
        assert hashlib.sha256(body[:-32]).digest() == body[-32:]
        number, at, size = map(int, body.split()[:3])
        assert (seq, number) == (expected, expected)
        assert (at == 0) == ends_batch
        ends_batch = at == size - 1
    assert ends_batch
    return len(rows)


def test_kills_lose_no_acknowledged_row(store: Store, path: Path, nursery_of_writers: tuple[IO[str], IO[str]]) -> None:
    _kill_again_and_again(store, path, nursery_of_writers, FEW[store.in_database])


@pytest.mark.slow
def test_twenty_five_kills_lose_no_acknowledged_row(
    store: Store, path: Path, nursery_of_writers: tuple[IO[str], IO[str]]
) -> None:
    _kill_again_and_again(store, path, nursery_of_writers, ROUNDS)


def _kill_again_and_again(store: Store, path: Path, writers: tuple[IO[str], IO[str]], rounds: int) -> None:
    chance = random.Random(20)
    for _ in range(rounds):
        acknowledged = _run_and_kill(*writers, chance)
        assert _check_rows(store, path) >= acknowledged
