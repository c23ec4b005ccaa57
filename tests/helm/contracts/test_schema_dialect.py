"""What a pinned schema may be written with; the rest is refused when it is pinned, not when it is needed."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.dialect import KEYWORDS, MAX_DEPTH, MAX_VALUES
from helm.contracts.errors import Invalid
from helm.contracts.schema import Schema, SchemaViolation


def refusal(document: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        Schema.compile(document, "tools.pay.input")
    return caught.value


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"nullable": True}, "/nullable"),
        ({"x-internal": 1}, "/x-internal"),
        ({"additonalProperties": False}, "/additonalProperties"),
        ({"properties": {"a": {"typ": "string"}}}, "/properties/a/typ"),
        ({"items": {"allOf": [{}, {"maxLenght": 3}]}}, "/items/allOf/1/maxLenght"),
        ({"$defs": {"unused": {"format-is": "uri"}}}, "/$defs/unused/format-is"),
        ({"if": {"then": {"enumm": []}}}, "/if/then/enumm"),
        ({"patternProperties": {"^a/b~": {"required!": []}}}, "/patternProperties/^a~1b~0/required!"),
        ({"dependentSchemas": {"a": {"propertes": {}}}}, "/dependentSchemas/a/propertes"),
        ({"properties": {"a": {"$id": "https://example.com"}}}, "/properties/a/$id"),
        ({"properties": {"a": {"$schema": "https://example.com"}}}, "/properties/a/$schema"),
    ],
)
def test_a_keyword_that_nobody_would_check_is_refused_wherever_it_stands(document: Any, pointer: str) -> None:
    problem = refusal(document)
    assert "unknown schema keyword" in problem.what
    assert problem.where == f"tools.pay.input#{pointer}"
    assert problem.hint


@pytest.mark.parametrize(
    "keyword",
    [
        "definitions",
        "dependencies",
        "additionalItems",
        "$recursiveRef",
        "$vocabulary",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "divisibleBy",
        "extends",
        "id",
        "discriminator",
    ],
)
def test_keywords_of_other_drafts_are_not_taken_for_checks(keyword: str) -> None:
    assert keyword not in KEYWORDS
    assert "unknown schema keyword" in refusal({keyword: {}}).what


@pytest.mark.parametrize(
    "data",
    [{"const": {"typ": 1}}, {"enum": [{"typ": 1}]}, {"default": {"typ": 1}}, {"examples": [{"typ": 1}]}],
)
def test_plain_data_in_a_schema_is_not_read_as_a_schema(data: dict[str, Any]) -> None:
    Schema.compile(data, "schema")


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize(
    "reference",
    [
        "https://example.com/schema.json",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "other.json#/$defs/a",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        "//example.com/a",
        "",
        7,
        None,
    ],
)
def test_a_reference_that_leaves_the_document_is_refused(keyword: str, reference: Any) -> None:
    problem = refusal({"properties": {"a": {keyword: reference}}})
    assert "leaves the document" in problem.what
    assert problem.where == f"tools.pay.input#/properties/a/{keyword}"


@pytest.mark.parametrize(
    "reference",
    [
        "#/$defs/b",
        "#/$defs",
        "#/$defs/a/enum/0",
        "#/$defs/a/default",
        "#nowhere",
        "#/",
        "#/properties/a/0",
        "#/%24defs/a",
    ],
)
def test_a_reference_to_what_is_no_schema_is_refused(reference: str) -> None:
    document = {"$defs": {"a": {"enum": [{"evil": 1}], "default": {"evil": 1}}}, "properties": {}}
    assert "reference" in refusal(document | {"items": {"$ref": reference}}).what


def test_local_references_are_followed() -> None:
    document = {
        "$defs": {"cents": {"type": "integer", "$anchor": "money"}, "a/b~c": {"type": "string"}},
        "properties": {
            "total": {"$ref": "#/$defs/cents"},
            "tax": {"$ref": "#money"},
            "name": {"$ref": "#/$defs/a~1b~0c"},
            "children": {"type": "array", "items": {"$ref": "#"}},
        },
    }
    schema = Schema.compile(document, "schema")
    schema.check({"total": 1, "tax": 2, "name": "x", "children": [{"total": 3}]})
    for bad, place in (
        ({"total": "1"}, "/total"),
        ({"tax": "2"}, "/tax"),
        ({"name": 3}, "/name"),
        ({"children": [{"children": [{"tax": None}]}]}, "/children/0/children/0/tax"),
    ):
        with pytest.raises(SchemaViolation) as caught:
            schema.check(bad)
        assert caught.value.place == place


@pytest.mark.parametrize(
    "document",
    [
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        {"$dynamicAnchor": "me", "if": {"$dynamicRef": "#me"}},
        {"dependentSchemas": {"a": {"$ref": "#"}}},
    ],
)
def test_a_schema_that_only_asks_itself_is_refused(document: Any) -> None:
    assert "refers to itself" in refusal(document).what


def test_few_definitions_that_stand_for_endless_checking_are_refused() -> None:
    doubling: dict[str, Any] = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(40)}
    bomb = {"$ref": "#/$defs/d0", "$defs": doubling | {"d40": {"type": "string"}}}
    assert "unfold" in refusal(bomb).what


def test_a_doubling_that_goes_through_properties_is_refused_too() -> None:
    doubling: dict[str, Any] = {
        f"d{i}": {"properties": {"a": {"oneOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2}}} for i in range(40)
    }
    bomb = {"$ref": "#/$defs/d0", "$defs": doubling | {"d40": {"type": "string"}}}
    assert "unfold" in refusal(bomb).what


def test_a_long_chain_of_references_costs_no_stack() -> None:
    chain: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(300)}
    schema = Schema.compile({"$ref": "#/$defs/d0", "$defs": chain | {"d300": {"type": "string"}}}, "schema")
    schema.check("x")
    with pytest.raises(SchemaViolation, match="breaks type 'string'"):
        schema.check(1)
    longer: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(3000)}
    assert "unfold" in refusal({"$defs": longer | {"d3000": {"type": "string"}}}).what


def test_a_schema_of_too_many_values_is_refused() -> None:
    assert f"more than {MAX_VALUES}" in refusal({"enum": list(range(MAX_VALUES))}).what


def test_a_schema_nested_too_deep_is_refused() -> None:
    document: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        document = {"items": document}
    Schema.compile(document["items"], "schema")
    assert f"deeper than {MAX_DEPTH}" in refusal({"items": {"items": document}}).what


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"type": "objekt"}, "/type"),
        ({"maxLength": "3"}, "/maxLength"),
        ({"maxLength": -1}, "/maxLength"),
        ({"required": "path"}, "/required"),
        ({"properties": {"a": {"enum": "a"}}}, "/properties/a/enum"),
        ({"multipleOf": 0}, "/multipleOf"),
        ({"format": "uint32"}, "/format"),
        (
            {"$defs": {"unused": {"properties": {"a": {"format": "byte"}}}}},
            "/$defs/unused/properties/a/format",
        ),
    ],
)
def test_a_keyword_with_an_impossible_value_is_refused(document: Any, pointer: str) -> None:
    assert refusal(document).where == f"tools.pay.input#{pointer}"


@pytest.mark.parametrize(
    "document",
    [
        {"properties": []},
        {"properties": None},
        {"allOf": {}},
        {"prefixItems": 1},
        {"items": [{}]},
        {"not": "x"},
        {"$defs": {"a": 7}},
        {"$anchor": "two words"},
        {"$anchor": ["a"]},
        {"$defs": {"a": {"$anchor": "x"}, "b": {"$dynamicAnchor": "x"}}},
        [],
        True,
        None,
        "{}",
    ],
)
def test_what_is_no_schema_at_all_is_refused(document: Any) -> None:
    assert refusal(document).where.startswith("tools.pay.input")


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "[z-a]",
        "(?=a)b",
        "(?<!a)b",
        r"(\w)\1",
        "a{1,2}{3,4}{5,600000}",
        "((a{1000}){1000}){1000}",
        r"\p{Nope}",
    ],
)
@pytest.mark.parametrize("keyword", ["pattern", "patternProperties"])
def test_a_pattern_that_no_linear_engine_runs_is_refused(pattern: str, keyword: str) -> None:
    refusal({keyword: {pattern: {}} if keyword == "patternProperties" else pattern})


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x$"])
def test_a_catastrophic_pattern_is_no_catastrophe(pattern: str) -> None:
    with pytest.raises(SchemaViolation):
        Schema.compile({"pattern": pattern}, "schema").check("a" * 100_000 + "!")


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#", "https://example.com/mine", 7, None])
def test_another_draft_is_not_read_as_this_one(draft: Any) -> None:
    assert refusal({"$schema": draft}).where == "tools.pay.input#/$schema"


def test_the_name_of_a_document_cannot_change_what_its_references_mean() -> None:
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://json-schema.org/draft/2020-12/schema",
        "$ref": "#/$defs/a",
        "$defs": {"a": {"const": 1}},
    }
    schema = Schema.compile(document, "schema")
    schema.check(1)
    with pytest.raises(SchemaViolation):
        schema.check({})
    assert refusal({"$id": 7}).where == "tools.pay.input#/$id"


def test_every_keyword_of_the_dialect_is_one_that_the_engine_knows() -> None:
    """The engine passes over what it does not know: each keyword changes some answer, or is known not to."""
    annotations = {
        "$anchor",
        "$comment",
        "$defs",
        "$dynamicAnchor",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    }
    refusing: dict[str, tuple[dict[str, Any], Any]] = {
        "$ref": ({"$ref": "#/$defs/no", "$defs": {"no": False}}, 1),
        "$dynamicRef": ({"$dynamicRef": "#no", "$defs": {"no": {"$dynamicAnchor": "no", "not": {}}}}, 1),
        "not": ({"not": {}}, 1),
        "if": ({"if": True, "then": False}, 1),
        "then": ({"if": True, "then": False}, 1),
        "else": ({"if": False, "else": False}, 1),
        "additionalProperties": ({"additionalProperties": False}, {"a": 1}),
        "contains": ({"contains": {"const": 2}}, [1]),
        "items": ({"items": False}, [1]),
        "propertyNames": ({"propertyNames": {"maxLength": 1}}, {"ab": 1}),
        "unevaluatedItems": ({"unevaluatedItems": False}, [1]),
        "unevaluatedProperties": ({"unevaluatedProperties": False}, {"a": 1}),
        "allOf": ({"allOf": [False]}, 1),
        "anyOf": ({"anyOf": [False]}, 1),
        "oneOf": ({"oneOf": [True, True]}, 1),
        "prefixItems": ({"prefixItems": [False]}, [1]),
        "dependentSchemas": ({"dependentSchemas": {"a": False}}, {"a": 1}),
        "patternProperties": ({"patternProperties": {"a": False}}, {"a": 1}),
        "properties": ({"properties": {"a": False}}, {"a": 1}),
        "type": ({"type": "string"}, 1),
        "enum": ({"enum": [2]}, 1),
        "const": ({"const": 2}, 1),
        "format": ({"format": "ipv4"}, "x"),
        "pattern": ({"pattern": "a"}, "x"),
        "multipleOf": ({"multipleOf": 2}, 1),
        "maximum": ({"maximum": 0}, 1),
        "exclusiveMaximum": ({"exclusiveMaximum": 1}, 1),
        "minimum": ({"minimum": 2}, 1),
        "exclusiveMinimum": ({"exclusiveMinimum": 1}, 1),
        "maxLength": ({"maxLength": 0}, "x"),
        "minLength": ({"minLength": 2}, "x"),
        "maxItems": ({"maxItems": 0}, [1]),
        "minItems": ({"minItems": 2}, [1]),
        "uniqueItems": ({"uniqueItems": True}, [1, 1]),
        "maxContains": ({"contains": True, "maxContains": 0}, [1]),
        "minContains": ({"contains": True, "minContains": 2}, [1]),
        "maxProperties": ({"maxProperties": 0}, {"a": 1}),
        "minProperties": ({"minProperties": 2}, {"a": 1}),
        "required": ({"required": ["b"]}, {"a": 1}),
        "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, {"a": 1}),
    }
    assert set(KEYWORDS) == annotations | set(refusing)
    for document, value in refusing.values():
        with pytest.raises(SchemaViolation):
            Schema.compile(document, "schema").check(value)
