"""The scan of an MCP server: everything that it lists, and how it is started, held against every rule.

A scan helps whoever is asked to approve a server; it decides nothing. That nothing was found proves nothing: what a
server does is held by its pins, its schemas and the policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, reread
from helm.mcp.finding import Finding, quote
from helm.mcp.pins import MAX_TOOL_BYTES, MAX_TOOLS
from helm.mcp.scan_launch import scan_launch
from helm.mcp.scan_names import scan_names
from helm.mcp.scan_shapes import scan_shape
from helm.mcp.scan_texts import scan_texts
from helm.mcp.scan_words import scan_words

MAX_LISTING_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one listing that are looked at (T4)."""


MAX_FINDINGS: Final = 1000
"""The gravest that are told of one server: whoever gets so many need not read on (T4)."""


@attrs.frozen(kw_only=True)
class Subject:
    """One server: how it is reached, and its tools as it lists them, annotations and all."""

    server_id: str
    command: tuple[str, ...] = ()
    url: str = ""
    tools: tuple[Mapping[str, JSONValue], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Return the names of its tools."""
        return frozenset(tool["name"] for tool in self.tools)


def tools_of(listing: JSONValue, where: str) -> tuple[Mapping[str, JSONValue], ...]:
    """Return the tools of a listing: a list, or the result of tools/list that holds one. Raises Invalid.

    More is let in than may be pinned: a tool without a schema is for the scan to find.
    """
    tools = listing.get("tools") if type(listing) is dict else listing
    if type(tools) is not list or len(tools) > MAX_TOOLS:
        raise Invalid(f"not a list of at most {MAX_TOOLS} tools", where, "save the result of tools/list")
    read, size = [], 0
    for number, tool in enumerate(tools):
        if type(tool) is not dict or type(tool.get("name")) is not str:
            raise Invalid("not a tool with a name", f"{where}: tools[{number}]")
        try:
            written = canonical(tool, max_bytes=MAX_TOOL_BYTES)
        except Malformed as problem:
            raise Invalid(str(problem), f"{where}: tools[{number}]") from problem
        size += len(written)
        if size > MAX_LISTING_BYTES:
            raise Invalid(f"a listing of more than {MAX_LISTING_BYTES} bytes", where)
        read.append(reread(written))
    return tuple(read)


def scan(subject: Subject, others: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Return what is found about one server, the gravest first. `others` are other servers and their tools' names."""
    others = {server: names for server, names in others.items() if server != subject.server_id}
    found = {one.finding_id: one for one in _all(subject, others)}
    return sorted(found.values(), key=lambda one: (-one.severity.rank, one.rule, one.where))[:MAX_FINDINGS]


def _all(subject: Subject, others: Mapping[str, frozenset[str]]) -> Iterator[Finding]:
    yield from scan_launch(subject.server_id, subject.command, subject.url)
    yield from scan_names(subject.server_id, [tool["name"] for tool in subject.tools], others)
    for tool in subject.tools:
        where = f"{subject.server_id}/{quote(tool['name'])}"
        yield from scan_texts(tool, where)
        yield from scan_words(tool, where, subject.names, others)
        yield from scan_shape(tool, where)
