"""Where a call came from, as observers are told: which request it was, and which trace it belongs to.

It is no part of what is judged, hashed or sealed: nothing that is decided may depend on it.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

from helm.contracts.form import JSONValue, Noun

TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context section 3.2: neither version ff nor an id of zeros alone is valid."""

META: Final = "traceparent"
"""The member of an MCP message's _meta that carries it."""


class Origin(Noun, frozen=True):
    """One request, by the words that its sender may choose: an id of visible ASCII, and a traceparent or ""."""

    request_id: str = ""
    traceparent: str = ""


NOWHERE: Final = Origin()

ORIGIN: Final[ContextVar[Origin]] = ContextVar("ORIGIN", default=NOWHERE)
"""The request that a task answers, for doors that make a call several steps away from its headers.

Such a door sets it for every request that it takes: a connection answers one after the other.
"""


def traceparent_in(meta: JSONValue) -> str:
    """Return the traceparent in the _meta of an MCP message, "" where there is no valid one."""
    said = meta.get(META) if type(meta) is dict else None
    return said if type(said) is str and TRACEPARENT.fullmatch(said) is not None else ""
