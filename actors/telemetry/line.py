"""One line of the log: a JSON object in visible ASCII, so that no word of an agent's ends it, or paints a terminal."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import attrs

from actors.observing import Ended
from helm.contracts.form import JSONValue

MAX_MESSAGE: Final = 2000
"""Characters of a message: what an agent sent may be in it (T4)."""

MAX_FRAMES: Final = 12
"""Steps of a traceback, the innermost: where it broke, not how it came there."""

OURS: Final = "helm."
"""Loggers whose messages are ours. Of another library's only its place is written: its words may be anything."""

BEARER: Final = re.compile(r"helm_[A-Za-z0-9_-]{40,}|(?i:\bbearer\s+)[!-~]+")
"""What looks like a credential. None is ever put into a message; this is for the day on which one is."""

MESSAGE: Final = "message"
"""The event of everything that has no name of its own."""

HIDDEN: Final = "[secret]"

Line = dict[str, JSONValue]


@attrs.frozen(kw_only=True)
class Words:
    """Turns what happened into a line, without what this process must not tell."""

    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    """Values that never stand in a line, wherever they come from."""

    def line(self, said: Line) -> bytes:
        """Return one line, its end included."""
        return json.dumps(self.within(said), ensure_ascii=True, separators=(",", ":")).encode() + b"\n"

    def within(self, value: JSONValue) -> JSONValue:
        """Return a value with every secret in it hidden."""
        if isinstance(value, dict):
            return {name: self.within(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.within(member) for member in value]
        return self.hidden(value) if isinstance(value, str) else value

    def hidden(self, text: str) -> str:
        """Return a text with every secret in it hidden."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return BEARER.sub(HIDDEN, text)


def of_call(ended: Ended) -> Line:
    """Return what is said of a call that was answered."""
    receipt, trace = ended.sealed.content, ended.trace
    said: Line = {
        "at": moment(ended.ended_ns / 1e9),
        "level": "info",
        "event": "call",
        "request_id": ended.origin.request_id,
        "receipt_id": ended.sealed.receipt_id,
        "decision_id": receipt.decision_id,
        "approval_id": ended.approval_id,
        "verdict": receipt.verdict,
        "reason_code": receipt.reason_code,
        "status": receipt.status,
        "tenant": receipt.tenant,
        "principal": receipt.principal,
        "tool": ended.tool,
        "args_hash": receipt.args_hash,
        "duration_us": int(ended.took_s * 1e6),
    }
    if trace is not None:
        said |= {"trace_id": f"{trace.trace_id:032x}", "span_id": f"{trace.decision_id:016x}"}
    return {name: value for name, value in said.items() if value != ""}


def of_record(record: logging.LogRecord, words: Words) -> Line:
    """Return what is said of a message of this program, or of a library's.

    What must not be told is hidden in the whole of it: of a secret that is cut in two, nobody knows that it is one.
    """
    said: Line = {
        "at": moment(record.created),
        "level": record.levelname.lower(),
        "event": getattr(record, "event", MESSAGE),
        "logger": record.name[:MAX_MESSAGE],
        "message": words.hidden(message_of(record))[:MAX_MESSAGE],
        **getattr(record, "members", {}),
    }
    if record.exc_info and record.exc_info[1] is not None:
        said["failures"] = [*failures(record.exc_info[1])]
    return said


def message_of(record: logging.LogRecord) -> str:
    """Return a message of ours in its words, and of any other where it was said."""
    if record.name.startswith(OURS):
        return record.getMessage()
    return f"something was logged at {near(record.pathname)}:{record.lineno}"


def failures(failure: BaseException) -> Iterator[JSONValue]:
    """Yield what failed and where; not its words, which may be anything that was being handled."""
    if isinstance(failure, BaseExceptionGroup):
        for one in failure.exceptions:
            yield from failures(one)
    else:
        kind = type(failure)
        frames = traceback.extract_tb(failure.__traceback__)[-MAX_FRAMES:]
        yield {"type": f"{kind.__module__}.{kind.__qualname__}", "where": [*map(place, frames)]}
    if failure.__cause__ is not None:
        yield from failures(failure.__cause__)


def place(frame: traceback.FrameSummary) -> str:
    """Return where a step of a traceback is: the end of the path says enough, the rest is of this machine."""
    return f"{near(frame.filename)}:{frame.lineno} {frame.name}"


def near(path: str) -> str:
    """Return the end of a path."""
    return "/".join(path.split("/")[-3:])


def moment(at_s: float) -> str:
    """Return an hour as people and programs read it (RFC 3339, UTC)."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(words: Iterable[str]) -> str:
    """Return words for a terminal on one line, with everything that is not seen written out."""
    text = " ".join(words)
    if text.isprintable() and text.isascii():
        return text
    return "".join(char if " " <= char <= "~" else char.encode("unicode_escape").decode() for char in text)
