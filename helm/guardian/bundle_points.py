"""Reads what a bundle says of decision points: Cedar policies of its own, servers that are asked, who needs which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import JSONValue
from helm.guardian.address import check_address
from helm.guardian.bundle_table import Table
from helm.guardian.cedar import CedarProgram
from helm.guardian.destination import Destination, normalise
from helm.guardian.points import ALL_ARGUMENTS, CedarPoint, OpaPoint, Point, PointKind, PointRule, content_hash
from helm.guardian.policy import P0Ceilings

MAX_POINTS: Final = 16
"""Decision points of one bundle: each may hold connections and questions under way (T4)."""

MAX_BUNDLES: Final = 32
"""Bundles that one server may be pinned to (T4)."""

DEFAULT_DEADLINE_MS: Final = 500
MAX_DEADLINE_MS: Final = 10_000
"""A call that waits for an answer holds one of the places in flight (T4)."""

DEFAULT_MAX_AGE_MS: Final = 2_000
MAX_MAX_AGE_MS: Final = 30_000
"""Oldest answer that any bundle may let count: what held then may not hold now (T6)."""

DEFAULT_ANSWER_BYTES: Final = 16 * 1024
MAX_ANSWER_BYTES: Final = 256 * 1024
"""Longest answer: one truth value and where it comes from need a few hundred bytes (T4)."""

DEFAULT_PLACES: Final = 32
MAX_PLACES: Final = 128
"""Questions under way at one point; a dead one holds as many calls, and no more (T4)."""

PATH: Final = re.compile(r"[A-Za-z0-9_-]{1,128}(?:/[A-Za-z0-9_-]{1,128}){0,15}")
"""Where a rule lies below /v1/data, package by package: no dot that climbs, no escape, no query."""

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


def read_points(bundle: Table, p0: P0Ceilings) -> Mapping[str, Point]:
    """Return the decision points of the bundle by name. Raises Invalid."""
    tables = dict(bundle.named("decision_points"))
    if len(tables) > MAX_POINTS:
        raise Invalid(f"more than {MAX_POINTS} decision points", bundle.at("decision_points"), "share some")
    return MappingProxyType({name: read_point(name, table, p0) for name, table in tables.items()})


def remote(points: Mapping[str, Point]) -> tuple[OpaPoint, ...]:
    """Return those of the points that are asked over the network."""
    return tuple(point for point in points.values() if isinstance(point, OpaPoint))


def read_point(name: str, table: Table, p0: P0Ceilings) -> Point:
    """Return one decision point. Raises Invalid."""
    cedar = table.choice("kind", PointKind) == PointKind.CEDAR
    point = read_cedar(name, table) if cedar else read_opa(name, table, p0)
    table.finish()
    return point


def read_cedar(name: str, table: Table) -> CedarPoint:
    """Return Cedar policies, compiled and held against their schema. Raises Invalid."""
    texts = {member: table.source(member) for member in ("policies", "schema", "entities") if table.has(member)}
    for member in ("policies", "schema"):
        if member not in texts:
            raise Invalid(f"{member} is missing", table.at(member), f"add {member} in Cedar's own syntax")
    texts.setdefault("entities", "[]")
    digest = content_hash({"kind": "cedar", **texts})
    pinned = table.name("content_hash", "")
    if pinned not in ("", digest):
        raise Invalid(
            "these are other policies than the pinned ones", table.at("content_hash"), f"they hash to {digest}"
        )
    program = CedarProgram.compile(texts, {member: table.at(member) for member in texts})
    return CedarPoint(name=name, content_hash=digest, program=program)


def read_opa(name: str, table: Table, p0: P0Ceilings) -> OpaPoint:
    """Return a server that speaks OPA's data API. Raises Invalid."""
    origin = read_origin(table, p0)
    path = table.text("path")
    if PATH.fullmatch(path) is None:
        raise Invalid(
            "not the path of a rule", table.at("path"), 'the packages and the rule, such as "helm/calls/allow"'
        )
    bundles = read_bundles(table)
    deadline_ms = table.whole("deadline_ms", (10, MAX_DEADLINE_MS), DEFAULT_DEADLINE_MS)
    default_age_ms = max(DEFAULT_MAX_AGE_MS, deadline_ms)
    ca_pem = table.source("ca_pem") if table.has("ca_pem") else ""
    if ca_pem and (origin.scheme != "https" or "-----BEGIN CERTIFICATE-----" not in ca_pem):
        raise Invalid("no certificates in PEM for an https origin", table.at("ca_pem"), "paste those of its authority")
    content = {"bundles": dict(bundles), "kind": "opa", "origin": str(origin), "path": path}
    return OpaPoint(
        name=name,
        content_hash=content_hash(content),
        origin=str(origin),
        path=path,
        bundles=bundles,
        deadline_ms=deadline_ms,
        max_age_ms=table.whole("max_age_ms", (deadline_ms, MAX_MAX_AGE_MS), default_age_ms),
        max_response_bytes=table.whole("max_response_bytes", (64, MAX_ANSWER_BYTES), DEFAULT_ANSWER_BYTES),
        places=table.whole("places", (1, MAX_PLACES), DEFAULT_PLACES),
        allow_private=table.flag("allow_private"),
        token_file=read_token_file(table),
        ca_pem=ca_pem,
    )


