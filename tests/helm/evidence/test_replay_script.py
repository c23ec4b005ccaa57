"""The script in a pack verifies it with nothing but Python: no package, no network, no site directory."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helm.crypto.domains import KeyPurpose
from helm.evidence.layout import SCRIPT
from helm.evidence.verify import CHECKS
from tests import vectors
from tests.helm.evidence.forger import a_log, a_pack, flipped, standalone, unpacked


def works(python: str) -> bool:
    """Tell whether a Python is really there: a shim for one that is not installed only says so."""
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


NAMES = ("python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14")
PYTHONS = [python for python in map(shutil.which, NAMES) if python is not None and works(python)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a pack, a changed pack, and the script as it came in the pack."""
    (tmp_path / "pack.tar").write_bytes(a_pack())
    (tmp_path / "changed.tar").write_bytes(flipped(a_pack()))
    (tmp_path / "verify.py").write_bytes(unpacked(a_pack())[SCRIPT])
    return tmp_path


def run(place: Path, *arguments: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    command = [python, "-I", "-S", "-W", "error", "verify.py", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("python", [sys.executable, *PYTHONS])
def test_it_authenticates_the_pack_it_came_in(place: Path, python: str) -> None:
    told = run(place, "pack.tar", "--log-id", a_log().log_id, python=python)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.count(" ok ") == len(CHECKS)
    assert told.stdout.endswith("\nAUTHENTICATED\n")


def test_each_pin_is_taken_from_the_command_line(place: Path) -> None:
    for option, purpose in (("--genesis-key", KeyPurpose.TRUST_ADMIN), ("--execution-key", KeyPurpose.EXECUTION)):
        assert run(place, "pack.tar", option, a_log().key(purpose).public_key).returncode == 0
        assert run(place, "pack.tar", option, a_log().key(KeyPurpose.POLICY).public_key).returncode == 1


def test_a_changed_pack_is_refused_by_name(place: Path) -> None:
    told = run(place, "changed.tar", "--log-id", a_log().log_id)
    assert told.returncode == 1
    assert " 2 -- manifest" in told.stdout
    assert told.stdout.endswith("\nNOT AUTHENTICATED: believe nothing in it\n")


def test_a_changed_script_does_not_pass_itself(place: Path) -> None:
    script = place / "verify.py"
    script.write_bytes(script.read_bytes().replace(b"import argparse", b"import  argparse"))
    assert " 3 -- versions" in run(place, "pack.tar", "--log-id", a_log().log_id).stdout


@pytest.mark.parametrize("arguments", [[], ["pack.tar"], ["nothing.tar", "--log-id", "sha256:0"], ["--log-id", "x"]])
def test_a_wrong_call_is_told_so(place: Path, arguments: list[str]) -> None:
    told = run(place, *arguments)
    assert told.returncode == 2
    assert "Traceback" not in told.stderr


def accepted(key: str, message: bytes, signature: str) -> bool:
    script = standalone()
    try:
        script.check_one(key, message, signature)
    except script.Refused:
        return False
    return True


def test_its_signatures_are_as_strict_as_ours_on_wycheproof() -> None:
    groups = vectors.load(vectors.folder("wycheproof") / "ed25519_test.json")["testGroups"]
    cases = [(group["publicKey"]["pk"], case) for group in groups for case in group["tests"]]
    wrong = [
        case["tcId"]
        for key, case in cases
        if accepted(key, bytes.fromhex(case["msg"]), case["sig"]) != (case["result"] == "valid")
    ]
    assert wrong == []


def test_its_signatures_are_as_strict_as_ours_on_the_odd_ones() -> None:
    cases = vectors.load(vectors.folder("ed25519") / "cctv_ed25519vectors.json")
    taken = [case["flags"] for case in cases if accepted(case["key"], case["msg"].encode(), case["sig"])]
    assert taken == [None]


def test_its_signatures_refuse_what_verifiers_disagree_about() -> None:
    cases = vectors.load(vectors.folder("ed25519") / "speccheck_cases.json")
    assert [n for n, c in enumerate(cases) if accepted(c["pub_key"], bytes.fromhex(c["message"]), c["signature"])] == []
