"""How a call's arguments become the words of a command line, with no word in what is started or how.

There is no shell: a word is a word, whatever stands in it. What is left to fear is that an argument is read as an
option.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from actors.connectors.port import Dispatch, NotDispatched
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.guardian.connection import ProgramOperation, Word

MAX_WORD_BYTES: Final = 65_536
"""Longest word that an argument becomes: half of what Linux takes (T4)."""

MAX_BYTES: Final = 256 * 1024
"""All words together: what every system takes beside an environment (T4)."""

END_OF_OPTIONS: Final = "--"


def words_of(order: Dispatch, operation: ProgramOperation) -> list[str]:
    """Return the words behind the program's name. Raises NotDispatched."""
    if type(order.parsed) is not dict:
        raise unfit("the arguments are no object")
    words: list[str] = []
    for word in operation.words:
        safe = word.argument in operation.options or END_OF_OPTIONS in words
        words += filled(word, order.parsed, may_be_option=safe)
    if sum(len(word.encode()) + 1 for word in words) > MAX_BYTES:
        raise unfit(f"the command line is longer than {MAX_BYTES} bytes")
    return words


def stdin_of(order: Dispatch, operation: ProgramOperation) -> bytes:
    """Return what the program reads. Raises NotDispatched."""
    if not operation.stdin:
        return b""
    text = order.parsed.get(operation.stdin) if type(order.parsed) is dict else None
    if type(text) is not str:
        raise unfit(f"the argument {operation.stdin!r} is no text")
    return text.encode()


def filled(word: Word, arguments: dict[str, JSONValue], *, may_be_option: bool) -> Iterator[str]:
    """Yield the words that one place of the command line becomes. Raises NotDispatched."""
    if not word.argument:
        yield word.literal
        return
    value = arguments.get(word.argument)
    for item in value if type(value) is list else [value]:
        text = word.literal + plain(word.argument, item)
        if text.startswith("-") and not word.literal and not may_be_option:
            hint = "put it behind -- in the policy, or declare it in options"
            raise unfit(f"the argument {word.argument!r} would be read as an option: {hint}")
        if "\x00" in text or len(text.encode()) > MAX_WORD_BYTES:
            raise unfit(f"the argument {word.argument!r} fits into no word")
        yield text


def plain(name: str, value: JSONValue) -> str:
    """Return a value as a word. Raises NotDispatched for what is none."""
    if type(value) is str:
        return value
    if type(value) is bool or type(value) is int or type(value) is float:
        return canonical(value).decode()
    raise unfit(f"the argument {name!r} is missing, or no text, number or truth value")


def unfit(reason: str) -> NotDispatched:
    """Return the refusal of arguments that make no command line."""
    return NotDispatched(ReasonCode.SCHEMA_VIOLATION, reason)
