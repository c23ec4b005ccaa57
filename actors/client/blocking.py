"""The blocking client. One of it may be used by several threads."""

from __future__ import annotations

import secrets
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from actors.client.answers import Governed
from actors.client.exchange import (
    MAX_ANSWER_BYTES,
    TIMEOUT_S,
    Answered,
    Event,
    Events,
    NoAnswer,
    Query,
    check_key,
    check_url,
    cursor_of,
    given,
    heading,
    trusted,
    written,
)
from actors.client.rows import Rows


class HelmClient(Rows):
    """One kernel's HTTP door, asked with one key.

    Every row of the surface is a method. A refusal is raised as `Problem`, a lost answer as `NoAnswer`; nothing is
    repeated without being asked to. Proxies of the environment are not used: where a call goes is said here.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        timeout_s: float = TIMEOUT_S,
        tls: ssl.SSLContext | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Make a client; nothing is connected yet. Raises ValueError for a URL that is none, and for such a key."""
        self.url = check_url(url)
        self._key = check_key(key)
        self._max = max_answer_bytes
        verify = trusted(self.url, tls)
        self._client = httpx2.Client(base_url=self.url, timeout=timeout_s, verify=verify, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(self, tool: str, arguments: Mapping[str, Any], **members: Any) -> Governed:
        """Call a tool under an idempotency key of its own, unless one is given; ESCALATE is an answer as well.

        Raises Problem with the receipt of a DENY, NoAnswer where none came: the same call with the same
        `idempotency_key` is then executed at most once.
        """
        body = {"idempotency_key": secrets.token_hex(16), **members, "arguments": dict(arguments), "tool": tool}
        return self.execute_tool(body)

    def pages(self, row: Callable[..., Any], **query: Any) -> Iterator[Any]:
        """Yield the pages of a row that lists, from `after` on to the end, such as `pages(client.list_receipts)`."""
        cursor: int | None = query.pop("after", 0)
        while cursor is not None:
            page = row(after=cursor, **query)
            yield page
            cursor = cursor_of(page, {"after": cursor})

    def tail(self, last_event_id: str = "", **filters: str) -> Iterator[Event]:
        """Yield receipts as they become durable, for ever; a response that ends is taken up where it ended.

        Raises Problem, and NoAnswer where the kernel is gone: go on from the last event's id.
        """
        events = Events(last_event_id)
        while True:
            headers = {"last-event-id": events.last_id or None}
            with self.sent("GET", "/api/v1/receipts/tail", query=filters, headers=headers) as response:
                if response.status_code != 200:
                    self._read(response).check()
                for piece in response.iter_raw():
                    yield from events.feed(piece)
            events.begin_again()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Answered:
        """Send one request and return the answer, whatever its status. Raises NoAnswer."""
        with self.sent(method, path, query=query, content=content, headers=headers) as response:
            return self._read(response)

    @contextmanager
    def sent(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Iterator[httpx2.Response]:
        """Send one request and yield the answer, of which only the heading is read. Raises NoAnswer."""
        fields = heading(self._key, headers, has_body=content is not None)
        try:
            with self._client.stream(
                method, path, params=given(query) or None, content=content, headers=fields
            ) as response:
                yield response
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as problem:
            raise NoAnswer(f"no answer from {self.url}: {str(problem) or type(problem).__name__}") from problem

    def _read(self, response: httpx2.Response) -> Answered:
        pieces, left = [], self._max
        for piece in response.iter_raw():
            left -= len(piece)
            if left < 0:
                raise NoAnswer(f"an answer of more than {self._max} bytes from {self.url}")
            pieces.append(piece)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answered(status=response.status_code, headers=headers, body=b"".join(pieces))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> Any:
        answered = self.send(method, path, query=query, content=written(body), headers=headers)
        answered.check()
        return answered.json() if "json" in answered.headers.get("content-type", "") else answered.body.decode()
