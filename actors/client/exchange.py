"""What is the same for every request and answer, whoever sends them: nothing here touches a socket."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import attrs

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The most that is read of one answer (T4)."""

MAX_LINE_BYTES: Final = 1024 * 1024
"""Longest line of a stream of events: a receipt has a few kilobytes (T4)."""

TIMEOUT_S: Final = 30.0
"""How long one wait may last: for a connection, for the next bytes of an answer, for room to send."""

Query = Mapping[str, str | int | None]


class ClientError(Exception):
    """Whatever keeps a client from its answer."""


class NoAnswer(ClientError):
    """No answer came, or none that can be read. A call that was sent may have been executed: reconcile, or repeat it
    under its idempotency key.
    """


class Problem(ClientError):
    """The kernel refused (RFC 9457). `receipt_id` is the refusal's receipt, "" where nothing was judged."""

    def __init__(self, status: int, members: Mapping[str, Any]) -> None:
        self.status = status
        self.members = members
        self.detail = str(members.get("detail") or members.get("title") or f"HTTP {status}")
        self.reason_code = str(members.get("reason_code") or "")
        self.receipt_id = str(members.get("receipt_id") or "")
        self.place = str(members.get("place") or "")
        super().__init__(f"{status} {self.reason_code or self.members.get('title', '')}: {self.detail}".strip())


@attrs.frozen(kw_only=True)
class Answered:
    """One answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)

    def json(self) -> Any:
        """Return the body's JSON value. Raises NoAnswer."""
        try:
            return json.loads(self.body)
        except ValueError as problem:
            raise NoAnswer(f"HTTP {self.status} with an answer that is no JSON") from problem

    def check(self) -> None:
        """Raise Problem for a refusal, in problem+json or in OpenAI's form."""
        if self.status < 400:
            return
        try:
            said = json.loads(self.body)
        except ValueError:
            said = {}
        if type(said) is not dict:
            said = {}
        error = said.get("error")
        if type(error) is dict:
            said = {"detail": error.get("message"), "reason_code": error.get("code"), **error}
        raise Problem(self.status, said)


@attrs.frozen(kw_only=True)
class Event:
    """One receipt of a tail. `id` is where a later tail goes on."""

    id: str
    receipt: Mapping[str, Any]


def check_url(url: str) -> str:
    """Return the URL of a kernel, without a slash at its end. Raises ValueError for what is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(f"{url!r} is not the URL of a kernel")
    return url.rstrip("/")


def check_key(key: str) -> str:
    """Return a bearer key, "" for none. Raises ValueError, never quoting it, for what is not one word.

    A transport refuses a line end in a header as well, and says aloud what stands before it (T2).
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("the key is not one word: is there a line end behind it?")
    return key


def trusted(url: str, tls: ssl.SSLContext | None) -> ssl.SSLContext:
    """Return our side of TLS. The machine's certificates are read only where they are needed: it takes a while."""
    if tls is not None:
        return tls
    return ssl.create_default_context() if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def part(name: str) -> str:
    """Return a name as one step of a path. Raises ValueError for one that is no step of its own."""
    if name in ("", ".", ".."):
        raise ValueError(f"{name!r} names nothing")
    return quote(name, safe="")


def given(query: Query | None) -> dict[str, str]:
    """Return the parameters that say something."""
    return {name: str(value) for name, value in (query or {}).items() if value is not None}


def heading(key: str, headers: Mapping[str, str | None] | None, *, has_body: bool) -> dict[str, str]:
    """Return the headers of a request. An answer is wanted as it is: what is compressed could be any size (T4)."""
    found = {"accept-encoding": "identity"}
    if key:
        found["authorization"] = f"Bearer {key}"
    if has_body:
        found["content-type"] = "application/json"
    found |= {name.lower(): value for name, value in (headers or {}).items() if value is not None}
    return found


def written(body: Any) -> bytes | None:
    """Return the bytes of a JSON body, None where there is none."""
    return None if body is None else json.dumps(body).encode()


def cursor_of(page: Mapping[str, Any], query: Query) -> int | None:
    """Return where the page behind this one begins, None where this one was the last."""
    if "next" in page:
        following: int | None = page["next"]
        return following
    after: int = page["after"]
    return after if after > int(query.get("after") or 0) else None


@attrs.define
class Events:
    """The lines of one stream of events (WHATWG HTML section 9.2.6), as far as HELM sends them."""

    last_id: str = ""
    _data: str = ""
    _rest: bytes = b""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that end in this piece of the stream. Raises NoAnswer for a line without end."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES:
            raise NoAnswer(f"a line of more than {MAX_LINE_BYTES} bytes")
        for line in lines:
            event = self.take(line.decode().removesuffix("\r"))
            if event is not None:
                yield event

    def begin_again(self) -> None:
        """Forget what a stream that ended had begun to say."""
        self._data, self._rest = "", b""

    def take(self, line: str) -> Event | None:
        """Take one line; return the event that it ends. A comment is none, and a bare id only moves the place."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            data, self._data = self._data, ""
            return Event(id=self.last_id, receipt=json.loads(data)) if data else None
        if name == "id":
            self.last_id = value
        elif name == "data":
            self._data = value
        return None
