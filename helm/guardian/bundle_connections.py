"""Reads what a bundle says of connectors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from helm.contracts.errors import Invalid, Refused
from helm.guardian.bundle_grants import grant_hash, read_grant
from helm.guardian.bundle_launch import read_launch
from helm.guardian.bundle_programs import read_program
from helm.guardian.bundle_provenance import read_provenance
from helm.guardian.bundle_servers import read_server
from helm.guardian.bundle_table import Table, check_name
from helm.guardian.connection import (
    ClientConnection,
    Connection,
    ConnectorKind,
    FilesConnection,
    HttpConnection,
    HttpOperation,
    LocalConnection,
    TunnelConnection,
    WasmConnection,
)
from helm.guardian.destination import normalise

MAX_BYTES = 1024 * 1024
"""Longest answer: it becomes one JSON document of the journal, which is no longer (T4)."""

DEFAULT_FILE_BYTES = 700 * 1024
"""Largest file by default: as base64 it still fits into one answer."""

DEFAULT_TUNNEL_BYTES = 16 * 1024 * 1024
"""What goes through one tunnel each way by default: what leaves unseen is at least bounded (T4, T9)."""

MAX_TUNNEL_BYTES = 2**40

DEFAULT_IDLE_S = 60
MAX_IDLE_S = 600
"""No tunnel lives longer (T4)."""

PATH = re.compile(r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]|\{[A-Za-z_][A-Za-z0-9_]*\})*)+")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 section 5.6.2

SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})
"""A bundle is evidence and is handed out; what must not be read does not belong into it."""


class Method(StrEnum):
    """The HTTP methods that a policy may pin."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


def read_connections(bundle: Table) -> Mapping[str, Connection]:
    """Return every connector of the bundle by its name. Raises Invalid."""
    tables = bundle.named("connectors")
    return MappingProxyType({name: read_connection(name, table) for name, table in tables})


def read_connection(name: str, table: Table) -> Connection:
    """Return one connector. Raises Invalid."""
    connection: Connection
    match table.choice("kind", ConnectorKind):
        case ConnectorKind.HTTP:
            connection = read_http(name, table)
        case ConnectorKind.FILES:
            root = table.text("root")
            max_bytes = table.whole("max_bytes", (1, MAX_BYTES), DEFAULT_FILE_BYTES)
            connection = FilesConnection(name=name, root=root, max_bytes=max_bytes)
        case ConnectorKind.CLIENT:
            connection = ClientConnection(name=name)
        case ConnectorKind.MCP:
            connection = read_server(name, table)
        case ConnectorKind.WASM:
            grant = read_grant(table)
            connection = WasmConnection(
                name=name, grant=grant, grant_hash=grant_hash(grant), provenance=read_provenance(table)
            )
        case ConnectorKind.SUBPROCESS:
            connection = read_program(name, table)
        case ConnectorKind.LAUNCH:
            connection = read_launch(name, table)
        case ConnectorKind.TUNNEL:
            connection = read_tunnels(name, table)
        case _:
            connection = LocalConnection(name=name)
    table.finish()
    return connection


def read_http(name: str, table: Table) -> HttpConnection:
    """Return one HTTP service. Raises Invalid."""
    origin = read_origin(table)
    operations = dict(read_operations(table, origin))
    if not operations:
        hint = f"add [{table.at('operations')}.NAME] with method and path"
        raise Invalid("a service without operations can do nothing", table.at("operations"), hint)
    return HttpConnection(
        name=name,
        origin=origin,
        operations=MappingProxyType(operations),
        headers=MappingProxyType(read_headers(table)),
        allow_private=table.flag("allow_private"),
        permits=table.flag("permits"),
        max_response_bytes=table.whole("max_response_bytes", (1, MAX_BYTES), MAX_BYTES),
    )


def read_tunnels(name: str, table: Table) -> TunnelConnection:
    """Return what tunnels may take. Raises Invalid."""
    return TunnelConnection(
        name=name,
        allow_private=table.flag("allow_private"),
        idle_s=table.whole("idle_s", (1, MAX_IDLE_S), DEFAULT_IDLE_S),
        max_sent_bytes=table.whole("max_sent_bytes", (1, MAX_TUNNEL_BYTES), DEFAULT_TUNNEL_BYTES),
        max_received_bytes=table.whole("max_received_bytes", (1, MAX_TUNNEL_BYTES), DEFAULT_TUNNEL_BYTES),
    )


def read_origin(table: Table) -> str:
    """Return a service's origin in its one spelling, "" where an argument names the URL. Raises Invalid."""
    text = table.text("origin", "")
    if not text:
        return ""
    try:
        origin = normalise(text)
    except Refused as refused:
        raise Invalid(refused.reason, table.at("origin")) from refused
    if origin.scheme not in ("http", "https") or text.partition("://")[2].rstrip("/").count("/"):
        raise Invalid("not an origin", table.at("origin"), "write https://host or https://host:port")
    return str(origin)


def read_operations(table: Table, origin: str) -> Iterator[tuple[str, HttpOperation]]:
    """Yield the operations of a service by name. Raises Invalid."""
    for name, below in table.named("operations"):
        operation = HttpOperation(
            method=below.choice("method", Method),
            path=below.text("path", ""),
            url_argument=below.name("url_argument", ""),
            query=frozenset(below.texts("query", ())),
        )
        below.finish()
        if bool(operation.path) != bool(origin) or bool(operation.url_argument) == bool(origin):
            hint = "with an origin every operation has a path; without one, a url_argument"
            raise Invalid("an operation that goes to no one place", below.place, hint)
        if operation.path and PATH.fullmatch(operation.path) is None:
            hint = "an absolute path of plain characters and {arguments}"
            raise Invalid("not a path", below.at("path"), hint)
        yield name, operation


def read_headers(table: Table) -> dict[str, str]:
    """Return the fixed headers of a service. Raises Invalid."""
    given, headers = table.table("headers"), {}
    for name in given.members:
        check_name(name, given.at(name))
        if HEADER_NAME.fullmatch(name) is None:
            raise Invalid("not the name of a header", given.at(name))
        if name.lower() in SECRET_HEADERS:
            hint = "a bundle is read by everyone who verifies: leave secrets to the connector"
            raise Invalid("a secret header", given.at(name), hint)
        headers[name] = given.text(name)
    return headers
