"""The vocabulary in which bodies are described: small JSON Schemas, closed wherever HELM closes them."""

from __future__ import annotations

from typing import Any, Final

from helm.contracts.form import JSONValue
from helm.contracts.verdict import Verdict
from helm.crypto.numbers import MAX_SAFE
from helm.evidence.schemas import HASH, MAYBE_HASH, SIGNATURE, closed, drawn, one_of
from helm.evidence.schemas import text as pattern

__all__ = ["closed", "drawn", "one_of", "pattern"]

Schema = dict[str, JSONValue]

TEXT: Final[Schema] = {"type": "string"}
WORDS: Final[Schema] = {"type": "string", "minLength": 1}
FLAG: Final[Schema] = {"type": "boolean"}
WHOLE: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_SAFE}
OBJECT: Final[Schema] = {"type": "object"}
ANYTHING: Final[Schema] = {}
DIGEST: Final = pattern(HASH)
MAYBE_DIGEST: Final = pattern(MAYBE_HASH)
SIGNED: Final = pattern(SIGNATURE)
VERDICT: Final = one_of(*Verdict)
CODE: Final = pattern("^[A-Z][A-Z0-9_]*$")
MAYBE_CODE: Final = pattern("^([A-Z][A-Z0-9_]*)?$")


def ref(name: str) -> Schema:
    """Return a reference to a schema that the document names."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def maybe(schema: Schema) -> Schema:
    """Return the schema of what may be null."""
    return {"anyOf": [schema, {"type": "null"}]}


def shaped(members: dict[str, Schema], **optional: Schema) -> Schema:
    """Return the schema of an object with these members, and perhaps those."""
    body: dict[str, Any] = closed(members)
    return body | {"properties": {**members, **optional}}


def whole(most: int, least: int = 0) -> Schema:
    """Return the schema of a whole number within bounds."""
    return {"type": "integer", "minimum": least, "maximum": most}
