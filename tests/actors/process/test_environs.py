"""Secrets come in files as well: those of a service manager, and no others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actors.installation import Installation
from actors.process.environs import MAX_CREDENTIAL_BYTES, MAX_CREDENTIALS, environs
from helm.contracts.errors import Invalid
from tests.actors.kit import House

KEY = "k" * 40


def given(place: Path, **files: str) -> dict[str, str]:
    for name, text in files.items():
        (place / name).write_text(text, encoding="utf-8")
    return {"CREDENTIALS_DIRECTORY": str(place)}


def test_a_credential_counts_as_the_variable_that_it_is_named_after(tmp_path: Path, house: House) -> None:
    (tmp_path / "secrets").mkdir()
    read = environs(given(tmp_path / "secrets", HELM_ADMIN_API_KEY=f"{KEY}\n"))
    config = Installation.open(house.path, environment=read).config
    assert config.admin_api_key == KEY
    assert KEY not in repr(config)


def test_a_variable_outweighs_a_file(tmp_path: Path) -> None:
    assert environs({**given(tmp_path, HELM_PORT="1"), "HELM_PORT": "2"})["HELM_PORT"] == "2"


def test_a_secret_of_kubernetes_is_a_link_beside_others_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "DATABASE_URL").write_text("postgresql://db/helm")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "DATABASE_URL").symlink_to("..data/DATABASE_URL")
    (tmp_path / "tls.key").write_text("-----BEGIN")
    assert environs({"CREDENTIALS_DIRECTORY": str(tmp_path)}) == {
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "DATABASE_URL": "postgresql://db/helm",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [("one\ntwo", "not one line"), ("x" * (MAX_CREDENTIAL_BYTES + 1), "not one line"), ("a\0b", "not one line")],
    ids=["two lines", "too long", "a zero byte"],
)
def test_what_is_no_line_of_text_is_refused_and_not_quoted(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        environs(given(tmp_path, HELM_PKCS11_PIN=text))
    assert text not in str(refused.value)


def test_a_credential_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """A terabyte of nothing, of which not a block is on the disk (T4)."""
    with (tmp_path / "HELM_PKCS11_PIN").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(Invalid, match="not one line"):
        environs({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "HELM_PKCS11_PIN").write_bytes(b"\xff")
    with pytest.raises(Invalid, match="UTF-8"):
        environs({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be listed"):
        environs({"CREDENTIALS_DIRECTORY": str(tmp_path / "nowhere")})


def test_a_flood_of_credentials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="more than"):
        environs(given(tmp_path, **{f"K{n}": "" for n in range(MAX_CREDENTIALS + 1)}))


def test_without_a_directory_the_environment_is_as_it_is() -> None:
    assert environs(os.environ) is os.environ
