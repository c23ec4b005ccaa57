"""A bundle is one policy with one hash, or it is refused with file, line and path."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import hash_in
from helm.guardian.bundle import MEMBERS, compile_document, load_toml
from helm.guardian.bundle_lines import line_of, lines_of
from tests.helm.guardian.bundles import FULL, document, policy, without


def refusal(whole: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_document(whole)
    return caught.value


def tables(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every table of a bundle, but for schemas and tables of free names."""
    if isinstance(value, dict):
        if path[-1:] not in (("headers",), ("principals",)):
            yield path
        for name, below in value.items():
            if not (path[:1] == ("tools",) and name in ("input", "output")):
                yield from tables(below, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from tables(item, (*path, index))


@pytest.mark.parametrize("path", list(tables(FULL)), ids=lambda path: ".".join(map(str, path)) or "bundle")
def test_an_unknown_key_is_refused_in_every_table(path: tuple[str | int, ...]) -> None:
    problem = refusal(document(*path, unknwon={}))
    assert "unknwon" in problem.where


@pytest.mark.parametrize("path", list(tables(FULL)), ids=lambda path: ".".join(map(str, path)) or "bundle")
@pytest.mark.parametrize("wrong", [3.5, None, {"a": {}}, [[]], ["a", "a"], True, -1, "", "not one of the words\n"])
def test_no_member_takes_a_value_of_any_other_kind(path: tuple[str | int, ...], wrong: Any) -> None:
    """What may be such a value is listed; everything else is refused at its place."""
    table: Any = FULL
    for step in path:
        table = table[step]
    for name in table:
        if name not in MAY_BE.get(repr(wrong), ()):
            problem = refusal(document(*path, **{name: wrong}))
            assert next(step for step in (*path, name) if isinstance(step, str)) in problem.where


MAY_BE = {
    "True": ("allow_private", "irreversible", "delegation_required", "accepts_tainted"),
    "''": ("origin", "operation", "path", "url_argument", "fixed", "argument", "jurisdiction", "credential"),
    "{'a': {}}": ("principals",),
}
"""Members that may have one of the wrong values, at least before they are compared with others."""


@pytest.mark.parametrize(
    "path",
    [
        ("version",),
        ("scope",),
        ("epoch",),
        ("budgets", 0, "id"),
        ("budgets", 0, "subject"),
        ("budgets", 0, "window_s"),
        ("connectors", "local", "kind"),
        ("connectors", "files", "root"),
        ("connectors", "orders", "operations", "cancel", "method"),
        ("tools", "pay", "connector"),
        ("tools", "pay", "effect_type"),
        ("tools", "pay", "risk_tier"),
        ("tools", "pay", "principals"),
        ("tools", "pay", "input"),
        ("tools", "pay", "output"),
        ("tools", "pay", "requires", 0, "id"),
        ("tools", "pay", "requires", 0, "cel"),
        ("tools", "pay", "velocity", "window_s"),
        ("tools", "pay", "windows", 0, "from"),
        ("tools", "pay", "windows", 0, "to"),
        ("p0", "window_s"),
    ],
    ids=lambda path: ".".join(map(str, path)),
)
def test_what_must_be_said_is_not_guessed(path: tuple[str | int, ...]) -> None:
    problem = refusal(without(*path))
    assert "missing" in problem.what and problem.where.endswith(str(path[-1]))


@pytest.mark.parametrize("version", ["helm.policy/2", "1", "HELM.POLICY/1"])
def test_a_bundle_of_another_version_is_not_read_as_this_one(version: str) -> None:
    assert refusal(document(version=version)).where == "version"


@pytest.mark.parametrize("whole", [None, [], "text", 3, [FULL]])
def test_what_is_no_table_is_no_bundle(whole: Any) -> None:
    refusal(whole)


@pytest.mark.parametrize("epoch", [0, -1, 2**53, 1.5, "1", True])
def test_an_epoch_is_a_positive_whole_number(epoch: Any) -> None:
    assert refusal(document(epoch=epoch)).where == "epoch"


def test_the_smallest_bundle_denies_everything() -> None:
    least = compile_document({"version": "helm.policy/1", "scope": "s", "epoch": 1})
    assert least.tool("anything") is None and not least.tools and not least.budgets
    assert least.not_before_ms == 0 and least.max_age_s == 0
    assert least.compliance.allowed_data_classes == frozenset()


def test_the_same_bundle_has_the_same_hash_however_it_is_written() -> None:
    backwards = json.loads(json.dumps(FULL), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert compile_document(backwards).policy_hash == policy().policy_hash
    again = compile_document(parse(policy().document))
    assert (again.policy_hash, again.p0_ceiling_hash) == (policy().policy_hash, policy().p0_ceiling_hash)
    assert policy().policy_hash == hash_in(domains.POLICY, canonical(FULL))
    assert policy().p0_ceiling_hash == hash_in(domains.P0, canonical(FULL["p0"]))


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for step, below in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(below, dict | list) and below:
            yield from leaves(below, (*path, step))
        else:
            yield (*path, step)


def test_every_member_is_under_the_hash() -> None:
    hashes = set()
    for path in leaves(FULL):
        try:
            hashes.add(compile_document(without(*path)).policy_hash)
        except Invalid:
            continue
    assert policy().policy_hash not in hashes and len(hashes) > 30


def test_ceilings_are_under_their_own_hash() -> None:
    lower = policy("p0", max_risk_tier="T1")
    assert lower.p0_ceiling_hash != policy().p0_ceiling_hash
    assert policy(epoch=8).p0_ceiling_hash == policy().p0_ceiling_hash


def test_a_caller_that_keeps_the_document_cannot_change_the_policy() -> None:
    whole = copy.deepcopy(FULL)
    compiled = compile_document(whole)
    schema = whole["tools"]["pay"]["input"]
    schema["additionalProperties"] = True
    rule = compiled.tool("pay")
    assert rule is not None and rule.input_schema.document["additionalProperties"] is False


def test_a_policy_cannot_be_changed_in_place() -> None:
    compiled = policy()
    for mapping in (compiled.tools, compiled.principals, compiled.connectors, compiled.budgets_by_id):
        with pytest.raises(TypeError):
            mapping["x"] = mapping  # type: ignore[index]
    with pytest.raises(AttributeError):
        compiled.epoch = 9  # type: ignore[misc]


def test_a_bundle_that_is_too_large_or_too_deep_is_refused() -> None:
    tools = {f"t{i}": FULL["tools"]["files.read"] | {"output": {"description": "x" * 8000}} for i in range(200)}
    assert "bytes" in refusal(document(tools=tools)).what
    deep: Any = {}
    for _ in range(60):
        deep = {"items": deep}
    assert "deeper" in refusal(document("tools", "pay", input=deep)).what


def test_a_policy_that_grows_stale_must_say_from_when() -> None:
    assert refusal(without("not_before")).where == "max_age_s"


# TOML

TOML = """\
version = "helm.policy/1"
scope = "test"
epoch = 3
not_before = 2026-01-01T01:00:00.5+01:00

[connectors.local]
kind = "local"

[[budgets]]
id = "first"
subject = "*"
tool_call_limit = 3
window_s = 60

[[budgets]]
id = "second"
subject = "each-principal"
tool_call_limit = 3
window_s = 60

[tools."files.read"]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
output = {}
requires = [
  { id = "public", cel = "args.path.startsWith('public/')" },
]

[tools."files.read".input]
type = "object"
additionalProperties = false
properties.path = { type = "string" }
properties.share = { type = "number", maximum = 0.5 }

[tools.second]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = []
input = '{"type": "object", "properties": {"none": {"const": null}}}'
output = '''
{"type": "string"}
'''
"""


def toml_refusal(old: str, new: str) -> Invalid:
    assert old in TOML
    with pytest.raises(Invalid) as caught:
        load_toml(TOML.replace(old, new, 1), "policy.toml")
    return caught.value


def test_toml_becomes_the_same_document_as_json() -> None:
    loaded = load_toml(TOML, "policy.toml")
    whole = parse(loaded.document)
    assert whole["not_before"] == loaded.not_before_ms == 1_767_225_600_500
    assert whole["tools"]["second"]["input"]["properties"] == {"none": {"const": None}}
    assert whole["tools"]["second"]["output"] == {"type": "string"}
    assert whole["tools"]["files.read"]["input"]["properties"]["share"]["maximum"] == 0.5
    assert compile_document(whole).policy_hash == loaded.policy_hash


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("epoch = 3", "epoch = 0", "policy.toml:3: epoch"),
        ("epoch = 3", "epoch = 3\nepohc = 4", "policy.toml:4: epohc"),
        ("epoch = 3", "epoch = 3.0", "policy.toml:3: epoch"),
        ("epoch = 3", "epoch = 3\nmax_age_s = inf", "policy.toml:4: max_age_s"),
        ("epoch = 3", "epoch = " + "9" * 400, "policy.toml:3: epoch"),
        ("+01:00", "", "policy.toml:4: not_before"),
        ("2026-01-01T01:00:00.5+01:00", "2026-01-01", "policy.toml:4: not_before"),
        ("2026-01-01T01:00:00.5+01:00", '"2026-01-01T00:00:00Z"', "policy.toml:4: not_before"),
        ("2026-01-01T01:00:00.5+01:00", "1767225600000", "policy.toml:4: not_before"),
        ('kind = "local"', 'kind = "ftp"', "policy.toml:7: connectors.local.kind"),
        ('id = "second"', 'id = "first"', "policy.toml:16: budgets[1].id"),
        ("window_s = 60", "window_s = 08:00:00", "policy.toml:13: budgets[0].window_s"),
        ('risk_tier = "T1"', 'risk_tier = "T4"', 'policy.toml:24: tools."files.read".risk_tier'),
        ("'public/')", "'public/'", 'policy.toml:27: tools."files.read".requires[0].cel'),
        ('id = "public"', 'id = "public", ceel = ""', 'policy.toml:27: tools."files.read".requires[0].ceel'),
        (
            "additionalProperties",
            "additonalProperties",
            'policy.toml:33: tools."files.read".input#/additonalProperties',
        ),
        (
            '{ type = "string" }',
            '{ "$ref" = "https://example.com/s" }',
            'policy.toml:34: tools."files.read".input#/properties/path/$ref',
        ),
        ('{"const": null}', '{"cons": null}', "policy.toml:42: tools.second.input#/properties/none/cons"),
        ('{"const": null}', '{"const": nul}', "policy.toml:42: tools.second.input"),
        ('{"const": null}', '{"const": 1, "const": 2}', "policy.toml:42: tools.second.input"),
        ('{"type": "string"}', '["a"]', "policy.toml:43: tools.second.output"),
        ("output = {}", "output = 3", 'policy.toml:26: tools."files.read".output'),
    ],
)
def test_a_mistake_is_told_with_file_line_and_path(old: str, new: str, where: str) -> None:
    assert toml_refusal(old, new).where == where


