"""The set of vectors: read from its files, held to their schema, named by one hash."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.conformance.vector import Expected, Step, Vector
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.schema import Schema, SchemaViolation
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in

SCHEMA_FILE: Final = "vectors.schema.json"

MAX_VECTORS: Final = 1_000
"""Vectors of one set: a run is bounded before it begins (T4)."""


@attrs.frozen(kw_only=True)
class VectorSet:
    """Every vector, in the order of files and lines. `hash` covers all that any of them says."""

    vectors: tuple[Vector, ...]
    bodies: Mapping[str, dict[str, JSONValue]] = attrs.field(repr=False)
    """What the files say of each, by its id: this is what is published."""
    hash: str

    def __getitem__(self, vector_id: str) -> Vector:
        return next(one for one in self.vectors if one.id == vector_id)


def read_set(files: Mapping[str, str], schema: dict[str, JSONValue]) -> VectorSet:
    """Return the set of these TOML files, by their names. Raises Invalid with the file and the place."""
    compiled = Schema.compile(schema, SCHEMA_FILE)
    vectors: list[Vector] = []
    bodies: dict[str, dict[str, JSONValue]] = {}
    for name in sorted(files):
        for number, body in enumerate(read_file(name, files[name], compiled)):
            place = f"{name} vectors/{number}"
            vectors.append(vector_of(body, place))
            if bodies.setdefault(vectors[-1].id, body) is not body:
                raise Invalid(f"{vectors[-1].id} stands twice", place, "each vector has an id of its own")
    if len(vectors) > MAX_VECTORS:
        raise Invalid(f"more than {MAX_VECTORS} vectors", "vectors")
    named = hash_in(domains.CONFORMANCE_VECTORS, record_bytes({"vectors": [bodies[one.id] for one in vectors]}))
    return VectorSet(vectors=tuple(vectors), bodies=bodies, hash=named)


def read_file(name: str, text: str, schema: Schema) -> list[dict[str, Any]]:
    """Return what one file says of its vectors. Raises Invalid."""
    try:
        body = tomllib.loads(text)
        schema.check(body)
    except tomllib.TOMLDecodeError as problem:
        raise Invalid(str(problem), name) from problem
    except SchemaViolation as problem:
        raise Invalid(problem.problem, f"{name} {problem.place}") from problem
    found: list[dict[str, Any]] = body["vectors"]
    return found


def vector_of(body: Mapping[str, Any], place: str) -> Vector:
    """Return the vector of a body that keeps the schema. Raises Invalid where it contradicts itself."""
    try:
        steps = tuple(step_of(one) for one in body.get("trigger", ()))
        whole = {"expected": Expected(**body["expected"]), "must_bind": tuple(body["must_bind"]), "trigger": steps}
        return Vector(**{**body, **whole})
    except ValueError as problem:
        raise Invalid(str(problem), place) from problem


def step_of(body: Mapping[str, Any]) -> Step:
    """Return one step of a trigger."""
    said: dict[str, Any] = {name: tuple(value) if type(value) is list else value for name, value in body.items()}
    return Step(**said)
