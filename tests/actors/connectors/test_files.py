"""Files below one folder are read as they are, and nothing beside it is ever opened."""

from __future__ import annotations

import hashlib
import os
from base64 import b64decode
from pathlib import Path

import pytest
import trio

from actors.connectors import files
from actors.connectors.files import FilesConnector
from actors.connectors.port import ConnectorFailed, NotDispatched
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from tests.actors.connectors.orders import order


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    (folder / "reports" / "2024").mkdir(parents=True)
    (folder / "reports" / "q1.txt").write_text("über\n")
    (folder / "picture.bin").write_bytes(b"\x00\xff\xfe")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


async def _read(root: Path, path: JSONValue, **arguments: JSONValue) -> JSONValue:
    return await FilesConnector(root).dispatch(order({"path": path, **arguments}, operation="read"))


async def _list(root: Path, path: JSONValue) -> JSONValue:
    return await FilesConnector(root).dispatch(order({"path": path}, operation="list"))


async def test_a_text_is_read_with_its_hash(root: Path) -> None:
    data = "über\n".encode()
    assert await _read(root, "reports/q1.txt") == {
        "path": "reports/q1.txt",
        "text": "über\n",
        "bytes": len(data),
        "sha256": "sha256:" + hashlib.sha256(data).hexdigest(),
    }


async def test_what_is_no_text_is_read_as_base64_when_asked(root: Path) -> None:
    answer = await _read(root, "picture.bin", encoding="base64")
    assert b64decode(answer["base64"]) == b"\x00\xff\xfe" and "text" not in answer
    with pytest.raises(ConnectorFailed, match="ask for the encoding base64"):
        await _read(root, "picture.bin")


async def test_a_folder_is_listed_in_order(root: Path) -> None:
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    assert await _list(root, ".") == {
        "path": ".",
        "entries": [
            {"name": "link", "kind": "link", "bytes": 0},
            {"name": "picture.bin", "kind": "file", "bytes": 3},
            {"name": "pipe", "kind": "other", "bytes": 0},
            {"name": "reports", "kind": "folder", "bytes": 0},
        ],
    }
    assert [entry["name"] for entry in (await _list(root, "reports"))["entries"]] == ["2024", "q1.txt"]


async def test_a_name_that_is_no_text_does_not_hide_the_others(root: Path) -> None:
    (root / "reports" / os.fsdecode(b"bad\xff")).write_text("")
    names = [entry["name"] for entry in (await _list(root, "reports"))["entries"]]
    assert names == ["2024", "bad\ufffd", "q1.txt"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "reports/../../secret.txt",
        "reports/..",
        "..",
        "/etc/passwd",
        "//etc/passwd",
        "",
        "/",
        "./reports",
        "reports/./q1.txt",
        "reports//q1.txt",
        "reports/",
        "a\x00b",
        "a\nb",
        "a" * 5000,
        "/".join("a" * 100),
    ],
)
async def test_a_path_that_could_climb_is_not_dispatched(root: Path, path: str) -> None:
    for operation in (_read, _list):
        with pytest.raises(NotDispatched) as refused:
            await operation(root, path)
        assert refused.value.code is ReasonCode.POLICY_VIOLATION


@pytest.mark.parametrize("arguments", [{}, [], {"path": 1}, {"path": "a", "encoding": "latin-1"}])
async def test_arguments_of_another_shape_are_not_dispatched(root: Path, arguments: JSONValue) -> None:
    with pytest.raises(NotDispatched) as refused:
        await FilesConnector(root).dispatch(order(arguments, operation="read"))
    assert refused.value.code is ReasonCode.SCHEMA_VIOLATION


async def test_an_unknown_operation_is_not_dispatched(root: Path) -> None:
    with pytest.raises(NotDispatched):
        await FilesConnector(root).dispatch(order({"path": "."}, operation="write"))


async def test_no_link_is_followed_out_or_in(root: Path) -> None:
    (root / "out").symlink_to(root.parent)
    (root / "in").symlink_to(root / "reports")
    (root / "file").symlink_to(root.parent / "secret.txt")
    for path in ("file", "out/secret.txt", "in/q1.txt", "out/shared/reports/q1.txt"):
        with pytest.raises(ConnectorFailed) as failed:
            await _read(root, path)
        assert str(root) not in failed.value.reason
    for path in ("out", "in"):
        with pytest.raises(ConnectorFailed):
            await _list(root, path)


async def test_a_pipe_does_not_hold_the_call(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with trio.fail_after(10), pytest.raises(ConnectorFailed, match="no regular file"):
        await _read(root, "pipe")


@pytest.mark.parametrize("path", ["reports", ".", "reports/q1.txt/x", "missing", "missing/x"])
async def test_what_is_no_file_is_a_failure(root: Path, path: str) -> None:
    with pytest.raises(ConnectorFailed):
        await _read(root, path)


async def test_a_file_is_not_listed(root: Path) -> None:
    with pytest.raises(ConnectorFailed):
        await _list(root, "picture.bin")


async def test_the_largest_file_fits_and_a_larger_one_does_not(root: Path) -> None:
    (root / "large").write_bytes(b"a" * files.MAX_FILE_BYTES)
    (root / "larger").write_bytes(b"a" * (files.MAX_FILE_BYTES + 1))
    assert (await _read(root, "large", encoding="base64"))["bytes"] == files.MAX_FILE_BYTES
    with pytest.raises(ConnectorFailed, match="larger than"):
        await _read(root, "larger")


async def test_text_that_grows_over_the_answer_is_a_failure(root: Path) -> None:
    (root / "controls").write_bytes(b"\x01" * 300_000)
    with pytest.raises(ConnectorFailed, match="does not fit"):
        await _read(root, "controls")


async def test_a_crowded_folder_is_a_failure(root: Path) -> None:
    for index in range(files.MAX_ENTRIES + 1):
        (root / "reports" / str(index)).touch()
    with pytest.raises(ConnectorFailed, match="more than"):
        await _list(root, "reports")


async def test_a_folder_that_was_replaced_is_not_read(root: Path) -> None:
    connector = FilesConnector(root)
    os.rename(root, root.parent / "moved")
    (root / "reports").mkdir(parents=True)
    with pytest.raises(ConnectorFailed, match="replaced"):
        await connector.dispatch(order({"path": "reports"}, operation="list"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows the open descriptors there")
async def test_no_descriptor_is_left_open(root: Path) -> None:
    connector = FilesConnector(root)
    (root / "out").symlink_to(root.parent)
    await connector.dispatch(order({"path": "."}, operation="list"))
    before = len(os.listdir("/proc/self/fd"))
    for path in (
        "reports/q1.txt",
        "missing",
        "out/secret.txt",
        "reports/missing/x",
        "picture.bin",
        "reports",
    ):
        for operation in ("read", "list"):
            try:
                await connector.dispatch(order({"path": path}, operation=operation))
            except ConnectorFailed:
                pass
    assert len(os.listdir("/proc/self/fd")) == before
    await connector.aclose()


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Invalid, match="file: is not a folder"):
        FilesConnector(tmp_path / "file")
    with pytest.raises(Invalid, match="missing: no such folder") as missing:
        FilesConnector(tmp_path / "missing", place="connectors.notes.root")
    assert (missing.value.where, "make it" in missing.value.hint) == ("connectors.notes.root", True)
