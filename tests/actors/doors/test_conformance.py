"""Conformance over HTTP: anybody reads the vectors, an operator has them run, and no report is believed unsigned."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import trio

import helm
from actors.client.blocking import HelmClient
from actors.client.exchange import Answered
from actors.conforming.material import vector_set
from actors.conforming.reports import MAX_BYTES, MAX_KEPT, Reports
from actors.process.aside import Bound
from helm.conformance.choosing import Wanted, chosen
from helm.conformance.report import Ran, seal_report
from helm.contracts.reason import CODES
from tests.actors.doors.street import Street
from tests.actors.kit import House
from tests.helm.conformance.test_report import good

CONFORMANCE = "/api/v1/conformance"
RUN_S = 300.0
OWN = {"main": {"is_own": True, "program": helm.__version__}}


def kept(house: House, subjects: Any = OWN) -> Any:
    """Keep the report of a run in which everything held, and return it."""
    vectors = vector_set()
    results = tuple(good(one) for one in vectors.vectors)
    ran = Ran(results=results, subjects=subjects, strays=0, begun_at_ms=1, ended_at_ms=2)
    document = seal_report(ran, vectors, house.place.evidence_key())
    Reports(house.path).keep(document)
    return document


def ask_to_run(client: HelmClient, asked: dict[str, Any]) -> Answered:
    """Ask for a run, which takes longer than any other answer."""
    headers = {"content-type": "application/json"}
    return client.send("POST", f"{CONFORMANCE}/run", content=json.dumps(asked).encode(), headers=headers)


async def levels(street: Street) -> set[str]:
    """Return what the capabilities say of their conformance."""
    said = (await street.ask("GET", "/api/v1/boundary/capabilities", key=street.admin)).json()["capabilities"]
    return {one["conformance_level"] for one in said if one["authority"] != "non-authoritative"}


async def test_anybody_reads_the_vectors(street: Street) -> None:
    negative = (await street.ask("GET", f"{CONFORMANCE}/negative", key="")).json()
    assert {one["case"] for one in negative["vectors"]} >= {"PDP outage", "direct upstream bypass"}
    every = (await street.ask("GET", f"{CONFORMANCE}/vectors", key="")).json()
    assert every["vectors_hash"] == negative["vectors_hash"] == vector_set().hash
    assert {one["expected"]["reason_code"] for one in every["vectors"]} >= CODES
    some = (await street.ask("GET", f"{CONFORMANCE}/vectors?level=L2&category=gate-0-freeze", key="")).json()
    assert [one["id"] for one in some["vectors"]] == ["frozen-system", "fenced-tenant", "killed-agent"]
    assert (await street.ask("GET", f"{CONFORMANCE}/vectors?level=L4", key="")).status == 400


async def test_a_tenant_has_nothing_run_and_reads_no_report(street: Street) -> None:
    assert (await street.ask("POST", f"{CONFORMANCE}/run", {})).status == 403
    assert (await street.ask("GET", f"{CONFORMANCE}/reports")).status == 403
    assert (await street.ask("GET", f"{CONFORMANCE}/reports/conf_{'0' * 32}")).status == 403


@pytest.mark.parametrize(
    "body", [{"level": "L4"}, {"categories": ["gate-9"]}, {"server": "http://127.0.0.1:1"}], ids=str
)
async def test_what_cannot_be_run_is_refused_at_its_place(street: Street, body: dict[str, Any]) -> None:
    assert (await street.ask("POST", f"{CONFORMANCE}/run", body, key=street.admin)).status == 400


async def test_a_kept_report_is_told_with_its_level_and_no_other_names_one(street: Street, house: House) -> None:
    assert await levels(street) == {"none"}
    document = kept(house)
    assert await levels(street) == {"L3"}
    name = document["report"]["report_id"]
    assert (await street.ask("GET", f"{CONFORMANCE}/reports/{name}", key=street.admin)).json() == document
    [row] = (await street.ask("GET", f"{CONFORMANCE}/reports", key=street.admin)).json()["reports"]
    assert (row["report_id"], row["level"], row["believed"], row["doubt"]) == (name, "L3", True, "")
    for odd in (f"conf_{'0' * 32}", "conf_..", "x"):
        assert (await street.ask("GET", f"{CONFORMANCE}/reports/{odd}", key=street.admin)).status == 404


async def test_an_edited_report_is_shown_and_not_believed(street: Street, house: House) -> None:
    document = copy.deepcopy(kept(house))
    document["report"]["ended_at_ms"] += 1
    Reports(house.path).keep(document)
    [row] = (await street.ask("GET", f"{CONFORMANCE}/reports", key=street.admin)).json()["reports"]
    assert not row["believed"]
    assert "did not sign" in row["doubt"]
    assert await levels(street) == {"none"}


@pytest.mark.parametrize(
    "subjects", [{}, {"main": {**OWN["main"], "program": "0.0.0"}}, {"main": {**OWN["main"], "is_own": False}}], ids=str
)
async def test_a_report_about_another_program_says_nothing_of_this_one(
    street: Street, house: House, subjects: Any
) -> None:
    kept(house, subjects)
    assert await levels(street) == {"none"}


@pytest.mark.parametrize(
    "junk", [b"{", b"[]", b"[" * 100_000, b'{"report":{"level":"L3"}}', b'{"report":1.5}'], ids=len
)
async def test_a_file_that_is_no_report_names_no_level_and_hides_none(
    street: Street, house: House, junk: bytes
) -> None:
    kept(house)
    await trio.Path(Reports(house.path).folder / f"conf_{'f' * 32}.json").write_bytes(junk)
    assert await levels(street) == {"L3"}
    refused = await street.ask("GET", f"{CONFORMANCE}/reports", key=street.admin)
    assert refused.status == 422
    assert "remove it" in refused.json()["detail"]


async def test_a_report_longer_than_any_is_not_read(street: Street, house: House) -> None:
    name = kept(house)["report"]["report_id"]
    async with await trio.Path(Reports(house.path).folder / f"{name}.json").open("ab") as file:
        await file.write(b" " * MAX_BYTES)
    assert await levels(street) == {"none"}
    assert (await street.ask("GET", f"{CONFORMANCE}/reports/{name}", key=street.admin)).status == 422


async def test_a_kernel_that_ends_begins_no_run(street: Street) -> None:
    street.kernel.drain()
    assert (await street.ask("POST", f"{CONFORMANCE}/run", {}, key=street.admin)).status == 503


async def test_a_run_out_of_time_leaves_no_directory_of_its_servers(
    street: Street, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They hold keys; and whoever has run after run begun would fill the disk (T4)."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("actors.doors.conformance.PATIENCE", Bound(wall_s=2.0, memory_mib=4096))
    told = await street.ask("POST", f"{CONFORMANCE}/run", {"level": "L3"}, key=street.admin)
    assert (told.status, "takes more time" in told.json()["detail"]) == (422, True)
    assert list(await trio.Path(tmp_path).glob("helm-conform-*")) == []


async def test_a_report_that_is_a_directory_is_refused_in_words(street: Street, house: House) -> None:
    kept(house)
    await trio.Path(Reports(house.path).folder / f"conf_{'f' * 32}.json").mkdir()
    assert await levels(street) == {"L3"}
    assert (await street.ask("GET", f"{CONFORMANCE}/reports/conf_{'f' * 32}", key=street.admin)).status == 422


def test_no_name_leads_out_of_the_reports(house: House) -> None:
    report = kept(house)["report"]["report_id"]
    reports = Reports(house.path)
    assert reports.get(report) is not None
    assert reports.get(f"../{reports.folder.name}/{report}") is None
    assert reports.get(f"{report}\n") is None


async def test_more_reports_than_are_kept_push_the_oldest_out(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    for number in range(MAX_KEPT + 1):
        reports.keep({"report": {"report_id": f"conf_{number:032x}"}})
    assert len(reports.files()) == MAX_KEPT
    assert reports.folder.stat().st_mode & 0o077 == 0


@pytest.mark.timeout(600)
@pytest.mark.slow
async def test_an_operator_has_vectors_run_and_the_running_kernel_is_not_touched(street: Street, house: House) -> None:
    before = street.kernel.parts.journal.head
    asked: dict[str, Any] = {"categories": ["control", "gate-0-freeze"], "level": "L2"}
    wanted = chosen(vector_set(), Wanted(categories=frozenset(asked["categories"]), level="L2"))
    replies: list[Answered] = []

    async def ask() -> None:
        replies.append(await trio.to_thread.run_sync(ask_to_run, client, asked))

    with HelmClient(street.address.url, street.admin, timeout_s=RUN_S) as client:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
    refused, reply = sorted(replies, key=lambda one: one.status, reverse=True)
    assert (refused.status, refused.json()["reason_code"]) == (503, "OVERLOADED")  # one run at a time
    assert reply.status == 201, reply.body
    document = reply.json()
    assert document["report"]["summary"] == {"failed": 0, "passed": len(wanted), "skipped": 0, "unobserved": 0}
    assert document["report"]["level"] == "none"  # so few vectors are no level
    assert document["public_key"] == house.place.evidence_key().public_key
    name = document["report"]["report_id"]
    assert reply.headers["location"] == f"{CONFORMANCE}/reports/{name}"
    [row] = (await street.ask("GET", f"{CONFORMANCE}/reports", key=street.admin)).json()["reports"]
    assert (row["report_id"], row["believed"]) == (name, True)
    assert json.loads((Reports(house.path).folder / f"{name}.json").read_bytes()) == document
    assert street.kernel.parts.journal.head == before
