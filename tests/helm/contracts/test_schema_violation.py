"""A refused value is told where and why, in bounded time and space, without its contents."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.schema import Schema, SchemaViolation
from helm.contracts.violation import MAX_LEVELS, MAX_PARTS, PLACE_CHARS, Check

ORDER = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "maxLength": 10, "pattern": "^[a-z/]+$"},
        "cents": {"type": "integer", "minimum": 1, "maximum": 100},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}, "minItems": 1, "uniqueItems": True},
        "pair": {"prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "one": {"oneOf": [{"minimum": 1}, {"minimum": 2}]},
        "when": {"format": "date-time"},
        "a/b~c": {"const": 1},
    },
    "required": ["path"],
    "additionalProperties": False,
    "$defs": {
        "line": {
            "type": "object",
            "properties": {"sku": {"enum": ["a", "b"]}},
            "dependentRequired": {"sku": ["count"]},
        }
    },
}


def violation(document: dict[str, Any], value: Any) -> SchemaViolation:
    with pytest.raises(SchemaViolation) as caught:
        Schema.compile(document, "schema").check(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "place", "problem"),
    [
        ([], "", "breaks type 'object'"),
        ({}, "", "lacks 'path'"),
        ({"path": 7}, "/path", "breaks type 'string'"),
        ({"path": "a" * 11}, "/path", "breaks maxLength 10"),
        ({"path": "A"}, "/path", "breaks pattern '^[a-z/]+$'"),
        ({"path": "a", "cents": 0}, "/cents", "breaks minimum 1"),
        ({"path": "a", "cents": True}, "/cents", "breaks type 'integer'"),
        ({"path": "a", "lines": []}, "/lines", "breaks minItems 1"),
        ({"path": "a", "lines": [{}, {}]}, "/lines", "breaks uniqueItems True"),
        ({"path": "a", "lines": [{}, 3]}, "/lines/1", "breaks type 'object'"),
        ({"path": "a", "lines": [{"sku": "c", "count": 1}]}, "/lines/0/sku", "breaks enum ['a', 'b']"),
        ({"path": "a", "lines": [{"sku": "a"}]}, "/lines/0", "breaks dependentRequired {'sku': ['count']}"),
        ({"path": "a", "pair": ["x", 1, 2]}, "/pair/2", "is not allowed"),
        ({"path": "a", "pair": ["x", "y"]}, "/pair/1", "breaks type 'integer'"),
        ({"path": "a", "either": []}, "/either", "breaks anyOf"),
        ({"path": "a", "one": 3}, "/one", "breaks oneOf"),
        ({"path": "a", "when": "today"}, "/when", "breaks format 'date-time'"),
        ({"path": "a", "a/b~c": 2}, "/a~1b~0c", "breaks const 1"),
        ({"path": "a", "extra": 1}, "/extra", "is not allowed"),
    ],
)
def test_the_place_and_the_broken_rule_are_named(value: Any, place: str, problem: str) -> None:
    found = violation(ORDER, value)
    assert (found.place, found.problem) == (place, problem)
    assert str(found) == f"{place or 'the value'} {problem}"


@pytest.mark.parametrize(
    ("document", "value", "text"),
    [
        ({"allOf": [{}, {"required": ["a"]}]}, {}, "the value lacks 'a'"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, {"a": 1}, "the value lacks 'b'"),
        ({"if": {"required": ["a"]}, "else": {"required": ["b"]}}, {}, "the value lacks 'b'"),
        ({"dependentSchemas": {"a": {"required": ["b"]}}}, {"a": 1}, "the value lacks 'b'"),
        ({"propertyNames": {"maxLength": 2}}, {"abc": 1}, "/abc breaks maxLength 2"),
        ({"additionalProperties": {"type": "string"}}, {"abc": 1}, "/abc breaks type 'string'"),
        ({"patternProperties": {"^a": {"type": "string"}}}, {"abc": 1}, "the value breaks patternProperties"),
        (
            {"patternProperties": {"^a": {}}, "additionalProperties": False},
            {"b": 1},
            "the value breaks patternProperties or additionalProperties",
        ),
        ({"not": {"type": "object"}}, {}, "the value breaks not"),
        ({"contains": {"const": 1}}, [2], "the value breaks contains"),
        (
            {"unevaluatedProperties": False, "properties": {"a": {}}},
            {"b": 1},
            "the value breaks unevaluatedProperties",
        ),
        ({"unevaluatedItems": False, "prefixItems": [{}]}, [1, 2], "the value breaks unevaluatedItems"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"minimum": 3}}}, 2, "the value breaks minimum 3"),
        (
            {"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a", "minimum": 3}}},
            2,
            "the value breaks minimum 3",
        ),
    ],
)
def test_rules_that_are_put_together_are_taken_apart(document: dict[str, Any], value: Any, text: str) -> None:
    assert str(violation(document, value)) == text


@pytest.mark.parametrize("value", [b"raw", {1: 2}, object(), "\ud800", 1j])
def test_what_is_not_json_satisfies_no_schema(value: Any) -> None:
    assert violation({"properties": {"a": {"minLength": 1}}}, value).problem == "is not JSON"


def test_a_refusal_does_not_repeat_a_secret() -> None:
    secret = "hunter2-hunter2-hunter2"
    for document in (
        {"properties": {"password": {"maxLength": 3}}},
        {"properties": {"password": {"enum": ["a"]}}},
        {"properties": {"password": {"type": "integer"}}},
        {"properties": {"password": {"pattern": "^x"}}},
        {"properties": {"password": {"anyOf": [{"type": "null"}, {"maxLength": 1}]}}},
        {"properties": {"password": {"not": {"type": "string"}}}},
        {"maxProperties": 0},
    ):
        assert secret not in str(violation(document, {"password": secret}))


def test_a_refusal_is_short_whatever_was_sent() -> None:
    deep: Any = "x"
    for _ in range(60):
        deep = {"\u202e" * 1000: deep}
    recursive = {"type": "object", "additionalProperties": {"$ref": "#"}}
    text = str(violation(recursive, deep))
    assert len(text) < 300 and text.isascii()
    many = {"required": [f"property-{i}" for i in range(1000)]}
    assert len(str(violation(many, {}))) < 300
    assert len(str(violation({"enum": ["y" * 5000]}, 1))) < 300


@pytest.mark.timeout(10)
def test_explaining_a_refusal_costs_no_more_than_finding_it() -> None:
    """The engine's own explanation of this value takes 18 s at 17 levels, and doubles with each level."""
    twice = {"anyOf": [{"$ref": "#/$defs/node"}, {"$ref": "#/$defs/node"}]}
    tree = {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"a": twice, "x": {"type": "string"}}}}}
    value: Any = {"x": 1}
    for _ in range(60):
        value = {"a": value}
    assert violation(tree, value).place == "/a"


