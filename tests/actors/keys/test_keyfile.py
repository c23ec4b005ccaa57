"""Attacks on private keys at rest."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from actors.keys import keyfile
from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import verify

EXECUTION = KeyPurpose.EXECUTION
LINE = b"HELM-Key-Purpose: execution\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "execution.pem"


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def pem(
    key: PrivateKeyTypes,
    form: PrivateFormat = PrivateFormat.PKCS8,
    encryption: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(Invalid) as refused:
        read()
    return str(refused.value)


def test_a_key_that_was_written_is_read_back_and_signs(path: Path) -> None:
    written = keyfile.write_new(path, EXECUTION)
    read = keyfile.read(path, EXECUTION)
    assert read.public_key == written.public_key
    assert read.purpose is EXECUTION
    verify(written.public_key, domains.RECEIPT, b"{}", read.sign(domains.RECEIPT, b"{}"))


def test_two_keys_are_two_keys(tmp_path: Path) -> None:
    one, other = (keyfile.write_new(tmp_path / name, EXECUTION) for name in ("one", "other"))
    assert one.public_key != other.public_key


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_a_new_key_is_for_its_owner_only_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        keyfile.write_new(path, EXECUTION)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keyfile.read(path, EXECUTION)


def test_a_key_file_is_plain_pkcs8_under_a_line_that_says_what_it_is_for(path: Path) -> None:
    """Any tool that reads PEM reads it: RFC 7468 section 2."""
    written = keyfile.write_new(path, EXECUTION)
    content = path.read_bytes()
    assert re.fullmatch(
        rb"HELM-Key-Purpose: execution\n"
        rb"-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/=]{64}\n-----END PRIVATE KEY-----\n",
        content,
    )
    loaded = load_pem_private_key(content, None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    assert loaded.public_key().public_bytes_raw().hex() == written.public_key


@pytest.mark.parametrize("what", ["file", "link", "dangling link", "directory"])
def test_nothing_that_stands_there_is_overwritten(path: Path, tmp_path: Path, what: str) -> None:
    target = tmp_path / "target"
    if what == "directory":
        path.mkdir()
    elif what == "file":
        path.write_bytes(b"precious")
    else:
        path.symlink_to(target)
        if what == "link":
            target.write_bytes(b"precious")
    assert "not overwritten" in refusal(lambda: keyfile.write_new(path, EXECUTION))
    if what in ("file", "link"):
        assert path.read_bytes() == b"precious"
    assert target.exists() == (what == "link")


def test_where_no_key_can_be_written_none_is_half_written(tmp_path: Path) -> None:
    message = refusal(lambda: keyfile.write_new(tmp_path / "missing" / "key.pem", EXECUTION))
    assert "cannot be written" in message
    assert "missing" in message


def test_a_disk_that_fills_up_leaves_no_half_key(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL)  # a descriptor that refuses to be written
    assert "cannot be written" in refusal(lambda: keyfile.write_durably(descriptor, path, b"key"))
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610, 0o601, 0o620, 0o644, 0o777])
def test_a_key_that_others_can_reach_is_not_used(path: Path, mode: int) -> None:
    keyfile.write_new(path, EXECUTION)
    path.chmod(mode)
    assert f"mode {mode:04o}" in refusal(lambda: keyfile.read(path, EXECUTION))


def test_a_key_may_be_read_only(path: Path) -> None:
    written = keyfile.write_new(path, EXECUTION)
    path.chmod(0o400)
    assert keyfile.read(path, EXECUTION).public_key == written.public_key


def test_a_link_to_a_key_is_not_followed(path: Path, tmp_path: Path) -> None:
    keyfile.write_new(path, EXECUTION)
    link = tmp_path / "link.pem"
    link.symlink_to(path)
    assert "not a link to it" in refusal(lambda: keyfile.read(link, EXECUTION))


def test_a_key_with_a_second_name_is_not_used(path: Path, tmp_path: Path) -> None:
    keyfile.write_new(path, EXECUTION)
    (tmp_path / "second.pem").hardlink_to(path)
    assert "second name" in refusal(lambda: keyfile.read(path, EXECUTION))


def test_a_pipe_does_not_make_the_start_wait_for_ever(path: Path) -> None:
    os.mkfifo(path, 0o600)
    assert "not a regular file" in refusal(lambda: keyfile.read(path, EXECUTION))


def test_a_directory_is_no_key(path: Path) -> None:
    path.mkdir()
    assert "not a regular file" in refusal(lambda: keyfile.read(path, EXECUTION))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_not_used(path: Path) -> None:
    keyfile.write_new(path, EXECUTION)
    os.chown(path, 65534, -1)
    assert "another user" in refusal(lambda: keyfile.read(path, EXECUTION))


def test_a_missing_key_says_what_makes_one(path: Path) -> None:
    assert "helm init" in refusal(lambda: keyfile.read(path, EXECUTION))


@pytest.mark.parametrize("purpose", sorted(set(KeyPurpose) - {EXECUTION}))
def test_a_key_made_for_one_thing_is_not_read_for_another(path: Path, purpose: KeyPurpose) -> None:
    keyfile.write_new(path, purpose)
    assert "not marked as one for execution" in refusal(lambda: keyfile.read(path, EXECUTION))


@pytest.mark.parametrize(
    "preamble",
    [
        b"",
        b"HELM-Key-Purpose: approval\nHELM-Key-Purpose: execution\n",
        b"HELM-Key-Purpose: execution\nHELM-Key-Purpose: approval\n",
        b"HELM-Key-Purpose: executions\n",
        b"\xff\n",
    ],
    ids=[
        "unmarked",
        "marked twice",
        "marked twice, the wanted first",
        "marked with a longer word",
        "not text",
    ],
)
def test_a_key_that_does_not_say_just_what_it_is_for_is_not_used(path: Path, preamble: bytes) -> None:
    put(path, preamble + pem(ed25519.Ed25519PrivateKey.generate()))
    assert "not marked as one for execution" in refusal(lambda: keyfile.read(path, EXECUTION))


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        rsa.generate_private_key(65537, 2048),
        ed448.Ed448PrivateKey.generate(),
    ],
    ids=["P-256", "RSA", "Ed448"],
)
def test_a_key_of_another_algorithm_is_not_used(path: Path, key: PrivateKeyTypes) -> None:
    put(path, LINE + pem(key))
    assert "not Ed25519" in refusal(lambda: keyfile.read(path, EXECUTION))


KEY = ed25519.Ed25519PrivateKey.generate()
PEM = pem(KEY)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"", "not one PEM", id="an empty file"),
        pytest.param(LINE, "not one PEM", id="only the line"),
        pytest.param(LINE + PEM + PEM, "not one PEM", id="two keys"),
        pytest.param(LINE + PEM[:60], "not a PEM", id="half a key"),
        pytest.param(LINE + PEM.replace(b"M", b"!", 1), "not a PEM", id="no base64"),
        pytest.param(LINE + PEM.replace(b"MC4C", b"MC4D", 1), "not a PEM", id="no PKCS#8"),
        pytest.param(LINE + PEM + b"#" * 5000, "not one PEM", id="a file that is no key file by its size"),
        pytest.param(LINE + pem(KEY, encryption=BestAvailableEncryption(b"pw")), "encrypted", id="an encrypted key"),
        pytest.param(os.urandom(300), "not one PEM", id="noise"),
    ],
)
def test_what_is_not_one_key_is_refused_without_being_quoted(path: Path, content: bytes, problem: str) -> None:
    message = refusal(lambda: keyfile.read(put(path, content), EXECUTION))
    assert problem in message
    assert str(path) in message
    secret = PEM.split(b"\n")[1].decode()
    assert all(secret[at : at + 8] not in message for at in range(len(secret) - 8))


def test_a_key_may_come_from_elsewhere_than_a_file() -> None:
    key = keyfile.from_pem(LINE + PEM, EXECUTION, "the environment variable HELM_SIGNING_KEY")
    assert key.public_key == KEY.public_key().public_bytes_raw().hex()
    message = refusal(lambda: keyfile.from_pem(PEM, EXECUTION, "the environment variable HELM_SIGNING_KEY"))
    assert message.startswith("the environment variable HELM_SIGNING_KEY: ")
