"""helm sandbox: a guest is run under limits, and its module is kept under the hash that a policy pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.connectors.compiling import module_file
from helm.crypto.hashing import sha256
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm
from tests.helm.runtime import guests


def written(path: Path, module: bytes) -> str:
    (path / "guest.wasm").write_bytes(module)
    return str(path / "guest.wasm")


def arguments(path: Path) -> str:
    (path / "arguments.json").write_text('{"a": 1}')
    return str(path / "arguments.json")


def test_a_guest_answers_on_stdout(tmp_path: Path) -> None:
    ended = helm("sandbox", "run", written(tmp_path, guests.ECHO), "--input", arguments(tmp_path))
    assert (ended.code, ended.out) == (0, '{"a": 1}')
    assert "28 fuel" in ended.err


@pytest.mark.parametrize(
    ("module", "option", "code"),
    [
        (guests.LOOP, ("--fuel", "1000"), "ERR_COMPUTE_GAS_EXHAUSTED"),
        (guests.LOOP, ("--fuel", "1000000000000", "--wall-ms", "100"), "ERR_COMPUTE_TIME_EXHAUSTED"),
        (guests.GROWS, ("--memory-bytes", "65536"), "ERR_COMPUTE_MEMORY_EXHAUSTED"),
        (guests.ASKS_ITS_HOST, (), "SANDBOX_VIOLATION"),
    ],
)
def test_a_guest_that_is_ended_exits_with_1_and_its_code(
    module: bytes, option: tuple[str, ...], code: str, tmp_path: Path
) -> None:
    ended = helm("sandbox", "run", written(tmp_path, module), *option, "--input", arguments(tmp_path), "--json")
    assert ended.code == 1
    assert ended.json()["code"] == code


def test_a_module_is_kept_where_the_policy_finds_it(made: Made, tmp_path: Path) -> None:
    ended = helm("sandbox", "add", written(tmp_path, guests.ECHO), "--json", *made.option)
    assert ended.json() == {"module_hash": sha256(guests.ECHO)}
    kept = module_file(made.path / "modules", sha256(guests.ECHO))
    assert kept.read_bytes() == guests.ECHO
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_module_that_is_not_there_is_named(made: Made, tmp_path: Path) -> None:
    ended = helm("sandbox", "run", str(tmp_path / "none.wasm"), "--input", arguments(tmp_path))
    assert ended.code == 1
    assert "none.wasm" in ended.err
    assert helm("sandbox", "add", written(tmp_path, guests.ECHO), "--data-dir", str(tmp_path / "no")).code == 1
