"""The project's text speaks of the project: not of whoever wrote it, nor of the machine it was written on."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.gates.texts import texts_of

# Each pattern is spelled so that it does not match itself.
FORBIDDEN: Final = re.compile(
    r"""
      \bissue\s*[#]?[0-9]+\b
    | this[ ]session[ ]of[ ]mine | closing[ ]note | steering[ ]repo | before[-]stop | \bC[E]O\b
    | DEVELOPERS[.]md | [.]library[/]
    | (?<![\w.])/(?:work|farm|root|home/\w+)[/] | /tmp/(?:dev|team)\b | \.\./shared[/]
    | pypi[.]org | python[h]osted | npmjs[.]com | crates[.]io | proxy[.]golang
    """,
    re.IGNORECASE | re.VERBOSE,
)
MAY_NAME_A_NEIGHBOUR: Final = {Path(".ci/run")}
"""The one file that belongs to a machine as much as to the project."""


def _findings(texts: Iterator[tuple[Path, str]]) -> list[str]:
    return [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts
        if path not in MAY_NAME_A_NEIGHBOUR
        for number, line in enumerate(text.splitlines(), start=1)
        if FORBIDDEN.search(line)
    ]


POISONS: Final = (
    "see iss" + "ue 12",
    "Iss" + "ue #3 asks for it",
    "read DEVELOPERS" + ".md",
    "cd /wo" + "rk/main",
    "open('/ro" + "ot/key')",
    "/tmp/d" + "ev/bin",
    "the .libr" + "ary/ folder",
    "../sha" + "red/vectors",
    "https://py" + "pi.org/simple",
    "https://files.python" + "hosted.org",
)


@pytest.mark.parametrize("line", POISONS)
def test_the_gate_refuses(line: str) -> None:
    assert _findings(iter([(Path("README.md"), f"first\n{line}\n")]))


@pytest.mark.parametrize(
    "line",
    ["a session of the tenant", "an issue with TLS", "/v1/work/items", "encode/httpcore#1093", "homework/"],
)
def test_the_gate_lets_in(line: str) -> None:
    assert _findings(iter([(Path("README.md"), line)])) == []


def test_an_environment_made_beside_the_sources_is_not_the_projects_text(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n", encoding="utf-8")
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "env" / "bin" / "activate").touch()
    (tmp_path / "README.md").touch()
    assert sorted(dict(texts_of(tmp_path))) == [Path(".gitignore"), Path("README.md")]


def test_no_text_carries_a_forbidden_word() -> None:
    texts = list(texts_of())
    assert {Path("README.md"), Path("pyproject.toml"), Path("tests/gates/test_words.py")} <= dict(texts).keys()
    assert _findings(iter(texts)) == []
