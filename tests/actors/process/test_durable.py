"""A file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.process import durable
from helm.contracts.errors import Invalid


def test_a_file_is_replaced_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(b"old and longer")
    path.chmod(0o644)
    durable.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_waits_at_the_name_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"untouched")
    path = tmp_path / "keys.json"
    path.symlink_to(elsewhere)
    durable.replace(path, b"new")
    assert elsewhere.read_bytes() == b"untouched"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()


def test_what_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    directory = tmp_path / "keys.json"
    directory.mkdir()
    with pytest.raises(Invalid, match="cannot be written"):
        durable.replace(directory, b"new")
    with pytest.raises(Invalid, match="cannot be written"):
        durable.replace(tmp_path / "missing" / "keys.json", b"new")
    assert list(tmp_path.iterdir()) == [directory]
