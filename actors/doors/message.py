"""What one message of a stream's client says: a call, or a word about receipts that it wants to follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from actors.doors.browsing import Wanted
from actors.doors.envelope import ENVELOPE_DEPTH, Asked, asked_in, torn
from actors.doors.heading import REQUEST_ID, Heading
from actors.doors.problem import Problem
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto import canonical

NO_HEADING: Final = Heading({}, b"", b"", b"")
"""A message has no headers: what HTTP says there stands in its members."""

FILTERS: Final = frozenset({"reason_code", "session_id", "tenant", "tool", "verdict"})

Body = Mapping[str, JSONValue]


@attrs.frozen(kw_only=True)
class Message:
    """One message as it came. `request_id` is None where it has none that can be told."""

    raw: bytes
    request_id: str | None = None
    body: Body = attrs.field(factory=dict)
    malformed: Malformed | None = None
    """Why it is no object with an id."""


@attrs.frozen(kw_only=True)
class Follow:
    """The receipts that a client wants to be told of. Behind `after`; None is: from now on."""

    after: int | None
    wanted: Wanted


def open_message(raw: bytes, max_bytes: int) -> Message:
    """Return what a message says, as far as it can be read."""
    try:
        body = canonical.parse(raw, max_bytes=max_bytes, max_depth=ENVELOPE_DEPTH)
    except Malformed as problem:
        return Message(raw=raw, malformed=problem)
    if type(body) is not dict:
        return Message(raw=raw, malformed=Malformed("the message is not an object", "/"))
    request_id = body.pop("id", None)
    if type(request_id) is not str or not REQUEST_ID.fullmatch(request_id.encode()):
        return Message(raw=raw, malformed=Malformed("id must be 1 to 128 characters of visible ASCII", "/id"))
    return Message(raw=raw, request_id=request_id, body=body)


def call_in(message: Message) -> Asked:
    """Return the call that a message asks for, one to be refused where it is torn. Raises Problem for none."""
    if message.malformed is not None:
        return torn(message.raw, "", message.malformed)
    return asked_in(message.body, NO_HEADING)


def follow_in(body: Body, tenant: str | None) -> Follow:
    """Return what a client that may see `tenant`'s receipts, None for everyone's, wants to follow. Raises Problem."""
    given = body["follow"]
    if len(body) > 1 or type(given) is not dict or not given.keys() <= {"after", *FILTERS}:
        detail = f"an object of after, {', '.join(sorted(FILTERS))}, and nothing beside it"
        raise Problem(status=400, detail=detail, place="/follow")
    after = given.get("after")
    if after is not None and (type(after) is not int or after < 0):
        raise Problem(status=400, detail="expected a whole number from 0 up", place="/follow/after")
    names = {name: given[name] for name in FILTERS & given.keys()}
    for name, value in names.items():
        if type(value) is not str:
            raise Problem(status=400, detail="expected a string", place=f"/follow/{name}")
    asked = names.pop("tenant", "") or None
    if tenant is not None and asked not in (None, tenant):
        raise Problem(status=403, detail="a tenant's key reads its own tenant", place="/follow/tenant")
    return Follow(after=after, wanted=Wanted(tenant=tenant or asked, **names))


def check_unfollow(body: Body) -> None:
    """Raise Problem unless a message asks for nothing but an end of what its id follows."""
    if len(body) > 1 or body["unfollow"] is not True:
        raise Problem(status=400, detail="expected true, and nothing beside it", place="/unfollow")
