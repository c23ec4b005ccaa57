"""Where a text stops being TOML, as a place that an editor opens: file, line, column."""

from __future__ import annotations

import re
from typing import Final

from helm.contracts.errors import Invalid

AT: Final = re.compile(r" \(at (?:line (?P<line>[0-9]+), column (?P<column>[0-9]+)|end of document)\)$")
"""How tomllib ends what it says. What says no place keeps all of its words."""

HINTS: Final = (
    ("Illegal character '\\n'", "a quotation mark is missing at the end of this line"),
    ("Invalid value", 'a text stands in quotation marks: name = "value"'),
    ("Cannot overwrite a value", "it is written twice: leave one out"),
    ("Cannot declare", "the table is written twice: put both together"),
)
"""What to do about the mistakes that people make, by how tomllib begins. Another Python may say it in other words."""

SPECIFICATION: Final = "see the TOML 1.0 specification"


def toml_mistake(problem: Exception, text: str, where: str) -> Invalid:
    """Return what tomllib says of a text, with the place in the file that `where` names."""
    said = str(problem)
    hint = next((hint for beginning, hint in HINTS if said.startswith(beginning)), SPECIFICATION)
    at = AT.search(said)
    if at is None:
        return Invalid(f"not TOML: {said}", where, hint)
    last = text.rstrip("\n").count("\n") + 1
    place = f"{where}:{at['line']}:{at['column']}" if at["line"] else f"{where}:{last}"
    return Invalid(f"not TOML: {said[: at.start()]}", place, hint)
