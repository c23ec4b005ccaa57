"""Two kernels never write one journal, and no dead one keeps a living one out."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helm.contracts.errors import Invalid
from tests.actors.stores.journals import Store, name_of, rows_of

OTHER_KERNEL = """
import sys, trio
from pathlib import Path
from tests.actors.stores.journals import STORES
async def main():
    journal = await STORES[sys.argv[1]].open(Path(sys.argv[2]))
    await journal.append([b"theirs"])
    print("open", flush=True)
    await trio.sleep_forever()
trio.run(main)
"""


@contextmanager
def other_kernel(store: Store, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the journal open."""
    command = [sys.executable, "-c", OTHER_KERNEL, name_of(store), str(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield process
        finally:
            process.kill()


async def test_a_second_kernel_in_this_process_is_refused(store: Store, path: Path) -> None:
    async with store.journal_at(path) as journal:
        with pytest.raises(Invalid, match="another kernel"):
            await store.open(path)
        assert await journal.append([b"a"]) == 1


async def test_a_second_kernel_is_told_who_holds_the_journal_until_that_dies(store: Store, path: Path) -> None:
    with other_kernel(store, path) as process:
        with pytest.raises(Invalid, match=f"process {process.pid} holds it"):
            await store.open(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        async with store.journal_at(path) as journal:
            assert await rows_of(journal) == [b"theirs"]


async def test_the_lock_is_free_when_closing_returns(store: Store, path: Path) -> None:
    for expected in range(1, 6):
        async with store.journal_at(path) as journal:
            assert await journal.append([b"a"]) == expected


def test_a_refused_journal_leaves_the_lock_free(file_store: Store, path: Path) -> None:
    path.write_bytes(b"not a journal" * 1000)
    for _ in range(2):
        with pytest.raises(Invalid, match="not a d"), file_store.book(path):
            pass


def test_a_lock_file_that_is_a_link_is_refused(file_store: Store, path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.with_name(f"{path.name}.lock").symlink_to(victim)
    with pytest.raises(Invalid), file_store.book(path):
        pass
    assert victim.read_text() == "precious"
