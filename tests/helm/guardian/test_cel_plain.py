"""A plain condition has the engine's answer, and the engine's words where there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import attrs
import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import MAX_SAFE
from helm.guardian.cel import MAX_VALUES, Program
from helm.guardian.cel_grammar import needs_of, together
from helm.guardian.cel_plain import MAX_NESTED, MAX_TEXT, plain_of
from helm.guardian.chain import CHAIN
from helm.guardian.inquiry import Inquiry
from helm.guardian.offices import prg
from helm.guardian.policy import UNDECLARED, Requirement, ToolRule
from tests.actors.policies import OPEN
from tests.helm.guardian.worlds import NOON_MS, call, policy, world

MISSING = object()


def required(program: Program) -> Requirement:
    return Requirement(id=f"<{program.source}>", program=program, reason="it must")


def rule_of(programs: Iterable[Program]) -> ToolRule:
    requirements = tuple(map(required, programs))
    return attrs.evolve(
        UNDECLARED,
        requirements=requirements,
        requirement_needs=together(one.program.needs for one in requirements),
        effect_type="read",
        stated_tier="T1",
    )


def asking(rule: ToolRule, arguments: Any, destination: str = "") -> Inquiry:
    """Return an inquiry with such arguments, also with some that no door lets in."""
    return Inquiry(call("files.read").but(parsed=arguments), world(), rule, destination)


def outcome(inquiry: Inquiry) -> tuple[ReasonCode, str] | None:
    """Return why the requirements refuse a call, None where they do not."""
    try:
        prg.check(inquiry)
    except Refused as refused:
        return refused.code, refused.reason
    return None


def is_plain(inquiry: Inquiry) -> bool:
    """Tell whether all the requirements are answered without the engine."""
    return type(prg.answers(inquiry)) is list


ALWAYS = Program.compile("true", "requires")
"""Not plain, and no obstacle: with it a rule is the engine's."""


class Pair:
    """A rule, and the same one for the engine alone."""

    def __init__(self, *sources: str) -> None:
        programs = [Program.compile(source, "requires") for source in sources]
        self.rule, self.engines = rule_of(programs), rule_of([*programs, ALWAYS])
        assert self.engines.plain_requirements == ()

    def agree(self, arguments: Any, destination: str = "") -> bool:
        """Tell whether the engine was not asked. Whether or not, it is as if it had been."""
        inquiry = asking(self.rule, arguments, destination)
        assert outcome(inquiry) == outcome(asking(self.engines, arguments, destination))
        return is_plain(inquiry)


PLAIN = [
    'args.x.startsWith("ab")',
    "args.x.endsWith('bc')",
    'args.x.contains("b")',
    'args.x.contains("")',
    "args.x.startsWith('e\u0301')",
    "args.x.endsWith('\u0301')",
    "args.x == 'abc'",
    'args.x != "abc"',
    "args['x'] == '\U0001f600'",
    'args["x"] in ["abc", \'b\']',
    "args.x in ['abc',]",
    "args.x in ['a', 'b', 'abc']",
    "args.x in []",
    "args.x < 5",
    "args.x <= 5",
    "args.x == 5",
    "args.x != 5",
    "args.x >= 5",
    "args.x > 5",
    "args.x == 007",
    "args.x < 999999999999999",
    "args['odd name'] == 'abc'",
    "args[''] == 'abc'",
    "args.size == 'abc'",
    "args.startsWith == 'abc'",
    "args.package == 'abc'",
    "args.args == 'abc'",
    "args.x.startsWith('\"')",
    "args\n . x ==\t'abc'",
    "tool == 'files.read'",
    "tool.startsWith('files.') && principal == 'agent' && tenant == 't' && session == 's'",
    "effect_type == 'read' && risk_tier == 'T1'",
    "risk_tier in ['T0', 'T1']",
    "destination.endsWith('\u00e9')",
    f"now_ms == {NOON_MS}",
    "!args.x.startsWith('ab')",
    "!(args.x == 'abc')",
    "!!(args.x == 'abc')",
    "((args.x == 'abc'))",
    "args.x == 'abc' || args.x == 'b' && args.y == 'b'",
    "(args.x == 'abc' || args.x == 'b') && args.y == 'b'",
    "args.x == 'abc' && args.y == 'b' || args.y == 'abc'",
    "args.x == 'abc' && (args.y == 'b' || args.y == 'abc')",
    "!(args.x == 'abc' || args.y == 'b') || !(args.x == 'b') && !args.y.contains('a')",
    "args.x == '||' || args.x == '(' && args.x != ')'",
    "args == 'abc'",  # arguments that are a text
]

