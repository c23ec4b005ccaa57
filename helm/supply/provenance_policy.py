"""Whose builds of which sources are taken: a policy in TOML with a closed schema, in which nothing is a pattern.

Every list is an allowlist, and an empty one allows nothing. A builder stands with the keys that may speak for it, so
that a key that is good for one builder says nothing for another.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.supply.members import a_list, a_text
from helm.supply.outside_key import OutsideKey, read_key

VERSION: Final = "helm.provenance-policy/1"

MAX_POLICY_BYTES: Final = 256 * 1024
"""Longest policy that is looked at (T4)."""

MAX_ENTRIES: Final = 256
"""Most entries of one list (T4)."""

HINT: Final = "see the supply chain page for what a provenance policy may say"
TABLES: Final = frozenset({"version", "builders", "build_types", "sources"})


@attrs.frozen(kw_only=True)
class Builder:
    """A build platform, and the keys that sign for it."""

    id: str
    keys: tuple[OutsideKey, ...]


@attrs.frozen(kw_only=True)
class BuildType:
    """A way of building, and where its external parameters say what was built."""

    uri: str
    parameters: frozenset[str]
    """The only external parameters that there may be: one that nobody understands may change everything."""
    repository: str
    """JSON pointers (RFC 6901) into the external parameters."""
    ref: str


@attrs.frozen(kw_only=True)
class Source:
    """A repository, and the refs of it that may be built."""

    repository: str
    refs: frozenset[str]


@attrs.frozen(kw_only=True)
class ProvenancePolicy:
    """What provenance must say to be taken."""

    builders: tuple[Builder, ...]
    build_types: Mapping[str, BuildType]
    sources: Mapping[str, Source]


def read_policy(raw: bytes) -> ProvenancePolicy:
    """Return the policy of these bytes of TOML. Raises Invalid, naming the place."""
    if len(raw) > MAX_POLICY_BYTES:
        raise odd(f"{len(raw)} bytes, more than {MAX_POLICY_BYTES}", "policy")
    try:
        body = tomllib.loads(raw.decode("utf-8"))
    except ValueError as problem:  # TOMLDecodeError and UnicodeDecodeError are ones
        raise odd(f"no TOML: {problem}", "policy") from None
    closed(body, frozenset({"version"}), TABLES, "policy")
    if body["version"] != VERSION:
        raise odd(f"not {VERSION}", "version")
    build_types = [build_type_of(one, where) for one, where in tables(body, "build_types")]
    sources = [source_of(one, where) for one, where in tables(body, "sources")]
    return ProvenancePolicy(
        builders=each_once([builder_of(one, where) for one, where in tables(body, "builders")]),
        build_types=by_name([(one.uri, one) for one in build_types], "build_types"),
        sources=by_name([(one.repository, one) for one in sources], "sources"),
    )


def builder_of(body: Any, where: str) -> Builder:
    closed(body, frozenset({"id", "keys"}), frozenset(), where)
    keys = a_list(body["keys"], f"{where}.keys", at_most=MAX_ENTRIES)
    return Builder(
        id=a_text(body["id"], f"{where}.id"),
        keys=tuple(read_key(a_text(one, f"{where}.keys")) for one in keys),
    )


def build_type_of(body: Any, where: str) -> BuildType:
    closed(body, frozenset({"uri", "parameters", "repository", "ref"}), frozenset(), where)
    return BuildType(
        uri=a_text(body["uri"], f"{where}.uri"),
        parameters=texts(body["parameters"], f"{where}.parameters"),
        repository=a_pointer(body["repository"], f"{where}.repository"),
        ref=a_pointer(body["ref"], f"{where}.ref"),
    )


def source_of(body: Any, where: str) -> Source:
    closed(body, frozenset({"repository", "refs"}), frozenset(), where)
    return Source(
        repository=a_text(body["repository"], f"{where}.repository"),
        refs=texts(body["refs"], f"{where}.refs"),
    )


def each_once(builders: list[Builder]) -> tuple[Builder, ...]:
    by_name([(one.id, one) for one in builders], "builders")
    return tuple(builders)


def by_name(named: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    """Return entries by their names. Raises Invalid where one stands twice: which would count?"""
    found = dict(named)
    if len(found) != len(named):
        raise odd("one entry stands twice", where)
    return found


def tables(body: Mapping[str, Any], name: str) -> list[tuple[Any, str]]:
    listed = a_list(body.get(name, []), name, at_most=MAX_ENTRIES)
    return [(one, f"{name}[{number}]") for number, one in enumerate(listed)]


def texts(value: Any, where: str) -> frozenset[str]:
    return frozenset(a_text(one, where) for one in a_list(value, where, at_most=MAX_ENTRIES))


def a_pointer(value: Any, where: str) -> str:
    """Return a JSON pointer to a member. Raises Invalid."""
    text = a_text(value, where)
    if not text.startswith("/"):
        raise odd("a JSON pointer begins with a slash", where)
    return text


def closed(body: Any, must: frozenset[str], may: frozenset[str], where: str) -> None:
    """Raise Invalid unless a table has these entries and no other."""
    if type(body) is not dict:
        raise odd("not a table", where)
    for name in sorted(must - body.keys()):
        raise odd(f"has no {name}", where)
    for name in sorted(body.keys() - must - may):
        raise odd(f"has an entry that is not known: {name[:40]!r}", where)


def odd(what: str, where: str) -> Invalid:
    return Invalid(what, where, HINT)
