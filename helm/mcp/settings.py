"""A client's file with HELM's entry in it, or a refusal: never with anything of anybody else's lost."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.mcp import jsonc
from helm.mcp.clients import Client


def with_entry(client: Client, text: str, place: Sequence[str], name: str, entry: JSONValue, where: str) -> str:
    """Return a client's file with one server more; the same text where it is there already.

    Raises Invalid for a file that cannot be read, and for another server of this name. What comes out is read again:
    it says what was there before, and the entry, and nothing else.
    """
    if client.is_toml:
        after = toml_added(text, place, name, entry, where)
        before_value, after_value = toml_of(text, where), toml_of(after, where)
    else:
        after = jsonc.added(text, place, name, entry, where)
        before_value = jsonc.read(text, where) if text.strip() else {}
        after_value = jsonc.read(after, where)
    if after_value != merged(before_value, place, name, entry):
        raise Invalid("the entry cannot be put in without touching others", where, "put it in by hand: print-config")
    return after


def merged(value: JSONValue, place: Sequence[str], name: str, entry: JSONValue) -> JSONValue:
    """Return what a file is to say."""
    inner = value.get(place[0], {}) if place else value
    if place:
        return {**value, place[0]: merged(inner, place[1:], name, entry)}
    return {**value, name: entry}


def alone(client: Client, place: Sequence[str], name: str, entry: JSONValue) -> str:
    """Return a file that says nothing but this server."""
    if client.is_toml:
        return table(place, name, entry)
    value: JSONValue = {name: entry}
    for step in reversed(place):
        value = {step: value}
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def toml_of(text: str, where: str) -> dict[str, JSONValue]:
    """Return what a TOML file says. Raises Invalid."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise Invalid(f"is not TOML: {problem}", where, "put it in order by hand first: nothing changed") from problem


def toml_added(text: str, place: Sequence[str], name: str, entry: JSONValue, where: str) -> str:
    """Return a TOML file with a table more at its end. Raises Invalid."""
    servers = toml_of(text, where).get(place[0], {})
    if type(servers) is not dict:
        raise Invalid(f"{place[0]} is no table", where, "put it in order by hand first")
    if name in servers:
        if servers[name] == entry:
            return text
        hint = "look at it, and take it out by hand: it may be a way round HELM"
        raise Invalid(f"it has another entry {name!r}", where, hint)
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + table(place, name, entry).replace("\n", newline)


def table(place: Sequence[str], name: str, entry: JSONValue) -> str:
    """Return a server as a TOML table."""
    key = ".".join([*place, quoted(name)])
    words = ", ".join(quoted(word) for word in entry["args"])
    return f"[{key}]\ncommand = {quoted(entry['command'])}\nargs = [{words}]\n"


def quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