VALUES = [
    *("", "a", "b", "abc", "ab", "bc", "ABC", "e\u0301", "\u00e9", "\U0001f600", "a\U0001f600", "\u0301", "\x00", '"'),
    *("||", "(", "files.read", "\ud83d", "\ude00", "abc\ud800", "a" * 5_000),
    *(
        0,
        4,
        5,
        6,
        7,
        -5,
        MAX_SAFE,
        MAX_SAFE + 1,
        -MAX_SAFE,
        -MAX_SAFE - 1,
        2**63 - 1,
        2**63,
        -(2**63) - 1,
        10**400,
        -(10**400),
    ),
    *(5.0, 4.5, float("inf"), float("nan"), True, False, None, [], ["abc"], [5], {}, {"x": "abc"}),
    *(999_999_999_999_998, 999_999_999_999_999, MISSING),
]


@pytest.mark.parametrize("source", PLAIN)
def test_a_plain_condition_is_answered_as_the_engine_answers_it(source: str) -> None:
    pair, plain = Pair(source), 0
    names = ["x", "odd name", "", "size", "startsWith", "package", "args"]
    for x, y in product(VALUES, ["a", "b", "abc", MISSING]):
        given = dict.fromkeys(names, x) if x is not MISSING else {}
        plain += pair.agree(given if y is MISSING else {**given, "y": y}, "https://caf\u00e9")
    for arguments in ("abc", None, [], ["x"], 5, True):
        plain += pair.agree(arguments)
    assert plain


SIDES = ("args.a == 'a'", "args.b.contains('a')", "!args.c.startsWith('b')", "!(args.d == 'b')")


@pytest.mark.parametrize("form", ["{} {} {} {} {} {} {}", "{} {} ({} {} {}) {} {}", "!({} {} {}) {} !({} {} {})"])
def test_what_binds_closer_is_what_the_engine_takes_first(form: str) -> None:
    for first, second, third in product(["&&", "||"], repeat=3):
        pair = Pair(form.format(SIDES[0], first, SIDES[1], second, SIDES[2], third, SIDES[3]))
        for values in product("ab", repeat=4):
            assert pair.agree(dict(zip("abcd", values, strict=True)))


@pytest.mark.parametrize(
    "source",
    [
        "tool == 'files.read'",
        "principal == 'agent'",
        "tenant == 't'",
        "session == 's'",
        f"now_ms == {NOON_MS}",
        "destination == 'https://x'",
        "effect_type == 'read'",
        "risk_tier == 'T1'",
        "args.x == 'a'",
    ],
)
def test_every_name_stands_for_what_it_says(source: str) -> None:
    pair = Pair(source)
    assert pair.agree({"x": "a"}, "https://x") and outcome(asking(pair.rule, {"x": "a"}, "https://x")) is None


