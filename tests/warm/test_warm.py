"""What is started warm cannot be told from what Python starts: given the same, ended alike, gone with its starter."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.warm.python import python

STARTS: dict[str, Callable[[], list[str]]] = {"python": lambda: [sys.executable], "warm": python}

TELLS = """
import json, os, sys
here = {"words": sys.argv[1:], "name": __name__, "folder": os.getcwd(), "said": sys.stdin.read(), "path": sys.path[0]}
print(json.dumps({**here, "environment": os.environ.get("SPOKEN"), "other": os.environ.get("HOME")}))
print("beside", file=sys.stderr)
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        (tmp_path / "script.py").write_text(text)
        return str(tmp_path / "script.py")

    return write


@pytest.mark.parametrize("start", STARTS)
def test_it_is_given_words_environment_folder_and_streams(
    start: str, script: Callable[[str], str], tmp_path: Path
) -> None:
    words, given = [*STARTS[start](), script(TELLS), "one", "two words"], {"SPOKEN": "é"}
    ended = subprocess.run(words, input="hello", cwd=tmp_path, env=given, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "beside\n")
    assert json.loads(ended.stdout) == {
        "words": ["one", "two words"],
        "name": "__main__",
        "folder": str(tmp_path),
        "said": "hello",
        "path": str(tmp_path),
        "environment": "é",
        "other": None,
    }


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("1 / 0", 1, "ZeroDivisionError: division by zero\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
    ],
)
def test_it_ends_as_it_ends(start: str, script: Callable[[str], str], text: str, code: int, said: str) -> None:
    ended = subprocess.run([*STARTS[start](), script(text)], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stderr.endswith(said)


@pytest.mark.parametrize("start", STARTS)
def test_a_module_is_run_by_its_name(start: str) -> None:
    words = [*STARTS[start](), "-m", "actors.cli.main", "verify", "--help"]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: helm verify")


WAITS = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"asked"), os._exit(3)))
os.write(1, b"waiting\\n")
time.sleep(600)
"""


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 3, "asked"), (signal.SIGKILL, -9, "")], ids=["asked", "killed"]
)
def test_a_signal_is_its_own(
    start: str, script: Callable[[str], str], number: signal.Signals, code: int, said: str
) -> None:
    with subprocess.Popen([*STARTS[start](), script(WAITS)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        assert process.stdout.read() == said  # it ends once nobody is left who could write
        assert process.wait() == code
