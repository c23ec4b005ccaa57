"""A policy that demands provenance of its code starts no kernel without it, and says which check refused."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pytest

from actors.opening import open_kernel
from actors.plugging import plug
from helm.contracts.errors import Invalid
from helm.guardian.bundle import load_toml
from helm.guardian.connection import WasmConnection
from tests.actors.connectors.programs.kit import bundle
from tests.actors.kit import House
from tests.actors.modules import keep, with_guest
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.helm.runtime import guests
from tests.helm.supply import builds
from tests.helm.supply.keys import ed25519

FUNCTIONS: Final = {"local": Puppet(), "other": Puppet()}


def _statement(code: bytes) -> dict[str, Any]:
    return builds.statement() | {"subject": [{"digest": {"sha256": sha256(code).hexdigest()}, "name": "it"}]}


def _demand(policy: str = builds.POLICY, *, envelope: str = "it.json", file: str = "provenance.toml") -> str:
    pinned = f"sha256:{sha256(policy.encode()).hexdigest()}"
    return f'provenance = {{ envelope = "{envelope}", policy = "{file}", policy_hash = "{pinned}" }}'


def _prove(place: Path, raw: bytes, policy: str = builds.POLICY) -> None:
    (place / "it.json").write_bytes(raw)
    (place / "provenance.toml").write_text(policy, encoding="utf-8")


def _guarded() -> str:
    return with_guest(POLICY, guests.ECHO, granted=_demand())


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House.build(tmp_path)
    keep(house.path, guests.ECHO)
    _prove(house.path, builds.signed(_statement(guests.ECHO)))
    return house


async def _refused(house: House, policy: str) -> Invalid:
    with pytest.raises(Invalid) as refused:
        async with open_kernel(house.place, policy=house.sign(policy), connectors=FUNCTIONS):
            raise AssertionError("it started")
    return refused.value


async def test_a_module_with_its_provenance_serves(house: House) -> None:
    async with open_kernel(house.place, policy=house.sign(_guarded()), connectors=FUNCTIONS) as kernel:
        assert kernel is not None


async def test_a_module_whose_provenance_is_of_another_is_not_plugged_in(house: House) -> None:
    _prove(house.path, builds.signed(_statement(b"another")))
    refused = await _refused(house, _guarded())
    assert "check 8, subject" in refused.what
    assert refused.where == "connectors.guests.provenance"


async def test_provenance_that_nobody_allowed_signed_is_none(house: House) -> None:
    _prove(house.path, builds.signed(_statement(guests.ECHO), ed25519(99)))
    assert "check 3, signature" in (await _refused(house, _guarded())).what


@pytest.mark.parametrize("missing", ["it.json", "provenance.toml"])
async def test_provenance_that_is_not_there_is_none(house: House, missing: str) -> None:
    (house.path / missing).unlink()
    assert missing in (await _refused(house, _guarded())).where


async def test_a_provenance_policy_that_was_changed_since_it_was_pinned_is_none(house: House) -> None:
    """Else whoever may write that file would decide whom to believe, and the bundle's signature would not cover it."""
    loose = builds.POLICY.replace(builds.KEY.pem, ed25519(99).pem)
    assert loose != builds.POLICY
    _prove(house.path, builds.signed(_statement(guests.ECHO), ed25519(99)), loose)
    assert "not the one that is pinned" in (await _refused(house, _guarded())).what


async def test_an_empty_allowlist_plugs_nothing_in(house: House) -> None:
    empty = 'version = "helm.provenance-policy/1"\n'
    _prove(house.path, builds.signed(_statement(guests.ECHO)), empty)
    policy = with_guest(POLICY, guests.ECHO, granted=_demand(empty))
    assert "check 1, policy" in (await _refused(house, policy)).what


def test_a_program_is_plugged_in_with_its_provenance_alone(tmp_path: Path) -> None:
    policy = load_toml(bundle("true", limits=_demand() + "\n"), "test")
    connection = policy.connectors["program"]
    program = Path(connection.grant.program).read_bytes()  # type: ignore[union-attr]
    _prove(tmp_path, builds.signed(_statement(program)))
    assert plug(policy, {}, tmp_path)
    _prove(tmp_path, builds.signed(_statement(b"another")))
    with pytest.raises(Invalid, match="check 8, subject"):
        plug(policy, {}, tmp_path)


def test_what_is_demanded_is_read_from_the_bundle() -> None:
    connection = load_toml(_guarded(), "test").connectors["guests"]
    assert isinstance(connection, WasmConnection)
    assert connection.provenance is not None
    assert (connection.provenance.envelope, connection.provenance.policy) == ("it.json", "provenance.toml")


@pytest.mark.parametrize(
    "demand",
    [
        "provenance = {}",
        "provenance = true",
        'provenance = { envelope = "it.json", policy = "provenance.toml" }',
        _demand().replace("sha256:", ""),
        _demand().replace(" }", ", more = 1 }"),
        _demand(envelope="../it.json"),
        _demand(envelope="/it.json"),
        _demand(envelope="a/../it.json"),
        _demand(envelope=".hidden"),
        _demand(envelope=""),
        _demand(file="a//b"),
        _demand(file="a\\\\b"),
    ],
)
def test_a_demand_that_says_something_else_is_not_guessed_at(demand: str) -> None:
    with pytest.raises(Invalid):
        load_toml(with_guest(POLICY, guests.ECHO, granted=demand), "test")


def test_a_connector_whose_code_is_not_pinned_cannot_have_provenance() -> None:
    text = f'{POLICY}\n[connectors.files]\nkind = "files"\nroot = "files"\n{_demand()}\n'
    with pytest.raises(Invalid, match="provenance"):
        load_toml(text, "test")
