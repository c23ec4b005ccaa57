"""Routes on which the conformance vectors are read and run. A run has servers of its own: no call of anybody waits.

What runs is this very program, in a process of its own, with fresh data directories on loopback ports. The running
kernel is neither asked nor stopped: vectors freeze, kill and overload what they are put to, and no session of a system
that somebody relies on is a place for that. `helm conform run --target` tests a server where it stands.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Final

import trio
from quart import Response

from actors.conforming.believing import doubt_of, shown
from actors.conforming.material import vector_set
from actors.conforming.reports import Reports
from actors.doors.credentials import check_admin
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem, overloaded
from actors.kernel import Kernel
from actors.process import aside
from actors.process.aside import Bound, Unfinished
from helm.conformance.choosing import NEGATIVE, Wanted, published
from helm.conformance.vector import LEVELS
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue

REPORTS: Final = "/api/v1/conformance/reports"

ERRAND: Final = "actors.cli.conform.errand"
"""The module that the process runs, by name: it stands above the doors."""

PATIENCE: Final = Bound(wall_s=300.0, memory_mib=4096)
"""What one run may take (T4): ten times the whole set on a machine that does something else as well."""

HINT: Final = "helm conform run, on this machine, has no such limit"


class ConformanceRoutes:
    """Anybody reads the vectors; an operator has them run, one run at a time."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.running = False

    @property
    def reports(self) -> Reports:
        """Where the reports lie."""
        return Reports(Path(self.kernel.parts.sensor.data_dir))

    async def negative(self) -> Response:
        """Answer with the vectors of the ten fail-closed cases."""
        query()
        return answer(published(vector_set(), NEGATIVE))

    async def vectors(self) -> Response:
        """Answer with the vectors that the query asks for."""
        given = query()
        category = frozenset({given["category"]}) if "category" in given else frozenset()
        wanted = Wanted(level=given.get("level", ""), categories=category, code=given.get("code", ""))
        return answer(published(vector_set(), wanted))

    async def run(self) -> Response:
        """Run the wanted vectors, and answer with the signed report."""
        check_admin(self.desk.caller())
        query()
        asked = wanted_in(await read_object())
        self.kernel.check_running()
        if self.running:
            raise overloaded("a conformance run is under way already")
        self.running = True
        try:
            document = await self._run(asked)
        finally:
            self.running = False
        return answer(document, 201, {"location": f"{REPORTS}/{document['report']['report_id']}"})

    async def _run(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Return the report of a run in a process of its own. Raises Problem."""
        room = TemporaryDirectory(prefix="helm-conform-", ignore_cleanup_errors=True)
        errand = {"data_dir": str(self.reports.data_dir), "room": room.name, **asked}
        try:
            with TemporaryFile() as nothing:
                told = await aside.run(ERRAND, errand, nothing, PATIENCE)
        except Unfinished as end:
            raise Problem(status=422, detail=f"the run takes more time or memory than one here may: {HINT}") from end
        finally:
            room.cleanup()  # a process that was killed leaves its servers' directories, keys included
        if "done" not in told:
            raise Problem(status=422, detail=f"it could not be run: {told['refused']}")
        done: dict[str, Any] = told["done"]
        return done

    async def browse(self) -> Response:
        """Answer with the kept reports, each held against the keys of this log."""
        check_admin(self.desk.caller())
        query()
        parts = self.kernel.parts
        registry, head = parts.state.registry, parts.journal.head

        def rows() -> list[JSONValue]:
            return [shown(one, doubt_of(one, registry, head)) for one in self.reports.all()]

        try:
            return answer({"reports": await trio.to_thread.run_sync(rows)})
        except Invalid as problem:
            raise Problem(status=422, detail=str(problem)) from problem

    async def show(self, report_id: str) -> Response:
        """Answer with one report as it was signed."""
        check_admin(self.desk.caller())
        query()
        try:
            found = await trio.to_thread.run_sync(self.reports.get, report_id)
        except Invalid as problem:
            raise Problem(status=422, detail=str(problem)) from problem
        if found is None:
            raise Problem(status=404, detail="no such report")
        return answer(found)


def wanted_in(body: dict[str, Any]) -> dict[str, Any]:
    """Return what a body asks to be run; without a level the first. Raises Problem for a category that nothing has."""
    known = {one.category for one in vector_set().vectors}
    categories = body.get("categories", [])
    for number, name in enumerate(categories):
        if name not in known:
            raise Problem(status=400, detail="no vector is of this category", place=f"/categories/{number}")
    return {"categories": categories, "level": body.get("level", LEVELS[0])}
