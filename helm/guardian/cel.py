"""The one door to CEL: an expression, compiled once, holds, does not hold, or cannot be evaluated.

The engine keeps the interpreter for itself while it works, so a signal waits until it is done; `cel_grammar`
bounds how long that is. A panic inside it is no Exception: it passes every gate and ends the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
import cel

from helm.contracts.dialect import shown
from helm.contracts.errors import Invalid
from helm.guardian.cel_grammar import FUNCTIONS, METHODS, TYPES, Needs, needs_of

MAX_VALUES = 10_000
"""Most values handed to one expression: they are copied for it, and it may go through them (T4)."""

OPERATORS = frozenset(
    {
        "!_",
        "-_",
        "@in",
        "@not_strictly_false",
        "_!=_",
        "_%_",
        "_&&_",
        "_*_",
        "_+_",
        "_-_",
        "_/_",
        "_<=_",
        "_<_",
        "_==_",
        "_>=_",
        "_>_",
        "_?_:_",
        "_[_]",
        "_||_",
    }
)
"""The engine's names for the operators, the macros' inner ones among them."""


class CelError(Exception):
    """An expression that gives neither true nor false. The reason never repeats an argument's value."""


@attrs.frozen(kw_only=True, eq=False)
class Program:
    """One compiled expression."""

    source: str
    needs: Needs = attrs.field(repr=False)
    _run: Callable[[cel.Context], Any] = attrs.field(repr=False)

    @classmethod
    def compile(cls, source: str, where: str) -> Program:
        """Compile an expression; `where` names it in complaints. Raises Invalid."""
        needs = needs_of(source, where)
        program = parsed(source, where)
        check_references(program, needs, where)
        check_patterns(needs, where)
        return cls(source=source, needs=needs, run=program.execute)

    def holds(self, variables: Mapping[str, Any]) -> bool:
        """Tell whether the expression is true of `variables`. Raises CelError unless it is true or false."""
        return self.holds_of(converted(self.needs, variables))

    def holds_of(self, facts: cel.Context) -> bool:
        """Tell whether the expression is true of what was converted for it and others. Raises CelError."""
        try:
            answer = self._run(facts)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as problem:
            raise CelError(said(problem)) from problem
        if answer is True or answer is False:
            return bool(answer)
        raise CelError(f"the expression gives a {type(answer).__name__}, neither true nor false")


def converted(needs: Needs, variables: Mapping[str, Any]) -> cel.Context:
    """Return the variables as the engine takes them, which is most of the cost of asking it. Raises CelError."""
    try:
        return cel.Context(variables=handed(needs, variables))
    except (LookupError, ValueError) as problem:
        raise CelError(said(problem)) from problem


def handed(needs: Needs, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is looked at, and of the arguments only those: the rest costs nothing. Raises CelError."""
    given = {name: variables[name] for name in needs.variables}
    arguments, members = given.get("args"), needs.members
    if type(arguments) is dict and members is not None:
        given["args"] = {name: arguments[name] for name in members if name in arguments}
    check_size(given)
    return given


def parsed(source: str, where: str) -> cel.Program:
    """Return the engine's program. Raises Invalid."""
    try:
        return cel.compile(source)
    except ValueError as problem:
        complaint = str(problem).partition("ERROR: ")[2].partition("\n")[0]
        raise Invalid(f"broken CEL: {complaint[:200]}", where, "see the CEL language definition") from problem


def check_patterns(needs: Needs, where: str) -> None:
    """Refuse a pattern that the engine would only complain of during a call. Raises Invalid."""
    for pattern in needs.patterns:
        try:
            parsed(f"''.matches({pattern})", where).execute()
        except RuntimeError as problem:
            hint = "patterns are RE2: they do not look around or refer back"
            raise Invalid(f"{shown(pattern)} is no pattern", where, hint) from problem


def check_references(program: cel.Program, needs: Needs, where: str) -> None:
    """Refuse an expression in which the engine sees what the grammar did not. Raises Invalid."""
    unknown = set(program.variables()) - needs.variables - needs.bound - TYPES
    unknown |= set(program.functions()) - OPERATORS - FUNCTIONS - METHODS
    if unknown:
        raise Invalid(f"CEL refers to {shown(min(unknown))}", where, "write it in another way")


def check_size(given: dict[str, Any]) -> None:
    """Raise CelError for more values than an expression may be made to go through."""
    values, seen = 0, list(given.values())
    for value in seen:  # it grows while it is walked through
        kind = type(value)
        if kind is dict or kind is list:
            values += len(value)
            if values > MAX_VALUES:
                raise CelError(f"more than {MAX_VALUES} values to look at: bound them in the input schema")
            seen += value.values() if kind is dict else value


def said(problem: Exception) -> str:
    """Name what went wrong. The engine's own words repeat values, and change with its version."""
    match problem:
        case KeyError():
            return f"there is no {shown(problem.args[0] if problem.args else '')}"
        case LookupError():
            return "an index is out of range"
        case ArithmeticError():
            return "the arithmetic has no result"
        case TypeError():
            return "the types do not fit the operation"
        case _:
            return "it cannot be evaluated"