@pytest.mark.parametrize(
    "source",
    [
        "true",
        "args.x",
        "!args.x",
        "!args.x == 'a'",
        "!tool == 'a'",
        "!tool in ['a']",
        "!(args.x) == 'a'",
        "(args.x) == 'a'",
        "(args.x == 'a') == (args.y == 'b')",
        "!(args.x == 'a') == (args.y == 'b')",
        "(args.x == 'a' || args.x == 'b') == (args.y == 'b')",
        "(args.x == 'a') == (args.y == 'b' && args.y == 'c')",
        "(args.x == 'a' || args.y == 'b') != (args.x == 'b' && args.y == 'a')",
        "args.x == ('a')",
        "args.x == 'a' == true",
        "args.x < 5 == true",
        "args.x < 5 < 6",
        "args.x in ['a'] == true",
        "args.x in ['a'] == ('b' in ['c'])",
        "args.x in [args.y]",
        "args.x in ['a', tool]",
        "args.x in [1, 2]",
        "args.x in [r'a']",
        "args.x in ['a' + 'b']",
        "args.x in args.y",
        "args.x in 'a'",
        "'a' in args.x",
        "'a' in args",
        "'a' in labels",
        "'a' == args.x",
        "5 < args.x",
        "args.x == args.y",
        "args.x == 'a' + 'b'",
        "args.x + 'b' == 'ab'",
        "args.x < 'a'",
        "args.x >= 'a'",
        "args.x == true",
        "args.x == null",
        "args.x == -1",
        "args.x == - 1",
        "args.x == 1u",
        "args.x == 0x1",
        "args.x == 1.0",
        "args.x == 1e1",
        "args.x == 1 + 1",
        "args.x - 1 == 1",
        "args.x - 1",
        "args.x + 'a'",
        "args.x == 1000000000000000",
        "args.x == 9007199254740993",
        r"args.x == 'a\n'",
        r"args.x == '\u0061'",
        r"args.x in ['\u0061']",
        r"args.x == r'a'",
        r"args.x == r'\a'",
        r"args.x.startsWith('\\')",
        "args.x.startsWith(r'a')",
        r"args['\x78'] == 'a'",
        "args[r'x'] == 'a'",
        "args[tool] == 'a'",
        "args.x.y == 'a'",
        "args['x']['y'] == 'a'",
        "args.x['y'] == 'a'",
        "args.x.y.startsWith('a')",
        "args.x[0] == 'a'",
        "args.x.startsWith(args.y)",
        "args.x.startsWith('a', 'b')",
        "args.x.startsWith()",
        "args.x.startsWith('a').startsWith('b')",
        "args.x.startsWith('a') == true",
        "args.x.matches('a')",
        "args.x.size() == 1",
        "size(args.x) == 1",
        "args.size() == 1",
        "args.startsWith('a')",
        "args.contains('a')",
        "has(args.x)",
        "!has(args.x) || args.x == 'a'",
        "string(args.x) == 'a'",
        "type(args.x) == string",
        "'a'.startsWith('a')",
        "args.x == 'a' ? true : false",
        "args.x == 'a' ? args.x == 'b' : args.x == 'c'",
        "args.x == 'a' || args.x == 'b' ? args.y == 'c' : args.y == 'd' || args.x == 'e'",
        "(args.x == 'a') ? (args.x == 'b') : (args.x == 'c')",
        "args.x.all(tools, tools == 'a')",
        "args.x.exists(startsWith, startsWith.contains('a') || tool == 'a')",
        "{'a': args.x} == {}",
        "[args.x] == ['a']",
        "args.x == 'a' && args.y.z == 'b'",
        "args.x == 'a' || has(args.y)",
    ],
)
def test_what_more_can_be_meant_by_is_the_engines(source: str) -> None:
    pair = Pair(source)
    assert pair.rule.plain_requirements == ()
    assert not pair.agree({"x": "a", "y": "b"}) and not pair.agree({})


def test_one_condition_that_is_not_plain_leaves_all_of_a_rule_to_the_engine() -> None:
    assert len(plain_of(["tool == 'a'", "args.x == 'a'"])) == 2
    assert plain_of(["tool == 'a'", "has(args.x)"]) == plain_of([]) == ()


def test_a_deep_condition_does_not_run_into_the_end_of_the_stack() -> None:
    def nested(brackets: int, nots: int = 0) -> str:
        return "(" * brackets + "!" * nots + "(tool == 'files.read')" + ")" * brackets

    assert Pair(nested(MAX_NESTED - 1)).agree({})
    assert Pair(nested(9, MAX_NESTED - 10)).agree({})
    assert not Pair(nested(MAX_NESTED)).agree({})
    assert plain_of([nested(0, 900)]) == plain_of([nested(480)]) == ()


def watched(source: str, asked: list[str]) -> Program:
    """Return a condition of which the engine always says that it holds, and that notes when it is asked."""

    def run(_: cel.Context) -> Any:
        asked.append(source)
        return True

    return Program(source=source, needs=needs_of(source, "requires"), run=run)


def test_the_engine_is_not_asked_what_is_plain() -> None:
    asked: list[str] = []
    rule = rule_of([watched("args.x.startsWith('a')", asked), watched("tool == 'files.read' || args.y < 5", asked)])
    assert outcome(asking(rule, {"x": "abc", "y": 7, "z": [1]})) is None
    assert outcome(asking(rule, {"x": "bc", "y": 7})) is not None
    assert asked == []


