"""The dialect of pinned schemas: draft 2020-12, closed world, complete in itself.

A keyword that the engine passes over is a rule that its author believes in and that nobody checks, so every
keyword must be known, every reference must lead to a schema of the same document, and the references together
must not make much work of little text (T4).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import MappingProxyType

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.unfolding import check_unfolding

DRAFT = "https://json-schema.org/draft/2020-12/schema"

MAX_VALUES = 10_000
"""Most values in one schema: a protocol's own schema of a hundred types has fewer (T4)."""

MAX_DEPTH = 64
"""Deepest nesting of one schema, that of any document of ours (T4)."""


class Holds(Enum):
    """What stands under a keyword."""

    DATA = "data"
    SCHEMA = "one schema"
    SCHEMAS = "a list of schemas"
    NAMED = "an object of schemas"


KEYWORDS: Mapping[str, Holds] = MappingProxyType(
    {
        # JSON Schema Core sections 8.2.2 to 8.3, 10.2 and 10.3; section 11
        **dict.fromkeys(("$anchor", "$comment", "$dynamicAnchor", "$dynamicRef", "$ref"), Holds.DATA),
        **dict.fromkeys(("not", "if", "then", "else"), Holds.SCHEMA),
        **dict.fromkeys(("additionalProperties", "contains", "items", "propertyNames"), Holds.SCHEMA),
        **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), Holds.SCHEMA),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), Holds.SCHEMAS),
        **dict.fromkeys(("$defs", "dependentSchemas", "patternProperties", "properties"), Holds.NAMED),
        # JSON Schema Validation sections 6, 7 and 9
        **dict.fromkeys(("type", "enum", "const", "format", "pattern"), Holds.DATA),
        **dict.fromkeys(("multipleOf", "maximum", "exclusiveMaximum"), Holds.DATA),
        **dict.fromkeys(("minimum", "exclusiveMinimum", "maxLength", "minLength"), Holds.DATA),
        **dict.fromkeys(("maxItems", "minItems", "uniqueItems", "maxContains", "minContains"), Holds.DATA),
        **dict.fromkeys(("maxProperties", "minProperties", "required", "dependentRequired"), Holds.DATA),
        **dict.fromkeys(("title", "description", "default", "examples"), Holds.DATA),
        **dict.fromkeys(("deprecated", "readOnly", "writeOnly"), Holds.DATA),
    }
)

ROOT_ONLY = frozenset({"$schema", "$id"})
"""Names of the document as a whole. Below the root they would change what a reference means."""

INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "definitions": "write $defs",
        "dependencies": "write dependentRequired or dependentSchemas",
        "additionalItems": "write items beside prefixItems",
        "$recursiveRef": "write $dynamicRef",
        "$recursiveAnchor": "write $dynamicAnchor",
        "$schema": "it names the dialect of the whole document: write it once, at the top",
        "$id": "references stay within the document and need no other name for it: leave it out",
        "$vocabulary": "it is for dialects, not for schemas: leave it out",
        **dict.fromkeys(
            ("contentEncoding", "contentMediaType", "contentSchema"),
            "draft 2020-12 only annotates with it and checks nothing: leave it out, or write pattern",
        ),
    }
)

IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
"""Keywords whose schemas look at the same value again, not at a part of it."""

ANCHOR = re.compile(r"[A-Za-z_][-A-Za-z0-9._]*")  # JSON Schema Core section 8.2.2


@attrs.frozen(kw_only=True)
class Outline:
    """Every schema of a document by its JSON pointer (RFC 6901), and where the references lead."""

    schemas: Mapping[str, JSONValue]
    references: Mapping[str, tuple[str, ...]]
    """Where the `$ref` and the `$dynamicRef` of a schema lead, for those that have any."""


def outline(document: JSONValue, where: str) -> Outline:
    """Return the outline of a schema in this dialect. Raises Invalid, naming the place."""
    if type(document) is not dict:
        raise Invalid("a schema must be an object", where, 'write at least {"type": "object"}')
    check_size(document, where)
    check_draft(document, where)
    schemas = dict(subschemas(document, where))
    references = dict(resolved(schemas, where))
    same_value, parts = {}, {}
    for pointer, schema in schemas.items():
        below = list(children(pointer, schema, where))
        here = [child for keyword, child, _ in below if keyword in IN_PLACE]
        same_value[pointer] = (*references.get(pointer, ()), *here)
        parts[pointer] = tuple(c for keyword, c, _ in below if keyword not in IN_PLACE and keyword != "$defs")
    check_unfolding(same_value, parts, where)
    return Outline(schemas=schemas, references=references)


def check_size(document: JSONValue, where: str) -> None:
    """Refuse a schema that is too large to be looked at. Raises Invalid."""
    values, level = 0, [document]
    for _ in range(MAX_DEPTH + 1):
        values += len(level)
        if values > MAX_VALUES:
            raise Invalid(f"more than {MAX_VALUES} values in one schema", where, "split the tool in two")
        level = [child for value in level for child in held(value)]
        if not level:
            return
    raise Invalid(f"a schema nested deeper than {MAX_DEPTH}", where, "name the inner parts under $defs")


