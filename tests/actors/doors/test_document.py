"""What docs/http.md says of the door is what the door does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from quart import Response

from actors.doors.app import Handler, mounted
from actors.doors.bounds import BOUNDS
from actors.doors.calls import MAX_PIECES
from actors.doors.envelope import MAX_LABELS, MEMBERS
from actors.doors.openai.door import PATHS
from actors.doors.serve import MAX_HEADING_BYTES, data_plane
from actors.doors.told import HTTP_STATUS, OTHERWISE
from actors.doors.upgrade import STREAM
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKeys
from actors.process.clock import SystemClock
from helm.config import Config
from helm.crypto.canonical import canonical, reread
from helm.guardian.bearers import Bearers
from helm.guardian.policy import NO_POLICY
from helm.surfaces.openapi import document
from helm.surfaces.route import VARIABLE, Access, Door
from helm.surfaces.rows.calls import CALL
from helm.surfaces.table import TABLE
from tests.actors.doors.street import Street
from tests.gates.source import ROOT

DOCUMENT: Final = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
ROUTE: Final = re.compile(r"\b(GET|POST|PUT|DELETE) (/[^\s`]+)")


def test_the_document_names_every_route_and_no_other() -> None:
    there = {(row.method, VARIABLE.sub(r"<\1>", row.path)) for row in TABLE.values()}
    assert set(ROUTE.findall(DOCUMENT)) == there


def test_a_row_without_a_handler_and_a_handler_without_a_row_are_no_door() -> None:
    async def nobody() -> Response:
        raise AssertionError

    rows: dict[str, Handler] = {name: nobody for name, row in TABLE.items() if row.door is Door.CONTROL}
    assert mounted(rows) == rows
    fewer: dict[str, Handler] = dict.fromkeys([*rows][1:], nobody)
    more: dict[str, Handler] = rows | {"invented": nobody}
    for wrong in (more, fewer):
        with pytest.raises(ValueError, match="rows and handlers differ"):
            mounted(wrong)


async def test_every_path_past_the_control_plane_is_a_row_and_every_such_row_is_served(street: Street) -> None:
    credentials = Credentials(BearerKeys(Path("keys.json"), ()), lambda: NO_POLICY, SystemClock(), Bearers())
    served = {*data_plane(street.kernel, Config(), credentials, BOUNDS), *PATHS, STREAM.decode()}
    assert {row.path for row in TABLE.values() if row.door is not Door.CONTROL} == served


def test_the_document_names_every_member_of_a_call() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", DOCUMENT, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z_]+", row)} == MEMBERS == CALL["properties"].keys()
    assert CALL["properties"]["taint"]["maxItems"] == MAX_LABELS


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


async def test_the_door_shows_the_very_document(street: Street) -> None:
    shown = await street.ask("GET", "/openapi.json", key="")
    assert shown.status == 200 and shown.json() == reread(canonical(document(TABLE.values())))


async def test_each_row_is_open_to_whom_it_names_and_to_nobody_else(street: Street) -> None:
    for row in TABLE.values():
        if row.access is Access.PUBLIC or row.door is Door.OPENAI:
            continue
        path = VARIABLE.sub("x", row.path)
        body: Any = None if row.body is None else {}
        strangers = {Access.TENANT: ["", street.admin], Access.ADMIN: ["", street.agent]}.get(row.access, [""])
        for key in strangers:
            reply = await street.ask(row.method, path, body, key=key, host="localhost")
            refused = 426 if row.door is Door.STREAM else 403 if key else 401
            assert (row.name, reply.status) == (row.name, refused)
