"""Schemas as servers write them say the same once they are adopted: no constraint is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from helm.mcp.schemas import adopted

KEYWORDS = ("$schema", "$id", "$ref", "additionalItems", "contentEncoding", "definitions", "enum", "items", "required")


@pytest.mark.parametrize("name", KEYWORDS)
@pytest.mark.parametrize("under", ["properties", "patternProperties", "$defs", "dependentSchemas"])
def test_a_property_may_have_the_name_of_a_keyword(name: str, under: str) -> None:
    schema = {"type": "object", under: {name: {"type": "string", "maxLength": 3}}}
    assert adopted(schema) == schema


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"$schema": "x", "$id": "y", "type": "object"}, {"type": "object"}),
        ({"definitions": {"a": {"$id": "z"}}, "$ref": "#/definitions/a"}, {"$defs": {"a": {}}, "$ref": "#/$defs/a"}),
        (
            {"items": [{"type": "string"}], "additionalItems": False},
            {"prefixItems": [{"type": "string"}], "items": False},
        ),
        ({"items": {"type": "string"}, "additionalItems": False}, {"items": {"type": "string"}}),
        (
            {"enum": [{"$id": "kept"}], "const": {"definitions": {}}},
            {"enum": [{"$id": "kept"}], "const": {"definitions": {}}},
        ),
        ({"properties": {"a": {"$schema": "x"}}}, {"properties": {"a": {}}}),
        ({"allOf": [{"definitions": {"b": True}}]}, {"allOf": [{"$defs": {"b": True}}]}),
    ],
    ids=["names", "definitions", "tuples", "lists", "data", "below", "inside"],
)
def test_what_an_older_draft_said_is_said_in_the_new_one(old: Any, new: Any) -> None:
    assert adopted(old) == new
