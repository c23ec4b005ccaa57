"""The allowlist of allowlist.toml, as the gate asks it."""

import tomllib
from pathlib import Path
from typing import Any, Final

from tests.gates.source import Source, imports_of, is_within
from tests.gates.tcb_rules import Allowance

TABLE: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("allowlist.toml").read_text(encoding="utf-8"))
BASE: Final[dict[str, dict[str, list[str]]]] = TABLE["base"]
DECISIONS: Final[dict[str, str]] = TABLE["decisions"]
LOADS: Final[set[str]] = {name for names in TABLE["loads"].values() for name in names}
EVERYWHERE: Final[list[str]] = TABLE["everywhere"]["stdlib"]


def allowance_of(package: str) -> Allowance:
    """What one room of the trusted base may import."""
    return _allowance(package, BASE[package])


def allowance_outside_the_base() -> Allowance:
    """What every other module of helm may import."""
    return _allowance("helm", TABLE["rest"])


def rows() -> dict[str, dict[str, list[str]]]:
    """Every row of the table that grants something, by room."""
    return {**BASE, "helm": TABLE["rest"]}


def unused(row: dict[str, list[str]], sources: list[Source]) -> list[str]:
    """The entries of a row that no module of its room needs."""
    entries = [*row["stdlib"], *row["third_party"]]
    imported = [item for source in sources for item in imports_of(source)]
    return [
        entry
        for entry in entries
        if not any(
            is_within(item.module, entry) or is_within(item.target, entry) or f"{item.module}:{item.name}" == entry
            for item in imported
        )
    ]


def _allowance(package: str, row: dict[str, list[str]]) -> Allowance:
    modules = [*EVERYWHERE, *row["lower"], *row["stdlib"], *row["third_party"]]
    return Allowance(package=package, modules=frozenset(modules))
