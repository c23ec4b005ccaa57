"""How a command that failed says so: what was refused, where, and what to do; as an object where --json was given."""

from __future__ import annotations

import json
import sys
import traceback

import click

from actors.mailbox import KernelStopped, Overloaded
from actors.stores.port import JournalFailed
from helm.contracts.errors import Invalid, Malformed, Refused

REFUSED = 1
USAGE = 2


def report(problem: BaseException) -> int:
    """Write `problem` to stderr and return the exit code; a programming error shows its traceback."""
    leaf = innermost(problem)
    if isinstance(leaf, KeyboardInterrupt):
        return 130
    if isinstance(leaf, SystemExit):
        return leaf.code if isinstance(leaf.code, int) else 1
    told = describe(leaf)
    if told is None:
        traceback.print_exception(problem)
        return 1
    if "--json" in sys.argv:
        sys.stderr.write(json.dumps({"op": operation(), **told}, indent=2) + "\n")
    else:
        sys.stderr.write(click.style("refused: ", fg="red", bold=True) + told["message"] + "\n")
        if told["hint"]:
            sys.stderr.write(f"  {told['hint']}\n")
    return REFUSED


def innermost(problem: BaseException) -> BaseException:
    """Return the one exception inside groups of one."""
    while isinstance(problem, BaseExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    return problem


def describe(problem: BaseException) -> dict[str, str] | None:
    """Return message, hint and code of an expected failure, None for one of ours."""
    match problem:
        case Invalid():
            return {"message": f"{problem.where}: {problem.what}", "hint": problem.hint, "code": "INVALID"}
        case Refused():
            return {"message": problem.reason, "hint": "", "code": problem.code.value}
        case Malformed():
            return {"message": str(problem), "hint": "", "code": "MALFORMED"}
        case KernelStopped():
            hint = "reconcile before you retry" if problem.unknown else "start it again: nothing was executed"
            return {"message": str(problem), "hint": hint, "code": "KERNEL_STOPPED"}
        case Overloaded():
            return {"message": str(problem), "hint": "try again shortly", "code": "OVERLOADED"}
        case JournalFailed():
            return {"message": str(problem), "hint": "look at the disk, then start again", "code": "KERNEL_STOPPED"}
        case _:
            return None


def operation() -> str:
    """Return the command as it was typed, without its options."""
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]
    return " ".join(["helm", *words])
