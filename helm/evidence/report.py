"""What a verification found: one line per numbered check, for people and for programs."""

from __future__ import annotations

import attrs

from helm.contracts.form import JSONValue


@attrs.frozen(kw_only=True)
class Outcome:
    """One check: its number and name, whether it held, and what it found, or why it was not made."""

    number: int
    name: str
    promise: str
    ok: bool
    detail: str

    def body(self) -> dict[str, JSONValue]:
        """Return the outcome as a JSON object."""
        return {
            "detail": self.detail,
            "name": self.name,
            "number": self.number,
            "ok": self.ok,
            "promise": self.promise,
        }

    def line(self) -> str:
        """Return the outcome as a person reads it."""
        mark = "ok" if self.ok else "--"
        found = f" ({self.detail})" if self.detail else ""
        return f"{self.number:2d} {mark} {self.name:<11} {self.promise}{found}"


@attrs.frozen(kw_only=True)
class Subject:
    """What an authenticated pack is about; empty until the checks that establish it have held."""

    log_id: str = ""
    scope: str = ""
    tenant: str = ""
    """Of the one session that it is about; empty where it is about more."""
    session_id: str = ""
    sessions: int = 0
    lamport: int = 0
    receipts: int = 0
    condensed: int = 0
    """How many of the receipts were condensed: of those only the leaf is there."""
    open_intents: int = 0
    redacted: int = 0
    host_receipts: int = 0
    """What recorders on hosts wrote: it stands beside the evidence and is none of ours."""
    host_unsigned: int = 0
    """From how many such sources it comes whose signatures nobody checked: their keys were not brought."""
    drifts: int = 0
    """How many receipts say that a host and the boundary tell two stories."""


@attrs.frozen(kw_only=True)
class Report:
    """Every check of one verification, in order. Only `authenticated` says that the pack may be believed."""

    outcomes: tuple[Outcome, ...]
    subject: Subject

    @property
    def authenticated(self) -> bool:
        """Whether every check was made and held."""
        return all(outcome.ok for outcome in self.outcomes)

    @property
    def failed(self) -> Outcome | None:
        """The check that did not hold, None where all did."""
        return next((outcome for outcome in self.outcomes if not outcome.ok), None)

    def body(self) -> dict[str, JSONValue]:
        """Return the report as a JSON object."""
        return {
            "authenticated": self.authenticated,
            "checks": [outcome.body() for outcome in self.outcomes],
            "subject": attrs.asdict(self.subject),
        }

    def text(self) -> str:
        """Return the report as a person reads it, one line per check and one for the whole."""
        whole = "AUTHENTICATED" if self.authenticated else "NOT AUTHENTICATED: believe nothing in it"
        return "\n".join((*(outcome.line() for outcome in self.outcomes), whole))
