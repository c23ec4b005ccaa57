"""The proxy's door: an OpenAI client's request goes to the upstream, and no tool call comes back unjudged.

What a client gets is told again in HELM's words from what was judged; of the upstream's bytes none reaches it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import attrs

from actors.connectors.upstream import Upstream
from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.calls import BROKEN, Gone, Receive, Scope, Send, check_framing, read_body, say
from actors.doors.credentials import BESIDE, authenticate, check_open, check_still, presented_in
from actors.doors.entry import Entry
from actors.doors.envelope import plain_name
from actors.doors.heading import Heading, heading_of
from actors.doors.openai.court import Court
from actors.doors.openai.exchange import Exchange
from actors.doors.openai.proxy import Proxy
from actors.doors.openai.said import Failed, say_failed, say_problem
from actors.doors.problem import Problem, overloaded
from actors.identity.credentials import Credentials
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.origin import ORIGIN
from helm.config import Config
from helm.contracts.call import CallContext, Source
from helm.contracts.errors import Malformed, Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.intake import Caller
from helm.openai.request import CHAT, DOOR, REQUEST, RESPONSES, Asked, read_request

MODELS = "/models"
BASE = "/v1"
PATHS = frozenset({BASE + CHAT, BASE + RESPONSES, BASE + MODELS})
ASKING = frozenset({(BASE + CHAT).encode(), (BASE + RESPONSES).encode()})
"""Where a model is asked, which takes its time."""

MAX_EXCHANGES = 64
"""Exchanges under way: each may hold an answer of megabytes (T4)."""

MAX_OF_PRINCIPAL = 32
"""Of these, for any one principal: nobody takes the last one from the others (T4)."""

PROXIED = Source(door=DOOR, transport="http/1.1")
"""A stream is one transport with an answer in one piece: both are told only when all of it is judged."""


@attrs.define(eq=False)
class OpenAiDoor:
    """An ASGI application for the proxy's three routes."""

    kernel: Kernel
    who: Credentials
    proxy: Proxy
    upstream: Upstream
    bounds: Bounds = BOUNDS
    court: Court = attrs.field(init=False)
    entry: Entry = attrs.field(init=False)
    _under_way: Counter[tuple[str, str]] = attrs.field(factory=Counter, init=False)

    def __attrs_post_init__(self) -> None:
        self.court = Court(self.kernel)
        self.entry = Entry(self.kernel, self.config, PROXIED)

    @property
    def config(self) -> Config:
        """The settings."""
        return self.proxy.config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        heading = heading_of(scope["headers"])
        try:
            await self._answer(scope, heading, receive, send)
        except Problem as problem:
            await say(say_problem(problem, heading), send)
        except Failed as failed:
            await say(say_failed(failed, heading), send)
        except Gone:
            return
        except Exception:
            await say(say_problem(BROKEN, heading), send)
            raise

    async def _answer(self, scope: Scope, heading: Heading, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(BASE)
        method = "GET" if path == MODELS else "POST"
        if scope["method"] != method:
            raise Problem(status=405, detail=f"ask with {method}", headers=(("allow", method),))
        heading.check()
        key = authenticate(self.who, heading.text(b"authorization"), presented_in(scope))
        check_open(BESIDE[method, scope["path"]], key)
        ORIGIN.set(heading.origin)
        with self._place(key):
            exchange = self._exchange(key, heading, scope, send)
            if path == MODELS:
                await exchange.models()
            else:
                raw, asked = await self._read(exchange.caller, heading, receive, path)
                check_still(self.who, key)
                await self._check_results(key, heading, exchange.caller, asked)
                await exchange.run(path, raw, asked)

    @contextmanager
    def _place(self, key: BearerKey) -> Iterator[None]:
        """Take one of the proxy's places. Raises Problem where none is free."""
        holder = (key.tenant, key.principal)
        if self._under_way.total() >= MAX_EXCHANGES or self._under_way[holder] >= MAX_OF_PRINCIPAL:
            raise overloaded("too many exchanges under way: nothing was asked, try again shortly")
        self._under_way[holder] += 1
        try:
            yield
        finally:
            self._under_way[holder] -= 1
            self._under_way += Counter()  # forgets whoever has none

    def _exchange(self, key: BearerKey, heading: Heading, scope: Scope, send: Send) -> Exchange:
        context = CallContext(
            credential_hash=key.credential_hash, oauth_resource=key.oauth_resource, oauth_scopes=key.oauth_scopes
        )
        session = heading.text(b"x-helm-session")
        if session:
            plain_name(session, "x-helm-session")
        caller = self.entry.caller(key, session, context)
        still = partial(self.who.counts, key)
        return Exchange(self.court, self.proxy, self.upstream, caller, heading, scope, send, still)

    async def _read(self, caller: Caller, heading: Heading, receive: Receive, path: str) -> tuple[bytes, Asked]:
        """Return the body and what it asks for. Raises Failed, with a receipt, where it is no request."""
        raw, limit = b"", self.config.max_body_bytes
        try:
            check_framing(heading, limit)
            raw = await read_body(receive, limit, self.bounds.body_s)
            return raw, read_request(raw, path, island=self.config.island_mode)
        except Problem as problem:
            status, refusal = problem.status, Refused(ReasonCode.ENVELOPE_INVALID, problem.detail)
        except Malformed as problem:
            status, refusal = 400, Refused(ReasonCode.ENVELOPE_INVALID, f"not acceptable JSON: {problem}")
        except Refused as problem:
            status, refusal = 403, problem
        raise Failed(status, await self.court.refuse(caller, REQUEST, raw, refusal))

    async def _check_results(self, key: BearerKey, heading: Heading, caller: Caller, asked: Asked) -> None:
        """Raise Failed where the request brings the result of a tool call that nobody governed."""
        named = heading.text(b"x-helm-session")
        sessions = (named,) if named else self.entry.sessions_of(key)
        stranger = await self.court.stranger(caller, sessions, asked.results)
        if stranger is None:
            return
        what = f"no receipt of this session names the call {stranger.call_id or 'of this result'}: it went past HELM"
        refusal = Refused(ReasonCode.PROVENANCE_FAILURE, what)
        raise Failed(403, await self.court.refuse(caller, stranger.tool, stranger.raw, refusal))
