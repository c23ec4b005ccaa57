"""Markers of text that speaks to a model as if its operator spoke (T6).

The list is short on purpose: a marker stands here only when honest text has hardly any use for it. That no
marker was found proves nothing; taint labels carry the distrust onwards.

Every pattern runs over lower-cased UTF-8, begins with a literal and bounds each repetition, so that one
search is linear and skips quickly to the few characters a marker can begin with (T4).
"""

from __future__ import annotations

import re

# In the patterns below a space stands for this: whatever may part two words, or a JSON escape of it.
_GAP = r'(?:[^a-z0-9\\]|\\[bfnrt"\\]){1,8}'

_FILLER = "(?:all|any|every|each|single|of|the|these|those|your|my|our|and|both|just|now|please)"
_EARLIER = "(?:previous|prior|above|earlier|preceding|foregoing|existing|initial|original|system|developer)"
_KIND = "(?:system|safety|security|developer|user|original|core|given)"
_ORDERS = "(?:instructions?|prompts?|guidelines?|directives?|directions|programming|training)"
# Words with everyday uses of their own ("ignore all rules in this file"): only with a word for "earlier".
_LOOSE_ORDERS = "(?:rules|commands|orders|restrictions)"
_GIVEN = "(?:you|i|were|was|been|have|had|has|given|gave|told|from|listed|written|that|which)"

_EARLIER_ORDERS = (
    f"(?:{_FILLER} ){{0,4}}{_EARLIER} (?:{_KIND} ){{0,2}}(?:{_ORDERS}|{_LOOSE_ORDERS})",
    f"(?:all (?:of )?)?(?:all|any|your) (?:{_KIND} ){{0,2}}{_ORDERS}",
    f"(?:{_FILLER} ){{0,3}}{_ORDERS} (?:{_GIVEN} ){{0,4}}(?:above|before|previously|earlier)",
    "everything (?:written )?(?:above|before this|you (?:were|have been) (?:told|instructed|given))",
)
_TO_EARLIER_ORDERS = " (?:" + "|".join(_EARLIER_ORDERS) + ")(?![a-z0-9])"

_READERS = "(?:ai|llm|assistant|chatgpt|gpt|claude|gemini|copilot)s?"
_TO_A_MODEL = (
    "(?: )?(?:"
    f"(?:(?:to|for|dear|hey|attention|note|the|any|all) ){{0,3}}{_READERS}"
    r"(?: (?:assistants?|agents?|models?|only|instructions?|prompt|note|message)){0,2}\x20{0,2}[:,]"
    "|(?:system|hidden|secret) (?:prompts?|instructions?|message|override|command)(?![a-z0-9])"
    ")"
)

_ORDER = "an order to set earlier instructions aside"
_TOKEN = "a chat-template token"  # noqa: S105 - a word of a chat format
_COMMENT = "a comment addressed to a model"


def _verb(head: str, stem: str, ending: str) -> tuple[str, int, str]:
    # The search begins at the stem, because its first letter is rarer in ordinary text than the head's.
    return _ORDER, len(head), f"{stem}(?<={head}{stem}){ending}{_TO_EARLIER_ORDERS}"


# Name, characters before the pattern that belong to the marker, pattern.
_MARKERS: tuple[tuple[str, int, str], ...] = (
    _verb("i", "gnor", "(?:e|ing)"),
    _verb("disre", "gard", "(?:ing)?"),
    _verb("", "forget", "(?:ting)?"),
    _verb("o", "verrid", "(?:e|ing)"),
    (_TOKEN, 0, r"<\|[a-z0-9_\x80-\xff]{2,40}\|>"),
    (_TOKEN, 0, r"<(?:start|end)_of_turn>"),
    (_TOKEN, 0, r"<</?sys>>"),
    (_TOKEN, 0, r"\[inst\](?<![a-z0-9_\])]\[inst\])"),  # not an array's index
    (_TOKEN, 0, r"\[/inst\]"),
    ("a tag that poses as the system prompt", 0, r"</?system[_-](?:prompt|instructions?|message|reminder)>"),
    (_COMMENT, 0, "<!--" + _TO_A_MODEL),
    (_COMMENT, 0, r"\[//\]:\x20{0,2}#" + _TO_A_MODEL),
)


def _over_bytes(pattern: str) -> bytes:
    return pattern.replace(" ", _GAP).encode("ascii")


_NAMED = tuple((name, head, re.compile(_over_bytes(pattern))) for name, head, pattern in _MARKERS)
ANY_MARKER = b"|".join(_over_bytes(pattern) for _, _, pattern in _MARKERS)
"""The regular expression source of all markers, for a search over lower-cased bytes."""
_ANY = re.compile(ANY_MARKER)


def find_injection(data: bytes) -> tuple[str, int] | None:
    """Return the first marker's name and byte offset in UTF-8 text or canonical JSON, or None."""
    lowered = data.lower()
    found = _ANY.search(lowered)
    if found is None:
        return None
    start = found.start()
    return next((name, start - head) for name, head, pattern in _NAMED if pattern.match(lowered, start))
