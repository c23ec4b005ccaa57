"""The vectors keep their schema, prove what they say they do, and lie where an installed program finds them."""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatch
from typing import Any, Final

import jsonschema
import pytest
from wasmtime import wat2wasm

from actors.conforming.driver import STEPS
from actors.conforming.material import PLACE, SETUP, VECTORS, guests, vector_set
from helm.conformance.judge import SEALED
from helm.conformance.vector import JUDGED
from helm.conformance.vector_set import SCHEMA_FILE, read_set
from helm.contracts.errors import Invalid
from tests.gates.source import ROOT

SCHEMA: Final = json.loads((VECTORS / SCHEMA_FILE).read_text())

GOOD: Final = """
[[vectors]]
id = "one"
category = "control"
level = "L1"
about = "A call."
trigger = [{ do = "call", tool = "conf.read" }]
expected = { http = 200, verdict = "ALLOW", status = "SUCCESS", reason_code = "" }
must_bind = ["args_hash"]
must_not_dispatch = false
deeds = 1
"""


def test_the_schema_is_one_that_every_validator_reads() -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for file in VECTORS.glob("*.toml"):
        assert list(validator.iter_errors(tomllib.loads(file.read_text()))) == [], file


def test_the_schema_names_every_step_that_the_driver_knows_and_no_other() -> None:
    steps = SCHEMA["properties"]["vectors"]["items"]["properties"]["trigger"]["items"]["oneOf"]
    assert {one["properties"]["do"]["const"] for one in steps} == JUDGED | STEPS.keys()


def test_what_must_be_bound_is_a_member_of_what_is_sealed() -> None:
    assert {name for one in vector_set().vectors for name in one.must_bind} <= SEALED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('do = "call"', 'do = "shrug"'),
        ("http = 200", "http = 2000"),
        ('verdict = "ALLOW"', 'verdict = "MAYBE"'),
        ('status = "SUCCESS"', 'status = ""'),
        ("must_not_dispatch = false", "must_not_dispatch = true"),
        ('"conf.read" }]', '"conf.read" }]\ninside = "never"\nproof = "tests/a.py::test_b"'),
        ('{ do = "call", tool = "conf.read" }', '{ do = "outage" }'),
        ("deeds = 1", "deeds = 1\nextra = 1"),
        ("[[vectors]]", "[[vectors]"),
    ],
)
def test_a_vector_that_contradicts_itself_or_its_schema_is_refused(old: str, new: str) -> None:
    assert old in GOOD
    read_set({"good.toml": GOOD}, SCHEMA)
    with pytest.raises(Invalid):
        read_set({"bad.toml": GOOD.replace(old, new, 1)}, SCHEMA)


def test_no_two_vectors_share_a_name_and_every_letter_counts() -> None:
    with pytest.raises(Invalid, match="stands twice"):
        read_set({"a.toml": GOOD, "b.toml": GOOD}, SCHEMA)
    one, other = (read_set({"a.toml": text}, SCHEMA).hash for text in (GOOD, GOOD.replace("A call.", "A cal1.")))
    assert one != other


@pytest.mark.parametrize("vector", [one for one in vector_set().vectors if one.proof], ids=lambda one: one.id)
def test_the_proof_of_what_no_stranger_brings_about_is_there(vector: Any) -> None:
    file, _, name = vector.proof.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()


def test_the_guests_are_what_their_texts_assemble_to() -> None:
    said = tomllib.loads((SETUP / "guests.toml").read_text())
    assert {name: bytes(wat2wasm(one["text"])) for name, one in said.items()} == guests()


def test_an_installed_program_has_all_of_it() -> None:
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for folder in (VECTORS, SETUP):
        patterns = packaged[f"conformance.{folder.name}"]
        for file in folder.iterdir():
            assert file.is_dir() or any(fnmatch(file.name, pattern) for pattern in patterns), file
    assert PLACE == ROOT / "conformance"