def held(value: JSONValue) -> Iterable[JSONValue]:
    if type(value) is dict:
        return value.values()
    return value if type(value) is list else ()


def check_draft(document: dict[str, JSONValue], where: str) -> None:
    """Refuse another draft, in which the same keywords mean something else. Raises Invalid."""
    named = document.get("$schema", DRAFT)
    if named not in (DRAFT, DRAFT + "#"):
        raise Invalid(f"$schema is {shown(named)}", f"{where}#/$schema", f"write {DRAFT}")
    if type(document.get("$id", "")) is not str:
        raise Invalid("$id must be a string", f"{where}#/$id")


def subschemas(document: JSONValue, where: str) -> Iterator[tuple[str, JSONValue]]:
    """Yield every schema of the document with its pointer, each before its children, all keywords known."""
    waiting: list[tuple[str, JSONValue]] = [("", document)]
    while waiting:
        pointer, schema = waiting.pop()
        if type(schema) is dict:
            check_keywords(pointer, schema, where)
            below = list(children(pointer, schema, where))
            waiting.extend((child, value) for _, child, value in reversed(below))
        elif type(schema) is not bool:
            raise Invalid("a schema must be an object, true or false", f"{where}#{pointer}")
        yield pointer, schema


def check_keywords(pointer: str, schema: dict[str, JSONValue], where: str) -> None:
    for keyword in schema:
        if keyword in KEYWORDS or (keyword in ROOT_ONLY and not pointer):
            continue
        hint = INSTEAD.get(keyword, "every keyword must be one of draft 2020-12 that is checked")
        raise Invalid(f"unknown schema keyword {shown(keyword)}", f"{where}#{pointer}/{step(keyword)}", hint)


def children(pointer: str, schema: JSONValue, where: str) -> Iterator[tuple[str, str, JSONValue]]:
    """Yield (keyword, pointer, schema) of each schema that stands directly below this one."""
    for keyword, value in schema.items() if type(schema) is dict else ():
        below = f"{pointer}/{keyword}"
        match KEYWORDS.get(keyword, Holds.DATA):
            case Holds.SCHEMA:
                yield keyword, below, value
            case Holds.SCHEMAS:
                must_be(list, value, f"{where}#{below}", "a list of schemas")
                yield from ((keyword, f"{below}/{index}", item) for index, item in enumerate(value))
            case Holds.NAMED:
                must_be(dict, value, f"{where}#{below}", "an object of schemas")
                yield from ((keyword, f"{below}/{step(name)}", item) for name, item in value.items())
            case Holds.DATA:
                pass


def must_be(kind: type, value: JSONValue, where: str, what: str) -> None:
    if type(value) is not kind:
        raise Invalid(f"must be {what}", where)


def step(name: str) -> str:
    """Return one reference token of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def shown(value: JSONValue) -> str:
    """Return at most 80 characters of a value, in ASCII: enough to find it, too little to fill a log."""
    return ascii(value)[:80]


def resolved(schemas: Mapping[str, JSONValue], where: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each schema that refers to others, with the pointers of those. Raises Invalid."""
    anchors = anchored(schemas, where)
    for pointer, schema in schemas.items():
        if type(schema) is not dict:
            continue
        keywords = [keyword for keyword in ("$ref", "$dynamicRef") if keyword in schema]
        targets = [target(schema[kw], schemas, anchors, f"{where}#{pointer}/{kw}") for kw in keywords]
        if targets:
            yield pointer, tuple(targets)


def anchored(schemas: Mapping[str, JSONValue], where: str) -> dict[str, str]:
    """Return the pointer of every anchor, plain or dynamic: in one document both lead to one place."""
    anchors: dict[str, str] = {}
    for pointer, schema in schemas.items():
        for keyword in ("$anchor", "$dynamicAnchor"):
            if type(schema) is not dict or keyword not in schema:
                continue
            name, place = schema[keyword], f"{where}#{pointer}/{keyword}"
            if type(name) is not str or ANCHOR.fullmatch(name) is None:
                raise Invalid("an anchor must be a plain name", place, "letters, digits, - . _")
            if name in anchors:
                raise Invalid(f"the anchor {name} stands twice", place, "name each place once")
            anchors[name] = pointer
    return anchors


def target(reference: JSONValue, schemas: Mapping[str, JSONValue], anchors: Mapping[str, str], where: str) -> str:
    """Return the pointer of the schema that a reference leads to. Raises Invalid."""
    if type(reference) is not str or not reference.startswith("#"):
        hint = "nothing is fetched: copy the schema under $defs and refer to #/$defs/NAME"
        raise Invalid(f"the reference {shown(reference)} leaves the document", where, hint)
    if "%" in reference:
        raise Invalid("a reference with escapes", where, "give the definition a plain name")
    pointer = reference[1:]
    if pointer and not pointer.startswith("/"):
        pointer = anchors.get(pointer, "/")
    if pointer not in schemas:
        raise Invalid(f"the reference {shown(reference)} leads to no schema", where, "define it under $defs")
    return pointer
