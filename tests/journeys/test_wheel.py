"""What is installed from a wheel, away from the repository, has its documents with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns
from typing import Final
from zipfile import ZipFile

import httpx2
import pytest

from actors.documents.library import library
from tests.counterparts import release
from tests.gates.source import ROOT

pytestmark = pytest.mark.slow

BUILT_FROM: Final = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py")
FOLDERS: Final = ("actors", "docs", "helm")
WITHIN_S: Final = 100
HELM: Final = (sys.executable, "-m", "actors.cli.main")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel of a copy of the repository, so that nothing is left in it, and lay out what the wheel holds."""
    copied, place = tmp_path_factory.mktemp("copied"), tmp_path_factory.mktemp("installed")
    for name in BUILT_FROM:
        copy(ROOT / name, copied)
    for name in FOLDERS:
        copytree(ROOT / name, copied / name, ignore=ignore_patterns("__pycache__"))
    here = ("--no-build-isolation",) if release.can_build() else ()  # else pip fetches what builds it
    words = ("wheel", "--quiet", "--no-deps", *here, "--wheel-dir", str(copied / "dist"), ".")
    command = (sys.executable, "-m", "pip", *words)
    built = subprocess.run(command, cwd=copied, check=False, capture_output=True, text=True, timeout=WITHIN_S)
    assert built.returncode == 0, built.stderr
    (wheel,) = (copied / "dist").glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(place)
    return place


def environment(installed: Path) -> dict[str, str]:
    """Return settings under which Python finds what was installed before it finds this repository."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}


def test_a_gateway_from_a_wheel_serves_the_security_map(installed: Path, tmp_path: Path) -> None:
    settings = environment(installed)
    place = str(tmp_path / "data")
    subprocess.run(
        (*HELM, "init", place), cwd=tmp_path, env=settings, check=True, capture_output=True, timeout=WITHIN_S
    )
    line = (*HELM, "serve", "--port", "0", "--json", "--data-dir", place)
    with subprocess.Popen(line, cwd=tmp_path, env=settings, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            events = (json.loads(said)["event"] for said in process.stdout)
            url = next(found[0] for event in events if (found := re.search(r"http://\S+", event)))
            served = httpx2.get(f"{url}/security")
            picture = httpx2.get(f"{url}/docs/files/console-now.png")
        finally:
            process.terminate()
            process.wait(timeout=WITHIN_S)
    assert "<title>Security map · HELM</title>" in served.text
    assert picture.content == (ROOT / "docs/images/console-now.png").read_bytes()


def test_a_wheel_holds_the_pages_of_the_manifest_and_nothing_else_of_the_documents(installed: Path) -> None:
    pages = installed / "actors" / "documents" / "pages"
    held = {str(file.relative_to(pages)) for file in pages.rglob("*") if file.is_file()}
    pictures = {f"docs/images/{name}" for name in library().pictures}
    assert held == {"docs/public-docs.manifest.json", *pictures, *(page.path for page in library().pages)}
    shown = subprocess.run(
        (*HELM, "docs", "show", "/trust"),
        cwd=pages,
        env=environment(installed),
        check=True,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    assert shown.stdout.startswith("# Security model\n")
