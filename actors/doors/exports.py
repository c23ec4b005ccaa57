"""The route on which evidence packs are made: of a session, of a range of time, of the whole log."""

from __future__ import annotations

from tempfile import TemporaryFile
from typing import IO, Final

import attrs
import trio
from quart import Response

from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, query, read_object
from actors.doors.packs import ERRANDS
from actors.doors.problem import Problem, overloaded
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from actors.process import aside
from actors.process.aside import Bound, Unfinished
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.wrap import check_wanted
from helm.evidence.scope import RANGE, SESSION, WHOLE, Scope

NUMBERS: Final = frozenset({"from_ms", "through", "until_ms"})
WORDS: Final = frozenset({"redact_facts", "whole"})

EXPORTS: Final = 2
"""Packs that are made or sent at once: each takes a file as long as itself, and reads the log (T4)."""

EXPORTS_OF_TENANTS: Final = EXPORTS - 1
"""Of these, for tenants: whoever reads its own slowly does not keep an operator from the evidence (T4)."""

PATIENCE: Final = Bound(wall_s=300.0, memory_mib=4096)
"""What making one pack may take (T4). A longer one is made by `helm evidence export`, beside the running kernel."""

SEND_S: Final = 600.0
"""How long a pack may take to reach whoever asked for it: up to its last piece it has one of the places."""

PIECE: Final = 256 * 1024
END_OF_TIME_MS: Final = 253_402_300_800_000
"""The first moment of the year 10000: later than anything that is written down."""

HINT: Final = "helm evidence export, beside the running kernel, has no such limit"
FOR_OPERATORS: Final = "a pack brings the policy and every event of the log: an admin key exports it"


@attrs.frozen(kw_only=True)
class Wanted:
    """What a pack is to be about."""

    tenant: str
    session_id: str
    scope: Scope
    through: int
    redact: bool
    envelope: str = ""
    """The kind of an envelope to be signed around it, "" for none."""
    experimental: bool = False

    def errand(self, data_dir: str, now_ms: int) -> dict[str, JSONValue]:
        """Return it as the process that makes the pack is told it."""
        about = {"experimental": self.experimental, "kind": self.envelope, "now_ms": now_ms}
        return {
            "data_dir": data_dir,
            "envelope": about if self.envelope else None,
            "errand": "export",
            "redact": self.redact,
            "scope": [self.scope.kind, self.scope.from_ms, self.scope.until_ms],
            "session": [self.tenant, self.session_id],
            "through": self.through,
        }


class ExportRoutes:
    """A tenant's key, where it may export at all, exports its own sessions; another tenant's look as if never there."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.for_tenants = config.tenant_exports
        self.busy = 0
        self.busy_tenants = 0

    async def fetch(self) -> Response:
        """Answer with the pack that the query asks for."""
        key = self._caller()
        return await self._pack(wanted(key, told_by_query(query())), of_tenant=tenant_of(key) is not None)

    async def make(self) -> Response:
        """Answer with the pack that the body asks for."""
        key = self._caller()
        query()
        return await self._pack(wanted(key, await read_object()), of_tenant=tenant_of(key) is not None)

    def _caller(self) -> BearerKey:
        key = self.desk.caller()
        if tenant_of(key) is not None and not self.for_tenants:
            detail = f"{FOR_OPERATORS}, or a tenant's own where helm.toml says tenant_exports = true"
            raise Problem(status=403, detail=detail, place="authorization")
        return key

    async def _pack(self, asked: Wanted, *, of_tenant: bool) -> Response:
        self.kernel.check_running()
        if self.busy >= EXPORTS or (of_tenant and self.busy_tenants >= EXPORTS_OF_TENANTS):
            raise overloaded("too many packs are being made already")
        sending = Sending(self, of_tenant=of_tenant)
        try:
            made = await self._make(asked, sending.file)
        except BaseException:
            sending.close()
            raise
        name = "attachment; filename=pack.tar"
        response = Response(sending, 200, {"content-disposition": name}, content_type="application/x-tar")
        response.headers["content-length"] = str(made["bytes"])
        if made["envelope"]:
            response.headers["x-helm-envelope-id"] = made["envelope"]
        response.timeout = SEND_S
        return response

    async def _make(self, asked: Wanted, file: IO[bytes]) -> dict[str, JSONValue]:
        """Write the pack to a file and return its length, and the envelope that was made. Raises Problem."""
        errand = asked.errand(str(self.kernel.parts.sensor.data_dir), self.kernel.parts.clock.now_ms())
        try:
            answer = await aside.run(ERRANDS, errand, file, PATIENCE)
        except Unfinished as end:
            detail = f"the pack takes more time or memory than an export here may: {HINT}"
            raise Problem(status=422, detail=detail) from end
        if "done" in answer:
            file.seek(0)
            return dict(answer["done"])
        refusal = answer["refused"]
        if refusal["is_there"]:
            raise Problem(status=422, detail=f"the log cannot be exported: {refusal['what']}")
        raise Problem(status=404, detail=refusal["what"])


class Sending:
    """A pack in a file without a name, on its way; it has one of the places until it is closed.

    That is before its last piece is sent: whoever has the whole pack, and asks for another, finds the place free.
    """

    _open = False

    def __init__(self, routes: ExportRoutes, *, of_tenant: bool) -> None:
        self._routes = routes
        self._of_tenant = of_tenant
        self.file: IO[bytes] = TemporaryFile(buffering=0)  # noqa: SIM115 - whoever sends it closes it
        self._open = True
        self._count(1)

    def _count(self, one: int) -> None:
        self._routes.busy += one
        self._routes.busy_tenants += one * self._of_tenant

    def __aiter__(self) -> Sending:
        return self

    async def __anext__(self) -> bytes:
        piece = await trio.to_thread.run_sync(self.file.read, PIECE) if self._open else b""
        if len(piece) < PIECE:  # its last one
            self.close()
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Let go of the file: it was sent, or nobody reads it any more."""
        self.close()

    def close(self) -> None:
        """Let go of the file and the place."""
        if self._open:
            self._open = False
            self._count(-1)
            self.file.close()

    def __del__(self) -> None:
        self.close()


