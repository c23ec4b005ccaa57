"""From what a client asked for to a call that can no longer change, under the name that its key gives it."""

from __future__ import annotations

from typing import Final

import attrs

from actors.doors.credentials import KEPT, check_opening, session_of
from actors.doors.envelope import Asked, unframed
from actors.doors.problem import Problem, overloaded, stopped
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.mailbox import KernelStopped, Overloaded
from actors.stores.index import IndexFailed
from actors.stores.port import JournalFailed
from helm.config import Config
from helm.contracts.call import CallContext, Source, ToolCall
from helm.contracts.errors import Invalid
from helm.guardian.intake import Caller, admit, admit_malformed

UNANSWERED: Final = (Overloaded, KernelStopped, JournalFailed, IndexFailed)
"""How a call can end without an answer of the kernel's; the stores fail while looking for an earlier answer."""


@attrs.frozen(eq=False)
class Entry:
    """What one door needs to let a call in."""

    kernel: Kernel
    config: Config
    source: Source

    def admit(self, key: BearerKey, asked: Asked, raw: bytes) -> ToolCall:
        """Return the frozen call; what are no arguments stays the whole body, as it came. Raises Problem."""
        context = CallContext(
            credential_hash=key.credential_hash,
            claimed_principal=asked.claimed_principal,
            labels=asked.labels,
            oauth_resource=key.oauth_resource,
            oauth_scopes=key.oauth_scopes,
        )
        caller = self.caller(key, asked.session_id, context)
        try:
            if asked.malformed:
                return admit_malformed(caller, asked.tool, raw, asked.malformed, asked.terms)
            call = admit(caller, asked.tool, asked.arguments, asked.terms)
            if call.malformed and type(asked.arguments) is not bytes:  # too large or too deep to be written again
                return admit_malformed(caller, asked.tool, raw, call.malformed, asked.terms)
        except Invalid as problem:
            raise unframed(problem) from problem
        return call

    def caller(self, key: BearerKey, session_id: str, context: CallContext) -> Caller:
        """Return who is calling, in the session it names or in its key's own. Raises Problem for another key's own."""
        if session_id.startswith(KEPT):
            self._check_kept(key, session_id)
        return Caller(
            tenant=key.tenant,
            principal=key.principal,
            session_id=session_id or self._session_of(key),
            source=self.source,
            context=context,
        )

    def sessions_of(self, key: BearerKey) -> tuple[str, str]:
        """Return the key's own session and the one before it, which a conversation may reach back into."""
        span = self.kernel.parts.clock.now_ms() // (self.config.session_max_age_s * 1000)
        return session_of(key, span), session_of(key, max(0, span - 1))

    def _check_kept(self, key: BearerKey, session_id: str) -> None:
        """Raise Problem where the call would open another's session; one that is open is for the gates to judge."""
        if self.kernel.memory.sessions.find((key.tenant, session_id)) is None:
            check_opening(key, session_id)

    def _session_of(self, key: BearerKey) -> str:
        """Name the session of a caller who names none, a new one before the old one ages."""
        span_ms = self.config.session_max_age_s * 1000
        return session_of(key, self.kernel.parts.clock.now_ms() // span_ms)


def untold(failure: Exception) -> Problem:
    """Return what a caller is told of a call that ended in one of `UNANSWERED`."""
    if isinstance(failure, Overloaded):
        return overloaded(str(failure))
    return stopped(unknown=isinstance(failure, KernelStopped) and failure.unknown)
