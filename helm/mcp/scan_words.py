"""What the words of a tool order a model to do: call others, conceal, carry secrets off, stand in for others (T6).

Honest descriptions say what a tool does. The patterns run over lower-cased text and bound every repetition (T4).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from helm.contracts.form import JSONValue
from helm.guardian.obfuscation import fold
from helm.mcp.finding import Finding, Severity, quote
from helm.mcp.scan_texts import texts_of

_USE = "(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|run(?:ning)?|execut(?:e|ing))"
_PERSON = "(?:users?|humans?|operator|customer|developer|person)"
_SAID = "(?:conversation|chat history|message history|previous messages|system prompt)"
_KEPT = "(?:api keys?|access tokens?|credentials|passwords?|private keys?|secrets|environment variables|ssh keys?)"
_GIVE = r"\b(?:pass|send|include|put|append|add|provide|post|upload|forward|copy|attach)\s+"

CONCEAL: Final = re.compile(
    r"\b(?:do not|don['’]t|dont|never|must not|should not|without|avoid)\s+(?:\w+\s+){0,3}?"
    r"(?:tell|mention|inform|reveal|notif|disclos|alert|show|explain|let)\w{0,4}\s+(?:[\w,]+\s+){0,6}?"
    + _PERSON
    + r"\b"
)
CONCEAL_IT: Final = re.compile(
    r"\b(?:hide|conceal|keep)\s+(?:\w+\s+){0,4}?(?:from\s+(?:the\s+)?" + _PERSON + r"|secret from)\b"
)
_OTHERS = r"(?:any|every|all|another|other)\s+(?:other\s+)?(?:available\s+)?tools?\b"
TO_OTHERS: Final = re.compile(
    rf"\b(?:(?:before|after|instead of|prior to)\s+(?:you\s+)?(?:{_USE}\s+)?"
    rf"|(?:whenever|when|while)\s+(?:you\s+)?{_USE}\s+){_OTHERS}"
)
MUST: Final = re.compile(
    r"\b(?:you must|you have to|you should always|always|make sure to|be sure to)\s+(?:first\s+|also\s+|then\s+)?"
    + _USE
    + r"\s+(?:the\s+)?(?:[`'\"][\w.\-/]+[`'\"]|\w+[_.\-]\w+|[\w\-]+\s+(?:tool|first|before)\b)"
)
CARRY_OFF: Final = re.compile(
    rf"{_GIVE}(?:[\w'`]+\s+){{0,5}}?(?:{_SAID}|(?:your|their|his|her|(?:users?|humans?|person)['’]?s?)\s+(?:\w+\s+)?{_KEPT})\b"
)
GIVE: Final = re.compile(rf"{_GIVE}(?:[\w'`]+\s+){{0,5}}?{_KEPT}\b")
PLACES: Final = re.compile(
    r"~/\.ssh\b|\bid_(?:rsa|ed25519|ecdsa)\b|\.aws/credentials\b|/etc/(?:passwd|shadow)\b|\.netrc\b"
    r"|\.cursor/mcp\.json|claude_desktop_config\.json|\.kube/config\b|\.docker/config\.json|\.git-credentials\b"
)
POSES: Final = re.compile(
    r"</?(?:important|system|instructions?|secret|hidden|admin|assistant|override|critical|urgent)>|\[(?:system|admin)\]"
)

ORDERS: Final[tuple[tuple[str, Severity, re.Pattern[str], str], ...]] = (
    ("words.conceal", Severity.HIGH, CONCEAL, "it wants something kept from the person who uses it"),
    ("words.conceal", Severity.HIGH, CONCEAL_IT, "it wants something kept from the person who uses it"),
    ("words.other-tools", Severity.HIGH, TO_OTHERS, "it says what to do about tools that are not its own"),
    ("words.carry-off", Severity.HIGH, CARRY_OFF, "it asks for what no tool should be given"),
    ("words.secrets", Severity.MEDIUM, GIVE, "it asks for secrets: does it need them?"),
    ("words.places", Severity.HIGH, PLACES, "it names a place where secrets lie"),
    ("words.poses", Severity.HIGH, POSES, "it dresses its words as those of somebody with authority"),
    ("words.must", Severity.MEDIUM, MUST, "it orders the model to call something"),
)
"""Rule, severity, pattern, and why."""

DISTINCT: Final = re.compile(r"[_.\-/]|[a-z][A-Z]")
"""What makes a tool's name no everyday word."""


def scan_words(
    tool: Mapping[str, JSONValue], where: str, own: frozenset[str], others: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield what a tool's texts order; `own` are the tools of its server, `others` those of other servers."""
    for place, text in texts_of(tool, where):
        plain = fold(text)
        yield from orders(place, plain)
        yield from names_another(place, plain, own, others)


def orders(where: str, text: str) -> Iterator[Finding]:
    """Yield one finding for each rule that a text breaks."""
    lowered = text.lower()
    for rule, severity, pattern, why in ORDERS:
        found = pattern.search(lowered)
        if found is not None:
            yield Finding(
                rule=rule,
                severity=severity,
                where=where,
                why=why,
                remedy="do not approve it unless its author explains these words",
                quoted=quote(text, found.start()),
            )


def names_another(
    where: str, text: str, own: frozenset[str], others: Mapping[str, frozenset[str]]
) -> Iterator[Finding]:
    """Yield the tools of other servers that a text names: it may tell the model to use them otherwise."""
    for server, names in others.items():
        for name in names - own:
            at = named_at(text, name)
            if at >= 0:
                yield Finding(
                    rule="words.names-another",
                    severity=Severity.HIGH,
                    where=where,
                    why=f"it speaks of {name}, a tool of the server {server}: shadowing changes how that one is used",
                    remedy="do not approve both servers for one agent before you know why",
                    quoted=quote(text, at),
                )


def named_at(text: str, name: str) -> int:
    """Return where a text names a tool, -1 where it does not: an everyday word counts only where it is marked."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
        if DISTINCT.search(name):
            if not (before.isalnum() or before == "_" or after.isalnum() or after == "_"):
                return at
        elif (before and before == after and before in "`'\"") or text[at + len(name) :].startswith(" tool"):
            return at
        at = text.find(name, at + 1)
    return -1
