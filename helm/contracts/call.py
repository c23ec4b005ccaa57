"""One tool call as it entered: frozen, hashed, and from whom (seed: Cryptographic Chain, ArgsHash; T2)."""

from __future__ import annotations

from enum import StrEnum

from helm.contracts.form import JSONValue, Noun


class Trust(StrEnum):
    """Where the words of a call came from, as a door knows it."""

    UNTRUSTED = "untrusted"
    OPERATOR = "operator"


class Source(Noun, frozen=True, kw_only=True):
    """The door a call came through and the transport below it."""

    door: str
    transport: str


class CallContext(Noun, frozen=True, kw_only=True):
    """What a door knows about a call. A caller cannot set any of it; only a door can."""

    credential_hash: str = ""
    """Hash of the credential that authenticated the caller, "" for an embedded caller."""
    claimed_principal: str = ""
    """Whom the caller says it is, where it says so; the call's principal is whom the credential says it is."""
    trust: Trust = Trust.UNTRUSTED
    texts: tuple[str, ...] = ()
    """Untrusted text that came with the call and is to be scanned (gate 4)."""
    labels: tuple[str, ...] = ()
    """Taint labels that the door puts on this call, sorted."""
    fault: str = ""
    """The reason code under which the call is refused for how it came, "" where the door found nothing wrong."""
    fault_reason: str = ""
    oauth_resource: str = ""
    """What the caller's access token is for, "" for a caller without one."""
    oauth_scopes: tuple[str, ...] = ()
    """What the caller's access token carries, sorted."""


ASKING = "approvals"
"""The door of calls that are not to be made yet: their callers only ask that they be approved."""

EMBEDDED = Source(door="embedding", transport="in-process")
NO_CONTEXT = CallContext()


class ToolCall(Noun, frozen=True, kw_only=True):
    """A call whose arguments can no longer change: what was hashed is what is judged and what is dispatched.

    `arguments` are RFC 8785 bytes and `args_hash` their SHA-256. Bytes that do not parse are still a call when they
    are authenticated and name a tool: then `malformed` says what is wrong with them, `arguments` are the raw bytes,
    `args_hash` is over those, and `parsed` is None.
    """

    session_id: str
    tenant: str
    principal: str
    tool: str
    arguments: bytes
    args_hash: str
    parsed: JSONValue
    malformed: str = ""
    idempotency_key: str = ""
    delegation_id: str = ""
    delegation_proof: str = ""
    """S256 of the caller's PKCE verifier (RFC 7636 section 4.2); the verifier goes no further than the intake."""
    delegation_sequence: int = 0
    approval_id: str = ""
    source: Source = EMBEDDED
    context: CallContext = NO_CONTEXT

    @property
    def session(self) -> tuple[str, str]:
        """The key of the call's session: sessions of two tenants never meet."""
        return (self.tenant, self.session_id)
