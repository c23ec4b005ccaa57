"""Machine code that lies on a disk runs only where this installation has put it there, as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.connectors import module_cache
from actors.connectors.module_cache import KEY_FILE, ModuleCache
from helm.crypto.hashing import sha256
from tests.actors.connectors.test_wasm import connector
from tests.helm.runtime import guests

ONE, OTHER = sha256(b"one"), sha256(b"other")


@pytest.fixture
def cache(tmp_path: Path) -> ModuleCache:
    one = ModuleCache(tmp_path)
    one.put(ONE, b"code of one")
    return one


def file_of(place: Path) -> Path:
    [found] = place.glob("*.code")
    return found


def test_what_was_kept_is_found(cache: ModuleCache, tmp_path: Path) -> None:
    assert ModuleCache(tmp_path).get(ONE) == b"code of one"
    assert cache.get(OTHER) == b""
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def flipped(file: Path) -> None:
    found = bytearray(file.read_bytes())
    found[-1] ^= 1
    file.write_bytes(found)


def of_another_module(file: Path) -> None:
    file.rename(file.with_name(file.name.replace(ONE.removeprefix("sha256:"), OTHER.removeprefix("sha256:"))))


def under_another_key(file: Path) -> None:
    (file.parent / KEY_FILE).write_bytes(b"k" * 32)


def readable(file: Path) -> None:
    file.chmod(0o644)


def by_a_link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


@pytest.mark.parametrize("tampered", [flipped, of_another_module, under_another_key, readable, by_a_link, cut_off])
def test_what_was_changed_is_not_found(cache: ModuleCache, tmp_path: Path, tampered: Callable[[Path], None]) -> None:
    tampered(file_of(tmp_path))
    assert (cache.get(ONE), cache.get(OTHER)) == (b"", b"")


def test_a_key_that_others_can_read_is_no_key(cache: ModuleCache, tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).chmod(0o644)
    assert cache.get(ONE) == b""


def test_what_another_engine_compiled_is_not_found(cache: ModuleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_cache, "FOR", "wasmtime 51")
    assert cache.get(ONE) == b""


async def test_a_changed_file_is_compiled_again_and_the_guest_is_the_pinned_one(tmp_path: Path) -> None:
    first, order = connector(tmp_path, guests.ECHO)
    await first.dispatch(order)
    file = file_of(tmp_path / "modules")
    kept = file.read_bytes()
    flipped(file)
    second, order = connector(tmp_path, guests.ECHO)
    assert (await second.dispatch(order)).answer == {"a": 1}
    assert file_of(tmp_path / "modules").read_bytes() == kept


async def test_machine_code_that_the_library_refuses_is_compiled_again(tmp_path: Path) -> None:
    first, order = connector(tmp_path, guests.ECHO)
    ModuleCache(tmp_path / "modules").put(sha256(guests.ECHO), b"another processor's")
    assert (await first.dispatch(order)).answer == {"a": 1}


async def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    assert ModuleCache(tmp_path / "none").get(ONE) == b""
    ModuleCache(tmp_path / "none").put(ONE, b"code")
