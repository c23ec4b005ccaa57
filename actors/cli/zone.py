"""The rule of a named time zone, as the database of this machine has it (RFC 8536 section 3.3)."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import TZPATH, ZoneInfo

from helm.contracts.errors import Invalid
from helm.guardian.time_zone import TimeZone, time_zone

NAME: Final = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+){0,3}")
MAX_BYTES: Final = 65_536
MAGIC: Final = b"TZif"

STEP_S: Final = 6 * 3600
STEPS: Final = 3 * 366 * 4
"""Three years in quarters of a day: as far as the rule is held against the database."""


def rule_of(name: str) -> str:
    """Return the rule by which the clocks of a place change now and in the next years. Raises Invalid."""
    hint = "a name such as Europe/Berlin"
    if NAME.fullmatch(name) is None:
        raise Invalid("not the name of a time zone", name[:100], hint)
    for root in TZPATH:
        path = Path(root, name)
        if path.is_file():
            rule = footer(path.read_bytes()[:MAX_BYTES], name)
            check_holds(rule, ZoneInfo(name), name)
            return rule.rule
    raise Invalid("this machine knows no such time zone", name, f"{hint}; the package tzdata brings them")


def footer(content: bytes, name: str) -> TimeZone:
    """Return the rule that a file ends with: it holds after the last change that the file lists. Raises Invalid."""
    lines = content.split(b"\n")
    if not content.startswith(MAGIC) or len(lines) < 3 or lines[-1]:
        raise Invalid("its file cannot be read", name, "the package tzdata brings another")
    rule = lines[-2].decode("ascii", "replace")
    return time_zone(rule, name)


def check_holds(rule: TimeZone, zone: ZoneInfo, name: str) -> None:
    """Raise Invalid where the database lists changes to come that the rule does not know."""
    first_s = int(time.time())
    for instant_s in range(first_s, first_s + STEPS * STEP_S, STEP_S):
        listed = datetime.fromtimestamp(instant_s, zone).utcoffset()
        if listed != timedelta(seconds=rule.offset_at(instant_s)):
            hint = "write windows for each season, by their dates"
            raise Invalid("no rule says how its clocks will change", name, hint)
