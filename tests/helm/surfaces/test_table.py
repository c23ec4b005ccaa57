"""The table of the HTTP surface: what is drawn from it is what it says, and requests are held against it."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
import yaml  # type: ignore[import-untyped]
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from conformance.surface_files import OPENAPI, written
from helm.contracts.errors import Invalid
from helm.surfaces.openapi import document
from helm.surfaces.requests import Asking
from helm.surfaces.route import Access, Route, ok
from helm.surfaces.table import TABLE, table
from helm.surfaces.words import OBJECT

DOCUMENT: Final[dict[str, Any]] = json.loads(json.dumps(document(TABLE.values())))


def test_the_document_is_one_of_openapi_3_1() -> None:
    assert [error.message for error in OPENAPI_31_VALIDATOR.iter_errors(DOCUMENT)] == []


def test_a_document_with_an_invented_part_is_not() -> None:
    assert not OPENAPI_31_VALIDATOR.is_valid(DOCUMENT | {"paths": {"no-path": {}}})
    assert not OPENAPI_31_VALIDATOR.is_valid({name: said for name, said in DOCUMENT.items() if name != "info"})


def test_the_written_file_says_what_the_table_says() -> None:
    assert OPENAPI.read_text(encoding="utf-8") == written()[OPENAPI]
    assert yaml.safe_load(OPENAPI.read_text(encoding="utf-8")) == DOCUMENT


def test_every_row_is_an_operation_under_its_own_name() -> None:
    operations = {one["operationId"]: one for path in DOCUMENT["paths"].values() for one in path.values()}
    assert operations.keys() == TABLE.keys()
    for name, row in TABLE.items():
        assert operations[name]["x-helm-access"] == row.access
        assert bool(operations[name]["security"]) == (row.access is not Access.PUBLIC)


def test_every_reference_of_the_document_leads_somewhere() -> None:
    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for held in value.values():
                yield from walk(held)
        elif isinstance(value, list):
            for held in value:
                yield from walk(held)

    for reference in set(walk(DOCUMENT)):
        found: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_two_rows_of_one_place_are_no_table() -> None:
    row = TABLE["version"]
    with pytest.raises(ValueError, match="two rows"):
        table((row, row))


@pytest.mark.parametrize("name", TABLE)
def test_every_row_can_be_held_against_requests(name: str) -> None:
    Asking.of(TABLE[name])


ROW: Final = Route(
    name="poke",
    method="POST",
    path="/poke/{name}",
    access=Access.ANY,
    about="",
    answers=ok("", OBJECT),
    parameters=TABLE["list_receipts"].parameters,
    body={
        "type": "object",
        "properties": {"how": {"type": "object", "properties": {"hard": {"type": "integer"}}, "required": ["hard"]}},
        "required": ["how"],
        "additionalProperties": False,
    },
)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "/how"),
        ({"how": {"hard": 1}, "why": 1}, "/why"),
        ({"how": {"hard": "1"}}, "/how/hard"),
        ({"how": {}}, "/how"),
        ({"how": 1}, "/how"),
    ],
)
def test_a_body_is_refused_at_its_place(body: dict[str, Any], place: str) -> None:
    asking = Asking.of(ROW)
    asking.check_body({"how": {"hard": 1}})
    with pytest.raises(Invalid) as refused:
        asking.check_body(body)
    assert refused.value.where == place


@pytest.mark.parametrize(
    ("query", "place"),
    [({"limit": "201"}, "?limit"), ({"limit": "x"}, "?limit"), ({"verdict": "MAYBE"}, "?verdict"), ({"x": "1"}, "?x")],
)
def test_a_parameter_is_refused_at_its_place(query: dict[str, str], place: str) -> None:
    asking = Asking.of(ROW)
    asking.check_query({"limit": "200", "verdict": "DENY", "tool": "5"})
    with pytest.raises(Invalid) as refused:
        asking.check_query(query)
    assert refused.value.where == place
