"""The coverage gate refuses a room that is thin, unmeasured, or hiding behind the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gates.allowlist import BASE
from tests.gates.coverage_gate import main


def _file(statements: int, covered: int, branches: int = 0, taken: int = 0) -> dict[str, Any]:
    return {
        "summary": {
            "num_statements": statements,
            "covered_lines": covered,
            "num_branches": branches,
            "covered_branches": taken,
        }
    }


@pytest.fixture
def report() -> dict[str, Any]:
    return {f"{package.replace('.', '/')}/room.py": _file(100, 95) for package in BASE}


def _exit_code(files: dict[str, Any], folder: Path) -> int:
    path = folder / "coverage.json"
    path.write_text(json.dumps({"files": files}), encoding="utf-8")
    return main(str(path))


def test_a_covered_base_passes(report: dict[str, Any], tmp_path: Path) -> None:
    assert _exit_code(report, tmp_path) == 0


@pytest.mark.parametrize("package", sorted(BASE))
def test_one_thin_room_is_refused(package: str, report: dict[str, Any], tmp_path: Path) -> None:
    report[f"{package.replace('.', '/')}/room.py"] = _file(100, 80)
    assert _exit_code(report, tmp_path) == 1


@pytest.mark.parametrize("package", sorted(BASE))
def test_a_room_nobody_measured_is_refused(package: str, report: dict[str, Any], tmp_path: Path) -> None:
    del report[f"{package.replace('.', '/')}/room.py"]
    assert _exit_code(report, tmp_path) == 1


def test_a_room_of_documents_only_is_refused(report: dict[str, Any], tmp_path: Path) -> None:
    report["helm/trust/room.py"] = _file(0, 0)
    assert _exit_code(report, tmp_path) == 1


def test_branches_count(report: dict[str, Any], tmp_path: Path) -> None:
    report["helm/trust/room.py"] = _file(100, 100, branches=100, taken=50)
    assert _exit_code(report, tmp_path) == 1


def test_another_room_of_a_like_name_lends_nothing(report: dict[str, Any], tmp_path: Path) -> None:
    report["helm/trust/room.py"] = _file(100, 10)
    report["helm/trustworthy/room.py"] = _file(10_000, 10_000)
    assert _exit_code(report, tmp_path) == 1
