"""What a request says, held against its row: parameters and body, each refused at its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.schema import Schema, SchemaViolation
from helm.surfaces.route import Route

DIGITS: Final = 16
"""Longest whole number in a query: every reader of JSON understands it."""


@attrs.frozen
class Asking:
    """One row, ready to check requests with."""

    route: Route
    _body: Schema | None
    _parameters: Mapping[str, Schema]

    @classmethod
    def of(cls, route: Route) -> Asking:
        """Compile what a row demands."""
        body = None if route.body is None else Schema.compile(dict(route.body), route.name)
        in_query = (one for one in route.parameters if one.place == "query")
        schemas = {one.name: Schema.compile(dict(one.schema), f"{route.name}?{one.name}") for one in in_query}
        return cls(route, body, schemas)

    def check_body(self, body: Mapping[str, JSONValue]) -> None:
        """Raise Invalid, with a JSON pointer, for a body that the row does not describe."""
        if self._body is None:
            return
        document = self._body.document
        known, needed = document.get("properties", {}), document.get("required", ())
        for name in sorted({*body} ^ {*needed}):
            if name not in known:
                raise Invalid("unknown member", f"/{name[:64]}")
            if name in needed:
                raise Invalid("this member is missing", f"/{name}")
        try:
            self._body.check(dict(body))
        except SchemaViolation as problem:
            raise Invalid(problem.problem, problem.place) from problem

    def check_query(self, given: Mapping[str, str]) -> None:
        """Raise Invalid, with ?name, for a parameter that the row does not know, or of another form."""
        for name, text in given.items():
            schema = self._parameters.get(name)
            if schema is None:
                known = ", ".join(self._parameters)
                what = f"unknown parameter; there are {known}" if known else "no parameter is known here"
                raise Invalid(what, f"?{name[:64]}")
            try:
                schema.check(read(text, schema.document))
            except SchemaViolation as problem:
                raise Invalid(problem.problem, f"?{name}") from problem


def read(text: str, schema: Mapping[str, JSONValue]) -> JSONValue:
    """Return what a parameter says: a number where one is demanded and there is one, else the text."""
    is_number = schema.get("type") == "integer" and text.isascii() and text.isdecimal() and len(text) <= DIGITS
    return int(text) if is_number else text
