"""The four ways a thing can go wrong here; whose fault it is decides what happens next."""

from __future__ import annotations

from helm.contracts.reason import ReasonCode


class Refused(Exception):
    """The world's fault: the call becomes a sealed DENY or ESCALATE that carries this code and reason."""

    def __init__(self, code: ReasonCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"


class Broken(Exception):
    """Our own fault: a rule of the house does not hold. Never caught; the kernel ends."""


class Malformed(Exception):
    """Bytes, or a value, that are not JSON as HELM accepts it. `place` is a byte offset or a JSON pointer."""

    def __init__(self, problem: str, place: str) -> None:
        super().__init__(f"{problem}, at {place}")
        self.problem = problem
        self.place = place


class Invalid(Exception):
    """A configuration, policy, key, journal or pack that must not be used: what, where, what to do next."""

    def __init__(self, what: str, where: str, hint: str = "") -> None:
        super().__init__(f"{where}: {what} ({hint})" if hint else f"{where}: {what}")
        self.what = what
        self.where = where
        self.hint = hint
