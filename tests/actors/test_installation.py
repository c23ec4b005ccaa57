"""A data directory is made once, is its owner's alone, and is opened only as it was made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.founding import FirstKeys, found_installation
from actors.installation import Installation
from actors.keys.bearer import BearerKeys
from actors.policy_file import read_signed
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.bundle_signature import check_signature

NOW_MS = 1_700_000_000_000


@attrs.frozen
class StoppedClock:
    """The same moment for ever."""

    def now_ms(self) -> int:
        return NOW_MS


@attrs.frozen
class Made:
    """A new installation, with what was said once."""

    path: Path
    keys: FirstKeys


@pytest.fixture
def made(tmp_path: Path) -> Made:
    path = tmp_path / "helm-data"
    return Made(path, found_installation(path, clock=StoppedClock()))


def test_what_was_made_can_be_opened(made: Made) -> None:
    place = Installation.open(made.path)
    assert place.path == made.path
    assert [event.purpose for event in place.genesis] == [
        "trust-admin",
        "execution",
        "policy",
        "evidence",
        "emergency",
        "approval",
        "delegation",
    ]
    assert {event.issued_at_ms for event in place.genesis} == {NOW_MS}
    assert place.config.data_dir == str(made.path)
    for path in (place.journal_path, place.index_path, place.policy_path, place.bearer_path):
        assert path.parent == made.path


@pytest.mark.parametrize("name", ["trust_admin", "execution", "policy", "evidence", "emergency", "approval"])
def test_every_key_is_the_one_that_the_genesis_vouches_for(made: Made, name: str) -> None:
    place = Installation.open(made.path)
    read: Callable[[], Any] = getattr(place, f"{name}_key")
    signer = read()
    purpose = KeyPurpose(name.replace("_", "-"))
    known = place.registry().require(signer.key_id, purpose, lamport=len(place.genesis))
    assert known.hex == signer.public_key


def test_the_starter_policy_is_vouched_for(made: Made) -> None:
    place = Installation.open(made.path)
    signed = read_signed(place.policy_path)
    key = place.registry().require(signed.signature.key_id, KeyPurpose.POLICY, len(place.genesis))
    check_signature(signed.policy, signed.signature, key.hex)
    assert place.policy_signature_path.exists()


def test_the_starter_policy_has_files_to_show_and_one_to_keep(made: Made) -> None:
    files = made.path / "files"
    assert [path.name for path in (files / "public").iterdir()] == ["readme.txt"]
    assert [path.name for path in (files / "private").iterdir()] == ["salaries.txt"]


def test_nobody_else_can_reach_anything(made: Made) -> None:
    for path in (made.path, *made.path.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_the_first_bearer_keys_are_said_once_and_kept_nowhere(made: Made) -> None:
    keys = Installation.open(made.path).bearer_keys()
    tenant, admin = keys.find(f"Bearer {made.keys.tenant}"), keys.find(f"Bearer {made.keys.admin}")
    assert tenant is not None
    assert admin is not None
    assert (tenant.key_class, admin.key_class) == ("tenant", "admin")
    assert made.keys.tenant not in repr(made.keys)
    for path in made.path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert made.keys.tenant.encode() not in content
            assert made.keys.admin.encode() not in content


def test_two_installations_share_nothing(made: Made, tmp_path: Path) -> None:
    other = tmp_path / "other"
    found_installation(other, clock=StoppedClock())
    first, second = Installation.open(made.path), Installation.open(other)
    assert first.log_id != second.log_id
    assert first.execution_key().key_id != second.execution_key().key_id
    assert BearerKeys.load(second.bearer_path).find(f"Bearer {made.keys.admin}") is None


def test_an_empty_directory_is_taken_and_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    found_installation(tmp_path, clock=StoppedClock())
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    Installation.open(tmp_path)


def test_an_installation_is_never_made_over_another(made: Made) -> None:
    before = Installation.open(made.path)
    with pytest.raises(Invalid, match="an installation is here already"):
        found_installation(made.path, clock=StoppedClock())
    assert Installation.open(made.path).log_id == before.log_id


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(Invalid, match="not empty"):
        found_installation(tmp_path, clock=StoppedClock())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "helm-data"
    path.write_text("")
    with pytest.raises(Invalid, match="cannot be made"):
        found_installation(path, clock=StoppedClock())
    with pytest.raises(Invalid, match="not a directory"):
        Installation.open(path)


def test_a_directory_without_a_genesis_is_never_opened(made: Made) -> None:
    (made.path / "genesis.json").unlink()
    with pytest.raises(Invalid, match=r"genesis\.json: cannot be read"):
        Installation.open(made.path)
    with pytest.raises(Invalid, match="half-made"):
        found_installation(made.path, clock=StoppedClock())


def test_what_was_never_made_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="helm init"):
        Installation.open(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [".", "keys"])
@pytest.mark.parametrize("mode", [0o710, 0o701, 0o755, 0o777])
def test_a_directory_that_others_can_enter_is_not_opened(made: Made, name: str, mode: int) -> None:
    (made.path / name).chmod(mode)
    with pytest.raises(Invalid, match="lets others"):
        Installation.open(made.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_opened(made: Made) -> None:
    os.chown(made.path, 65_534, 65_534)
    with pytest.raises(Invalid, match="belongs to another user"):
        Installation.open(made.path)


def test_a_key_of_another_installation_is_not_vouched_for(made: Made, tmp_path: Path) -> None:
    found_installation(tmp_path / "other", clock=StoppedClock())
    name = "keys/execution.pem"
    (made.path / name).unlink()
    (tmp_path / "other" / name).rename(made.path / name)
    place = Installation.open(made.path)
    signer = place.execution_key()
    with pytest.raises(Invalid, match="ever added"):
        place.registry().require(signer.key_id, KeyPurpose.EXECUTION, 99)


def test_a_key_is_not_taken_for_what_another_is_for(made: Made) -> None:
    keys = made.path / "keys"
    (keys / "execution.pem").unlink()
    (keys / "policy.pem").rename(keys / "execution.pem")
    with pytest.raises(Invalid, match="for execution"):
        Installation.open(made.path).execution_key()


def edit_genesis(made: Made, edit: Callable[[dict[str, Any]], object]) -> None:
    path = made.path / "genesis.json"
    body = json.loads(path.read_bytes())
    edit(body)
    path.write_text(json.dumps(body))


@pytest.mark.parametrize(
    "edit",
    [
        lambda body: body.update(log_id="sha256:" + "0" * 64),
        lambda body: body.update(log_id=7),
        lambda body: body.update(events={}),
        lambda body: body.update(events=[]),
        lambda body: body.update(comment="trust me"),
        lambda body: body.pop("log_id"),
        lambda body: body["events"].pop(0),
        lambda body: body["events"].pop(2),
        lambda body: body["events"].append(body["events"][-1]),
        lambda body: body["events"].reverse(),
        lambda body: body["events"][1].update(purpose="policy"),
        lambda body: body["events"][1].update(comment="trust me"),
        lambda body: body["events"].append(None),
    ],
)
def test_an_edited_genesis_is_not_opened(made: Made, edit: Callable[[dict[str, Any]], object]) -> None:
    edit_genesis(made, edit)
    with pytest.raises(Invalid):
        Installation.open(made.path)


@pytest.mark.parametrize("text", ["", "null", "{", '{"log_id":"","log_id":""}'])
def test_a_genesis_that_is_no_record_is_not_opened(made: Made, text: str) -> None:
    (made.path / "genesis.json").write_text(text)
    with pytest.raises(Invalid, match=r"genesis\.json"):
        Installation.open(made.path)


def test_environment_and_flags_outweigh_the_settings_of_the_directory(made: Made) -> None:
    (made.path / "helm.toml").write_text('port = 1\nplaces = 99\npolicy = "mine.toml"')
    place = Installation.open(made.path, environment={"HELM_PORT": "2"}, flags={"places": 100})
    assert (place.config.port, place.config.places) == (2, 100)
    assert place.policy_path == made.path / "mine.toml"
    assert place.policy_signature_path == made.path / "mine.toml.sig"


def test_the_directory_that_was_named_is_the_one_that_is_opened(made: Made) -> None:
    place = Installation.open(made.path, environment={"HELM_DATA_DIR": "/elsewhere"})
    assert place.config.data_dir == str(made.path)


def test_settings_may_stand_elsewhere(made: Made, tmp_path: Path) -> None:
    settings = tmp_path / "elsewhere.toml"
    settings.write_text("port = 7")
    assert Installation.open(made.path, config_path=settings).config.port == 7
    with pytest.raises(Invalid, match=r"missing\.toml"):
        Installation.open(made.path, config_path=tmp_path / "missing.toml")


@pytest.mark.parametrize("content", [b"colour = 1", b"port = ", b"\xff\xfe", b"data_dir = '/elsewhere'"])
def test_settings_that_are_none_are_refused_with_their_file(made: Made, content: bytes) -> None:
    (made.path / "helm.toml").write_bytes(content)
    with pytest.raises(Invalid, match=r"helm\.toml"):
        Installation.open(made.path)


def test_what_changes_the_settings_changes_their_hash(made: Made) -> None:
    before = Installation.open(made.path).config_hash
    assert Installation.open(made.path).config_hash == before
    assert Installation.open(made.path, flags={"port": 1}).config_hash != before
