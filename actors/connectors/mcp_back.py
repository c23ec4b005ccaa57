"""What an MCP server says and asks while it executes a call: passed to that call's client as the policy passes it.

A question of a server's (sampling, elicitation, roots) puts its words before a person or a model, so that it is a
governed call like any other, of a tool named after the method. The server cannot be believed about whom it asks on
whose behalf: it may ask where all that it has under way is one client's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs
from mcp_types import (
    INVALID_REQUEST,
    CreateMessageRequest,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ElicitRequest,
    ElicitResult,
    ErrorData,
    ListRootsRequest,
    ListRootsResult,
    LoggingMessageNotificationParams,
)
from pydantic import TypeAdapter, ValidationError

from actors.line import Line, NotGranted
from helm.contracts.form import JSONValue
from helm.guardian.methods import name_of

LOG: Final = logging.getLogger("helm.connectors")

MAX_NAMED: Final = 32
"""Kinds of notification of one server that are named in the log, each once: it must not fill it (T4)."""

TAKEN: Final = frozenset({"notifications/tools/list_changed", "notifications/message", "notifications/progress"})
"""Notifications that somebody here hears."""

ANSWERS: Final[Mapping[str, TypeAdapter[Any]]] = {
    "elicitation/create": TypeAdapter(ElicitResult),
    "roots/list": TypeAdapter(ListRootsResult),
    "sampling/createMessage": TypeAdapter(CreateMessageResult | CreateMessageResultWithTools),
}


@attrs.define(eq=False)
class Back:
    """The way back from one server. `passed` are the methods that the policy declares for it."""

    server_id: str
    passed: frozenset[str]
    _lines: list[Line | None] = attrs.field(factory=list, init=False)
    _named: set[str] = attrs.field(factory=set, init=False)

    @contextmanager
    def under_way(self, line: Line | None) -> Iterator[None]:
        """Let the server speak to this call's client for as long as the call is under way, if there is a way back."""
        self._lines.append(line)
        try:
            yield
        finally:
            self._lines.remove(line)

    def callbacks(self) -> dict[str, Any]:
        """Return what the SDK is to call: what is not passed is not offered to the server either."""
        offered: dict[str, Any] = {}
        if "sampling/createMessage" in self.passed:
            offered["sampling_callback"] = self._sampling
        if "elicitation/create" in self.passed:
            offered["elicitation_callback"] = self._elicitation
        if "roots/list" in self.passed:
            offered["list_roots_callback"] = self._roots
        if "logging/setLevel" in self.passed:
            offered |= {"logging_callback": self._logged, "log_level": "info"}
        return offered

    async def answer(self, request: Any, line: Line | None) -> Any:
        """Return the client's answer to one question, or the error that the server gets."""
        params = request.params.model_dump(mode="json", by_alias=True, exclude_none=True) if request.params else {}
        return await self._ask(request.method, params, line)

    async def _sampling(self, _: Any, params: Any) -> Any:
        return await self.answer(CreateMessageRequest(params=params), self._one())

    async def _elicitation(self, _: Any, params: Any) -> Any:
        return await self.answer(ElicitRequest(params=params), self._one())

    async def _roots(self, _: Any) -> Any:
        return await self.answer(ListRootsRequest(), self._one())

    async def _logged(self, params: LoggingMessageNotificationParams) -> None:
        line = self._one()
        if line is not None:
            await line.tell("notifications/message", params.model_dump(mode="json", by_alias=True, exclude_none=True))

    def _one(self) -> Line | None:
        """Return a line to the one client that has calls under way, None where there is none, or more than one."""
        clients = {None if line is None else id(line.client) for line in self._lines}
        return self._lines[-1] if len(clients) == 1 else None

    async def _ask(self, method: str, params: dict[str, JSONValue], line: Line | None) -> Any:
        if method not in self.passed:
            return refused(f"the policy declares no {name_of(self.server_id, method)}")
        if line is None:
            return refused("there is no one client to ask: none has a call under way, or more than one")
        params.pop("_meta", None)
        try:
            return ANSWERS[method].validate_python(await line.ask(name_of(self.server_id, method), params))
        except NotGranted as refusal:
            return refused(str(refusal))
        except ValidationError:
            return refused(f"the client's answer is none to {method}")

    def heard(self, method: str) -> None:
        """Name a notification that nobody here passes on, once."""
        if method and method not in TAKEN and method not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(method)
            LOG.info("%s says %.64r, which is not passed on", self.server_id, method)


def refused(why: str) -> ErrorData:
    """Return what a server is told that asks for what it does not get."""
    return ErrorData(code=INVALID_REQUEST, message=f"HELM: {why}")