@pytest.mark.parametrize("written", ["connector.local", "conectors.local"])
def test_a_misspelt_table_is_named_with_its_line_before_the_tools_that_miss_it(written: str) -> None:
    problem = toml_refusal("connectors.local", written)
    member = written.partition(".")[0]
    assert problem.what == f"unknown key '{member}'"
    assert (problem.where, problem.hint) == (f"policy.toml:6: {member}", "did you mean connectors?")


def test_what_is_not_declared_is_never_answered_with_an_empty_list() -> None:
    window = refusal(document("tools", "pay", windows=["night"]))
    assert window.hint == "declare [windows.night]; there are none yet"
    bare = {name: value for name, value in document().items() if name != "connectors"}
    assert refusal(bare).hint.endswith("; there are none yet")


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_every_member_that_is_known_is_read(member: str) -> None:
    """One that is read and not known could be used by nobody."""
    problem = refusal({**document(), member: None})
    assert problem.where.startswith(member) and "unknown key" not in problem.what


@pytest.mark.parametrize(
    "text", ["version = ", "[p0", "a = 1\na = 2", "[[tools]]\n[tools]", "a = " + "[" * 5000, "\x00", "a = 1e"]
)
def test_what_is_not_toml_is_refused_with_the_file(text: str) -> None:
    with pytest.raises(Invalid, match="not TOML") as caught:
        load_toml(text, "policy.toml")
    assert caught.value.where.split(":")[0] == "policy.toml" and caught.value.hint


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        ('a = 1\nscope = "one\nb = 2', "policy.toml:2:13", "not TOML: Illegal character '\\n'", "quotation mark"),
        ("a = 1\nscope = one", "policy.toml:2:9", "not TOML: Invalid value", "in quotation marks"),
        ("a = 1\na = 2\n\nb = 3", "policy.toml:2:6", "not TOML: Cannot overwrite a value", "twice"),
        ("a = 1\n[p0\n", "policy.toml:2:4", "", "TOML 1.0"),
        ("a = 1\n[p0", "policy.toml:2", "", "TOML 1.0"),
    ],
)
def test_where_a_text_stops_being_toml_is_a_place_that_an_editor_opens(
    text: str, where: str, what: str, hint: str
) -> None:
    with pytest.raises(Invalid) as caught:
        load_toml(text, "policy.toml")
    assert caught.value.where == where and caught.value.what.startswith(what) and hint in caught.value.hint
    assert "(at " not in caught.value.what


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        ("epoch = 3", 'epoch = "two"', "must be a whole number, not a text", "without quotation marks"),
        ('scope = "test"', "scope = 7", "must be a text, not a whole number", "in quotation marks"),
        ('{"const": null}', '{"const": nul}', "a schema that is not JSON", "a JSON schema, such as"),
    ],
)
def test_a_value_of_another_kind_is_told_in_words_and_how_to_write_it(old: str, new: str, what: str, hint: str) -> None:
    problem = toml_refusal(old, new)
    assert what in problem.what and hint in problem.hint