@pytest.mark.parametrize("number", [MAX_SAFE, -MAX_SAFE])
def test_a_number_is_plain_as_long_as_every_reader_sees_the_same(number: int) -> None:
    beyond = number + (1 if number > 0 else -1)
    assert Pair("args.x < 5").agree({"x": number}) and not Pair("args.x < 5").agree({"x": beyond})


@pytest.mark.parametrize("source", ["args.x.contains('b')", "!args.x.startsWith('b')", "args.x in ['b']"])
def test_a_long_text_is_searched_by_the_engine_which_does_it_faster(source: str) -> None:
    pair = Pair(source)
    assert pair.agree({"x": "a" * MAX_TEXT}) and not pair.agree({"x": "a" * (MAX_TEXT + 1)})


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"x": "a"},
        {"y": 5},
        {"x": 5, "y": 5},
        {"x": "a", "y": 5.0},
        {"x": "a", "y": True},
        {"x": "a", "y": MAX_SAFE + 1},
        {"x": "\u00e9", "y": None},
        [],
        None,
    ],
)
def test_the_engine_is_asked_for_every_value_that_is_not_plain(arguments: Any) -> None:
    asked: list[str] = []
    sources = ["args.x.startsWith('a')", "tool == 'files.read' || args.y < 5"]
    assert outcome(asking(rule_of([watched(source, asked) for source in sources]), arguments)) is None
    assert asked == sources


def test_what_one_condition_passes_over_is_still_more_than_the_engine_may_be_handed() -> None:
    many = [1] * (MAX_VALUES + 1)
    for sources in (
        ["tool == 'files.read' || args.x == 'a'"],
        ["tool == 'other' && args.x == 'a'"],
        ["tool == 'files.read'", "args.x == 'a'"],
        ["tool == 'other'", "args.x == 'a'"],
    ):
        pair = Pair(*sources)
        assert pair.agree({"x": "a"}) and not pair.agree({"x": many})
        found = outcome(asking(pair.rule, {"x": many}))
        assert found is not None and "more than" in found[1]


def test_more_arguments_than_the_engine_may_be_handed_are_the_engines() -> None:
    names = [f"n{number}" for number in range(MAX_VALUES + 1)]
    sources = [" && ".join(f"args.{name}!=''" for name in names[at : at + 50]) for at in range(0, len(names), 50)]
    pair = Pair(*sources)
    assert not pair.agree(dict.fromkeys(names, "a"))
    found = outcome(asking(pair.rule, dict.fromkeys(names, "a")))
    assert found is not None and "more than" in found[1]
    assert plain_of(["tool == 'a'".ljust(MAX_VALUES)]) and not plain_of(["tool == 'a'".ljust(MAX_VALUES), "tool == ''"])


TEXTS = st.text(alphabet="ab\u00e9e\u0301\U0001f600/", max_size=3) | st.sampled_from(["abc", "\ud83d", "a\ude00"])
NUMBERS = st.sampled_from([v for v in VALUES if type(v) is int]) | st.integers(-7, 7)
ANY = st.one_of(
    TEXTS,
    TEXTS,
    TEXTS,
    NUMBERS,
    NUMBERS,
    st.sampled_from([v for v in VALUES if type(v) not in (str, int) and v is not MISSING]),
)
OBJECTS = st.fixed_dictionaries({"a": ANY}, optional={"b": ANY, "odd name": ANY})
ARGUMENTS: st.SearchStrategy[Any] = OBJECTS | OBJECTS | st.sampled_from([None, [], "a", 5])

SUBJECTS = st.sampled_from(
    ["args.a", "args.b", "args['a']", "args['odd name']", "tool", "principal", "now_ms", "destination"]
)
QUOTED = st.text(alphabet="ab\u00e9e\u0301\U0001f600/|&(", max_size=3).map(lambda text: f"'{text}'")
WHOLE = st.sampled_from(["0", "5", "007", "7", "999999999999999"])
OTHER = st.sampled_from(["-1", "5u", "5.0", "0x5", "9007199254740993", "true", "null", "args.b", "r'a'", r"'\u0061'"])
METHODS = st.sampled_from(["startsWith", "endsWith", "contains"])
SIGNS = st.sampled_from(["<", "<=", "==", "!=", ">=", ">"])

