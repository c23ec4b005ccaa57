"""Routes for programs beside HELM: how to be told, what was told, and whose word counts. None of it is evidence."""

from __future__ import annotations

from quart import Response

from actors.boundary import paths_of, standing_of
from actors.doors.browsing import Wanted, receipts_after
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.stores.which import POSTGRESQL
from helm.config import Config
from helm.interop.attributes import NOTICE
from helm.interop.otel_config import otel_config
from helm.interop.otlp_json import exported
from helm.surfaces.coexistence import manifest
from helm.surfaces.rows.telemetry import MAX_EXPORTED


class TelemetryRoutes:
    """Any key exports its own tenant's receipts; the settings are an operator's."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.kernel = kernel
        self.config = config
        self.desk = desk

    async def config_shown(self) -> Response:
        """Answer with what a collector needs."""
        query()
        return answer(otel_config(self.config))

    async def export(self) -> Response:
        """Answer with the receipts behind an entry, as OTLP/JSON that a collector takes as it is."""
        tenant = tenant_of(self.desk.caller())
        query()
        body = await read_object()
        asked = body.get("tenant")
        if tenant is not None and asked not in (None, tenant):
            raise Problem(status=403, detail="a tenant's key reads its own tenant", place="/tenant")
        wanted = Wanted(tenant=tenant or asked, session_id=body.get("session_id", ""))
        journal, memory = self.kernel.parts.journal, self.kernel.memory
        page = await receipts_after(journal, wanted, body.get("after", 0), body.get("limit", MAX_EXPORTED))
        found = [receipt for _, receipt in page.receipts]
        return answer(
            {
                "after": page.last,
                "authoritative": False,
                "is_complete": page.last >= journal.head,
                "notice": NOTICE,
                "otlp": exported(found, self.kernel.parts.boot.log_id, memory.policy.tools),
                "receipts": len(found),
            }
        )

    async def coexistence(self) -> Response:
        """Answer with what HELM owns, and what it does not."""
        query()
        store = POSTGRESQL if self.config.database_url else self.config.journal
        return answer(manifest(standing_of(self.kernel, store), paths_of))
