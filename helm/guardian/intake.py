"""PEP boundary: turn what a caller sent into a ToolCall whose arguments can no longer change (T2)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from typing import NoReturn

import attrs

from helm.contracts.call import EMBEDDED, NO_CONTEXT, CallContext, Source, ToolCall
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue, Noun
from helm.crypto.canonical import MAX_BYTES, canonical, parse_canonical, reread
from helm.crypto.hashing import digest, sha256

MAX_NAME = 256
"""Longest name of a session, tenant, principal, tool, key or approval: they stand in every record (T4)."""

MAX_SAFE_INTEGER = 2**53 - 1
"""RFC 8785 section 3.2.2.3: beyond it two readers may see two numbers."""

NAMES = re.compile(" ".join([r"[!-~]{1,256}"] * 4))
"""Four names, a blank between each: no name holds one."""

NAME = re.compile(r"[!-~]{1,256}")
"""A name is visible ASCII: what a person reads in a receipt is what was compared."""


class Caller(Noun, frozen=True, kw_only=True):
    """Who is calling, as a door has established it, and in which session."""

    tenant: str
    principal: str
    session_id: str
    source: Source = EMBEDDED
    context: CallContext = NO_CONTEXT


@attrs.frozen(kw_only=True)
class Terms:
    """What a caller may say about a call besides its tool and arguments; all of it optional."""

    idempotency_key: str = ""
    approval_id: str = ""
    delegation_id: str = ""
    delegation_verifier: str = attrs.field(default="", repr=False)
    delegation_sequence: int = 0


PLAIN = Terms()


def admit(caller: Caller, tool: str, arguments: bytes | JSONValue, terms: Terms = PLAIN) -> ToolCall:
    """Return the frozen call. `arguments` are JSON bytes, or a JSON value built in this process.

    Arguments that are not acceptable JSON become a malformed call, to be refused with a record and a receipt. Raises
    Invalid for a name that cannot stand in a record: such a call cannot be framed.
    """
    try:
        if type(arguments) is bytes:
            parsed, written = parse_canonical(arguments)
        else:
            written = canonical(arguments)
            parsed = reread(written)  # a copy: what the caller still holds may change, what was hashed may not
    except Malformed as problem:
        written = arguments if type(arguments) is bytes else repr(type(arguments)).encode()
        return admit_malformed(caller, tool, written, str(problem), terms)
    return _call(caller, tool, terms, Entered(written, parsed, sha256(written)))


def admit_malformed(caller: Caller, tool: str, raw: bytes, problem: str, terms: Terms = PLAIN) -> ToolCall:
    """Return the frozen call of a caller whose bytes are known not to be arguments: hashed as they came (T2).

    It is refused with a record and a receipt like any other; beyond MAX_BYTES only its hash is kept. Raises Invalid
    like `admit`.
    """
    return _call(caller, tool, terms, Entered(raw[:MAX_BYTES], None, sha256(raw), problem))


class Entered(Noun, frozen=True):
    """Arguments as they entered: their bytes, what those mean, their hash, and what is wrong with them."""

    written: bytes
    parsed: JSONValue
    args_hash: str
    malformed: str = ""


def _call(caller: Caller, tool: str, terms: Terms, entered: Entered) -> ToolCall:
    _check_names(caller, tool, terms)
    if caller.context is not NO_CONTEXT:
        _check_context(caller.context)
    return ToolCall(
        session_id=caller.session_id,
        tenant=caller.tenant,
        principal=caller.principal,
        tool=tool,
        arguments=entered.written,
        args_hash=entered.args_hash,
        parsed=entered.parsed,
        malformed=entered.malformed,
        idempotency_key=terms.idempotency_key,
        delegation_id=terms.delegation_id,
        delegation_proof=_s256(terms.delegation_verifier) if terms.delegation_verifier else "",
        delegation_sequence=terms.delegation_sequence,
        approval_id=terms.approval_id,
        source=caller.source,
        context=caller.context,
    )


def _check_names(caller: Caller, tool: str, terms: Terms) -> None:
    session_id, principal, tenant = caller.session_id, caller.principal, caller.tenant
    if (
        # What only looks like a name when it is written would stand in the journal as what it is.
        not type(tool) is type(session_id) is type(principal) is type(tenant) is str
        or NAMES.fullmatch(f"{tool} {session_id} {principal} {tenant}") is None
    ):
        _refuse_name(caller, tool)
    if terms is not PLAIN:
        for where, name in (
            ("idempotency_key", terms.idempotency_key),
            ("approval_id", terms.approval_id),
            ("delegation_id", terms.delegation_id),
        ):
            if name != "":
                check_name(name, where)
        if type(terms.delegation_sequence) is not int or not 0 <= terms.delegation_sequence <= MAX_SAFE_INTEGER:
            raise Invalid("a delegation sequence is a whole number, at most 2^53-1", "delegation_sequence")


def _check_context(context: CallContext) -> None:
    """Raise Invalid for what a door saw but no record can hold: too long, or with half characters (T4)."""
    if context.claimed_principal != "":
        check_name(context.claimed_principal, "claimed_principal")
    for label in context.labels:
        check_name(label, "labels")
    for scope in context.oauth_scopes:
        check_name(scope, "oauth_scopes")
    try:
        size = sum(len(text.encode()) for text in (*context.texts, context.fault_reason))
    except UnicodeEncodeError as problem:
        raise Invalid(f"the text has half a character at {problem.start}", "texts", "send it as UTF-8") from problem
    if size > MAX_BYTES:
        raise Invalid(f"{size} bytes of text, more than {MAX_BYTES}", "texts", "send less of it")


def _refuse_name(caller: Caller, tool: str) -> NoReturn:
    check_name(tool, "tool")
    check_name(caller.session_id, "session_id")
    check_name(caller.principal, "principal")
    check_name(caller.tenant, "tenant")
    raise Invalid("the names of this call cannot be told apart", "call", "choose plain names")


def check_name(name: JSONValue, where: str) -> None:
    """Raise Invalid unless `name` is 1 to 256 characters of visible ASCII."""
    if type(name) is not str or NAME.fullmatch(name) is None:
        raise Invalid(f"{where} must be 1 to {MAX_NAME} characters of visible ASCII", where, "choose a plain name")


def _s256(verifier: str) -> str:
    """Return the S256 challenge of a PKCE verifier (RFC 7636 section 4.2)."""
    return urlsafe_b64encode(digest(verifier.encode("utf-8", "replace"))).rstrip(b"=").decode()
