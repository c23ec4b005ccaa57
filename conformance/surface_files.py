"""What is drawn from the table of the HTTP surface: the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from helm.surfaces.openapi import document
from helm.surfaces.table import TABLE

ROOT: Final = Path(__file__).resolve().parent.parent
OPENAPI: Final = ROOT / "schemas" / "openapi" / "helm.openapi.yaml"

HEAD: Final = "# The HTTP surface of HELM. Drawn by: python -m conformance.schemas\n"


def yaml(value: Any, depth: int = 0) -> str:
    """Return a JSON value as YAML: blocks for what holds something, JSON for the rest."""
    return "".join(lines(value, depth))


def lines(value: Any, depth: int) -> Iterator[str]:
    """Yield the lines of one value that holds something."""
    indent = "  " * depth
    if isinstance(value, Mapping):
        for name, held in value.items():
            yield from line(f"{indent}{json.dumps(str(name), ensure_ascii=False)}:", held, depth)
    else:
        for held in value:
            yield from line(f"{indent}-", held, depth)


def line(head: str, held: Any, depth: int) -> Iterator[str]:
    """Yield a name, or the mark of an item, with what stands under it."""
    if held and isinstance(held, Mapping | list | tuple):
        yield f"{head}\n"
        yield from lines(held, depth + 1)
    else:
        yield f"{head} {json.dumps(held, ensure_ascii=False)}\n"


def written() -> dict[Path, str]:
    """Return every file as it must be."""
    return {OPENAPI: HEAD + yaml(document(TABLE.values()))}
