"""What a tool takes and says of itself: arguments that can mean anything, and hints that do not fit (T3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from helm.contracts.form import JSONValue
from helm.mcp.finding import Finding, Severity, quote
from helm.mcp.scan_texts import MAX_STEP

RUNS: Final = frozenset({"command", "cmd", "shell", "script", "code", "eval", "exec", "expression", "bash", "program"})
ASKS: Final = frozenset({"sql", "statement", "sqlquery"})
POINTS: Final = frozenset({"url", "uri", "endpoint", "webhook", "host", "href", "callback"})
FILES: Final = frozenset({"path", "file", "filename", "filepath", "directory", "dir", "folder", "paths", "source"})

KINDS: Final = (
    ("shape.command", Severity.MEDIUM, RUNS, "a free text that is run: whoever writes it may do anything"),
    ("shape.statement", Severity.MEDIUM, ASKS, "a free statement: reading and destroying look alike"),
    ("shape.address", Severity.LOW, POINTS, "a free address: it can lead anywhere, also inside"),
    ("shape.path", Severity.LOW, FILES, "a free path: what it may reach, only the server decides"),
)
"""Rule, severity, the names of such arguments, and why."""

BOUND: Final = frozenset({"enum", "const", "pattern"})
"""What makes a text no longer free."""

DESTROYS: Final = re.compile(
    r"^(?:delete|remove|drop|destroy|erase|purge|wipe|kill|terminate|truncate|overwrite|revoke|uninstall)(?![a-z])",
    re.IGNORECASE,
)
CHANGES: Final = re.compile(
    r"^(?:write|create|update|edit|send|post|put|move|rename|insert|execute|exec|run|deploy|publish|upload|push|"
    r"merge|commit|pay|transfer)(?![a-z])",
    re.IGNORECASE,
)
WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def scan_shape(tool: Mapping[str, JSONValue], where: str) -> Iterator[Finding]:
    """Yield what is wrong with a tool's schemas and annotations."""
    schema = tool.get("inputSchema")
    if type(schema) is not dict or not schema:
        why = "no schema: nothing can be said about its arguments, and nothing can be refused"
        yield shaped("shape.none", Severity.HIGH, f"{where}/inputSchema", why, "HELM does not pin it")
    else:
        yield from scan_schema(schema, f"{where}/inputSchema")
    yield from scan_hints(tool, where)


def scan_schema(schema: Mapping[str, JSONValue], where: str) -> Iterator[Finding]:
    """Yield what is open in a schema, and in the schemas of its members."""
    properties = schema.get("properties")
    remedy = "pin a narrower schema in the policy: it is the policy's that is enforced"
    if schema.get("type") == "object" or properties is not None:
        closed = schema.get("additionalProperties")
        if closed is True or type(closed) is dict:
            yield shaped("shape.open", Severity.LOW, where, "members of any name are taken", remedy)
        elif closed is None and not properties and "unevaluatedProperties" not in schema:
            yield shaped("shape.open", Severity.INFO, where, "members that nobody declared are taken", remedy)
    if type(properties) is dict:
        for name, member in properties.items():
            if type(member) is dict:
                place = f"{where}/properties/{name[:MAX_STEP]}"
                yield from scan_member(name, member, place, remedy)
                yield from scan_schema(member, place)
    for keyword in ("items", "additionalProperties"):
        if type(schema.get(keyword)) is dict:
            yield from scan_schema(schema[keyword], f"{where}/{keyword}")


def scan_member(name: str, member: Mapping[str, JSONValue], where: str, remedy: str) -> Iterator[Finding]:
    """Yield what a free argument of this name can do."""
    if not is_free(member):
        return
    words = [word.lower() for word in WORD.findall(name)]
    said = {"".join(words), *words[-1:]}
    for rule, severity, names, why in KINDS:
        if said & names:
            yield shaped(rule, severity, where, why, remedy, name)
            return


def is_free(member: Mapping[str, JSONValue]) -> bool:
    """Tell whether a schema takes any text, or a list of any texts."""
    kinds = member.get("type")
    if kinds == "array" and type(member.get("items")) is dict:
        return is_free(member["items"])
    takes_text = kinds in (None, "string") or (type(kinds) is list and "string" in kinds)
    return takes_text and not BOUND & member.keys()


def scan_hints(tool: Mapping[str, JSONValue], where: str) -> Iterator[Finding]:
    """Yield hints that are missing, or that the tool's own name gives the lie."""
    hints, name = tool.get("annotations"), tool["name"]
    hints = hints if type(hints) is dict else {}
    if not any(hint.endswith("Hint") for hint in hints):
        why = "it does not say whether it reads, changes or destroys"
        yield shaped("hints.none", Severity.INFO, where, why, "say it in the policy: effect_type and risk_tier")
    destroys = bool(DESTROYS.search(name))
    if hints.get("readOnlyHint") is True and (destroys or CHANGES.search(name)):
        why = "it says that it only reads, and its name says otherwise"
        yield shaped("hints.contradiction", Severity.MEDIUM, where, why, "trust neither: declare its effect", name)
    may_destroy = destroys or (hints.get("destructiveHint") is True and hints.get("readOnlyHint") is not True)
    if may_destroy and type(tool.get("outputSchema")) is not dict:
        why = "it may destroy, and promises nothing about its answer: a receipt cannot tell what it did"
        yield shaped("hints.no-output", Severity.LOW, where, why, "pin an output schema in the policy", name)


def shaped(rule: str, severity: Severity, where: str, why: str, remedy: str, quoted: str = "") -> Finding:
    """Return one finding about a tool's shape."""
    return Finding(rule=rule, severity=severity, where=where, why=why, remedy=remedy, quoted=quote(quoted))