def read_origin(table: Table, p0: P0Ceilings) -> Destination:
    """Return where the server is: https, or http on this machine; never where a ceiling forbids. Raises Invalid."""
    where, text = table.at("origin"), table.text("origin")
    try:
        origin = normalise(text)
    except Refused as refused:
        raise Invalid(refused.reason, where) from refused
    if origin.scheme not in ("http", "https") or text.partition("://")[2].rstrip("/").count("/"):
        raise Invalid("not an origin", where, "write https://host or https://host:port")
    if origin.scheme == "http" and origin.host not in LOOPBACK:
        hint = "https, or http://127.0.0.1:PORT for a server beside this one"
        raise Invalid("answers that anybody on the way can write", where, hint)
    if any(pattern.touches(origin) for pattern in p0.denied_destinations):
        raise Invalid("a P0 ceiling forbids this destination", where, "ask another server, or lift the ceiling")
    check_reachable(table, origin)
    return origin


def check_reachable(table: Table, origin: Destination) -> None:
    """Refuse an address that would be refused at every call; a name is looked up then. Raises Invalid."""
    try:
        address = ip_address(origin.host)
    except ValueError:
        return
    try:
        check_address(address, allow_private=table.flag("allow_private"))
    except Refused as refused:
        hint = "allow_private = true for an address of your own"
        raise Invalid(refused.reason, table.at("origin"), hint) from refused


def read_bundles(table: Table) -> tuple[tuple[str, str], ...]:
    """Return every bundle that the server must answer by, with its revision. Raises Invalid."""
    below = table.table("bundles")
    bundles = tuple(sorted((name, below.name(name)) for name in below.members))
    if not bundles:
        hint = f'add [{below.place}] NAME = "REVISION", as the server reports them'
        raise Invalid("no bundle is pinned: nobody could tell what answers", below.place, hint)
    if len(bundles) > MAX_BUNDLES:
        raise Invalid(f"more than {MAX_BUNDLES} bundles", below.place, "pin fewer")
    return bundles


def read_token_file(table: Table) -> str:
    """Return where the bearer token lies. Raises Invalid."""
    path = table.name("token_file", "")
    if path and not path.startswith("/"):
        raise Invalid("not an absolute path", table.at("token_file"), "such as /run/secrets/opa-token")
    return path


def read_point_rule(tool: str, table: Table, points: Mapping[str, Point], inputs: JSONValue) -> PointRule | None:
    """Return which point the calls of a tool need, None where the built-in rules are enough. Raises Invalid."""
    if not table.has("decision_point"):
        return None
    below = table.table("decision_point")
    name = below.name("name")
    if name not in points:
        raise Invalid(f"the decision point {name} is not declared", below.at("name"), f"add [decision_points.{name}]")
    names = below.texts("arguments", ())
    below.finish()
    check_arguments(names, below, inputs)
    point = points[name]
    if isinstance(point, CedarPoint):
        point.program.check_describes(tool, below.place)
    return PointRule(point=point, arguments=frozenset(names), all_arguments=names == (ALL_ARGUMENTS,))


def check_arguments(names: tuple[str, ...], table: Table, inputs: JSONValue) -> None:
    """Refuse to show an argument that no call can have. Raises Invalid."""
    known = inputs.get("properties", {}) if type(inputs) is dict else {}
    for number, name in enumerate(names):
        if name not in known and names != (ALL_ARGUMENTS,):
            hint = f'name one that it has, or ["{ALL_ARGUMENTS}"] for all'
            raise Invalid(f"the input schema has no property {name}", f"{table.at('arguments')}[{number}]", hint)
