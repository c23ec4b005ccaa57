"""The options of `helm policy explain` that suppose something of a call: its tenant, its time, what came before it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any

import click

from helm.guardian.explanation import Supposed


class Moment(click.ParamType[int]):
    """A date and time with its offset, as milliseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the moment. Raises click.BadParameter for one that other places read as another."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date and time: write 2026-03-29T02:30:00+01:00", param, ctx)
        if moment.tzinfo is None:
            self.fail(f"{value!r} has no offset: write 2026-03-29T02:30:00Z, or +01:00", param, ctx)
        return round(moment.timestamp() * 1000)


MOMENT = Moment()


def supposing(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command these options as one `supposed`."""

    @click.option("--tenant", default="", help="Say what holds for this tenant.")
    @click.option("--at", "at_ms", type=MOMENT, help="Say which windows are open then: 2026-03-29T02:30:00+01:00.")
    @click.option("--calls", type=click.IntRange(0), help="Say which level is reached after so many calls.")
    @wraps(command)
    def with_supposed(*, tenant: str, at_ms: int | None, calls: int | None, **rest: Any) -> int:
        return command(supposed=Supposed(tenant=tenant, at_ms=at_ms, calls=calls), **rest)

    return with_supposed
