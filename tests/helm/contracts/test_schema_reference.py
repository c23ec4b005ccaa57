"""The fast engine and our closed world against the reference implementation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.schema import Schema, SchemaViolation
from tests.vectors import folder, load

NAMES = st.sampled_from(["a", "b", "c", "é", "a/b", "~"])
NUMBERS = st.one_of(st.integers(-3, 3), st.sampled_from([0.5, 1.5, -0.5, 2**53 - 1, 1e20]))
TEXTS = st.sampled_from(["", "a", "ab", "b", "é", "aé", "0", "😀😀"])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
SIZES = st.integers(0, 3)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
PATTERNS = st.sampled_from(["^a", "b$", "^[a-z]*$", "a|b", "^.{2}$"])
FLAT: dict[str, st.SearchStrategy[Any]] = {
    "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
    "enum": st.lists(VALUES, min_size=1, max_size=3),
    "const": VALUES,
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "maximum": NUMBERS,
    "exclusiveMaximum": NUMBERS,
    "minimum": NUMBERS,
    "exclusiveMinimum": NUMBERS,
    "maxLength": SIZES,
    "minLength": SIZES,
    "pattern": PATTERNS,
    "maxItems": SIZES,
    "minItems": SIZES,
    "uniqueItems": st.booleans(),
    "maxContains": SIZES,
    "minContains": SIZES,
    "maxProperties": SIZES,
    "minProperties": SIZES,
    "required": st.lists(NAMES, max_size=2, unique=True),
    "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=2, unique=True), max_size=2),
}


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(NAMES, inner, max_size=3)
    keywords = FLAT | {
        **dict.fromkeys(("not", "if", "then", "else", "items", "contains", "propertyNames"), inner),
        **dict.fromkeys(("additionalProperties", "unevaluatedItems", "unevaluatedProperties"), inner),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), several),
        **dict.fromkeys(("properties", "dependentSchemas"), named),
        "patternProperties": st.dictionaries(PATTERNS, inner, max_size=2),
        "$ref": st.sampled_from(["#/$defs/x", "#/$defs/y", "#z"]),
    }
    return st.lists(st.sampled_from(sorted(keywords)), max_size=3, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({name: keywords[name] for name in chosen})
    )


SCHEMAS = st.recursive(st.one_of(st.booleans(), st.fixed_dictionaries({}, optional=FLAT)), nested, max_leaves=6)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    root = draw(SCHEMAS.filter(lambda schema: isinstance(schema, dict)))
    definitions = {name: draw(SCHEMAS) for name in ("x", "y")}
    document: dict[str, Any] = root | {"$defs": definitions | {"z": {"$anchor": "z", "type": "string"}}}
    return document


def admits(schema: Schema, value: Any) -> bool:
    try:
        schema.check(value)
    except SchemaViolation:
        return False
    return True


@settings(max_examples=300)
@given(document=documents(), values=st.lists(VALUES, min_size=1, max_size=4))
def test_the_engine_answers_as_the_reference_does(document: dict[str, Any], values: list[Any]) -> None:
    try:
        schema = Schema.compile(document, "schema")
    except Invalid as refused:
        assume("refers to itself" not in refused.what and "unfold" not in refused.what)
        raise
    reference = jsonschema.Draft202012Validator(document)
    for value in values:
        assert admits(schema, value) == reference.is_valid(value), value


REFUSED = {
    "$id",  # references stay within the document
    "$ref",
    "$schema",  # another draft, or a dialect of one's own
    "dependencies",  # of an older draft
    "contentEncoding",  # annotations that look like checks
    "contentMediaType",
    "format",  # made up
    "unknown-keyword",
    "unknown~1keyword",
    "array_of_schemas",
}
"""Everything on which a schema of the suite is refused at load, by the last step of the pointer."""


def suite() -> list[Path]:
    """The suite's files, but for the one that wants `format` to be an annotation: ours is asserted."""
    root = folder("json-schema") / "draft2020-12"
    return [path for path in sorted(root.rglob("*.json")) if path != root / "format.json"]


def test_the_official_suite_is_answered_as_it_expects_or_refused_at_load() -> None:
    wrong: list[str] = []
    refused: Counter[str] = Counter()
    answered = 0
    for path in suite():
        for group in load(path):
            if not isinstance(group["schema"], dict):
                continue  # a tool's schema is an object
            try:
                schema = Schema.compile(group["schema"], "schema")
            except Invalid as problem:
                refused[problem.where.rpartition("/")[2]] += len(group["tests"])
                continue
            for case in group["tests"]:
                answered += 1
                if admits(schema, case["data"]) != case["valid"]:
                    wrong.append(f"{path.stem}: {group['description']}: {case['description']}")
    assert wrong == []
    assert set(refused) == REFUSED, refused
    assert answered > 8 * refused.total()
