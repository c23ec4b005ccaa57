"""The one door to the JSON Schema engine: a schema is compiled once, then it says yes, or where and why not.

Draft 2020-12. Patterns run on an engine that is linear in the text, formats are asserted, nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs
import jsonschema_rs

from helm.contracts.dialect import DRAFT, KEYWORDS, ROOT_ONLY, Holds, Outline, outline, shown, step
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.violation import Check, Finder, SchemaViolation

__all__ = ["Schema", "SchemaViolation"]

PATTERN_BYTES = 1024 * 1024
"""Most memory one compiled pattern may take: \\w{100} fits, nested counts do not (T4)."""

PATTERNS = jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES, dfa_size_limit=PATTERN_BYTES)

HINT = "see JSON Schema draft 2020-12; a pattern may not look around or refer back"


@attrs.frozen(kw_only=True, eq=False)
class Schema:
    """A pinned schema. `document` is what it was compiled from; whoever needs its hash takes it over that."""

    document: dict[str, JSONValue] = attrs.field(repr=False)
    _finder: Finder = attrs.field(repr=False)
    _is_valid: Check = attrs.field(repr=False)

    @classmethod
    def compile(cls, document: dict[str, JSONValue], where: str) -> Schema:
        """Compile a schema document; `where` names it in complaints. Raises Invalid with a JSON pointer."""
        drawn = outline(document, where)
        asked = {keyword: value for keyword, value in document.items() if keyword not in ROOT_ONLY}
        engine = compiled(asked, f"{where}#")
        finder = Finder(outline=drawn, checks=checks_of(asked, drawn, where), rules=rule)
        return cls(document=document, finder=finder, is_valid=engine.is_valid)

    def check(self, value: JSONValue) -> None:
        """Check a JSON value. Raises SchemaViolation with the place and the broken rule, never the value."""
        try:
            if self._is_valid(value):
                return
        except ValueError as problem:  # not a JSON value: the engine found a type that JSON does not have
            raise SchemaViolation("", "is not JSON") from problem
        raise self._finder.violation(value)


def compiled(document: dict[str, JSONValue], where: str) -> jsonschema_rs.Draft202012Validator:
    """Compile a document whose dialect was checked. Raises Invalid for a keyword with an impossible value."""
    try:
        return jsonschema_rs.Draft202012Validator(
            document,
            validate_formats=True,
            ignore_unknown_formats=False,
            pattern_options=PATTERNS,
            offline=True,
            mask="it",
        )
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"/{step(str(part))}" for part in error.instance_path)
        raise Invalid(f"an impossible schema: {shown(error.message)}", f"{where}{place}", HINT) from error


def checks_of(document: dict[str, JSONValue], drawn: Outline, where: str) -> dict[str, Check]:
    """Return the check of every schema in the document by its pointer. Raises Invalid."""
    engines = jsonschema_rs.validator_map_for(
        document | {"$schema": DRAFT},
        validate_formats=True,
        ignore_unknown_formats=False,
        pattern_options=PATTERNS,
        offline=True,
    )
    checks = {pointer: engines.get(f"#{pointer}") for pointer in drawn.schemas}
    missing = [pointer for pointer, engine in checks.items() if engine is None]
    if missing:
        # The engine compiles a definition that nobody refers to only here, and leaves it out when it cannot.
        raise unusable(missing, drawn.schemas, where)
    return {pointer: engine.is_valid for pointer, engine in checks.items() if engine is not None}


def unusable(pointers: list[str], schemas: Mapping[str, JSONValue], where: str) -> Invalid:
    """Say what is wrong with schemas that the engine passed over: one is at fault, the others lead to it."""
    for pointer in pointers:
        own = {keyword: value for keyword, value in schemas[pointer].items() if is_own(keyword)}
        try:
            compiled(own, f"{where}#{pointer}")
        except Invalid as problem:
            return problem
    return Invalid("an impossible schema", f"{where}#{pointers[0]}", HINT)


def is_own(keyword: str) -> bool:
    """Tell whether a keyword says all it says without another schema."""
    return KEYWORDS.get(keyword) is Holds.DATA and keyword not in ("$ref", "$dynamicRef")


def rule(keyword: str, value: JSONValue) -> Check:
    """Return the check of one keyword that means all it says by itself."""
    return compiled({keyword: value}, keyword).is_valid
