"""Characters that show a person one text and a machine another (T6).

Unicode's invisible characters have honest uses: joiners spell Persian, Hindi and family emoji, selectors
choose a glyph for an ideograph, tags draw the flag of Wales. Each rule therefore says where a character has
none. Direction marks (U+200E, U+200F, U+061C) and the soft hyphen are let through: they hide no letters.
"""

from __future__ import annotations

import re
import unicodedata

_BIDI = "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides, isolates: Trojan Source, CVE-2021-42574
_CONTROLS = "\u2061-\u2064\u206a-\u206f\ufff9-\ufffb"
_TAGS = "\U000e0000-\U000e007f"
_FLAG_OF_ENGLAND_SCOTLAND_OR_WALES = (
    "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067"
    "|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"
)
_INVISIBLE = "\u200b-\u200d\u034f\u115f\u1160\u17b4\u17b5\u180e\u2060\u3164\ufeff\uffa0"
_SELECTORS = "\ufe00-\ufe0f"
_IDEOGRAPH_SELECTORS = "\U000e0100-\U000e01ef"
_HAN = "\u2e80-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_TERMINAL = "\x1b\x9b"
_LOOKALIKES = "асеорхуіјѕԁԛԝһАВЕКМНОРСТХІЈЅ\u03bf\u039f"  # Cyrillic, and the Greek o

# In JSON the n of "\n" is no letter of a word.
_AFTER_LETTER = r"(?<=[A-Za-z])(?<!\\[bfnrt])"
_AFTER_LETTER_OR_DIGIT = r"(?<=[A-Za-z0-9])(?<!\\[bfnrt])"

# A pattern may name honest uses first; only what its group takes is refused.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("a bidirectional control", f"([{_BIDI}])"),
        ("an invisible control", f"([{_CONTROLS}])"),
        ("a tag character", f"{_FLAG_OF_ENGLAND_SCOTLAND_OR_WALES}|([{_TAGS}])"),
        ("a run of variation selectors", f"([{_SELECTORS}{_IDEOGRAPH_SELECTORS}]{{2}})"),
        ("a variation selector without its ideograph", f"(?<![{_HAN}])([{_IDEOGRAPH_SELECTORS}])"),
        ("a variation selector on a letter", f"{_AFTER_LETTER}([{_SELECTORS}])"),
        (
            "an invisible character inside a word",
            f"{_AFTER_LETTER_OR_DIGIT}([{_INVISIBLE}]){{1,3}}(?=[A-Za-z0-9])",
        ),
        ("a run of invisible characters", f"([{_INVISIBLE}]{{4}})"),
        ("a terminal escape", f"([{_TERMINAL}])"),
        ("a look-alike letter inside a word", f"{_AFTER_LETTER}([{_LOOKALIKES}]){{1,40}}(?=[A-Za-z])"),
    )
)

# Canonical JSON writes an escape character as a JSON escape; after an even number of backslashes it is one.
_JSON_TERMINAL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u001b")

# Letters in fancy dress that NFKC turns into one ASCII character, and punctuation that chat templates use.
_DRESSED = (
    *(0x00AA, 0x00BA, 0x017F, 0xFF1C, 0xFF1E, 0xFF3B, 0xFF3D, 0xFF5C),
    *range(0x02B0, 0x02B9),
    *range(0x1D2C, 0x1D6B),
    *range(0x2070, 0x209D),
    *range(0x2100, 0x2150),
    *range(0x24B6, 0x24EA),
    *range(0xFF21, 0xFF3B),
    *range(0xFF41, 0xFF5B),
    *range(0x1D400, 0x1D800),
    *range(0x1F130, 0x1F14A),
)
_SHAPELESS = (
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180E, 0x2060, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x200B, 0x2010),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
)


def _fold_table() -> dict[int, str | None]:
    # One character at a time: NFKC of a whole text is quadratic in a run of combining marks (T4).
    plain = {point: unicodedata.normalize("NFKC", chr(point)) for point in _DRESSED}
    letters = {point: letter for point, letter in plain.items() if len(letter) == 1 and letter.isascii()}
    return letters | dict.fromkeys(_SHAPELESS)


_FOLD = _fold_table()
# Two searches: the engine tests a set in one step only when it stays within the first 65,536 characters.
_SUSPECT = re.compile(
    f"[{_BIDI}{_CONTROLS}{_TERMINAL}{_LOOKALIKES}"
    + "".join(re.escape(chr(point)) for point in _FOLD if point < 0x10000)
    + "]"
)
_SUSPECT_BEYOND = re.compile("[\U000e0000-\U000e01ef\U0001d400-\U0001d7ff\U0001f130-\U0001f149]")


def is_suspect(text: str) -> bool:
    """Tell cheaply whether the text holds any character that the rules or the folding look at."""
    return _SUSPECT.search(text) is not None or _SUSPECT_BEYOND.search(text) is not None


def find_obfuscation(text: str) -> tuple[str, int] | None:
    """Return the name and character offset of the first breach of the first broken rule, or None."""
    for name, pattern in _RULES:
        for found in pattern.finditer(text):
            if found.lastindex:
                return name, found.start()
    return None


def find_json_escape(canonical: bytes) -> int | None:
    """Return the byte offset of an escaped terminal control in canonical JSON, or None."""
    found = _JSON_TERMINAL_ESCAPE.search(canonical)
    return None if found is None else found.start()


def fold(text: str) -> str:
    """Return the text as a model reads it: dressed-up letters plain, shapeless characters gone."""
    return text.translate(_FOLD)


def unfolded_place(text: str, place: int) -> int:
    """Return the offset in text of the character that fold(text) has at place."""
    for offset, character in enumerate(text):
        if _FOLD.get(ord(character), "") is not None:
            if place == 0:
                return offset
            place -= 1
    return len(text)
