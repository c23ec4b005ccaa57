"""Requests to one server under test, each caller with its own key and its own connections."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any, Final

import attrs

from actors.client.blocking import HelmClient
from actors.client.exchange import Answered
from actors.conforming.target import ServerUnderTest

TIMEOUT_S: Final = 60.0
"""How long one answer may take: longer than anything that a vector waits for."""

MAX_PAGE: Final = 200
MAX_PAGES: Final = 50
"""Pages of one session: no vector makes that many calls (T4)."""


class Skipped(Exception):
    """What a vector needs is not there; the caller is told what."""


class Unfit(Exception):
    """The server did not do what a step prepares: then nothing that follows says anything."""


@attrs.define(eq=False)
class Wire:
    """One server's door."""

    server: ServerUnderTest
    stack: ExitStack
    _clients: dict[str, HelmClient] = attrs.field(factory=dict, init=False, repr=False)

    def client(self, by: str) -> HelmClient:
        """Return the client of one caller. Raises Skipped for one without a key."""
        if by not in self._clients:
            key = self.server.keys.get(by, "")
            if not key:
                raise Skipped(f"the target names no bearer key of {by}")
            self._clients[by] = self.stack.enter_context(HelmClient(self.server.url, key, timeout_s=TIMEOUT_S))
        return self._clients[by]

    def move(self, server: ServerUnderTest) -> None:
        """Go on with the same server where it is now."""
        self.server = server
        self._clients.clear()

    def post(self, path: str, body: Any, *, by: str, **headers: str) -> Answered:
        """Send a JSON body and return the answer, whatever its status. Raises NoAnswer."""
        given = {"content-type": "application/json", **headers}
        return self.client(by).send("POST", path, content=json.dumps(body).encode(), headers=given)

    def get(self, path: str, *, by: str, query: Mapping[str, str | int | None] | None = None) -> Any:
        """Return a JSON answer. Raises Unfit for any other, NoAnswer."""
        return told(self.client(by).send("GET", path, query=query), path)

    def obeyed(self, path: str, body: Any, *, by: str) -> Any:
        """Send what the server must obey, and return its answer. Raises Unfit where it does not, NoAnswer."""
        return told(self.post(path, body, by=by), path)

    def session(self, session_id: str, *, by: str) -> tuple[dict[str, Any], ...]:
        """Return every receipt of a session, oldest first, as its caller may read them. Raises Unfit, NoAnswer."""
        query: dict[str, str | int | None] = {"session_id": session_id, "after": 0, "limit": MAX_PAGE}
        found: list[dict[str, Any]] = []
        for _ in range(MAX_PAGES):
            page = self.get("/api/v1/receipts", by=by, query=query)
            if not page["receipts"]:
                return tuple(found)
            found += page["receipts"]
            query["after"] = page["after"]
        raise Unfit(f"the session {session_id} has no end")


def told(answered: Answered, path: str) -> Any:
    """Return the JSON of an answer that is no refusal. Raises Unfit."""
    if answered.status >= 400:
        raise Unfit(f"{path} was answered {answered.status} {answered.body[:300]!r}")
    return object_in(answered)


def object_in(answered: Answered) -> dict[str, Any]:
    """Return the JSON object of an answer. Raises Unfit, NoAnswer."""
    said = answered.json()
    if type(said) is not dict:
        raise Unfit(f"an answer that is no JSON object: {answered.body[:300]!r}")
    return said