def told_by_query(given: dict[str, str]) -> dict[str, JSONValue]:
    """Return the query's parameters as the members of a body."""
    numbers = {name: int(given[name]) for name in NUMBERS & given.keys()}
    return given | numbers | {name: given[name] == "true" for name in WORDS & given.keys()}


def wanted(key: BearerKey, body: dict[str, JSONValue]) -> Wanted:
    """Return what a caller asks for, as far as it may. Raises Problem."""
    own, asked = tenant_of(key), body.get("tenant", "")
    if own is not None and asked not in ("", own):
        raise Problem(status=403, detail="a tenant's key exports its own tenant's sessions", place="/tenant")
    session_id, whole = body.get("session_id", ""), body.get("whole", False)
    in_time = "from_ms" in body or "until_ms" in body
    if [bool(session_id), in_time, whole].count(True) != 1:
        detail = "what is the pack about? Give one of session_id, from_ms and until_ms, or whole"
        raise Problem(status=400, detail=detail, place="/")
    if whole and (own is not None or asked):
        raise Problem(status=403, detail=f"the whole log is everybody's: {FOR_OPERATORS}", place="/whole")
    if session_id and not (own or asked):
        raise Problem(status=400, detail="whose session is it? Give its tenant", place="/tenant")
    envelope, experimental = body.get("envelope", ""), body.get("experimental", False)
    if envelope:
        check_envelope(own, envelope, experimental=experimental)
    return Wanted(
        tenant=own or asked,
        session_id=session_id,
        scope=scope_of(body) if in_time else Scope(WHOLE if whole else SESSION),
        through=body.get("through", 0),
        redact=body.get("redact_facts", False),
        envelope=envelope,
        experimental=experimental,
    )


def check_envelope(tenant: str | None, kind: str, *, experimental: bool) -> None:
    """Raise Problem where a caller may not have such an envelope signed."""
    if tenant is not None:
        detail = "only an admin key has an envelope signed"
        raise Problem(status=403, detail=detail, place="/envelope")
    try:
        check_wanted(EnvelopeKind(kind), experimental=experimental)
    except Invalid as problem:
        raise Problem(status=422, detail=str(problem), place="/envelope") from problem


def scope_of(body: dict[str, JSONValue]) -> Scope:
    """Return the range of time that is asked for. Raises Problem."""
    try:
        return Scope(RANGE, body.get("from_ms", 0), body.get("until_ms", END_OF_TIME_MS))
    except Invalid as problem:
        raise Problem(status=400, detail=problem.what, place="/from_ms") from problem
