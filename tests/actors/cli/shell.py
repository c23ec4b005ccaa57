"""The command line, run in this process as a shell would run it."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import attrs

from actors.cli.main import last_words, main


@attrs.frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return what it wrote to stdout, which is one JSON value."""
        return json.loads(self.out)

    def failure(self) -> Any:
        """Return what it wrote to stderr about its failure, behind the lines for people."""
        return json.loads(self.err[self.err.index("{") :])


def helm(*words: str, **environment: str) -> Ended:
    """Run `helm` with these words, in this environment and no other settings of HELM."""
    out, err = stream(), stream()
    with typed(words, environment), redirect_stdout(out), redirect_stderr(err):
        code = exit_code()
    return Ended(code, text_of(out), text_of(err))


def stream() -> io.TextIOWrapper:
    """Return a stream like a program's own, onto memory."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def text_of(written: io.TextIOWrapper) -> str:
    """Return what was written to a stream."""
    written.seek(0)
    return written.read()


def exit_code() -> int:
    """Run the program to its end, as the interpreter would."""
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException as problem:
        last_words(type(problem), problem, problem.__traceback__)
        return 1


@contextmanager
def typed(words: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[None]:
    """Put words and environment in place, and everything back."""
    before, argv, hook = dict(os.environ), sys.argv, sys.excepthook
    for name in [name for name in before if name.startswith("HELM_") or name == "DATABASE_URL"]:
        del os.environ[name]
    os.environ.update(environment)
    sys.argv = ["helm", *words]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.argv, sys.excepthook = argv, hook
