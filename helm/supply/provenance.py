"""What SLSA provenance says of a build: who built, in which way, from what (slsa.dev/spec/v1.0/provenance).

Only what is asked of it is read. Its other fields are descriptions that nothing here stands on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.statement import Statement
from helm.supply.members import a_text, an_object

PROVENANCE: Final = "https://slsa.dev/provenance/v1"

BEFORE: Final = frozenset({"https://slsa.dev/provenance/v0.1", "https://slsa.dev/provenance/v0.2"})
"""Versions that are not read: they say the source and the way of building in other places, and less surely."""

DEFINITION: Final = frozenset({"buildType", "externalParameters"})
DEFINITION_MAY: Final = DEFINITION | {"internalParameters", "resolvedDependencies"}


@attrs.frozen(kw_only=True)
class Provenance:
    """A build, as its provenance tells it."""

    builder_id: str
    build_type: str
    parameters: Mapping[str, Any] = attrs.field(repr=False)


def read_provenance(statement: Statement) -> Provenance:
    """Return the provenance that a statement makes. Raises Invalid for any other predicate."""
    if statement.predicate_type in BEFORE:
        hint = f"ask its builder for {PROVENANCE}"
        raise Invalid(f"{statement.predicate_type}, a version that is not read", "predicateType", hint)
    if statement.predicate_type != PROVENANCE:
        raise Invalid(
            f"{statement.predicate_type[:255]!r} is not provenance", "predicateType", f"it must be {PROVENANCE}"
        )
    body = an_object(dict(statement.predicate), "predicate", must=frozenset({"buildDefinition", "runDetails"}))
    definition = an_object(body["buildDefinition"], "buildDefinition", must=DEFINITION, may=DEFINITION_MAY)
    details = an_object(body["runDetails"], "runDetails", must=frozenset({"builder"}))
    builder = an_object(details["builder"], "runDetails.builder", must=frozenset({"id"}))
    return Provenance(
        builder_id=a_text(builder["id"], "runDetails.builder.id"),
        build_type=a_text(definition["buildType"], "buildDefinition.buildType"),
        parameters=MappingProxyType(an_object(definition["externalParameters"], "buildDefinition.externalParameters")),
    )


def parameter_at(provenance: Provenance, pointer: str) -> str:
    """Return the text at a JSON pointer (RFC 6901) into the external parameters. Raises Invalid."""
    value: Any = provenance.parameters
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, Mapping) or name not in value:
            raise Invalid(f"there is nothing at {pointer}", "buildDefinition.externalParameters")
        value = value[name]
    return a_text(value, f"buildDefinition.externalParameters{pointer}")