@pytest.mark.timeout(10)
def test_a_long_list_of_mistakes_is_not_listed() -> None:
    """The engine's own explanation of this value takes 3.6 s."""
    lists = {"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "boolean"}}]}
    assert violation(lists, [1] * 100_000).problem == "breaks anyOf"
    assert violation({"items": {"type": "string"}}, [*["a"] * 99_999, 1]).place == "/99999"


def test_what_satisfies_its_schema_says_nothing() -> None:
    schema = Schema.compile(ORDER, "schema")
    good = {"path": "a/b", "cents": 5, "lines": [{"sku": "a", "count": 2}], "pair": ["x", 1], "either": 3}
    assert schema.check(good) is None  # type: ignore[func-returns-value]


LAST_IS_WRONG = [1] * 300_000 + ["x"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        pytest.param({"items": {"type": "integer"}}, LAST_IS_WRONG, id="many items, the last one wrong"),
        pytest.param(
            {"additionalProperties": {"items": {"type": "integer"}}},
            {"a" * 500_000: LAST_IS_WRONG},
            id="a long name above many items",
        ),
    ],
)
def test_a_caller_cannot_make_us_look_for_the_broken_item_at_length(schema: Any, value: Any) -> None:
    asked = 0

    def count(is_valid: Check) -> Check:
        def counted(part: Any) -> bool:
            nonlocal asked
            asked += 1
            return is_valid(part)

        return counted

    finder = Schema.compile(schema, "tool x")._finder
    checks = {pointer: count(check) for pointer, check in finder.checks.items()}
    violation = attrs.evolve(finder, checks=checks).violation(value)
    assert asked <= MAX_PARTS
    assert len(str(violation)) < 2 * PLACE_CHARS


def test_a_value_as_deep_as_it_may_be_is_not_asked_about_on_every_level() -> None:
    value: Any = LAST_IS_WRONG
    for _ in range(60):
        value = {"a": value}
    schema = {
        "$defs": {"n": {"properties": {"a": {"$ref": "#/$defs/n"}}, "items": {"type": "integer"}}},
        "$ref": "#/$defs/n",
    }
    with pytest.raises(SchemaViolation) as caught:
        Schema.compile(schema, "tool x").check(value)
    assert caught.value.place.count("/a") <= MAX_LEVELS
