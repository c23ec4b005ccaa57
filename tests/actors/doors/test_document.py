"""What docs/http.md says of the door is what the door does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from actors.bearer import BearerKeys
from actors.clock import SystemClock
from actors.doors.app import routes
from actors.doors.bounds import BOUNDS
from actors.doors.calls import EVALUATE, EXECUTE, MAX_PIECES
from actors.doors.desk import Desk
from actors.doors.envelope import MEMBERS
from actors.doors.serve import MAX_HEADING_BYTES
from actors.doors.tail import Tails
from actors.doors.told import HTTP_STATUS, OTHERWISE
from actors.identity.credentials import Credentials
from helm.config import Config
from helm.guardian.policy import NO_POLICY
from tests.actors.doors.street import Street
from tests.gates.source import ROOT

DOCUMENT: Final = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
ROUTE: Final = re.compile(r"\b(GET|POST|PUT|DELETE) (/[^\s`]+)")


async def test_the_document_names_every_route_and_no_other(street: Street, tmp_path: Path) -> None:
    desk = Desk(Credentials(BearerKeys(tmp_path / "keys.json", ()), lambda: NO_POLICY, SystemClock()))
    there = {
        (method, rule)
        for rule, methods in routes(street.kernel, Config(), desk, Tails(street.kernel)).items()
        for method in methods
    }
    assert set(ROUTE.findall(DOCUMENT)) == there | {("POST", EXECUTE), ("POST", EVALUATE)}


def test_the_document_names_every_member_of_a_call() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", DOCUMENT, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z_]+", row)} == MEMBERS


def test_the_document_names_every_status_that_a_call_can_end_with() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \|", DOCUMENT, re.MULTILINE)
    named = {int(status) for row in rows for status in row.split(", ")}
    assert {*HTTP_STATUS.values(), *OTHERWISE.values(), 400, 401, 413, 415} <= named


def test_the_document_says_the_limits_that_there_are() -> None:
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", DOCUMENT, re.MULTILINE))
    said = " ".join(rows)
    assert f"{MAX_PIECES:,} pieces" in said and f"than {MAX_HEADING_BYTES // 1024} KiB" in said
    for limit in (
        f"heading within {BOUNDS.idle_s:g} s",
        f"longer than {BOUNDS.body_s:g} s",
        f"for {BOUNDS.write_s:g} s",
    ):
        assert limit in said
    assert f"more connections than {BOUNDS.connections}" in said
