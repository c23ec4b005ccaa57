"""The release key: made on purpose, kept alone, and never taken for another."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from actors.keys.keyfile import write_new
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from release import key
from release.__main__ import program


def test_a_key_is_read_back_by_its_owner_alone(tmp_path: Path) -> None:
    made = key.make(tmp_path / "release.key")
    assert key.chosen(tmp_path / "release.key", ephemeral=False).public == made.public
    (tmp_path / "release.key").chmod(0o640)
    with pytest.raises(Invalid, match="lets others at the key"):
        key.read(tmp_path / "release.key")


def test_a_key_is_found_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = key.make(tmp_path / "release.key")
    monkeypatch.setenv(key.VARIABLE, str(tmp_path / "release.key"))
    assert key.chosen(None, ephemeral=False).public == made.public
    with pytest.raises(Invalid, match="thrown away"):
        key.chosen(None, ephemeral=True)


def test_a_key_of_another_purpose_signs_no_release(tmp_path: Path) -> None:
    write_new(tmp_path / "execution.key", KeyPurpose.EXECUTION)
    with pytest.raises(Invalid, match="not a release key"):
        key.read(tmp_path / "execution.key")


def test_a_key_is_not_written_over(tmp_path: Path) -> None:
    key.make(tmp_path / "release.key")
    with pytest.raises(Invalid, match="cannot be written"):
        key.make(tmp_path / "release.key")


def test_without_a_key_no_release_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key.VARIABLE, raising=False)
    ended = CliRunner().invoke(program, ["make", str(tmp_path / "out")])
    assert isinstance(ended.exception, Invalid)
    assert "none is made in silence" in ended.exception.what
    assert not (tmp_path / "out").exists()
