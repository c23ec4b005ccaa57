"""The Connector port: how an effect leaves the house, and the three ways in which it did not simply succeed.

Which of the three a connector raises is evidence and ends up in a receipt, so it MUST NOT be a guess: what
is not known is ConnectorUnknown. A connector MUST NOT retry, and MUST NOT send anything that is not in its
order or its own configuration. The executor's cancel scope is its only deadline; a connector that is
cancelled lets the cancellation pass. Any other exception counts as ConnectorFailed, without its message.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, runtime_checkable

from actors.line import Line
from helm.contracts.form import JSONValue, Noun
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import NO_RUN, SandboxRun


class Dispatch(Noun, frozen=True, kw_only=True, gc=True):
    """One effect, exactly as it was judged. What a connector does with it may tie it into a cycle.

    `arguments` are the canonical bytes that `args_hash` covers and `parsed` is the value they were parsed to.
    `destination` is normalised, and "" for a tool that reaches no network.
    """

    tool: str
    operation: str
    arguments: bytes
    parsed: JSONValue
    args_hash: str
    destination: str
    connector: str
    timeout_ms: int
    decision_id: str
    effect_id: str
    intent_hash: str
    idempotency_key: str
    sandbox_grant_hash: str
    permit: bytes | None = None
    """The permit, signed, where the rule has it shown to the tool's server."""
    line: Line | None = None
    """Whoever waits for it, where the door keeps a way back. It is no part of what was judged."""
    traceparent: str = ""
    """The trace that it goes on with (W3C Trace Context), "" where it is in none. No part of what was judged."""


PERMIT_HEADER: Final = "x-helm-permit"
PERMIT_MEMBER: Final = "helm/permit"
"""Where the signed permit of a call travels: in a header of HTTP, in base64, and in the _meta of MCP as it is."""


class Connector(Protocol):
    """Something that can perform effects of one kind."""

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Perform the effect and return its answer; raises one of the three below where it did not."""
        ...

    async def aclose(self) -> None:
        """Let go of what is held; no dispatch is under way and none follows.

        That is so when the kernel ends, and once the last order of a connector that was replaced has ended.
        """
        ...


Report = Callable[[str, str, str], Awaitable[None]]
"""Told of a drift: the server, the operation, and the pin of what is listed now, "" for a tool that is gone."""


@runtime_checkable
class Attended(Connector, Protocol):
    """A connector with something that runs for as long as the kernel does."""

    async def attend(self, report: Report) -> None:
        """Keep it running until cancelled; what it meets is told by `dispatch`, and ends no kernel."""
        ...


@runtime_checkable
class Lasting(Attended, Protocol):
    """An attended connector that may go on under a newer policy. What it was made of MUST NOT change while it lasts."""

    def is_same(self, other: Connector, /) -> bool:
        """Tell whether `other` would be started just as this one is, down to the secrets, and held to the same pins."""
        ...

    def look_again(self) -> None:
        """Check anew whatever is checked when it is started. Never waits: what comes of it is reported."""
        ...


class Ran(Noun, frozen=True):
    """The answer of a guest of the sandbox or of a program, and the evidence of its run."""

    answer: JSONValue
    run: SandboxRun
    enforced: str = ""
    """What was enforced while it ran, in words for the record, "" where the grant says all of it."""


class Kept(Noun, frozen=True):
    """An answer that is evidence: it stays beside its receipt, so that whoever reads the receipt can read it too."""

    answer: JSONValue
    said: str = ""
    """What of it stands in the record too, in words, and so in every evidence pack."""


class ConnectorFailed(Exception):
    """The effect ended, or never began, with an error that the other side or the transport told of."""

    def __init__(self, reason: str, run: SandboxRun = NO_RUN) -> None:
        super().__init__(reason)
        self.reason = reason
        self.run = run


class GuestFailed(ConnectorFailed):
    """A guest of the sandbox ended without an answer: by which stable code, and the evidence of its run.

    Where it was interrupted, it had touched nothing outside, and nothing has happened.
    """

    def __init__(self, code: ReasonCode, reason: str, run: SandboxRun) -> None:
        super().__init__(reason, run)
        self.code = code


class ConnectorUnknown(Exception):
    """The request left and no answer that can be trusted came back: the effect may have happened."""

    def __init__(self, reason: str, run: SandboxRun = NO_RUN) -> None:
        super().__init__(reason)
        self.reason = reason
        self.run = run


class GuestUnknown(ConnectorUnknown):
    """A guest of the sandbox was interrupted after it had written into a folder: nobody knows how far it came."""

    def __init__(self, reason: str, run: SandboxRun) -> None:
        super().__init__(reason)
        self.run = run


class NotDispatched(Exception):
    """Nothing left the house: the order was refused before its first byte was sent."""

    def __init__(self, code: ReasonCode, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Unreachable(NotDispatched):
    """What stands behind the connector cannot be started or reached, whatever the order.

    `reason` MUST be in words of HELM's own: operators are shown it for as long as that lasts.
    """


class Released(Exception):
    """The order was handed to its caller, who performs it where nobody of ours looks: it may happen, or never."""
