"""How a command that failed says so: in words for people, as an object where --json was given."""

from __future__ import annotations

import errno
import json
import sys
from typing import NamedTuple

import click

from actors.cli import show
from helm.contracts.errors import Invalid, Malformed, Refused

REFUSED = 1
USAGE = 2


class Told(NamedTuple):
    """What there is to say of a failure."""

    message: str
    hint: str
    code: str


class Failed(Exception):
    """A command that could not do its work, for a reason that is no part of the house's own nouns."""

    def __init__(self, message: str, hint: str = "", code: str = "FAILED") -> None:
        super().__init__(message)
        self.told = Told(message, hint, code)


def report(problem: BaseException) -> int:
    """Write `problem` to stderr and return the exit code; a programming error shows its traceback."""
    told = describe(innermost(problem))
    if told is None:
        sys.__excepthook__(type(problem), problem, problem.__traceback__)
    else:
        say(told, "refused")
    return REFUSED


def report_usage(problem: click.ClickException) -> int:
    """Write a usage error to stderr and return its exit code."""
    if "--json" not in sys.argv:
        problem.show()
    else:
        say(Told(problem.format_message(), "see --help", "USAGE"), "usage")
    return problem.exit_code


def say(told: Told, what: str) -> None:
    """Write a failure for a person, or for a program that asked for JSON."""
    if "--json" in sys.argv:
        sys.stderr.write(json.dumps({"op": operation(), **told._asdict()}, indent=2) + "\n")
        return
    show.note(click.style(f"{what}: ", fg="red", bold=True) + show.plain(told.message))
    if told.hint:
        show.note(f"  {show.plain(told.hint)}")


def innermost(problem: BaseException) -> BaseException:
    """Return the one exception inside groups of one."""
    while isinstance(problem, BaseExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    return problem


def describe(problem: BaseException) -> Told | None:
    """Return message, hint and code of an expected failure, None for one of ours."""
    match problem:
        case Failed():
            return problem.told
        case Invalid():
            return Told(f"{problem.where}: {problem.what}", problem.hint, "INVALID")
        case Refused():
            return Told(problem.reason, "", problem.code.value)
        case Malformed():
            return Told(str(problem), "", "MALFORMED")
        case OSError(errno=errno.ENOSPC):
            where = problem.filename or "the output"
            return Told(
                f"{where}: cannot be written: {problem.strerror}", "make room there, then repeat it", "NO_SPACE"
            )
        case _:
            return describe_kernel(problem)


def describe_kernel(problem: BaseException) -> Told | None:
    """Return what to say of a kernel that would not answer. Its modules are heavy: they are loaded for this alone."""
    from actors.mailbox import KernelStopped, Overloaded
    from actors.stores.port import JournalFailed

    match problem:
        case KernelStopped():
            hint = "reconcile before you retry" if problem.unknown else "start it again: nothing was executed"
            return Told(str(problem), hint, "KERNEL_STOPPED")
        case Overloaded():
            return Told(str(problem), "try again shortly", "OVERLOADED")
        case JournalFailed():
            return Told(str(problem), "look at the disk, then start again", "KERNEL_STOPPED")
        case _:
            return None


def operation() -> str:
    """Return the command as it was typed, without its options."""
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]
    return " ".join(["helm", *words])
