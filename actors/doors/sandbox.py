"""Routes on which operators see what guests are granted, draft a grant, and ask what stands against it."""

from __future__ import annotations

from pathlib import Path

import trio
from quart import Response

from actors.connectors.drafts import Drafts
from actors.connectors.grant_host import host_findings, profiles
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.plugging import MODULES
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.sandbox import SandboxGrant
from helm.guardian.grants import preflight, read_asked, read_view, verified, views_of

SANDBOX = "/api/v1/sandbox"
GRANTS = f"{SANDBOX}/grants"

GRANT = frozenset({"grant"})
GRANT_ID = frozenset({"grant_id"})


class SandboxRoutes:
    """An admin key opens the routes. None of them grants anything: that is the signed policy's."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def profiles(self) -> Response:
        """Answer with every profile, and which of them this kernel dispatches under."""
        query()
        return answer({"profiles": await trio.to_thread.run_sync(profiles)})

    async def browse(self) -> Response:
        """Answer with every grant of the policy, and every draft."""
        query()
        return answer({"grants": [*views_of(self.kernel.memory.policy), *await self._drafts()]})

    async def draft(self) -> Response:
        """Keep a draft of what a policy might grant."""
        body = await read_object()
        try:
            grant = read_asked(body["grant"])
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place=problem.where) from problem
        try:
            kept = await trio.to_thread.run_sync(self._workbench().keep, grant, self.kernel.parts.clock.now_ms())
        except Invalid as problem:
            raise Problem(status=409, detail=problem.what) from problem
        return answer(kept, 201)

    async def show(self, grant_id: str) -> Response:
        """Answer with one grant."""
        query()
        return answer(await self._find(grant_id))

    async def verify(self, grant_id: str) -> Response:
        """Answer whether a grant is what it is named, and whether the policy has it."""
        await read_object()
        found = await self._find(grant_id)
        read_view(found)
        return answer(verified(found, self.kernel.memory.policy))

    async def preflight(self) -> Response:
        """Answer what stands against a dispatch under a grant, here and now."""
        grant_id = (await read_object())["grant_id"]
        if type(grant_id) is not str:
            raise Problem(status=400, detail="expected the id of a grant", place="/grant_id")
        return answer(await self._judged(read_view(await self._find(grant_id))))

    async def inspect(self) -> Response:
        """Answer the same of a grant object that is not kept."""
        body = await read_object()
        try:
            grant = read_view(body["grant"])
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place=problem.where) from problem
        return answer(await self._judged(grant))

    async def _judged(self, grant: SandboxGrant) -> dict[str, JSONValue]:
        modules = self._data_dir() / MODULES
        found = await trio.to_thread.run_sync(host_findings, grant, modules)
        return preflight(grant, self.kernel.memory.policy, found, self.kernel.parts.clock.now_ms())

    async def _find(self, grant_id: str) -> dict[str, JSONValue]:
        for one in views_of(self.kernel.memory.policy):
            if one["grant_id"] == grant_id:
                return one
        try:
            draft = await trio.to_thread.run_sync(self._workbench().find, grant_id)
        except Invalid as problem:
            raise Problem(status=409, detail=problem.what) from problem
        if draft is None:
            raise Problem(status=404, detail="no such grant")
        return draft

    async def _drafts(self) -> list[dict[str, JSONValue]]:
        try:
            return await trio.to_thread.run_sync(self._workbench().all)
        except Invalid as problem:
            raise Problem(status=409, detail=problem.what) from problem

    def _workbench(self) -> Drafts:
        return Drafts.of(self._data_dir())

    def _data_dir(self) -> Path:
        return self.kernel.parts.sensor.data_dir
