"""A bundle's TOML text as the JSON document that is kept and hashed."""

from __future__ import annotations

import tomllib
from datetime import datetime

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.toml_mistake import toml_mistake
from helm.crypto.canonical import parse
from helm.guardian.bundle_table import below

SCHEMAS = ("input", "output")
"""The members of a tool that are written in another language."""

SCHEMA_HINT = """between the quotation marks stands a JSON schema, such as {"type": "object", "properties": {}}"""


def read_toml(text: str, where: str) -> dict[str, JSONValue]:
    """Return what a TOML text says. Raises Invalid with its line."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as problem:
        raise toml_mistake(problem, text, where) from problem


def as_document(written: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return TOML as JSON: the one moment becomes milliseconds, a schema in a text becomes the schema."""
    check_whole(written)
    document = dict(written)
    if "not_before" in document:
        document["not_before"] = milliseconds(document["not_before"])
    tools = document.get("tools")
    if type(tools) is dict:
        document["tools"] = {name: with_schemas(name, tool) for name, tool in tools.items()}
    return document


def check_whole(written: dict[str, JSONValue]) -> None:
    """Refuse a fraction outside the schemas: every number of a policy counts something. Raises Invalid."""
    waiting: list[tuple[str, JSONValue]] = [("", written)]
    while waiting:
        place, value = waiting.pop()
        if type(value) is float:
            raise Invalid("must be a whole number", place, "write it without a point")
        if type(value) is dict:
            is_tool = place.startswith("tools.")
            names = [name for name in value if not (is_tool and name in SCHEMAS)]
            waiting.extend((below(place, name), value[name]) for name in names)
        elif type(value) is list:
            waiting.extend((f"{place}[{index}]", item) for index, item in enumerate(value))


def milliseconds(moment: object) -> int:
    """Return a TOML date-time with an offset in milliseconds since the epoch. Raises Invalid."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        hint = "write not_before = 2026-01-01T00:00:00Z"
        raise Invalid("must be a date and time with an offset", "not_before", hint)
    return round(moment.timestamp() * 1000)


def with_schemas(name: str, tool: JSONValue) -> JSONValue:
    """Return a tool with its schemas as objects. Raises Invalid for a text that is not JSON."""
    if type(tool) is not dict:
        return tool
    place = below("tools", name)
    texts = {member for member in SCHEMAS if type(tool.get(member)) is str}
    return tool | {member: from_text(tool[member], f"{place}.{member}") for member in texts}


def from_text(text: str, where: str) -> JSONValue:
    try:
        return parse(text.encode())
    except Malformed as problem:
        raise Invalid(f"a schema that is not JSON: {problem}", where, SCHEMA_HINT) from problem
