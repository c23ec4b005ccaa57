"""What the kind of a value is called to people, who need not know what Python calls it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KIND_NAMES: Final[Mapping[type, str]] = MappingProxyType(
    {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "a table",
        type(None): "nothing",
    }
)


def kind_name(kind: type) -> str:
    """Return what a kind of value is called."""
    return KIND_NAMES.get(kind, f"a {kind.__name__}")


def kind_of(value: object) -> str:
    """Return what the kind of this value is called."""
    return kind_name(type(value))


def how_to_write(kind: type, value: object) -> str:
    """Say how a value of a kind is written, where quotation marks are what is wrong with `value`; else ""."""
    if kind in (int, float) and type(value) is str:
        return "write it in digits, without quotation marks"
    if kind is bool and type(value) is str:
        return "write true or false, without quotation marks"
    return "write it in quotation marks" if kind is str and type(value) in (bool, int, float) else ""
