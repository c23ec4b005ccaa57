"""Schemas as servers write them, in the dialect that policies pin: older drafts said some things in other words."""

from __future__ import annotations

from helm.contracts.form import JSONValue

DROPPED = frozenset({"$schema", "$id", "contentEncoding", "contentMediaType", "contentSchema"})
"""Names of the whole document, and what only annotates: nothing of it is checked by anyone."""

DATA = frozenset({"const", "default", "enum", "examples", "required"})
"""Keywords whose values are no schemas, whatever they look like."""

NAMED = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
"""Keywords whose values are schemas by name: a property may have the name of any keyword."""


def adopted(schema: JSONValue) -> JSONValue:
    """Return a schema of draft-07 or 2020-12 as draft 2020-12 says the same, for a schema of bounded depth."""
    if type(schema) is list:
        return [adopted(one) for one in schema]
    if type(schema) is not dict:
        return schema
    said = {name: part(name, value) for name, value in schema.items() if name not in DROPPED}
    if type(said.get("definitions")) is dict:
        said["$defs"] = {**said.pop("definitions"), **said.get("$defs", {})}
    if type(said.get("$ref")) is str:
        said["$ref"] = said["$ref"].replace("#/definitions/", "#/$defs/", 1)
    if type(said.get("items")) is list:
        said["prefixItems"] = said.pop("items")
        if "additionalItems" in said:
            said["items"] = said.pop("additionalItems")
    said.pop("additionalItems", None)
    return said


def part(keyword: str, value: JSONValue) -> JSONValue:
    """Return what stands under one keyword, adopted as far as it is a schema."""
    if keyword in DATA:
        return value
    if keyword in NAMED and type(value) is dict:
        return {name: adopted(one) for name, one in value.items()}
    return adopted(value)