@pytest.mark.parametrize("text", ["tools = 3", "tools = [1]", "[tools]\npay = 3", "p0 = 1", 'budgets = "x"'])
def test_toml_of_another_shape_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        load_toml(f'version = "helm.policy/1"\nscope = "s"\nepoch = 1\n{text}\n', "policy.toml")


def test_a_line_that_cannot_be_found_is_left_out() -> None:
    assert line_of("tools.pay.input", "scope = 'x'") == 0
    with pytest.raises(Invalid) as caught:
        load_toml('scope = "x"', "policy.toml")
    assert caught.value.where == "policy.toml: version"


def test_lines_follow_tables_quotes_and_lists() -> None:
    text = """\
a = 1
[x.'y.z']
b.c = "[not.a.table]"
[[x.list]]
d = 1
[x.list.inner]
e = 1
[[x.list]]
d = 2
"""
    assert lines_of(text) == {
        "a": 1,
        'x."y.z"': 2,
        'x."y.z".b.c': 3,
        "x.list[0]": 4,
        "x.list[0].d": 5,
        "x.list[0].inner": 6,
        "x.list[0].inner.e": 7,
        "x.list[1]": 8,
        "x.list[1].d": 9,
    }
    assert line_of('x."y.z".b.c[3].d#/properties/e', text) == 3
    assert line_of("x", text) == 2
    assert line_of("x.list", text) == 4
