"""Each library is imported through one door."""

import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Final

import pytest
from packaging.utils import canonicalize_name

from tests.gates.door_rules import Doors, findings_in, used_doors
from tests.gates.source import ROOT, from_text, sources_under

TABLE: Final = tomllib.loads(Path(__file__).with_name("doors.toml").read_text(encoding="utf-8"))
DOORS: Final = Doors(anywhere=TABLE["anywhere"], one_door=TABLE["one_door"], by_name=TABLE["by_name"])

POISONS: Final = {
    "canonical bytes made elsewhere": ("helm.receipts.chain", "import orjson"),
    "a signature made elsewhere": ("actors.signer", "from nacl.signing import SigningKey"),
    "an HTTP client in a door": ("actors.doors.app", "import httpx2"),
    "SQL in the kernel": ("actors.kernel", "def f():\n    import apsw"),
    "an event loop in helm": ("helm.evidence.pack", "import trio"),
    "a library nobody listed": ("actors.kernel", "import requests"),
    "a door next door": ("helm.crypto.canonical_fast", "import orjson"),
    "an import by computed name": ("actors.kernel", "from importlib import import_module"),
    "a name from another room": (
        "actors.cli.main",
        "from importlib import import_module\nTABLE = {'serve': 'actors.doors.app'}",
    ),
    "importlib itself": ("actors.cli.serve", "import importlib"),
}

CLEAN: Final = {
    "the door itself": ("helm.crypto.canonical", "import orjson\nimport rfc8785"),
    "a module of a door that is a package": ("actors.doors.app", "from quart_trio import QuartTrio"),
    "what stands anywhere": ("actors.kernel", "import trio\nimport attrs"),
    "the standard library": ("actors.kernel", "import os"),
    "the house": ("actors.kernel", "from helm.crypto.canonical import canonical"),
    "a written table of names": (
        "actors.cli.main",
        "from importlib import import_module\nTABLE = {'serve': ('actors.cli.serve', 'Serve calls.')}",
    ),
    "our own version": ("actors.cli.main", "from importlib.metadata import version"),
}


@pytest.mark.parametrize(("module", "text"), POISONS.values(), ids=POISONS)
def test_the_gate_refuses(module: str, text: str) -> None:
    assert list(findings_in(from_text(module, text), DOORS))


@pytest.mark.parametrize(("module", "text"), CLEAN.values(), ids=CLEAN)
def test_the_gate_lets_in(module: str, text: str) -> None:
    assert list(findings_in(from_text(module, text), DOORS)) == []


@pytest.mark.parametrize("package", ["helm", "actors"])
def test_each_library_comes_through_its_door(package: str) -> None:
    assert [str(f) for source in sources_under(package) for f in findings_in(source, DOORS)] == []


def test_every_library_with_a_door_is_a_dependency_of_ours() -> None:
    """A library that another one happens to bring along is gone on the day that one drops it."""
    listed = {*DOORS.one_door, *DOORS.anywhere["helm"], *DOORS.anywhere["actors"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["pkcs11"], *extras["postgres"], *extras["otel"]]
    declared = {canonicalize_name(text.partition("==")[0]) for text in wanted}
    owners = packages_distributions()
    assert {name for name in listed if not declared.intersection(map(canonicalize_name, owners[name]))} == set()


def test_no_door_stands_open_for_nobody() -> None:
    used = used_doors([*sources_under("helm"), *sources_under("actors")])
    assert set(DOORS.one_door) - used == set()
