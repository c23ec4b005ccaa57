"""The audit log over HTTP: an operator reads it page by page, and learns who resumed what."""

from __future__ import annotations

from typing import Any

from tests.actors.doors.street import Street

AUDIT = "/api/v1/audit"


async def pages(street: Street, limit: int) -> list[dict[str, Any]]:
    """Every act, `limit` at a time."""
    acts: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = (await street.ask("GET", f"{AUDIT}?limit={limit}&after={after}", key=street.admin)).json()
        assert len(page["acts"]) <= limit
        acts += page["acts"]
        after = page["next"]
    return acts


async def test_the_pages_together_are_the_whole_log(street: Street) -> None:
    await street.call({"tool": "read", "arguments": {"path": "a"}})
    whole = await pages(street, 200)
    assert await pages(street, 2) == whole
    lamports = [act["lamport"] for act in whole]
    assert lamports == sorted(set(lamports))
    assert whole[-1]["kind"] == "POLICY_ACTIVATED"


async def test_a_tenant_reads_no_acts(street: Street) -> None:
    assert (await street.ask("GET", AUDIT)).status == 403


async def test_whoever_resumed_a_connector_stands_in_the_log(street: Street) -> None:
    street.kernel.memory.halted["local"] = "it drifted"
    resumed = await street.ask("POST", "/api/v1/connectors/local/resume", {"reason": "looked at it"}, key=street.admin)
    assert resumed.status == 200
    last = (await pages(street, 200))[-1]
    assert (last["kind"], last["who"], last["reason"]) == ("CONNECTOR_RESUMED", "operator", "looked at it")
