"""The scan that untrusted text must pass.

Obfuscation is looked for before injection, because the marker of an injection is looked for in folded text,
and only text without obfuscation folds to what a person saw.
"""

from __future__ import annotations

import re
from collections.abc import Set

from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.guardian.injection import ANY_MARKER, find_injection
from helm.guardian.obfuscation import find_json_escape, find_obfuscation, fold, is_suspect, unfolded_place

# ASCII text in which this finds nothing is clean, and most text is: everything else here is the slow path.
_WORTH_A_LOOK = re.compile(ANY_MARKER + rb"|\\u001b|\x1b")


def scan_arguments(arguments: bytes, parsed: JSONValue, free_text: Set[str]) -> None:
    """Scan a call's canonical arguments; in those the policy names free_text only obfuscation is refused."""
    if not free_text or type(parsed) is not dict:
        scan_bytes(arguments)
        return
    _scan_json_for_obfuscation(arguments, "arguments")
    scan_bytes(canonical({name: value for name, value in parsed.items() if name not in free_text}))


def scan_bytes(canonical_json: bytes, *, where: str = "arguments") -> None:
    """Refuse canonical JSON with a marker in its names or strings; raises Refused naming marker and place."""
    if canonical_json.isascii() and _WORTH_A_LOOK.search(canonical_json.lower()) is None:
        return
    text = _scan_json_for_obfuscation(canonical_json, where)
    _scan_for_injection(text, where)


def scan_text(text: str, *, where: str = "text") -> None:
    """Refuse plain text with a marker in it; raises Refused naming marker and place."""
    if text.isascii() and _WORTH_A_LOOK.search(text.encode().lower()) is None:
        return
    _scan_for_obfuscation(text, where)
    _scan_for_injection(text, where)


def _scan_json_for_obfuscation(canonical_json: bytes, where: str) -> str:
    # Bytes that are no UTF-8 have a reason of their own at the schema check.
    text = canonical_json.decode("utf-8", "replace")
    _scan_for_obfuscation(text, where)
    offset = find_json_escape(canonical_json)
    if offset is not None:
        place = len(canonical_json[:offset].decode("utf-8", "replace"))
        raise _refused(ReasonCode.UNICODE_OBFUSCATION_DETECTED, "a terminal escape", place, where)
    return text


def _scan_for_obfuscation(text: str, where: str) -> None:
    found = find_obfuscation(text) if is_suspect(text) else None
    if found is not None:
        raise _refused(ReasonCode.UNICODE_OBFUSCATION_DETECTED, *found, where)


def _scan_for_injection(text: str, where: str) -> None:
    folded = (fold(text) if is_suspect(text) else text).encode("utf-8", "surrogatepass")
    found = find_injection(folded)
    if found is not None:
        marker, offset = found
        place = unfolded_place(text, len(folded[:offset].decode("utf-8", "surrogatepass")))
        raise _refused(ReasonCode.PROMPT_INJECTION_DETECTED, marker, place, where)


def _refused(code: ReasonCode, marker: str, place: int, where: str) -> Refused:
    return Refused(code, f"{marker} at character {place} of the {where}; remove it, or find out who wrote it")
