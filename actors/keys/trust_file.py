"""A file of trust events: the genesis of a log, or what goes from administrator to administrator to be signed."""

from __future__ import annotations

from pathlib import Path

import attrs

from actors.process import durable
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, record_bytes
from helm.trust.event import TrustEvent, check_members, from_body, to_body


@attrs.frozen
class TrustFile:
    """Events in their order, and the log that they are for."""

    log_id: str
    events: tuple[TrustEvent, ...]

    def write(self, path: Path) -> None:
        """Put the file at `path`, in place of what stands there. Raises Invalid."""
        body = {"events": [to_body(event) for event in self.events], "log_id": self.log_id}
        durable.replace(path, record_bytes(body) + b"\n")


def read_trust_file(path: Path) -> TrustFile:
    """Return the events of a file, of which nothing is verified yet. Raises Invalid."""
    where = str(path)
    try:
        body: JSONValue = parse(path.read_bytes())
    except OSError as error:
        hint = "bring it back from a copy; `helm init` makes a new installation only"
        raise Invalid(f"cannot be read: {error.strerror}", where, hint) from error
    except Malformed as problem:
        raise Invalid(str(problem), where) from problem
    check_members(body, ("events", "log_id"), where)
    if type(body["events"]) is not list or type(body["log_id"]) is not str:
        raise Invalid("expected a list of events and a text as log_id", where)
    return TrustFile(body["log_id"], tuple(from_body(event, where) for event in body["events"]))
