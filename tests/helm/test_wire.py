"""JSON to contracts: every member, of its very type, and nothing else."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.canonical import parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand
from helm.wire import structure
from tests.helm.guardian.test_freezes import command


@attrs.frozen(kw_only=True)
class Inner:
    """A record inside a record."""

    n: int


@attrs.frozen(kw_only=True)
class Outer:
    """Every type that a contract uses."""

    flag: bool
    inner: Inner
    name: str
    names: tuple[str, ...]
    usage: tuple[str, int]


GOOD: dict[str, Any] = {"flag": True, "inner": {"n": 1}, "name": "x", "names": ["a", "b"], "usage": ["b", 2]}


def test_what_is_right_becomes_a_record() -> None:
    read = structure(GOOD, Outer, "here")
    assert read == Outer(flag=True, inner=Inner(n=1), name="x", names=("a", "b"), usage=("b", 2))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra": 1}, "extra"),
        ({"flag": 1}, "flag"),
        ({"flag": "true"}, "flag"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({"inner": {"n": True}}, "inner"),
        ({"inner": {"n": 1.0}}, "inner"),
        ({"inner": {"n": "1"}}, "inner"),
        ({"inner": {"n": 1, "m": 2}}, "m"),
        ({"inner": {}}, "n"),
        ({"inner": 1}, "inner"),
        ({"names": "ab"}, "names"),
        ({"names": ["a", 1]}, "names"),
        ({"names": {"a": 1}}, "names"),
        ({"usage": ["b"]}, "usage"),
        ({"usage": ["b", 2, 3]}, "usage"),
        ({"usage": [2, "b"]}, "usage"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said) as invalid:
        structure({**GOOD, **changes}, Outer, "entry 7")
    assert invalid.value.where == "entry 7"


@pytest.mark.parametrize("member", GOOD)
def test_a_missing_member_is_named(member: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != member}
    with pytest.raises(Invalid, match=f"misses {member}"):
        structure(body, Outer, "here")


@pytest.mark.parametrize("body", [None, [], "x", 1, [GOOD]], ids=str)
def test_what_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(Invalid, match="expected an object"):
        structure(body, Outer, "here")


def test_a_record_that_its_class_refuses_is_refused() -> None:
    body = {**FREEZE_COMMAND.body(command()), "action": "thaw"}
    with pytest.raises(Invalid, match="no such command: thaw"):
        structure(body, FreezeCommand, "here")
    assert structure(FREEZE_COMMAND.body(command()), FreezeCommand, "here") == command()


def test_strict_parsing_and_strict_structure_leave_no_third_reading() -> None:
    key = SigningKey.from_seed(b"e" * 32, KeyPurpose.EMERGENCY)
    raw = b'{"inner":{"n":1},"flag":true,"name":"%b","names":[],"usage":["b",2]}' % key.key_id.encode()
    assert structure(parse(raw), Outer, "here").name == key.key_id
