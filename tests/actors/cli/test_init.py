"""helm init: an installation that can be served as it is, and whose secrets are shown once."""

from __future__ import annotations

from pathlib import Path

from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


def test_what_was_made_is_complete_and_its_owners_alone(made: Made) -> None:
    place = made.place()
    assert place.log_id == made.log_id
    assert place.bearer_keys().find(f"Bearer {made.tenant_key}") is not None
    assert all(path.stat().st_mode & 0o077 == 0 for path in (made.path, *made.path.rglob("*")))


def test_the_starter_policy_is_signed_and_needs_nobody_to_plug_anything(made: Made) -> None:
    signed = read_signed(made.place().policy_path)
    assert {connection.kind for connection in signed.policy.connectors.values()} == {"files"}
    ended = helm("policy", "check", str(made.place().policy_path), *made.option)
    assert "valid, by key_" in ended.out


def test_people_are_told_the_keys_and_what_comes_next(tmp_path: Path) -> None:
    ended = helm("init", str(tmp_path / "data"))
    assert ended.code == 0
    assert ended.out.count("helm_") == 2
    assert "helm serve" in ended.err


def test_the_directory_may_come_from_the_environment(tmp_path: Path) -> None:
    assert helm("init", HELM_DATA_DIR=str(tmp_path / "there")).code == 0
    assert (tmp_path / "there" / "genesis.json").exists()


def test_an_installation_is_never_made_over_another(made: Made) -> None:
    ended = helm("init", str(made.path), "--json")
    assert ended.code == 1
    assert ended.out == ""
    assert "an installation is here already" in ended.failure()["hint"]
    assert made.place().log_id == made.log_id
