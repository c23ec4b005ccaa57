"""Bearer keys in a log that is read again: each is issued once at most, and taken back once."""

from __future__ import annotations

from typing import Any

from helm.contracts.errors import Invalid
from helm.guardian.bearers import Bearers, Issued, TakenBack


def take_bearer(bearers: Bearers, payload: dict[str, Any], where: str) -> None:
    """Take what the log says of a bearer key. Raises Invalid."""
    said = {name: value for name, value in payload.items() if name != "type"}
    try:
        if payload["type"] == "BEARER_KEY_ISSUED":
            bearers.issue(Issued(**said))
        else:
            bearers.revoke(said.pop("bearer_key"), TakenBack(**said))
    except ValueError as problem:
        raise Invalid(str(problem), where, "it was edited") from problem
    except Invalid as problem:
        raise Invalid(problem.what, where, problem.hint) from problem
