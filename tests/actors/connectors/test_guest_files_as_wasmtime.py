"""A guest reads the same bytes here and under wasmtime's own WASI, wherever the two are meant to agree."""

from __future__ import annotations

from pathlib import Path

import pytest
import wasmtime

from tests.actors.connectors.test_guest_files import answer
from tests.helm.runtime import guests
from tests.helm.runtime.guests import FOLDER, opens

P1 = guests.P1


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "given" / "below").mkdir(parents=True)
    (tmp_path / "given" / "plan").write_text("12345678")
    return tmp_path


def reference(place: Path, module: bytes) -> bytes:
    """Run a guest under wasmtime's own WASI and return its standard output."""
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_wasi()
    config, output = wasmtime.WasiConfig(), place / "output"
    config.stdout_file = str(output)
    config.preopen_dir(str(place / "given"), "/data", fs_mutable=False)
    store.set_wasi(config)
    entry = linker.instantiate(store, wasmtime.Module(engine, module)).exports(store)["_start"]
    assert isinstance(entry, wasmtime.Func)
    entry(store)
    store.close()
    return output.read_bytes()


def asks_after_opening(name: str, parameters: str, arguments: str, size: int, path: str = "plan") -> bytes:
    """Return a guest that opens a path, asks something of it, and answers with what was put down at 2000."""
    return opens(
        path,
        then=f"(drop (call $ask {arguments})) (call $say (i32.const 2000) (i32.const {size}))",
        imports=f'(import "{P1}" "{name}" (func $ask (param {parameters}) (result i32)))',
    )


OPENED = "(i32.load (i32.const 16))"
SEEKS = "i32 i64 i32 i32"


@pytest.mark.parametrize(
    "module",
    [
        guests.answers_with("fd_prestat_get", 8, parameters="i32 i32", arguments="(i32.const 3) (i32.const 64)"),
        guests.answers_with("fd_prestat_get", 8, parameters="i32 i32", arguments="(i32.const 4) (i32.const 64)"),
        guests.answers_with(
            "fd_prestat_dir_name", 5, parameters="i32 i32 i32", arguments="(i32.const 3) (i32.const 64) (i32.const 5)"
        ),
        opens("plan"),
        opens("./below/../plan"),
        opens("none"),
        opens("plan/none"),
        opens("plan", how=FOLDER),
        asks_after_opening("fd_seek", SEEKS, f"{OPENED} (i64.const -3) (i32.const 2) (i32.const 2000)", 8),
        asks_after_opening("fd_seek", SEEKS, f"{OPENED} (i64.const 5) (i32.const 1) (i32.const 2000)", 8),
        asks_after_opening("fd_seek", SEEKS, f"{OPENED} (i64.const -1) (i32.const 0) (i32.const 2000)", 8),
        asks_after_opening("fd_tell", "i32 i32", f"{OPENED} (i32.const 2000)", 8),
        asks_after_opening("fd_fdstat_get", "i32 i32", f"{OPENED} (i32.const 2000)", 1),
        asks_after_opening("fd_fdstat_get", "i32 i32", f"{OPENED} (i32.const 2000)", 1, path="below"),
    ],
)
def test_a_guest_is_answered_as_by_wasmtime(place: Path, module: bytes) -> None:
    assert answer(place, module).output == reference(place, module)


@pytest.mark.parametrize("path", ["plan", "below"])
def test_what_a_file_is_stands_where_wasmtime_puts_it(place: Path, path: str) -> None:
    module = asks_after_opening("fd_filestat_get", "i32 i32", f"{OPENED} (i32.const 2000)", 64, path=path)
    ours, theirs = answer(place, module).output, reference(place, module)
    assert ours[16] == theirs[16]  # its type
    if path == "plan":
        assert ours[24:40] == theirs[24:40]  # its links and its size
    assert ours[40:64] == bytes(24)  # and no time of it


def entries(listed: bytes) -> dict[bytes, int]:
    """Return the names and types of a listing as preview 1 lays it out."""
    found: dict[bytes, int] = {}
    while len(listed) >= 24:
        size, kind = int.from_bytes(listed[16:20], "little"), listed[20]
        found[listed[24 : 24 + size]] = kind
        listed = listed[24 + size :]
    return found


def test_a_folder_is_listed_as_wasmtime_lists_it(place: Path) -> None:
    theirs = entries(reference(place, guests.LISTS))
    assert entries(answer(place, guests.LISTS).output) == {
        name: kind for name, kind in theirs.items() if name not in (b".", b"..")
    }
