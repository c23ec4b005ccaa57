"""helm policy: what is wrong is named with its line before a kernel ever sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm


def edit(made: Made, old: str, new: str) -> Path:
    """Change the policy of a data directory."""
    path = made.place().policy_path
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def test_a_sound_policy_is_shown_with_its_hashes_and_tools(made: Made) -> None:
    ended = helm("policy", "check", str(made.place().policy_path), "--json", *made.option)
    assert ended.code == 0
    told = ended.json()
    assert (told["scope"], told["epoch"]) == ("starter", 1)
    assert told["policy_hash"].startswith("sha256:")
    assert {tool["tool"]: tool["approval"] for tool in told["tools"]} == {
        "files.read": "never",
        "files.list": "never",
        "files.read_private": "always",
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("max_bytes = 262144", "max_byte = 262144", "max_byte"),
        ('"minLength": 1', '"minLenght": 1', "minLenght"),
        ("args.path.startsWith('public/')", "args.path.startsWith('public/'", "cel"),
        ('risk_tier = "T1"', 'risk_tier = "T9"', "T9"),
        ('connector = "files"', 'connector = "flies"', "flies"),
    ],
    ids=["an unknown key", "an unknown keyword", "broken CEL", "an unknown word", "an unknown connector"],
)
def test_a_mistake_is_named_with_file_and_line(made: Made, old: str, new: str, said: str) -> None:
    path = edit(made, old, new)
    ended = helm("policy", "check", str(path), "--json")
    assert ended.code == 1
    assert f"{path}:" in ended.failure()["message"]
    assert said in ended.failure()["message"]


def test_a_policy_that_is_not_there_is_refused(tmp_path: Path) -> None:
    ended = helm("policy", "check", str(tmp_path / "none.toml"))
    assert ended.code == 1
    assert "No such file" in ended.err


def test_an_edited_policy_is_told_from_the_signed_one(made: Made) -> None:
    path = edit(made, "epoch = 1", "epoch = 2")
    ended = helm("policy", "check", str(path), *made.option)
    assert ended.code == 0
    assert "not valid here" in ended.out
    path.with_name("policy.toml.sig").unlink()
    assert "none that can be read" in helm("policy", "check", str(path), *made.option).out


def test_what_the_guardian_will_ask_is_told_in_its_order(made: Made) -> None:
    ended = helm("policy", "explain", "files.read", "--principal", "agent", "--json", *made.option)
    assert ended.code == 0
    phases = [row["phase"] for row in ended.json()]
    assert phases == sorted(
        phases,
        key=[
            "identity",
            "egress",
            "threat",
            "delegation",
            "effect",
            "temporal",
            "compliance",
            "pep",
            "prg",
            "pdp",
            "budget",
        ].index,
    )
    assert {"phase": "pdp", "what": "names agent", "outcome": "PASS"} in ended.json()


def test_a_tool_nobody_declared_is_not_found(made: Made) -> None:
    ended = helm("policy", "explain", "shell.run", *made.option)
    assert ended.code == 1
    assert "NO_POLICY_DEFINED" in ended.out


def test_a_policy_is_signed_by_the_key_of_its_installation(made: Made) -> None:
    path = edit(made, "epoch = 1", "epoch = 2")
    ended = helm("policy", "sign", str(path), "--json", *made.option)
    assert ended.code == 0
    assert ended.json()["signed_by"] == made.place().policy_key().key_id
    assert "valid, by" in helm("policy", "check", str(path), *made.option).out


def test_a_policy_that_could_not_follow_the_active_one_is_not_signed(used: Made) -> None:
    path = edit(used, "max_bytes = 262144", "max_bytes = 262145")
    before = path.with_name("policy.toml.sig").read_bytes()
    ended = helm("policy", "sign", str(path), "--json", *used.option)
    assert ended.code == 1
    assert ended.failure()["code"] == "POLICY_HASH_MISMATCH"
    assert path.with_name("policy.toml.sig").read_bytes() == before
    edit(used, "epoch = 1", "epoch = 2")
    assert helm("policy", "sign", str(path), *used.option).code == 0