COMPARISONS = st.one_of(
    st.tuples(SUBJECTS, METHODS, QUOTED).map(lambda words: "{}.{}({})".format(*words)),
    st.tuples(SUBJECTS, st.sampled_from(["==", "!="]), QUOTED).map(" ".join),
    st.tuples(SUBJECTS, SIGNS, WHOLE).map(" ".join),
    st.tuples(SUBJECTS, st.lists(QUOTED, max_size=3)).map(lambda words: f"{words[0]} in [{', '.join(words[1])}]"),
)
ODD = st.one_of(
    st.tuples(SUBJECTS, SIGNS, OTHER | QUOTED).map(" ".join),
    SUBJECTS,
    st.sampled_from(["true", "'web' in labels", "has(args.a)", "args.a.b == 'a'", "args == 'a'", "labels == 'a'"]),
)


def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["&&", "||", "&&", "||", "=="])
    return st.one_of(
        st.lists(st.tuples(parts, signs), min_size=2, max_size=3).map(
            lambda pairs: "".join(f"{part} {sign} " for part, sign in pairs).rpartition(pairs[-1][1])[0]
        ),
        parts.map("({})".format),
        parts.map("!({})".format),
        parts.map("!{}".format),
        st.tuples(parts, parts, parts).map(lambda three: "{} ? {} : {}".format(*three)),
    )


CONDITIONS = st.recursive(st.one_of(*[COMPARISONS] * 9, ODD), joined, max_leaves=4)


def compiled(sources: Sequence[str]) -> Pair | None:
    try:
        return Pair(*sources)
    except Invalid:
        return None


def test_no_conditions_and_no_arguments_tell_the_two_apart() -> None:
    plain: list[bool] = []

    @settings(max_examples=500)
    @given(sources=st.lists(CONDITIONS, min_size=1, max_size=2), several=st.lists(ARGUMENTS, min_size=3, max_size=3))
    def agree(sources: list[str], several: list[Any]) -> None:
        pair = compiled(sources)
        if pair is not None:
            plain.extend(pair.agree(arguments, "https://caf\u00e9") for arguments in several)

    agree()
    assert 100 < sum(plain) < len(plain)


GUARDED = f"""
version = "helm.policy/1"
scope = "test"
epoch = 1

[connectors.local]
kind = "local"

[tools.guarded]
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
{OPEN}
requires = [
  {{ id = "inside", cel = 'args.path.startsWith("public/")', reason = "only public files" }},
  {{ id = "small", cel = "args.cents < 1000 || args.note == 'agreed'" }},
]
"""


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ({"path": "public/a", "cents": 999, "note": ""}, "", ""),
        ({"path": "public/a", "cents": 1000, "note": "agreed"}, "", ""),
        ({"path": "public/a", "cents": 999}, "", ""),
        ({"path": "public/a", "cents": 999.5, "note": 5}, "", ""),
        (
            {"path": "private/a", "cents": 1, "note": ""},
            ReasonCode.MISSING_REQUIREMENT,
            "requirement inside: only public files",
        ),
        ({"path": "private/a"}, ReasonCode.MISSING_REQUIREMENT, "requirement inside: only public files"),
        (
            {"path": "public/a", "cents": 1000, "note": ""},
            ReasonCode.MISSING_REQUIREMENT,
            "requirement small: args.cents < 1000 || args.note == 'agreed'",
        ),
        ({}, ReasonCode.PRG_EVALUATION_ERROR, "requirement inside: there is no 'path'"),
        ({"path": 5}, ReasonCode.PRG_EVALUATION_ERROR, "requirement inside: it cannot be evaluated"),
        (
            {"path": "public/a", "cents": 5000},
            ReasonCode.PRG_EVALUATION_ERROR,
            "requirement small: there is no 'note'",
        ),
        (
            {"path": "public/a", "cents": "5", "note": ""},
            ReasonCode.PRG_EVALUATION_ERROR,
            "requirement small: the types do not fit the operation",
        ),
        (
            {"path": "private/a", "cents": 1, "note": [0] * MAX_VALUES},
            ReasonCode.PRG_EVALUATION_ERROR,
            f"requirement inside: more than {MAX_VALUES} values to look at: bound them in the input schema",
        ),
    ],
)
def test_a_decision_says_what_it_said_when_the_engine_was_asked(arguments: Any, code: str, reason: str) -> None:
    decision = CHAIN.evaluate(call("guarded", arguments), world(policy=policy(GUARDED))).decision.content
    assert (decision.reason_code, decision.reason) == (code, reason)
