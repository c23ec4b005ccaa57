"""One row of the HTTP surface: what may be asked, by whom, in which words, and what may come back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.form import JSONValue

Document = Mapping[str, JSONValue]

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
EVENTS: Final = "text/event-stream"
TEXT: Final = "text/plain"
TAR: Final = "application/x-tar"

NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
VARIABLE: Final = re.compile(r"\{([a-z_]+)\}")


class Access(StrEnum):
    """Which credential opens a route. What an approver, or any other signer, says counts by its signature alone."""

    PUBLIC = "public"
    ANY = "any"
    TENANT = "tenant"
    ADMIN = "admin"
    APPROVER = "approver"


class Door(StrEnum):
    """Which application answers: the control plane, or one that is mounted past it."""

    CONTROL = "control"
    CALLS = "calls"
    PACKS = "packs"
    MCP = "mcp"
    OPENAI = "openai"
    STREAM = "stream"


@attrs.frozen(kw_only=True)
class Parameter:
    """One parameter of a query, or one header that a route reads."""

    name: str
    schema: Document = attrs.field(hash=False)
    about: str
    place: str = "query"


@attrs.frozen(kw_only=True)
class Answer:
    """What comes back with one status."""

    about: str
    schema: Document | None = attrs.field(default=None, hash=False)
    media_type: str = JSON
    others: tuple[tuple[str, Document], ...] = attrs.field(default=(), hash=False)
    """Other media types in which it may come, each with its schema."""
    headers: tuple[str, ...] = ()
    """Beside those that every answer has."""


@attrs.frozen(kw_only=True)
class Route:
    """One method of one path. `name` is its name everywhere: in the document, in a client, in the table of handlers."""

    name: str
    method: str
    path: str
    access: Access
    about: str
    answers: Mapping[int, Answer] = attrs.field(hash=False)
    parameters: tuple[Parameter, ...] = ()
    body: Document | None = attrs.field(default=None, hash=False)
    """The schema of its JSON body, None where it has none."""
    body_type: str = JSON
    """What its body is, where that is no JSON: then the schema says nothing of it."""
    refusals: tuple[int, ...] = ()
    """Statuses of problems beside those that every such route has."""
    door: Door = Door.CONTROL

    def __attrs_post_init__(self) -> None:
        if NAME.fullmatch(self.name) is None or not self.path.startswith("/"):
            raise ValueError(f"no name or path of a route: {self.name} {self.path}")

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names in the path, in their order."""
        return tuple(VARIABLE.findall(self.path))

    @property
    def needs_body(self) -> bool:
        """Whether an empty body is refused."""
        return self.body is not None and (self.body_type != JSON or bool(self.body.get("required")))

    @property
    def problems(self) -> tuple[int, ...]:
        """Return every status with which the route may refuse."""
        found = {400, 503, *self.refusals}
        if self.access is not Access.PUBLIC:
            found |= {401, 403}
        if self.body is not None:
            found |= {408, 413, 415}
        if self.variables:
            found.add(404)
        return tuple(sorted(found - set(self.answers)))


def ok(about: str, schema: Document, *headers: str, status: int = 200) -> Mapping[int, Answer]:
    """Return the one answer of a route that succeeds in one way."""
    return MappingProxyType({status: Answer(about=about, schema=schema, headers=headers)})
