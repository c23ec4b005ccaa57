"""Public test vectors, for whoever has them: HELM_VECTORS names the folder that holds them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def folder(name: str) -> Path:
    """Return one folder of the vectors, or skip the test where there are none."""
    root = os.environ.get("HELM_VECTORS")
    if root is None:
        pytest.skip("HELM_VECTORS is not set: the public test vectors are not part of the source")
    return Path(root, name)


def load(path: Path) -> Any:
    """Return one file of JSON, as the standard library reads it."""
    return json.loads(path.read_text(encoding="utf-8"))
