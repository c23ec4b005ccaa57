"""Two kernels never write one journal, and no dead one keeps a living one out."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.stores.book import Place, opened
from actors.stores.sqlite import SqliteJournal
from helm.contracts.errors import Invalid
from tests.actors.stores.journals import journal_at, rows_of

OTHER_KERNEL = """
import sys, trio
from pathlib import Path
from actors.stores.book import Place, opened
from actors.stores.sqlite import SqliteJournal
async def main():
    journal = await SqliteJournal.open(Path(sys.argv[1]), free_space_reserve=0)
    await journal.append([b"theirs"])
    print("open", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@contextmanager
def other_kernel(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the journal open."""
    command = [sys.executable, "-c", OTHER_KERNEL, str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


async def test_a_second_kernel_in_this_process_is_refused(path: Path) -> None:
    async with journal_at(path) as journal:
        with pytest.raises(Invalid, match="another kernel"):
            await SqliteJournal.open(path, free_space_reserve=0)
        assert await journal.append([b"a"]) == 1


async def test_a_second_kernel_is_told_who_holds_the_journal_until_that_dies(path: Path) -> None:
    with other_kernel(path) as process:
        with pytest.raises(Invalid, match=f"process {process.pid} holds it"):
            await SqliteJournal.open(path, free_space_reserve=0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        async with journal_at(path) as journal:
            assert await rows_of(journal) == [b"theirs"]


async def test_the_lock_is_free_when_closing_returns(path: Path) -> None:
    for expected in range(1, 6):
        async with journal_at(path) as journal:
            assert await journal.append([b"a"]) == expected


def test_a_refused_journal_leaves_the_lock_free(path: Path) -> None:
    path.write_bytes(b"not a journal" * 1000)
    for _ in range(2):
        with pytest.raises(Invalid, match="not a database"), opened(Place(path=path, free_space_reserve=0)):
            pass


def test_a_lock_file_that_is_a_link_is_refused(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name("journal.db.lock").symlink_to(victim)
    with pytest.raises(Invalid), opened(Place(path=path, free_space_reserve=0)):
        pass
    assert victim.read_text() == "precious"
