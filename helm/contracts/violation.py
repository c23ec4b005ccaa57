"""Finds the rule of a schema that a value breaks.

The engine is asked yes or no only. Its own explanations copy the value and try every combination of
alternatives: seventeen levels of a small recursive schema took seconds, and the caller chooses the value
(T4). Here each step asks one yes or no about one part, and goes down only where the answer was no.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import chain, count

import attrs

from helm.contracts.dialect import Outline, held, shown, step
from helm.contracts.form import JSONValue

Check = Callable[[JSONValue], bool]
"""Tells whether a value satisfies one schema."""

PLACE_CHARS = 200
"""How much of a pointer is repeated: the names in it are the caller's, and go into a sealed record (T4)."""

MAX_PARTS = 100_000
"""Parts of a value that are asked about one by one: some 0.1 s. The caller chooses how many there are, and where
among them the broken one stands; further on, the rule is named without the item that breaks it (T4)."""

SMALL = 5_000
MAX_LEVELS = 32
"""Steps down to the broken part in a value of more than SMALL values: each asks about all that is below it (T4)."""

SELF_CONTAINED = (
    "type",
    "enum",
    "const",
    "format",
    "pattern",
    "maxLength",
    "minLength",
    "multipleOf",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxItems",
    "minItems",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "dependentRequired",
)
"""Keywords that say all they mean without another keyword, the telling ones first."""

COMBINED = (
    "anyOf",
    "oneOf",
    "not",
    "contains",
    "patternProperties",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
)


class SchemaViolation(Exception):
    """A value that its schema does not admit. `place` is a JSON pointer, "" for the whole value."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place or 'the value'} {problem}")
        self.place = place
        self.problem = problem


@attrs.frozen(kw_only=True, eq=False)
class Part:
    """One value inside the refused one, and the schema that it must satisfy."""

    schema: str
    value: JSONValue
    place: str


@attrs.frozen(kw_only=True, eq=False)
class Finder:
    """Finds the first broken rule, with one check per schema of the outline."""

    outline: Outline
    checks: Mapping[str, Check]
    rules: Callable[[str, JSONValue], Check]
    """Compiles one keyword with its value to a check."""

    def violation(self, value: JSONValue) -> SchemaViolation:
        """Return what is wrong with a value that the engine refused as a whole."""
        part, looks = Part(schema="", value=value, place=""), iter(range(MAX_PARTS))
        levels = count() if is_small(value) else range(MAX_LEVELS)
        for _ in levels:
            parts = (below for below, _ in zip(self.conditions(part), looks, strict=False))
            broken = next(filter(self.is_broken, parts), None)
            if broken is None:
                break
            part = broken
        place = part.place if part.place.isprintable() else ascii(part.place)
        return SchemaViolation(place[:PLACE_CHARS], self.problem(part))

    def is_broken(self, part: Part) -> bool:
        return not self.checks[part.schema](part.value)

    def conditions(self, part: Part) -> Iterator[Part]:
        """Yield every part that must be good for this one to be good, as far as one keyword alone says so."""
        schema = self.outline.schemas[part.schema]
        if type(schema) is not dict:
            return
        if type(part.value) is dict:
            yield from of_members(part, schema, part.value)
        elif type(part.value) is list:
            yield from of_items(part, schema, part.value)
        for same in chain(self.outline.references.get(part.schema, ()), self.same_value(part, schema)):
            yield Part(schema=same, value=part.value, place=part.place)

    def same_value(self, part: Part, schema: dict[str, JSONValue]) -> Iterator[str]:
        """Yield the schemas below this one that the same value must satisfy."""
        for index in range(len(schema.get("allOf", ()))):
            yield f"{part.schema}/allOf/{index}"
        if "if" in schema:
            branch = "then" if self.checks[f"{part.schema}/if"](part.value) else "else"
            if branch in schema:
                yield f"{part.schema}/{branch}"
        for name in schema.get("dependentSchemas", ()):
            if type(part.value) is dict and name in part.value:
                yield f"{part.schema}/dependentSchemas/{step(name)}"

    def problem(self, part: Part) -> str:
        """Name the rule that the value of this part breaks by itself."""
        schema = self.outline.schemas[part.schema]
        if type(schema) is not dict:
            return "is not allowed"
        for keyword in SELF_CONTAINED:
            if keyword in schema and not self.rules(keyword, schema[keyword])(part.value):
                return said(keyword, schema[keyword], part.value)
        return f"breaks {' or '.join(k for k in COMBINED if k in schema) or 'its schema'}"


def said(keyword: str, rule: JSONValue, value: JSONValue) -> str:
    """Put one broken rule into words; the rule is the policy's, so it may be shown."""
    if keyword == "required" and type(value) is dict:
        return f"lacks {', '.join(shown(name) for name in rule if name not in value)[:PLACE_CHARS]}"
    return f"breaks {keyword} {shown(rule)}"


def is_small(value: JSONValue) -> bool:
    """Tell whether a value holds so few others that it may be asked about on every level."""
    values, level = 1, [value]
    while level and values <= SMALL:
        level = [child for above in level for child in held(above)]
        values += len(level)
    return values <= SMALL


def below_place(part: Part, name: str) -> str:
    """Return the pointer of what stands under `name`, no longer than is repeated: names may be as long as a call."""
    return f"{part.place}/{step(name[:PLACE_CHARS])}"[: PLACE_CHARS + 1]


def of_members(part: Part, schema: dict[str, JSONValue], value: dict[str, JSONValue]) -> Iterator[Part]:
    """Yield the members of an object that have a schema of their own."""
    properties = schema.get("properties", {})
    for name in properties:
        if name in value:
            below = f"{part.schema}/properties/{step(name)}"
            yield Part(schema=below, value=value[name], place=below_place(part, name))
    if "additionalProperties" in schema and "patternProperties" not in schema:
        below = f"{part.schema}/additionalProperties"
        for name, member in value.items():
            if name not in properties:
                yield Part(schema=below, value=member, place=below_place(part, name))
    if "propertyNames" in schema:
        for name in value:
            yield Part(schema=f"{part.schema}/propertyNames", value=name, place=below_place(part, name))


def of_items(part: Part, schema: dict[str, JSONValue], value: list[JSONValue]) -> Iterator[Part]:
    """Yield the items of a list that have a schema of their own."""
    first = len(schema.get("prefixItems", ()))
    for index, item in enumerate(value):
        if index < first:
            below = f"{part.schema}/prefixItems/{index}"
        elif "items" in schema:
            below = f"{part.schema}/items"
        else:
            return
        yield Part(schema=below, value=item, place=below_place(part, str(index)))
