"""A page's commands in one shell, typed one after the other, as its reader would type them."""

from __future__ import annotations

import os
import re
import selectors
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import Final

import attrs

from tests.gates.source import ROOT
from tests.warm.python import python

BLOCK: Final = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMISE: Final = re.compile(r"\s+# (exit|says) (.*)$")
REMARK: Final = re.compile(r"\s+# .*$")
BLANK: Final = re.compile(r"export ([A-Z_]+)=\S*\.\.\.")
DONE: Final = "done---"
PORT: Final = "8420"
"""The port that pages name; what is typed here has a free one in its place."""

WITHIN_S: Final = 120.0

SHOWN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "APPROVAL": r"(apr_[0-9a-f]{32})",
        "APPROVAL_KEY": r"approval\s+ACTIVE\s+(key_[0-9a-f]{32})",
        "HELM_ADMIN_KEY": r"admin's key\s+(\S+)",
        "HELM_API_KEY": r"agent's key\s+(\S+)",
        "LOST_KEY": r"execution\s+ACTIVE\s+(key_[0-9a-f]{32})",
        "LOG_ID": r"(?m)^log\s+(sha256:\S+)",
    }
)
"""What a reader copies from what the commands before showed, by the name of the variable that they put it in."""


@attrs.frozen
class Typed:
    """One command of a page, and what the page promises of it."""

    words: str
    code: int = 0
    says: str = ""


def typed_in(page: str) -> Iterator[Typed]:
    """Yield every command of a page that is meant to be typed."""
    for line in "".join(BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))).replace("\\\n", " ").splitlines():
        promise = PROMISE.search(line)
        words = REMARK.sub("", line)
        match promise.groups() if promise else ("", ""):
            case ("exit", code):
                yield Typed(words, code=int(code))
            case ("says", said):
                yield Typed(words, says=said)
            case _:
                yield Typed(words)


@attrs.define(eq=False)
class Shell:
    """A shell in a directory, and everything that it has shown."""

    process: subprocess.Popen[bytes]
    port: int
    shown: str = ""

    def check(self, one: Typed) -> None:
        """Type a command. Raises AssertionError where it does not do what the page promises."""
        words = self.filled(one.words).replace(PORT, str(self.port))
        said, code = self.type(words)
        assert code == one.code, (words, code, said)
        assert one.says in said, (words, one.says, said)
        assert "Traceback" not in said, said

    def filled(self, words: str) -> str:
        """Return a command with what its reader would copy in the place of the dots."""
        blank = BLANK.fullmatch(words)
        if blank is None:
            return words
        found = re.findall(SHOWN[blank[1]], self.shown)
        assert found, f"nothing that was shown is {blank[1]}"
        return f"export {blank[1]}={found[-1]}"

    def type(self, words: str) -> tuple[str, int]:
        """Type a line, and whatever it asks for; return what was shown, and how it ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{words}{self.answer(words)}\nprintf '\\n{DONE}%d\\n' $?\n".encode())
        self.process.stdin.flush()
        return self.read_until(re.compile(rf"\n{DONE}(\d+)\n"))

    def answer(self, words: str) -> str:
        """Return what is retyped where a command asks for it; it reads no further than that."""
        if not words.startswith("helm approvals approve"):
            return ""
        tool = re.findall(r"(?m)^tool +(\S+)$", self.shown)[-1]
        intent = re.findall(r"(?m)^intent +sha256:(\w{8})", self.shown)[-1]
        return f" <<< 'approve {tool} {intent[:4]}-{intent[4:]}'"

    def read_until(self, done: re.Pattern[str]) -> tuple[str, int]:
        """Return what is shown until a command is done, and its exit code. Raises AssertionError when it hangs."""
        assert self.process.stdout is not None
        said, until = "", monotonic() + WITHIN_S
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while (found := done.search(said)) is None:
                assert selector.select(until - monotonic()), f"it hangs: {said}"
                more = os.read(self.process.stdout.fileno(), 65_536)
                assert more, f"the shell ended: {said}"
                said += more.decode()
        self.shown += said
        return said[: found.start()], int(found[1])


def program(directory: Path) -> Path:
    """Return a directory with a `helm` in it that is as fast to start as anything that was imported already."""
    place = directory / ".bin"
    place.mkdir()
    words = shlex.join([*python(), "-m", "actors.cli.main"])
    file = place / "helm"
    file.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    file.chmod(0o755)
    return place


@contextmanager
def shell(directory: Path, port: int) -> Iterator[Shell]:
    """Run a shell in a directory; whatever it started ends with it."""
    path = f"{program(directory)}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "HOME": str(directory), "HELM_PORT": str(port), "NO_COLOR": "1"}
    with subprocess.Popen(
        ["bash", "--norc"],
        cwd=directory,
        env=settings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            yield Shell(process, port)
        finally:
            assert process.stdin is not None
            process.stdin.write(b"kill $(jobs -p) 2> /dev/null; wait; exit\n")
            process.stdin.close()
            process.wait(timeout=WITHIN_S)
