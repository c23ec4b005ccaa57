"""The table as an OpenAPI 3.1 document. CONNECT, which is no method of any path, is the one door it cannot describe."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import helm
from helm.contracts.form import JSONValue
from helm.surfaces.objects import OBJECTS
from helm.surfaces.route import PROBLEM, Access, Answer, Parameter, Route
from helm.surfaces.words import TEXT, WORDS, Schema, ref, whole

OPENAPI: Final = "3.1.1"
"""https://spec.openapis.org/oas/v3.1.1"""

HEADERS: Final[Mapping[str, tuple[Schema, str]]] = {
    "x-request-id": (TEXT, "The request's own, or one of HELM's."),
    "x-helm-receipt-id": (TEXT, "The receipt of the call; several, in their order, of an answer with several calls."),
    "x-helm-decision-id": (TEXT, "The decision."),
    "x-helm-verdict": (TEXT, "ALLOW, DENY or ESCALATE."),
    "x-helm-reason-code": (TEXT, "Why it was refused."),
    "x-helm-lamport-clock": (whole(2**53 - 1, 1), "The receipt's tick in its session."),
    "x-helm-output-hash": (TEXT, "The SHA-256 of the output's canonical bytes."),
    "x-helm-envelope-id": (TEXT, "The envelope that was signed around it, where one was asked for."),
    "etag": (TEXT, "What names this very text: sent back as `if-none-match`, it spares the answer."),
    "location": (TEXT, "What was made, or what the call waits for."),
    "retry-after": (whole(2**31), "Seconds until the same may be asked again."),
}

ALWAYS: Final = ("x-request-id",)

CREDENTIALS: Final[list[JSONValue]] = [{"bearer": []}, {"certificate": []}]

DESCRIPTION: Final = """\
HELM judges every tool call before it touches the world, and seals each outcome in a signed receipt.

`x-helm-access` says whose key opens a route: anybody (public), any key, a tenant's, an operator's (admin). Where it
says approver, any key of the tenant opens the route, and what is obeyed is the signature in the body. Refusals are
problem details (RFC 9457) with `reason_code` and, where one exists, `receipt_id`. A member or parameter that is not
described is refused at its place. CONNECT, which names no path, is described in docs/egress-proxy.md; the frames of
`/v1/stream` in docs/stream.md.
"""


def document(routes: Iterable[Route]) -> dict[str, JSONValue]:
    """Return the whole document."""
    paths: dict[str, JSONValue] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = operation(route)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "HELM",
            "version": helm.__version__,
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{"url": "/"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "headers": {name: {"description": about, "schema": schema} for name, (schema, about) in HEADERS.items()},
            "responses": {"Problem": response(Answer(about="A refusal.", schema=ref("Problem"), media_type=PROBLEM))},
            "schemas": dict(OBJECTS),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key of HELM's own, or a token."},
                "certificate": {"type": "mutualTLS", "description": "A certificate that the policy's roots issued."},
            },
        },
    }


def operation(route: Route) -> dict[str, JSONValue]:
    """Return one operation."""
    body: dict[str, JSONValue] = {
        "operationId": route.name,
        "summary": route.about,
        "tags": [tag(route)],
        "security": [] if route.access is Access.PUBLIC else CREDENTIALS,
        "x-helm-access": route.access.value,
        "parameters": [*(variable(name) for name in route.variables), *map(parameter, route.parameters)],
        "responses": {str(status): told for status, told in sorted(responses(route))},
    }
    if route.body is not None:
        content = {route.body_type: {"schema": dict(route.body)}}
        body["requestBody"] = {"required": route.needs_body, "content": content}
    return body


def tag(route: Route) -> str:
    """Return what the route is about, by the first word of its path that is one."""
    words = [word for word in route.path.split("/") if word not in ("", "api", "v1", ".well-known")]
    return words[0].partition("-")[0].partition(".")[0]


def variable(name: str) -> dict[str, JSONValue]:
    """Return the parameter that stands in the path."""
    return {"name": name, "in": "path", "required": True, "schema": WORDS}


def parameter(one: Parameter) -> dict[str, JSONValue]:
    """Return a parameter of the query, or a header."""
    return {"name": one.name, "in": one.place, "description": one.about, "schema": dict(one.schema)}


def responses(route: Route) -> Iterable[tuple[int, dict[str, JSONValue]]]:
    """Yield every answer and every refusal."""
    for status, one in route.answers.items():
        yield status, response(one)
    for status in route.problems:
        yield status, {"$ref": "#/components/responses/Problem"}


def response(one: Answer) -> dict[str, JSONValue]:
    """Return one response."""
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in (*ALWAYS, *one.headers)}
    body: dict[str, JSONValue] = {"description": one.about, "headers": headers}
    if one.schema is not None:
        forms = ((one.media_type, one.schema), *one.others)
        body["content"] = {media_type: {"schema": dict(schema)} for media_type, schema in forms}
    return body
