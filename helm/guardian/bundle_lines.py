"""On which line of a TOML text a dotted path stands, so that a person finds what was refused.

Only for messages: the text was parsed already, and a line that is not found is left out.
"""

from __future__ import annotations

import re

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import below, dotted

KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
KEYS = rf"{KEY}(?:\s*\.\s*{KEY})*"
HEADER = re.compile(rf"\s*(?P<brackets>\[\[?)\s*(?P<keys>{KEYS})\s*\]")
MEMBER = re.compile(rf"\s*(?P<keys>{KEYS})\s*=")

ENDS = ("", ".", "[")
"""What may follow a path in a longer one."""


def located(problem: Invalid, text: str, where: str) -> Invalid:
    """Return the same complaint with the file, and the line if it is found."""
    line = line_of(problem.where, text)
    place = f"{where}:{line}: {problem.where}" if line else f"{where}: {problem.where}"
    return Invalid(problem.what, place, problem.hint)


def line_of(path: str, text: str) -> int:
    """Return the line of the longest part of `path` that the text spells out, 0 where there is none.

    A table that only headers of tables below it name begins at the first of them.
    """
    before, _, pointer = path.partition("#")
    path = dotted(before, pointer)
    lines = lines_of(text)
    inside = [line for known, line in lines.items() if is_start(path, known)]
    if inside:
        return min(inside)
    found = {known: line for known, line in lines.items() if is_start(known, path)}
    return found[max(found, key=len)] if found else 0


def is_start(known: str, path: str) -> bool:
    return path.startswith(known) and path[len(known) : len(known) + 1] in ENDS


def lines_of(text: str) -> dict[str, int]:
    """Return the first line of every table and member that is written at the start of a line."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if (header := HEADER.match(line)) is not None:
            table = path_of(header["keys"], "", counts)
            if header["brackets"] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = f"{table}[{counts[table]}]"
            lines.setdefault(table, number)
        elif (member := MEMBER.match(line)) is not None:
            lines.setdefault(path_of(member["keys"], table, counts), number)
    return lines


def path_of(keys: str, table: str, counts: dict[str, int]) -> str:
    """Return the dotted path of a key; a list of tables on the way stands for its last table."""
    found = re.findall(KEY, keys)
    path = table
    for index, key in enumerate(found):
        path = below(path, key.strip("\"'"))
        if path in counts and index < len(found) - 1:
            path = f"{path}[{counts[path]}]"
    return path
