"""helm bench runs the benchmarks of the source tree, and says so where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.cli import bench
from tests.actors.cli.shell import helm


def test_an_installation_without_the_source_says_where_the_benchmarks_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    ended = helm("bench", "--json")
    assert ended.code == 1
    assert ended.failure()["code"] == "NO_BENCH"
    assert "checkout" in ended.failure()["hint"]


@pytest.mark.parametrize("code", [0, 1])
def test_the_answer_of_the_benchmarks_is_the_answer(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "__init__.py").touch()
    (tmp_path / "bench" / "__main__.py").write_text(f"raise SystemExit({code})")
    monkeypatch.setattr(bench, "CHECKOUT", tmp_path)
    assert helm("bench").code == code
